"""The command `report`: a run's report again, from its folder, in the form that somebody needs."""

import argparse
import sys
import webbrowser
from pathlib import Path

from skillgrad_ci.commands.cli import DONE
from skillgrad_ci.commands.terminal import say
from skillgrad_ci.report.forms import as_atif, as_junit, as_sarif
from skillgrad_ci.report.page import render_page
from skillgrad_ci.report.pages import as_json, as_markdown
from skillgrad_ci.report.shelf import read_report
from skillgrad_ci.skill.folder import write_atomically


def report_command(arguments: argparse.Namespace) -> int:
    folder: Path = arguments.run
    found = read_report(folder)
    if arguments.format == "html":
        page = folder / "report.html"
        write_atomically(page, render_page(found, folder).encode())
        say(str(page))
        if arguments.open:
            webbrowser.open(page.resolve().as_uri())
        return DONE
    form = "json" if arguments.json else arguments.format
    if form == "atif":
        sys.stdout.writelines(as_atif(folder))
        return DONE
    made = {"json": as_json, "md": as_markdown, "junit": as_junit, "sarif": as_sarif}
    sys.stdout.write(made[form](found))
    return DONE

"""The command `report`: a run's report again, from its folder, in the form that somebody needs."""

import argparse
import sys
import webbrowser
from pathlib import Path
from xml.etree import ElementTree

from skillgrad_ci.commands.cli import DONE
from skillgrad_ci.commands.terminal import say
from skillgrad_ci.report.document import Report
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
    made = {"json": as_json, "md": as_markdown, "junit": as_junit}
    sys.stdout.write(made["json" if arguments.json else arguments.format](found))
    return DONE


def as_junit(found: Report) -> str:
    """Each task as a test case, as it ended: with the edited skill where that was measured, else with the initial one.

    A task that could not be measured is skipped, not failed. The form is the one that GitLab, Jenkins and the
    reporters of Actions read.
    """
    suite = ElementTree.Element("testsuite", name=f"{found.skill} on {found.suite.name}", tests=str(len(found.tasks)))
    counts = {"failures": 0, "skipped": 0}
    for task in found.tasks:
        case = ElementTree.SubElement(suite, "testcase", classname=task.split or "task", name=task.id)
        rate = task.baseline if task.final is None else task.final
        if rate is None:
            counts["skipped"] += 1
            ElementTree.SubElement(case, "skipped", message="unmeasured")
        elif rate < 1:
            counts["failures"] += 1
            message = "failed" if rate == 0 else f"passed in {rate:.0%} of its trials"
            ElementTree.SubElement(case, "failure", message=message).text = _xml_text(task.feedback)
    suite.attrib.update({name: str(count) for name, count in counts.items()})
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _xml_text(text: str) -> str:
    """Text without the control characters that XML 1.0 cannot hold."""
    return "".join(char for char in text if char in "\t\n\r" or char >= " ").replace("\ufffe", "").replace("\uffff", "")

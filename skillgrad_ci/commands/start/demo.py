"""The command `demo`: the example repository and its rehearsal, for those who have the package alone."""

import argparse
import shutil
from importlib import resources
from pathlib import Path

from skillgrad_ci.commands.cli import parse_arguments
from skillgrad_ci.commands.optimize import Offer, optimize_command
from skillgrad_ci.commands.terminal import say
from skillgrad_ci.errors import UserError

SKILL = Path("skills", "workbook-reports")


def demo_command(arguments: argparse.Namespace, offer: Offer) -> int:
    """Write the example repository into a folder and optimize its skill with the rehearsal model.

    A folder that holds the example already is used as it is, so that a run that was killed goes on.
    """
    folder: Path = arguments.folder
    if folder.exists() and not (folder / SKILL / "SKILL.md").is_file():
        raise UserError(f"{folder} is there already and is no copy of the example; name another folder")
    if not folder.exists():
        shutil.copytree(example(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    command = ["optimize", str(folder / SKILL), "--model", "rehearsal"]
    if not arguments.json:
        say(f"The example repository is in {folder}.", f"$ skillgrad-ci {' '.join(command)}", "")
    asked = {"--json": arguments.json, "--verbose": arguments.verbose, "--open": arguments.open}
    return optimize_command(parse_arguments([*command, *(flag for flag, on in asked.items() if on)]), offer)


def example() -> Path:
    """The example: inside the installed package, else in the source tree."""
    packaged = Path(str(resources.files("skillgrad_ci"))) / "example"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "examples" / "xlsx"

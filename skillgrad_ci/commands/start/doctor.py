"""The command `doctor`: what is found, what is missing, and the command that mends it."""

import argparse
from dataclasses import asdict

from skillgrad_ci.commands.cli import DONE, USER
from skillgrad_ci.commands.terminal import say, say_json
from skillgrad_ci.session.doctor import examine


def doctor(arguments: argparse.Namespace) -> int:
    """Exit code 2 where something is missing that a run needs."""
    checks = []
    for check in examine(arguments.folder):
        checks.append(check)
        if not arguments.json:
            mark = {True: "ok", False: "MISSING", None: "-"}[check.ok]
            say(f"{mark:8}{check.name}: {check.found}", *([f"        {check.remedy}"] if check.remedy else []))
    if arguments.json:
        say_json([asdict(check) for check in checks])
    return USER if any(check.ok is False for check in checks) else DONE

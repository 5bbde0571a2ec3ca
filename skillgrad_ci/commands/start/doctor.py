"""The command `doctor`: what is found, what is missing, and the command that mends it."""

import argparse
from dataclasses import asdict

from skillgrad_ci.commands.cli import DONE, USER
from skillgrad_ci.commands.jobs import named_root
from skillgrad_ci.commands.terminal import say, say_json
from skillgrad_ci.config.config import FILE, load_config
from skillgrad_ci.session.doctor import Beyond, examine, typed


def doctor_command(arguments: argparse.Namespace, beyond: Beyond) -> int:
    """Exit code 2 where something is missing that a run, or the bot, needs. `beyond` looks outside of this machine."""
    checks, root = [], named_root(arguments)
    for check in examine(root, beyond):
        checks.append(check)
        if not arguments.json:
            mark = {True: "ok", False: "MISSING", None: "-"}[check.ok]
            say(f"{mark:8}{check.name}: {check.found}", *([f"        {check.remedy}"] if check.remedy else []))
    missing = sum(check.ok is False for check in checks)
    if arguments.json:
        say_json([asdict(check) for check in checks])
    elif missing:
        say(f"Missing: {missing}. Mend {'it' if missing == 1 else 'them'} as said above, and ask again.")
    else:
        first = load_config(root / FILE).skills[0]
        say(f"Nothing is missing. Next: skillgrad-ci optimize {typed(first.path)} --open")
    return USER if missing else DONE

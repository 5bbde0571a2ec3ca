"""The command `lint`."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from skillgrad_ci.commands.exits import DONE, USER
from skillgrad_ci.commands.terminal import say, say_json
from skillgrad_ci.skill.lint import lint
from skillgrad_ci.skill.skill import Skill


def lint_skills(arguments: argparse.Namespace) -> int:
    found: list[dict[str, Any]] = []
    for path in arguments.skills:
        found += ({"skill": str(path), **asdict(item)} for item in lint(Skill.load(path)))
    errors = sum(item["severity"] == "error" for item in found)
    if arguments.json:
        say_json({"findings": found, "errors": errors, "warnings": len(found) - errors})
    else:
        for item in found:
            where = Path(item["skill"]) / item["file"]
            say(f"{where}:{item['line']}: {item['severity']} {item['rule']}: {item['message']}")
        say(f"{errors} errors, {len(found) - errors} warnings in {len(arguments.skills)} skills")
    return USER if errors else DONE

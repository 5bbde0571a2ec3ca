"""The command `lint`: the findings of any number of skills, none of them hidden by another."""

import argparse
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from skillgrad_ci.commands.cli import DONE, USER
from skillgrad_ci.commands.jobs import nearest_config
from skillgrad_ci.commands.lint_formats import FORMATS, Linted
from skillgrad_ci.config.config import load_config
from skillgrad_ci.errors import UserError
from skillgrad_ci.skill.hosts import HOSTS
from skillgrad_ci.skill.lint import lint
from skillgrad_ci.skill.membership import IGNORED, MAIN
from skillgrad_ci.skill.rules import Finding, finding
from skillgrad_ci.skill.skill import Skill
from skillgrad_ci.skill.surroundings import Surroundings
from skillgrad_ci.suites.kept_out import kept_out


def lint_skills(arguments: argparse.Namespace) -> int:
    hosts = _hosts(arguments)
    found: list[Linted] = []
    count = 0
    for path in arguments.skills:
        for skill in _skills_below(path):
            count += 1
            found += (Linted(skill, item) for item in _findings(skill, hosts))
    FORMATS["json" if arguments.json else arguments.format](found, count)
    return USER if any(item.finding.severity == "error" for item in found) else DONE


def _skills_below(path: Path) -> list[Path]:
    """The skills that a path names: its own folder, or all below it. A path with none stands for itself."""
    if path.name == MAIN and path.is_file():
        return [path.parent]
    if (path / MAIN).exists() or not path.is_dir():
        return [path]
    found = []
    for root, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if name not in IGNORED)
        if MAIN in names:
            found.append(Path(root))
            folders.clear()  # a skill in a skill is one of its files
    return found or [path]


def _findings(path: Path, hosts: Sequence[str]) -> Iterator[Finding] | list[Finding]:
    """A skill's findings; where it cannot be read, that is its only one."""
    try:
        leave_out = kept_out(path)
        return lint(Skill.load(path, leave_out, stray=True), Surroundings(path, leave_out), hosts)
    except UserError as error:
        place = re.search(rf"{re.escape(MAIN)}:(\d+): ", str(error))
        return [
            finding("H000", MAIN, int(place[1]) if place else 1, str(error)[place.end() :] if place else str(error))
        ]


def _hosts(arguments: argparse.Namespace) -> list[str]:
    """The hosts of `--hosts`, else of the nearest configuration."""
    if arguments.hosts is not None:
        named = [name for name in re.split(r"[,\s]+", arguments.hosts) if name]
        unknown = [name for name in named if name not in HOSTS]
        if unknown:
            raise UserError(f"--hosts: {unknown[0]!r} is not known; known are {', '.join(HOSTS)}")
        return named
    config = nearest_config(arguments.skills[0])
    return list(load_config(config).hosts) if config else []

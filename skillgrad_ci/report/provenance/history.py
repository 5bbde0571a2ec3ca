"""What git knows of a skill's lines: the commit that wrote each, and the edits that the bot's commit names.

A commit of the bot has one edit's trailers. A squash of its pull request has those of several, one group after another.
"""

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from skillgrad_ci.errors import UserError

_TRAILER = re.compile(r"^\s*Skillgrad-(\w+): (.+)$", re.MULTILINE)
_BEGINS = re.compile(r"^([0-9a-f]{40,64}) \d+ (\d+)(?: \d+)?$")
SECONDS = 60.0


@dataclass(frozen=True)
class CommittedLine:
    """A line (numbered from 1), and the commit that wrote it: `""` where it is not committed."""

    number: int
    text: str
    commit: str


def in_git(folder: Path) -> bool:
    return _git(folder, "rev-parse", "--is-inside-work-tree", check=False).strip() == "true"


def committed_lines(folder: Path, file: str) -> Sequence[CommittedLine]:
    """The lines of a file as they are in the folder; none of a file that git does not know."""
    if not _git(folder, "ls-files", "--", f"./{file}").strip():
        return []
    found, commit, number = [], "", 0
    for row in _git(folder, "blame", "--line-porcelain", "--", f"./{file}").split("\n"):
        if begins := _BEGINS.match(row):
            commit, number = begins[1], int(begins[2])
        elif row.startswith("\t"):
            found.append(CommittedLine(number, row[1:].rstrip("\r"), "" if set(commit) == {"0"} else commit))
    return found


def edits_named_by(folder: Path, commit: str) -> Sequence[Mapping[str, str]]:
    """The trailers of each edit that a commit names, by their names: `Edit`, `Run`, `Patterns`, …"""
    return edits_in(_git(folder, "show", "--no-patch", "--format=%B", commit))


def edits_in(message: str) -> Sequence[Mapping[str, str]]:
    found: list[dict[str, str]] = []
    for name, value in _TRAILER.findall(message):
        if name == "Edit":
            found.append({})
        if found and name != "Memory":
            found[-1].setdefault(name, value.strip())
    return found


def _git(folder: Path, *words: str, check: bool = True) -> str:
    """What git says. Raises UserError where it cannot be run, or does not know."""
    command = ["git", "-C", str(folder), "-c", "core.quotePath=false", *words]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS)  # noqa: S603  # fixed words, no shell
    except (OSError, subprocess.TimeoutExpired) as error:
        if not check:
            return ""
        raise UserError(f"{folder}: git cannot be asked ({error}); name a run folder with --run") from None
    if done.returncode and check:
        said = done.stderr.decode("utf-8", "replace").strip().split("\n")[-1]
        raise UserError(f"{folder}: git {words[0]}: {said}; name a run folder with --run")
    return done.stdout.decode("utf-8", "replace")

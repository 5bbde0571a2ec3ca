"""The command `blame`: which edit of which run wrote each line of a skill, and why."""

import argparse
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path

from skillgrad_ci.commands.cli import DONE
from skillgrad_ci.commands.terminal import say, say_json, say_table
from skillgrad_ci.errors import UserError
from skillgrad_ci.report.document import Report
from skillgrad_ci.report.page import PATCH
from skillgrad_ci.report.provenance.blame import BlamedLine, BlameDocument, KnownRun, added_by, blame
from skillgrad_ci.report.provenance.history import committed_lines, edits_named_by, in_git
from skillgrad_ci.report.shelf import find_runs, read_report
from skillgrad_ci.session.inputs import RUNS
from skillgrad_ci.session.json_documents import as_printed
from skillgrad_ci.skill.skill import Skill

HEADERS = ["lines", "edit", "iteration", "patterns", "learned from", "accepted by"]


def blame_skill(arguments: argparse.Namespace) -> int:
    folder: Path = arguments.skill
    if not folder.is_dir():
        raise UserError(f"{folder}: not a folder; a skill is a folder with SKILL.md")
    skill, runs = Skill.load(folder), list(_runs(arguments))
    tracked = arguments.run is None and in_git(folder)
    found = blame(
        skill,
        runs,
        (lambda file: committed_lines(folder, file)) if tracked else (lambda _: []),
        cache(lambda commit: edits_named_by(folder, commit)),
    )
    if arguments.json:
        say_json(as_printed(BlameDocument, found.model_dump()))
    else:
        _say(found, tracked)
    return DONE


def _runs(arguments: argparse.Namespace) -> Iterator[KnownRun]:
    """The named run folder; without one, those of the skill below `runs`, the newest first."""
    folder: Path | None = arguments.run
    if folder is not None:
        yield _known(folder, read_report(folder))
        return
    below = Path(RUNS) / arguments.skill.resolve().name
    for entry in find_runs([below]) if below.is_dir() else ():
        if entry.report is not None:
            yield _known(entry.folder, entry.report)


def _known(folder: Path, report: Report) -> KnownRun:
    """A run with what its patch adds; a run that kept nothing adds nothing."""
    path = folder / PATCH
    patch = path.read_text("utf-8", "replace") if path.is_file() else ""
    return KnownRun(report.run or folder.resolve().name, report, added_by(patch))


def _say(found: BlameDocument, tracked: bool) -> None:
    if not found.lines:
        places = "no commit of the bot and no run folder below `runs`" if tracked else "no run folder that is named"
        say(f"No line of {found.skill} is known to be a run's: {places} wrote one. Name a folder with --run.")
        return
    say("", f"{len(found.lines)} of {found.of} lines of {found.skill} were written by runs.", "")
    say_table(HEADERS, list(_rows(found)))
    for origin in found.origins:
        say("", f"{origin.edit} of run {origin.run}{f', commit {origin.commit[:10]}' if origin.commit else ''}: "
            f"{origin.why or 'no reason is kept'}", *(f"  {told}" for told in origin.diagnoses))  # fmt: skip


def _rows(found: BlameDocument) -> Iterator[Sequence[object]]:
    """Lines that follow each other and have the same origin are one row."""

    def run_of(numbered: tuple[int, BlamedLine]) -> tuple[str, tuple[int, ...], int]:
        place, line = numbered
        return line.file, line.origins, line.line - place

    for (file, places, _), group in groupby(enumerate(found.lines), run_of):
        lines = [line.line for _, line in group]
        origins = [found.origins[place] for place in places]
        where = f"{file}:{lines[0]}" + (f"-{lines[-1]}" if len(lines) > 1 else "")
        names = " or ".join(origin.edit for origin in origins)
        first = origins[0]
        iteration = "" if first.iteration is None else first.iteration
        yield [where, names, iteration, ", ".join(first.patterns), ", ".join(first.tasks), first.accepted_by]

"""A run's executions, read back from its folder: what the page shows when a task is opened.

`trajectories/MEASUREMENT/TASK.TRIAL.jsonl` holds one execution: its events, then its verdict. The page must stay small,
and a long run is many megabytes. So texts are cut to a bound, and events are carried until the page's share is spent:
first of the tasks that the run learned from, then of those whose outcome changed, then of the others. Instructions and
feedback have a share of their own. What is not carried is named by its file; of thousands of tasks the page lists the
first hundreds in that order.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skillgrad_ci.method.task import folder_of
from skillgrad_ci.report.document import Report, TaskFacts

FOLDER = "trajectories"
ROWS_BOUND = 500  # tasks that a page lists: about 1,000 bytes each
PAGE_BOUND = 900_000  # characters of executions that a page carries
WORDS_BOUND = 400_000  # characters of instructions and feedback beside them
TEXT_BOUND = 3_000  # characters of one message, command or output on the page
BARE = ("outcome", "stopped", "file", "events")  # of an execution, where its words do not fit
BEFORE, AFTER = "base", "final"
Row = Mapping[str, Any]


@dataclass
class Executions:
    """What the page carries: `columns` are measurements in the order of the run, `cells[task][column]` executions."""

    columns: Sequence[str] = ()
    instructions: dict[str, str] = field(default_factory=dict)
    cells: dict[str, dict[str, list[dict[str, Any]]]] = field(default_factory=dict)


@dataclass
class Share:
    """How many characters are left for one kind of text."""

    left: int

    def takes(self, size: int) -> bool:
        """Whether so many fit; then they are taken."""
        if size > self.left:
            return False
        self.left -= size
        return True


def tasks_of_page(report: Report, *, every: bool = False) -> list[TaskFacts]:
    """The tasks that a page lists, in the report's order: every one, or as many as a page may hold."""
    if every:
        return list(report.tasks)
    ids = set(_in_order(report)[:ROWS_BOUND])
    return [task for task in report.tasks if task.id in ids]


def read_executions(folder: Path, report: Report, tasks: Sequence[TaskFacts]) -> Executions:
    """The executions of these tasks of the report that lie in a run folder; empty where none do."""
    found = Executions(columns=_columns(folder, report))
    files = {column: _files(folder / FOLDER / column) for column in found.columns}
    events_share, words_share = Share(PAGE_BOUND), Share(WORDS_BOUND)
    wanted = {task.id for task in tasks}
    for task in filter(wanted.__contains__, _in_order(report)):
        for column in found.columns:
            for name in files[column].get(folder_of(task), ()):
                path = folder / FOLDER / column / name
                *events, verdict = _rows(path)
                cell = _cell(path.relative_to(folder), events, verdict)
                if not events_share.takes(len(json.dumps(cell["events"]))):
                    cell["events"] = None
                instruction = "" if task in found.instructions else _instruction(events)
                if not words_share.takes(len(cell["feedback"]) + len(instruction)):
                    cell = {key: cell[key] for key in BARE if cell[key] is not None}
                elif instruction:
                    found.instructions[task] = instruction
                found.cells.setdefault(task, {}).setdefault(column, []).append(cell)
    return found


def events_of(path: Path) -> list[dict[str, Any]]:
    """All events of one execution's file, each text cut to the page's bound."""
    return [_shortened(row) for row in _rows(path)[:-1]]


def _columns(folder: Path, report: Report) -> list[str]:
    names = [BEFORE]
    for step in report.iterations:
        names += [str(step.number), f"validate-{step.number}"]
    return [name for name in [*names, AFTER] if (folder / FOLDER / name).is_dir()]


def _files(folder: Path) -> dict[str, list[str]]:
    """The names of the files of one measurement by their tasks' folder names, in the order of their trials."""
    found: dict[str, list[str]] = {}
    for name in sorted((path.name for path in folder.glob("*.jsonl")), key=lambda name: (len(name), name)):
        found.setdefault(name.rsplit(".", 2)[0], []).append(name)
    return found


def _in_order(report: Report) -> list[str]:
    """Every task, those first whose executions say most."""
    taught = {task for step in report.iterations for task in step.batch}
    changed = {task.id for task in report.tasks if task.final is not None and task.final != task.baseline}
    rank = {task.id: 0 if task.id in taught else 1 if task.id in changed else 2 for task in report.tasks}
    return sorted(rank, key=rank.__getitem__)


def _rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a file. Their texts hold U+2028 and the like as they are, so newlines alone part them."""
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def _cell(path: Path, events: Sequence[Row], verdict: Row) -> dict[str, Any]:
    cell = {key: verdict.get(key) for key in ("outcome", "score", "stopped", "turns", "seconds", "activated", "read")}
    shown = [_shortened(event) for event in events if event.get("role") not in ("system", "user")]
    return {**cell, "feedback": _cut(str(verdict.get("text", ""))), "file": path.as_posix(), "events": shown}


def _instruction(events: Iterable[Row]) -> str:
    return next((_cut(str(event["text"])) for event in events if event.get("role") == "user"), "")


def _shortened(event: Row) -> dict[str, Any]:
    short = {key: _cut(value) if isinstance(value, str) else value for key, value in event.items() if key != "id"}
    if "arguments" in short:
        given = short["arguments"]
        command = given.get("command") if isinstance(given, dict) and len(given) == 1 else None
        short["arguments"] = _cut(command if isinstance(command, str) else json.dumps(given, ensure_ascii=False))
    return short


def _cut(text: str) -> str:
    if len(text) <= TEXT_BOUND:
        return text
    half = TEXT_BOUND // 2
    return f"{text[:half]}\n… {len(text) - TEXT_BOUND:,} characters are left out …\n{text[-half:]}"

"""Run folders as they lie on disk: found, read, told of, and compared two by two."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from skillgrad_ci.errors import UserError
from skillgrad_ci.report.document import Report
from skillgrad_ci.report.executions import FOLDER
from skillgrad_ci.report.page import render_plain
from skillgrad_ci.report.pages import REPORT

JOURNAL = "journal.jsonl"
COMPARISON = "comparison.html"
NO_RUNS = {"evaluate-": "a measurement", "grow-": "proposed tasks"}  # folders with a journal that get no report


@dataclass(frozen=True)
class FoundRun:
    """A run folder. `report` is None while the run is going on, where it was killed, and where `kind` names no run."""

    folder: Path
    report: Report | None

    @property
    def kind(self) -> str:
        """What the folder holds in place of a run; empty for a run."""
        return next((kind for start, kind in NO_RUNS.items() if self.folder.name.startswith(start)), "")

    @property
    def ended(self) -> str:
        """When its report was written, by this machine's clock; what people tell their runs apart by."""
        return datetime.fromtimestamp((self.folder / REPORT).stat().st_mtime).astimezone().strftime("%Y-%m-%d %H:%M")

    @property
    def executions(self) -> dict[str, int]:
        """How many executions of each measurement are there so far."""
        folders = sorted((self.folder / FOLDER).glob("*"), key=lambda path: path.stat().st_mtime)
        return {path.name: sum(1 for _ in path.glob("*.jsonl")) for path in folders if path.is_dir()}


@dataclass(frozen=True)
class Pairing:
    """One task in two runs: whether it passed at the end of each; None where it was not measured."""

    task: str
    splits: tuple[str, str]
    first: float | None
    second: float | None


def read_report(folder: Path) -> Report:
    """The report of a run folder. Raises UserError where none can be read."""
    path = folder / REPORT
    try:
        return Report.model_validate_json(path.read_bytes())
    except OSError as error:
        if (folder / JOURNAL).is_file():
            raise UserError(f"{folder}: {_unreported(folder)}") from error
        below = sorted(str(file.parent) for file in folder.rglob(REPORT))[:3]
        runs = f", such as {', '.join(below)}" if below else ""
        raise UserError(f"{path}: {error.strerror}; name a run folder that a run wrote{runs}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(
            f"{path}: {where}: {first['msg']}; it was written by another version: run `skillgrad-ci optimize` again, "
            "which takes the results from the journal"
        ) from error


def _unreported(folder: Path) -> str:
    """Why a folder with a journal has no report, and what gives one."""
    kind = FoundRun(folder, None).kind
    if kind:
        return f"it holds {kind}, of which there is no report; name a folder that `skillgrad-ci optimize` wrote"
    return "this run has not ended; start it again to go on, or follow it with `skillgrad-ci view`"


def find_comparisons(paths: Sequence[Path]) -> list[Path]:
    """The pages of comparisons at and below `paths`, newest first."""
    found = {file.resolve(): file for path in paths for file in path.rglob(COMPARISON)}
    return sorted(found.values(), key=lambda file: file.stat().st_mtime, reverse=True)


def find_runs(paths: Sequence[Path]) -> list[FoundRun]:
    """The run folders at and below `paths`, newest first. Raises UserError where a path has none."""
    found: dict[Path, FoundRun] = {}
    for path in paths:
        folders = {file.parent for name in (REPORT, JOURNAL) for file in path.rglob(name)}
        if not folders:
            raise UserError(f"{path}: no run folder is here; name what `skillgrad-ci optimize` printed, or `runs`")
        for folder in folders - {folder.parent for folder in folders}:  # a comparison's folder holds runs
            found[folder.resolve()] = FoundRun(folder, _report_or_none(folder))
    return sorted(found.values(), key=lambda entry: entry.folder.stat().st_mtime, reverse=True)


def _report_or_none(folder: Path) -> Report | None:
    try:
        return read_report(folder)
    except UserError:
        return None


def pairings(first: Report, second: Report) -> Iterator[Pairing]:
    """The tasks of both runs, those that differ first."""
    others = {task.id: task for task in second.tasks}
    pairs = [
        Pairing(task.id, (task.split, other.split), task.end, other.end)
        for task in first.tasks
        if (other := others.get(task.id))
    ]
    yield from sorted(pairs, key=lambda pair: pair.first == pair.second)


def render_list(entries: Sequence[FoundRun], comparisons: Sequence[Path] = ()) -> str:
    """The page that lists runs; it loads itself again while one is going on."""
    going = any(entry.report is None and not entry.kind for entry in entries)
    return render_plain("runs.html", entries=entries, comparisons=comparisons, going=going)


def render_comparison(first: FoundRun, second: FoundRun) -> str:
    """The page that shows two finished runs side by side."""
    if first.report is None or second.report is None:
        raise UserError("both runs must have ended to be compared; wait for them")
    return render_plain(
        "compare.html", runs=(first, second), pairings=list(pairings(first.report, second.report)),
        same_suite=first.report.suite.path == second.report.suite.path,
    )  # fmt: skip

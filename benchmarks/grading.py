"""How fast workbooks are graded, against the reference way.

    [SKILLGRAD_SAMPLES=FOLDER] python -m benchmarks.grading [--tasks N]

The workbooks are those of the suite `spreadsheetbench` in SKILLGRAD_SAMPLES, else those of the example.

Each task's output is its golden saved again by openpyxl, as agents save: no formula has a cached value. The
reference way starts LibreOffice for every file with a new profile and compares with openpyxl. Ours is timed in
turn with it, task by task, when LibreOffice is up and the goldens are read; from a cold start, beside the
execution of the tasks; and with several outputs at once.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from openpyxl import load_workbook

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from skillgrad_ci import suites  # noqa: E402
from skillgrad_ci.graders.xlsx import XlsxGrader  # noqa: E402
from skillgrad_ci.graders.xlsx.libreoffice import Office  # noqa: E402
from skillgrad_ci.method.evidence import Outcome  # noqa: E402
from skillgrad_ci.method.ports import Result  # noqa: E402
from skillgrad_ci.method.task import Task  # noqa: E402
from tests.support import official_xlsx  # noqa: E402

AT_ONCE = 4


@dataclass(frozen=True)
class Measured:
    """Verdicts and seconds by task, and the seconds that all of them took together."""

    verdicts: Mapping[str, bool]
    seconds: Sequence[float]
    total: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the grading of workbooks.")
    parser.add_argument("--tasks", type=int, default=None, help="only the first N tasks")
    chosen = parser.parse_args()
    print(table(chosen.tasks))


def table(number: int | None = 12) -> str:
    """The first `number` tasks, as Markdown."""
    named = os.environ.get("SKILLGRAD_SAMPLES")
    suite = Path(named, "spreadsheetbench") if named else ROOT / "examples/xlsx/evals/workbook-reports"
    tasks = list(suites.load_suite(suite).tasks)[:number]
    with tempfile.TemporaryDirectory() as folder:
        return "\n".join(report(measure(tasks, {task.id: Path(folder) / task.id for task in tasks})))


def measure(tasks: Sequence[Task], works: Mapping[str, Path]) -> dict[str, Measured]:
    office = Office()
    cold, warm = XlsxGrader(office), XlsxGrader(office)

    def execute_and_grade(task: Task) -> bool:
        """The saving stands for an agent's work, which takes minutes: LibreOffice starts in the meantime."""
        works[task.id].mkdir()
        load_workbook(golden(task)).save(works[task.id] / task.outputs[0])
        return passes(cold, task, works)

    cold.warm(tasks)
    ways = {"ours, from a cold start, beside the tasks' work": timed(execute_and_grade, tasks, AT_ONCE)}
    warm.warm(tasks).join()
    for task in tasks:  # a run's proof has graded every golden by then
        with tempfile.TemporaryDirectory() as name:
            shutil.copyfile(golden(task), Path(name) / task.outputs[0])
            warm.grade(task.graders[0], task, Result(Path(name)))
    references, ours = [], []
    for task in tasks:  # in turn, so that both meet the same load of the machine
        references.append(timed(lambda task: reference(task, works), [task]))
        ours.append(timed(lambda task: passes(warm, task, works), [task]))
    ways = {"reference: a new profile for every file": together(references), "ours, warm": together(ours), **ways}
    ways[f"ours, warm, {AT_ONCE} at once"] = timed(lambda task: passes(warm, task, works), tasks, AT_ONCE)
    cold.close()
    warm.close()
    return ways


def passes(grader: XlsxGrader, task: Task, works: Mapping[str, Path]) -> bool:
    return grader.grade(task.graders[0], task, Result(works[task.id])).outcome is Outcome.PASSED


def reference(task: Task, works: Mapping[str, Path]) -> bool:
    output = works[task.id] / task.outputs[0]
    with tempfile.TemporaryDirectory() as folder:
        profile = f"-env:UserInstallation=file://{folder}/profile"
        command = ["soffice", profile, "--headless", "--convert-to", "xlsx", "--outdir", f"{folder}/out", str(output)]
        subprocess.run(command, capture_output=True, check=False)
        position = task.graders[0].options["answer_position"]
        return official_xlsx.verdict(golden(task), Path(folder) / "out" / output.name, position)


def golden(task: Task) -> Path:
    return task.graders[0].references["golden-1.xlsx"]


def timed(way: Callable[[Task], bool], tasks: Sequence[Task], at_once: int = 1) -> Measured:
    def one(task: Task) -> tuple[bool, float]:
        start = time.perf_counter()
        return way(task), time.perf_counter() - start

    start = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        results = list(pool.map(one, tasks))
    total = time.perf_counter() - start
    verdicts = {task.id: verdict for task, (verdict, _) in zip(tasks, results, strict=True)}
    return Measured(verdicts, [seconds for _, seconds in results], total)


def together(parts: Sequence[Measured]) -> Measured:
    verdicts = {task: verdict for part in parts for task, verdict in part.verdicts.items()}
    return Measured(verdicts, [part.seconds[0] for part in parts], sum(part.total for part in parts))


def report(ways: Mapping[str, Measured]) -> Iterator[str]:
    """The lines of the table."""
    base = next(iter(ways.values()))
    yield "| way | seconds in all | seconds an output | median | times as fast | passed | lost |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for name, way in ways.items():
        lost = sum(passed and not way.verdicts[task] for task, passed in base.verdicts.items())
        each, median = way.total / len(way.seconds), statistics.median(way.seconds)
        yield (
            f"| {name} | {way.total:.1f} | {each:.3f} | {median:.3f} | {base.total / way.total:.1f} "
            f"| {sum(way.verdicts.values())} of {len(way.verdicts)} | {lost} |"
        )


if __name__ == "__main__":
    main()

"""A rollout of spreadsheet tasks inside this process: the real executor, its Python programs run by `exec`.

For tests that need a whole run within seconds. One execution at a time: the working folder is the process's.
"""

import contextlib
import io
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.utils.cell import rows_from_range

from skillgrad_ci.method.evidence import Evidence, Outcome
from skillgrad_ci.method.ports import CommandResult, Executor
from skillgrad_ci.method.task import Task
from skillgrad_ci.skill.skill import Skill

PROGRAM = re.compile(r"python3 - <<'EOF'\n(.*)\nEOF\n?", re.DOTALL)


class InProcess:
    """`ports.Session` for commands of the form `python3 - <<'EOF' … EOF`, in the current folder."""

    def run(self, command: str, *, timeout: float) -> CommandResult:
        program = PROGRAM.fullmatch(command)
        if program is None:
            raise AssertionError(f"not a Python program in a here-document: {command}")
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(program[1], "command", "exec"), {"__name__": "__main__"})
        return CommandResult(output.getvalue())


@contextlib.contextmanager
def work_folder(task: Task) -> Iterator[Path]:
    """A folder with the task's files, which is the current one inside."""
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        for file, source in task.files.items():
            shutil.copy(source, file)
        yield Path(name)


def golden(task: Task) -> Path:
    [reference] = task.graders[0].references.values()
    return reference


def graded(path: Path, task: Task) -> list[Any]:
    """The graded cells' values; none where the file or its sheet is missing."""
    position = re.fullmatch(r"'(?P<sheet>.*)'!(?P<cells>.*)", task.graders[0].options["answer_position"])
    assert position is not None
    if not path.exists() or position["sheet"] not in (workbook := openpyxl.load_workbook(path)).sheetnames:
        return []
    return [workbook[position["sheet"]][cell].value for row in rows_from_range(position["cells"]) for cell in row]


@dataclass
class Rollout:
    """`ports.Rollout`: executes with `executor`, compares the graded cells with the golden workbook's."""

    executor: Executor

    def __call__(self, skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        with work_folder(task) as folder:
            trajectory = self.executor.execute(task, skill, InProcess())
            got, wanted = graded(folder / task.outputs[0], task), graded(golden(task), task)
        outcome = Outcome.PASSED if got == wanted else Outcome.FAILED
        feedback = "" if got == wanted else f"{task.outputs[0]}: {got} where {wanted} is right"
        return Evidence(task.id, skill.digest if skill else "", outcome, float(got == wanted), feedback, trajectory)

"""Grading outputs that exist already, with no model: `DIR/<task id>/<output file>`.

An agent's last message, where a grader wants it, is the file `answer.txt` beside the outputs. A task without
an output was not done by anybody, as far as is known here: it is unmeasured, not failed.
"""

import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.graders import grade
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.ports import Each, Result
from skillgrad_ci.method.task import Suite, Task, folder_of
from skillgrad_ci.session.parts import Parts
from skillgrad_ci.session.proof.check import empty_folder, without_judge
from skillgrad_ci.session.rollout import place

ANSWER = "answer.txt"
ANSWER_BYTES = 1_000_000


@dataclass(frozen=True)
class Graded:
    task: str
    grade: Grade


def grade_outputs(suite: Suite, outputs: Path, made: Parts, each: Each) -> Sequence[Graded]:
    """Every task's grade, in the suite's order. Raises UserError where no folder is a task's."""
    if not outputs.is_dir():
        raise UserError(f"{outputs}: no such folder; it holds one folder per task, named by the task's id")
    if not any(_left(outputs, task).is_dir() for task in suite.tasks):
        example = suite.tasks[0].id
        raise UserError(f"{outputs}: no folder in it is named by a task's id, as {example!r} would be")
    _ = made.graders  # once, before threads ask for them
    return list(each(lambda task: Graded(task.id, _grade(task, _left(outputs, task), made)), suite.tasks))


def _left(outputs: Path, task: Task) -> Path:
    """The folder of a task's output: its id, or where that is not a plain name, the name made of it."""
    given = outputs / task.id
    return given if given.is_dir() else outputs / folder_of(task.id)


def _grade(task: Task, left: Path, made: Parts) -> Grade:
    if not left.is_dir() or not any(left.iterdir()):
        return Grade(Outcome.UNMEASURED, feedback=f"no output found at {left}")
    if lack := without_judge(task, made):
        return lack
    try:
        with empty_folder() as work:
            place(task, work)
            _copy(left, work)
            return grade(task, Result(work, _answer(left)), made.graders)
    except EnvironmentFailure as failure:
        return Grade(Outcome.UNMEASURED, feedback=str(failure))


def _copy(left: Path, work: Path) -> None:
    """Outputs over the task's inputs. Links and devices are left behind: they could name anything."""

    def irregular(folder: str, names: list[str]) -> list[str]:
        modes = {name: (Path(folder) / name).lstat().st_mode for name in names}
        return [name for name, mode in modes.items() if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))]

    try:
        shutil.copytree(left, work, ignore=irregular, dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        raise EnvironmentFailure(f"{left}: cannot be copied ({error}); name its files as the task does") from None


def _answer(left: Path) -> str:
    file = left / ANSWER
    if file.is_symlink() or not file.is_file():
        return ""
    with file.open("rb") as content:
        return content.read(ANSWER_BYTES).decode("utf-8", "replace")

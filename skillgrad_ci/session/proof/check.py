"""Proving a suite's graders before money is spent on them.

A reference answer must pass, and what an agent leaves that did nothing must fail. A task that passes
untouched cannot teach; one whose reference fails would teach wrongly.
"""

import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.graders import grade
from skillgrad_ci.method.events import Starting
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.ports import Each, Observer, R, Result
from skillgrad_ci.method.task import Suite, Task
from skillgrad_ci.session.parts import Parts
from skillgrad_ci.suites import reference_result, untouched_result

FEW = 25  # tasks that are proved without a word between


class Standing(StrEnum):
    """What the two results say of a task."""

    PROVED = "proved"
    UNPROVED = "no reference answer"
    CANNOT_TEACH = "passes untouched"
    WRONG = "reference fails"
    UNMEASURED = "unmeasured"


@dataclass(frozen=True)
class Proof:
    """One task's check. A side is None where the suite gives no such result; `said` explains the standing."""

    task: str
    standing: Standing
    reference: Outcome | None
    untouched: Outcome | None
    said: str = ""


def check_suite(suite: Suite, made: Parts, each: Each) -> list[Proof]:
    """The check of every task, in the suite's order. Raises UserError where a grader cannot be had at all."""
    _ = made.graders  # once, before threads ask for them
    tell = told_on_the_way(made.observe, len(suite.tasks), "tasks are checked")
    return list(each(lambda task: tell(check_task(suite, task, made)), suite.tasks))


def told_on_the_way(observe: Observer, total: int, what: str) -> Callable[[R], R]:
    """Passes each result on, and tells how many there are: at the start, and after each tenth of many. Thread-safe."""
    numbers, often = itertools.count(1), max(FEW, total // 10)
    if total:
        observe(Starting(f"0 of {total} {what}"))

    def tell(result: R) -> R:
        number = next(numbers)
        if number % often == 0 and number < total:
            observe(Starting(f"{number} of {total} {what}"))
        return result

    return tell


def check_task(suite: Suite, task: Task, made: Parts) -> Proof:
    reference = prove_task(suite, task, made)
    untouched = _graded(task, made, lambda work: untouched_result(suite, task, work))
    standing, said = standing_of(reference, untouched)
    outcomes = [side.outcome if side is not None else None for side in (reference, untouched)]
    return Proof(task.id, standing, outcomes[0], outcomes[1], said)


def prove_task(suite: Suite, task: Task, made: Parts) -> Grade | None:
    """The grade of the task's own reference answer; None where it has none."""
    commanded = task.reference is not None and task.reference.command
    sandbox = made.sandbox if commanded else None  # its self-test is spared where nothing runs
    return _graded(task, made, lambda work: reference_result(suite, task, work, sandbox))


def _graded(task: Task, made: Parts, lay: Callable[[Path], Result | None]) -> Grade | None:
    """The grade of a result laid into a folder of its own; a reference that cannot be made has failed.

    None where there is no such result, and where a judge compares: no result is right by itself there.
    """
    if task.prefers:
        return None
    if lack := without_judge(task, made):
        return lack
    try:
        with empty_folder() as work:
            result = lay(work)
            return grade(task, result, made.graders) if result is not None else None
    except EnvironmentFailure as failure:
        return Grade(Outcome.UNMEASURED, feedback=str(failure))
    except UserError as problem:
        return Grade(Outcome.FAILED, feedback=str(problem))


def without_judge(task: Task, made: Parts) -> Grade | None:
    """The grade of a task that a model grades, where none is named."""
    if made.job.settings.models.named or all(spec.kind != "judge" for spec in task.graders):
        return None
    return Grade(Outcome.UNMEASURED, feedback="graded by a model: name one with --model")


def standing_of(reference: Grade | None, untouched: Grade | None) -> tuple[Standing, str]:
    for side in (reference, untouched):
        if side is not None and side.outcome is Outcome.UNMEASURED:
            return Standing.UNMEASURED, side.feedback
    if reference is not None and reference.outcome is Outcome.FAILED:
        return Standing.WRONG, reference.feedback
    if untouched is not None and untouched.outcome is Outcome.PASSED:
        return Standing.CANNOT_TEACH, "an agent that does nothing passes it"
    return (Standing.PROVED, "") if reference is not None else (Standing.UNPROVED, "")


@contextmanager
def empty_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="skillgrad-", ignore_cleanup_errors=True) as name:
        work = Path(name).resolve() / "work"
        work.mkdir()
        yield work


def of(proofs: Sequence[Proof], standing: Standing) -> list[Proof]:
    return [proof for proof in proofs if proof.standing is standing]

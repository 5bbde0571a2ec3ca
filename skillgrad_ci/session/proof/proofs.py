"""The proof of a suite's reference answers, in the background while the rest of a run starts.

A task is executed once its own reference has passed its graders. The others' are proved meanwhile: what is
wrong with most of them stops the run, what is wrong with few leaves these tasks out.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property

from skillgrad_ci.errors import Cancelled, UserError
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.task import Suite, Task
from skillgrad_ci.session.parts import Parts
from skillgrad_ci.session.proof.check import prove_task, told_on_the_way


class Proofs:
    """Proves from its making on, `at_once` side by side; `close` ends what is not begun. Thread-safe.

    Tasks that a judge grades are taken on trust here, for a judge's calls cost money; so are tasks of other suites.
    """

    def __init__(self, suite: Suite, parts: Parts, at_once: int) -> None:
        self._suite, self._parts = suite, parts
        self._provable = [task for task in suite.tasks if all(spec.kind != "judge" for spec in task.graders)]
        self._locks = {task.id: threading.Lock() for task in self._provable}
        self._grades: dict[str, Grade | None] = {}
        self._tell = told_on_the_way(parts.observe, len(self._provable), "references are proved")
        self._closed = self._found_wrong = False
        self._pool = ThreadPoolExecutor(at_once, "proof")
        self._work = [self._pool.submit(self._grade_of, task) for task in self._provable]

    def close(self) -> None:
        self._closed = True
        self._pool.shutdown(cancel_futures=True)

    @property
    def ended(self) -> bool:
        """Whether nothing is left to prove, or a reference was found wrong, so that the suite is another one."""
        return self._closed or self._found_wrong or len(self._grades) == len(self._provable)

    def refuse_unproved(self, task: Task) -> None:
        """Wait for this task's own proof, or make it now. Raises UserError where its reference fails its grader."""
        if task.id in self._locks and _is_wrong(grade := self._grade_of(task)):
            why = grade and grade.feedback
            raise UserError(f"task {task.id}: its reference answer fails its own grader ({why}); mend one of them")

    @cached_property
    def outcome(self) -> tuple[Suite, list[str]]:
        """The suite without the tasks whose reference fails, and what is said of these. Waits for all proofs.

        Where a person stops the run, what is not proved by then is neither left out nor executed. Raises UserError
        where most of the references fail.
        """
        grades = [_grade_by(work) for work in self._work]
        referenced = [grade for grade in grades if grade is not None and grade.outcome is not Outcome.UNMEASURED]
        pairs = zip(self._provable, grades, strict=True)
        wrong = {task.id: grade.feedback for task, grade in pairs if grade is not None and _is_wrong(grade)}
        if not wrong:
            return self._suite, []
        first, said = next(iter(wrong.items()))
        if 2 * len(wrong) > len(referenced):
            raise UserError(
                f"{self._suite.root}: {len(wrong)} of {len(referenced)} reference answers fail their own grader "
                f"({first}: {said[:200]}); run: skillgrad-ci suite {self._suite.root} --check"
            )
        kept: Sequence[Task] = [task for task in self._suite.tasks if task.id not in wrong]
        named = ", ".join(sorted(wrong))
        return replace(self._suite, tasks=kept), [
            f"left out, for their reference answers fail their own grader: {named}"
        ]

    def _grade_of(self, task: Task) -> Grade | None:
        """Whoever asks first for a task's proof makes it, and the others wait for that one."""
        with self._locks[task.id]:
            if task.id not in self._grades:
                if self._closed or self._parts.stop.is_set():
                    raise Cancelled("interrupted while reference answers were proved")
                grade = self._tell(prove_task(self._suite, task, self._parts))
                self._grades[task.id], self._found_wrong = grade, self._found_wrong or _is_wrong(grade)
            return self._grades[task.id]


def _grade_by(work: Future[Grade | None]) -> Grade | None:
    try:
        return work.result()
    except Cancelled:
        return None


def _is_wrong(grade: Grade | None) -> bool:
    return grade is not None and grade.outcome is Outcome.FAILED

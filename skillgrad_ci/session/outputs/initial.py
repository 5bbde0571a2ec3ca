"""The initial skill's results, kept for judges that compare another skill's with them.

A result is graded as soon as its execution ends, and the initial skill is measured late on tasks that report: only once
a candidate has survived. So whoever executes another skill on a task that asks for a comparison measures the initial
skill there first. It is the very execution that the baseline asks for later, under one content address: paid for once.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.graders.preference import shown_of
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.ports import Journal, Result, Shown
from skillgrad_ci.method.task import Task, digest_of
from skillgrad_ci.method.world.measurements import BASE
from skillgrad_ci.session.evaluation import EVALUATE
from skillgrad_ci.skill.skill import Skill

Measure = Callable[[Skill, Task, str, int], tuple[str, Evidence]]  # skill, task, measurement, trial → key, evidence


@dataclass(frozen=True)
class InitialResults:
    """What the initial `skill` left of each task and trial, by the key of its execution in the `journal`."""

    skill: Skill
    journal: Journal

    def made_by(self, skill: Skill | None) -> bool:
        """Whether an execution with `skill` is the initial skill's own."""
        return skill is not None and skill.digest == self.skill.digest

    def keep(self, key: str, task: Task, result: Result) -> Shown:
        """Write down what the initial skill left."""
        shown = shown_of(task, result)
        self.journal.record(_shown(key), "shown", asdict(shown.kept))
        return shown

    def of(self, task: Task, iteration: str, trial: int, measure: Measure) -> Shown:
        """Its result of this task and trial. Raises EnvironmentFailure where that could not be measured."""
        key, evidence = measure(self.skill, task, EVALUATE if iteration == EVALUATE else BASE, trial)
        shown = self._recall(key)
        if shown is None:
            raise EnvironmentFailure(
                f"task {task.id}: the initial skill's result, to compare with, could not be had: {evidence.feedback}"
            )
        return shown

    def _recall(self, key: str) -> Shown | None:
        known = self.journal.recall(_shown(key))
        return None if known is None else Shown(**known)


def _shown(key: str) -> str:
    return digest_of(["shown", key])

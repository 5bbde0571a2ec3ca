"""What the bot asks of the program that runs skills: `run` answers, and a test's world may in its place."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.ports import Observer
from skillgrad_ci.method.task import Task
from skillgrad_ci.session.optimize_skill import Finished, Inputs
from skillgrad_ci.skill.skill import Skill


class Engine(Protocol):
    """Executes skills. Both methods raise what the loop raises."""

    def optimize(self, inputs: Inputs, folder: Path, observe: Observer) -> Finished:
        """The whole loop; its report, patch, memory and journal are in `folder`."""
        ...

    def measure(
        self, inputs: Inputs, candidates: Sequence[Skill], tasks: Sequence[Task], folder: Path, observe: Observer
    ) -> list[list[Evidence]]:
        """Each candidate on the same tasks with the same machinery; nothing is learned from it."""
        ...

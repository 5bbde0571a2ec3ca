"""Whether a proposed task may enter a suite. Every question is answered by a program, and a refusal says why."""

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import yaml

from skillgrad_ci.errors import UserError
from skillgrad_ci.graders import grade
from skillgrad_ci.method.evidence import Outcome
from skillgrad_ci.method.ports import Result, Sandbox
from skillgrad_ci.method.task import Suite, Task
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.growth.likeness import near_duplicate
from skillgrad_ci.session.growth.making import MadeTask, make
from skillgrad_ci.session.growth.material import Material
from skillgrad_ci.session.growth.personal import findings_in
from skillgrad_ci.session.growth.proposal import ProposedTask
from skillgrad_ci.session.growth.written import on_trial
from skillgrad_ci.session.parts import Parts
from skillgrad_ci.session.proof.check import Standing, check_task, empty_folder
from skillgrad_ci.suites.native import tasks_file
from skillgrad_ci.suites.native.grown import FOLDER


@dataclass(frozen=True)
class Admission:
    """What a proposal meets: the parts that prove it, who proposes, and the folder that tasks are written into."""

    parts: Parts
    redactor: Redactor
    model: str
    root: Path | None = None

    def admit(
        self, proposal: ProposedTask, material: Material, tasks: Sequence[Task], trials: ExitStack
    ) -> tuple[MadeTask, Task]:
        """The task, made and proved; its files lie in a folder of `trials`.

        Raises UserError that says why it is refused, without quoting a secret.
        """
        if _squeezed(proposal.quote) not in _squeezed(material.text) or not proposal.quote.strip():
            raise UserError("its quote does not stand in the material")
        task_id = new_id(proposal.id, {task.id.casefold() for task in tasks} | self._folders())
        made = make(proposal, task_id, f"{material.origin}; proposed by {self.model}", self._sandbox)
        self._scan(made)
        task = trials.enter_context(on_trial(made))
        if twin := near_duplicate(task, tasks):
            raise UserError(f"it repeats the task {twin}")
        self._prove(task)
        return made, task

    def _folders(self) -> set[str]:
        """Names whose files lie there already: of a task that a person renamed, or deleted and kept the files of."""
        place = self.root / FOLDER if self.root else None
        return {item.name.casefold() for item in place.iterdir()} if place and place.is_dir() else set()

    def _sandbox(self) -> Sandbox:
        return self.parts.running_sandbox()

    def _scan(self, made: MadeTask) -> None:
        text = yaml.safe_dump(dict(made.row), allow_unicode=True, width=10_000)
        contents = [text.encode(), *made.files.values()]
        found = [what for content in contents for what in findings_in(content)]
        if any(self.redactor(shown) != shown for content in contents if (shown := content.decode("utf-8", "replace"))):
            found.append("a secret of this program's environment")
        if found:
            raise UserError(f"it holds {', '.join(dict.fromkeys(found))}")

    def _prove(self, task: Task) -> None:
        suite = Suite("proposed", tasks_file.FORMAT, self.parts.suite.root, [task])
        parts = self.parts.on(suite)
        proof = check_task(suite, task, parts)
        refusals = {
            Standing.UNPROVED: "it gives no right result",
            Standing.WRONG: f"its own right result fails: {proof.said[:200]}",
            Standing.CANNOT_TEACH: "an agent that does nothing passes it",
            Standing.UNMEASURED: f"it cannot be measured here: {proof.said[:200]}",
        }
        if proof.standing in refusals:
            raise UserError(refusals[proof.standing])
        if passes(task, parts, lambda work: Result(work, task.instruction)):
            raise UserError("an agent that repeats the instruction passes it")


def passes(task: Task, parts: Parts, lay: Callable[..., Result]) -> bool:
    """Whether a last message alone passes a task that reads it."""
    if not all(spec.kind == "text" and spec.options.get("output", "answer") == "answer" for spec in task.graders):
        return False
    with empty_folder() as work:
        return grade(task, lay(work), parts.graders).outcome is Outcome.PASSED


def new_id(proposed: str, taken: set[str]) -> str:
    """A plain id that no task has, whatever a model wrote."""
    plain = re.sub(r"[^a-z0-9]+", "-", proposed.casefold()).strip("-")[:60] or "task"
    names = [plain, *(f"{plain}-{number}" for number in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)


def _squeezed(text: str) -> str:
    return " ".join(text.split()).casefold()

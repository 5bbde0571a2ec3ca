"""What a run is made of: its settings, its world, its steps, its result."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from skillgrad_ci.errors import BudgetExceeded
from skillgrad_ci.method.acceptance import Mode, Verdict
from skillgrad_ci.method.budget import Ledger
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.gradient import Diagnosis, one_line
from skillgrad_ci.method.memory import PatternMemory, RejectedEdit, Remedy, Stamp
from skillgrad_ci.method.momentum import Overlay
from skillgrad_ci.method.ports import Agent, Each, Observer, R, Rollout, T
from skillgrad_ci.method.task import Suite
from skillgrad_ci.method.triggering import Triggers
from skillgrad_ci.method.update import EditResult
from skillgrad_ci.skill.skill import Skill


@dataclass(frozen=True)
class Settings:
    """What a person may turn. The defaults are the paper's; `run` names the run in the memory."""

    iterations: int = 10
    batch_size: int = 4
    train_tasks: int = 40
    accept: Mode = "final"
    seed: int = 0
    trials: int = 1
    momentum: bool = True
    contrastive: bool = True
    allow_scripts: bool = False
    run: str = "local"


@dataclass(frozen=True)
class World:
    """What the loop asks of the world; `split` sets every task's split, given the base run.

    `triggers` measures a skill on the trigger set; None where there is none.
    """

    rollout: Rollout
    agent: Agent
    split: Callable[[Suite, Sequence[Evidence]], Suite]
    ledger: Ledger
    each: Each
    observe: Observer
    at_once: int = 1
    triggers: Triggers | None = None

    def all(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """`function` of every item. Raises BudgetExceeded where one was refused, once those in flight have ended.

        So nothing is still running when the final measurement opens the reserve.
        """
        refused: list[BudgetExceeded] = []

        def attempt(item: T) -> list[R]:
            try:
                return [] if refused else [function(item)]
            except BudgetExceeded as error:
                refused.append(error)
                return []

        done = [result for results in self.each(attempt, items) for result in results]
        if refused:
            raise refused[0]
        return done


@dataclass(frozen=True)
class Iteration:
    """One step, as it went: `verdict` says what became of its patch, `skill` is the one in hand after it.

    `triggers` is the trigger evidence of that skill's description.
    """

    number: int
    batch: Sequence[Evidence]
    diagnoses: Sequence[Diagnosis]
    overlay: Overlay
    edits: Sequence[EditResult]
    verdict: str
    skill: Skill
    memory: PatternMemory
    validation: Sequence[Evidence] = ()
    triggers: Sequence[Evidence] = ()


class Stop(StrEnum):
    """Why a run ended."""

    ITERATIONS = "iterations"
    NO_FAILURES = "no failures"
    FLAT = "flat signal"
    UNMEASURED = "unmeasured"
    BUDGET = "budget"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Run:
    """A run's result. `final` is what is kept: the candidate if the end check accepts it, else the initial skill.

    `baseline` holds the initial skill's evidence on all tasks, `measured` the candidate's on validation and heldout;
    `triggers` the initial skill's evidence on the trigger set.
    """

    initial: Skill
    candidate: Skill
    final: Skill
    suite: Suite
    settings: Settings
    memory: PatternMemory
    baseline: Sequence[Evidence] = ()
    iterations: Sequence[Iteration] = ()
    measured: Sequence[Evidence] = ()
    triggers: Sequence[Evidence] = ()
    verdict: Verdict = Verdict.UNCHECKED
    stop: Stop = Stop.ITERATIONS
    why: str = ""


def remember(memory: PatternMemory, edits: Sequence[EditResult], at: Stamp) -> PatternMemory:
    """The record after a patch: accepted edits join their patterns' remedy logs, the others are rejected edits.

    What the lint refused is named by its place alone: its text may be a leak, and the memory is published.
    """
    for result in edits:
        edit = result.edit
        if result.status == "refused":
            place = replace(edit, content="", address=edit.address if edit.target == "heading" else "")
            rejected = RejectedEdit(edit.id, at, place.summary, edit.patterns, "lint", one_line(result.reason))
            memory = memory.with_rejected([rejected])
        elif result.status == "rejected":
            rejected = RejectedEdit(edit.id, at, edit.summary, edit.patterns, "validation", one_line(result.reason))
            memory = memory.with_rejected([rejected])
        else:
            for pattern in filter(None, map(memory.get, edit.patterns)):
                remedy = Remedy(at, f"{edit.id}: {edit.summary}")
                memory = memory.with_pattern(replace(pattern, remedy_log=(*pattern.remedy_log, remedy)))
    return memory


def forget(run: Run, reason: str) -> PatternMemory:
    """The record of a run whose candidate is not kept: its accepted edits are rejected ones now."""
    memory = run.memory
    for step in run.iterations:
        at = Stamp(run.settings.run, step.number)
        kept = [
            replace(result, status="rejected", reason=reason) for result in step.edits if result.status == "accepted"
        ]
        memory = remember(memory, kept, at)
    return memory

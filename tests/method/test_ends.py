"""How a run ends, and what is told on the way: an end in the middle of anything is a result, with its cause."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from skillgrad_ci.errors import BudgetExceeded, Cancelled
from skillgrad_ci.method.acceptance import Verdict
from skillgrad_ci.method.budget import Cap, Ledger
from skillgrad_ci.method.events import BatchBegun, Dropped, Event, IterationDone
from skillgrad_ci.method.evidence import Evidence, Outcome
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.run import Run, Stop
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import GraderSpec, Split, Suite, Task
from skillgrad_ci.skill.skill import Skill
from tests.support.worlds import SKILL, Oracle, Synthetic, suite, world


def run(rollout: Synthetic, tasks: Suite | None = None, agent: Oracle | None = None, **parts: Any) -> Run:
    said = {"iterations": 3, **parts.pop("said", {})}
    config = LoopSettings.model_validate(said)
    return optimize(SKILL, tasks or suite(24), config, PatternMemory("s"), world(rollout, agent, **parts))


def stops_at(split: Split, error: Exception) -> Synthetic:
    """A rollout that no execution of the final measurement on this split comes out of."""

    def ends(iteration: str, task: Task) -> bool:
        if iteration == "final" and task.split is split:
            raise error
        return False

    return Synthetic(outage=ends)


def test_a_cap_that_is_spent_in_the_final_measurement_is_told_and_nothing_is_called_better() -> None:
    ended = run(stops_at(Split.VALIDATION, BudgetExceeded("budget.usd: spent")))
    assert (ended.stop, ended.why) == (Stop.BUDGET, "budget.usd: spent; the final measurement is not complete")
    assert (ended.final, ended.verdict) == (SKILL, Verdict.UNCHECKED)
    assert ended.candidate != SKILL
    later = run(stops_at(Split.HELDOUT, BudgetExceeded("budget.usd: spent")))
    assert (later.stop, later.final, later.verdict) == (Stop.BUDGET, later.candidate, Verdict.BETTER)


@pytest.mark.parametrize("when", ["base", "final"])
def test_a_stop_says_who_asked_for_it(when: str) -> None:
    def ends(iteration: str, task: Task) -> bool:
        if iteration == when:
            raise Cancelled("stopped by Ctrl-C")
        return False

    ended = run(Synthetic(outage=ends))
    assert (ended.stop, ended.why, ended.final) == (Stop.CANCELLED, "stopped by Ctrl-C", SKILL)


def test_each_step_is_told_when_it_begins_and_ends_and_its_calls_are_booked_on_it() -> None:
    ledger, told = Ledger(Cap(usd=1000.0)), list[Event]()
    ended = run(Synthetic(ledger=ledger), agent=Oracle(), ledger=ledger, observe=told.append)
    begun = [event for event in told if isinstance(event, BatchBegun)]
    assert [event.number for event in begun] == [step.number for step in ended.iterations] == [1, 2, 3]
    assert [event.tasks for event in begun] == [[row.task_id for row in step.batch] for step in ended.iterations]
    assert [(event.at_most, event.reused) for event in begun] == [(3, step.reused) for step in ended.iterations]
    assert begun[0].reused
    done = [event for event in told if isinstance(event, IterationDone)]
    assert done == [IterationDone(step.number, step.verdict) for step in ended.iterations]
    booked = {on.iteration for role, on in ledger.by_purpose if role == "executor"}
    assert booked == {"", *(str(step.number) for step in ended.iterations if len(step.reused) < len(step.batch))}


@pytest.mark.parametrize("preset", ["skillgrad", "rewrite"])
def test_a_patch_that_is_lost_is_told_and_stands_in_the_step(preset: str) -> None:
    """Whoever asks for it: the part that patches by pattern, or the loop for all others."""
    told: list[Event] = []
    lost, said = Oracle(fails=lambda role, number: role == "patcher"), {"optimizer": preset, "iterations": 3}
    ended = run(Synthetic(), agent=lost, observe=told.append, said=said)
    assert [step.verdict for step in ended.iterations] == ["no patch: patcher: no reply"] * 3
    dropped = [event for event in told if isinstance(event, Dropped)]
    assert dropped == [Dropped(f"iteration {number}", "patcher: no reply") for number in (1, 2, 3)]


@pytest.mark.parametrize(("preset", "goes_on"), [("shrink", True), ("skillgrad", False), ("rewrite", False)])
def test_where_all_passes_only_a_shorter_skill_is_left_to_look_for(preset: str, goes_on: bool) -> None:
    def careful(n: int) -> Task:
        kinds = [Split.TRAIN, Split.VALIDATION, Split.HELDOUT]
        return Task(f"task-{n}", "Needs alpha.", [GraderSpec("text")], split=kinds[n % 3])

    able = Skill("s", {"SKILL.md": SKILL.files["SKILL.md"] + b"\nUse always alpha.\n"})
    tasks = replace(suite(), tasks=[careful(n) for n in range(24)])
    config = LoopSettings.model_validate({"iterations": 1, "optimizer": preset})
    silent = Oracle(fails=lambda role, number: True)
    ended = optimize(able, tasks, config, PatternMemory("s"), world(Synthetic(), silent))
    assert (ended.stop is not Stop.FLAT) == goes_on
    assert bool(ended.iterations) == goes_on
    failing = optimize(SKILL, tasks, config, PatternMemory("s"), world(Blunt(), silent))
    assert failing.stop is Stop.FLAT, "one and the same failure everywhere teaches nobody"


class Blunt(Synthetic):
    """Every failure in the same words."""

    def __call__(self, skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        return replace(super().__call__(skill, task, iteration=iteration, trial=trial), feedback="wrong")


def test_a_trigger_set_that_nothing_activates_ends_the_run_before_anything_is_learned() -> None:
    asked = {"should_trigger": True}
    probes = [Task(f"trigger-{n}", "Sum it.", [GraderSpec("trigger", asked)], probe=True) for n in range(10)]

    def never(skill: Skill, name: str) -> Sequence[Evidence]:
        assert name == "triggers-base"
        return [Evidence(probe.id, skill.digest, Outcome.FAILED) for probe in probes]

    ended = run(Synthetic(), triggers=never, probes=probes)
    assert ended.stop is Stop.FLAT
    assert "the skill was activated on none of 10 executions" in ended.why
    assert (ended.iterations, len(ended.triggers)) == ((), 10)


def test_a_failed_end_check_is_remembered_only_where_something_was_measured() -> None:
    """An outage at the end says nothing of an edit; an edit that is kept is not rejected."""
    out = run(Synthetic(outage=lambda iteration, task: iteration == "final"))
    assert (out.verdict, out.memory.rejected, out.final) == (Verdict.UNCHECKED, (), SKILL)
    won = run(Synthetic())
    assert (won.verdict, won.memory.rejected) == (Verdict.BETTER, ())


def test_a_small_pool_is_said_only_where_it_ended_the_run() -> None:
    silent = Oracle(fails=lambda role, number: role == "patcher")
    assert run(Synthetic(), agent=silent, said={"iterations": 10}).why == "all 10 iterations are done"
    parts = world(Synthetic(), silent)
    chosen = optimize(SKILL, suite(16), LoopSettings(), PatternMemory("s"), parts)
    assert chosen.why == f"all {len(chosen.iterations)} iterations are done, three epochs of a small pool"
    assert len(chosen.iterations) < 10
    everything = LoopSettings.model_validate({"optimizer": {"evidence": "epochs", "epochs": 1}})
    once = optimize(SKILL, suite(16), everything, PatternMemory("s"), parts)
    assert once.why == f"all {len(once.iterations)} iterations are done", "an epoch of all tasks is no pool"

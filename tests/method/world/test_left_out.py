"""Tasks that are left out: which of the others teach and choose, that no run sees them, and how they are measured."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.method.events import Event, Measuring
from skillgrad_ci.method.evidence import Evidence, Outcome
from skillgrad_ci.method.memory import Pattern, PatternMemory
from skillgrad_ci.method.run import Run
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import GraderSpec, Split, Suite, Task
from skillgrad_ci.method.world.left_out import LEAST, LEFT_OUT, learn_without, learning, measure_left_out
from tests.support.worlds import SKILL, Oracle, Synthetic, suite, world

ABLE = SKILL.with_file("SKILL.md", f"{SKILL.text}\nUse always alpha.\n")


def base(trials: int = 1) -> Run:
    """A base run over all tasks, which all fail, and a memory that knows of them."""
    tasks, settings = suite(16), LoopSettings(iterations=2, trials=trials, seed=3)
    known = [Evidence(task.id, SKILL.digest, Outcome.FAILED, feedback="base") for task in tasks.tasks]
    memory = PatternMemory("s", (Pattern("lacks-gamma", "mixed", "a line", evidence=("task-0",)),))
    return Run(SKILL, SKILL, SKILL, tasks, settings, memory, baseline=known)


@given(st.sets(st.integers(0, 15), max_size=8))
def test_a_run_without_tasks_neither_executes_them_nor_shows_them_to_anybody(left: set[int]) -> None:
    ids, rollout, agent, before = {f"task-{n}" for n in left}, Synthetic(), Oracle(), base()
    run = learn_without(before, ids, world(rollout, agent), "fold-1")
    kept = {task.id for task in before.suite.tasks} - ids
    assert {task.id for task in run.suite.tasks} == kept
    assert {task for _, task in rollout.done} <= kept
    assert (run.initial, run.settings, run.name) == (SKILL, before.settings, "fold-1")
    shown = "\n".join(user for _, user in agent.prompts)
    assert not [task for task in ids if f"{task}:" in shown or f"{task}\n" in shown]
    assert "a line" not in shown, "what an earlier memory learned may come of them"


@given(st.sets(st.integers(0, 15), min_size=1, max_size=8), st.integers(1, 3))
def test_both_skills_are_executed_afresh_one_beside_the_other(left: set[int], trials: int) -> None:
    ids, rollout, told, before = {f"task-{n}" for n in left}, Synthetic(), list[Event](), base(trials)
    run = replace(before, final=ABLE, candidate=ABLE)
    old, new = measure_left_out(before, run, ids, world(rollout, observe=told.append))
    wanted = [task.id for task in before.suite.tasks if task.id in ids for _ in range(trials)]
    assert rollout.done == [(name, task) for task in wanted for name in LEFT_OUT]
    assert [row.task_id for row in old] == [row.task_id for row in new] == wanted
    assert {row.skill_digest for row in old} == {SKILL.digest}
    assert {row.skill_digest for row in new} == {ABLE.digest}
    assert told == [Measuring("left-out", 2 * len(wanted))]


def test_a_run_that_changed_nothing_executes_nothing() -> None:
    rollout, before = Synthetic(), base()
    old, new = measure_left_out(before, before, {"task-3", "task-1"}, world(rollout))
    assert [(row.task_id, row.feedback) for row in old] == [("task-1", "base"), ("task-3", "base")]
    assert (old, rollout.done) == (new, [])


NAMES = st.text("abcdef", min_size=1, max_size=4)


def suite_of(ids: list[str], unreviewed: int = 0) -> Suite:
    tasks = [Task(name, "x", [GraderSpec("text")], unreviewed=at < unreviewed) for at, name in enumerate(ids)]
    return Suite("s", "native", Path("evals"), tasks)


def baseline_of(outcomes: dict[str, bool]) -> list[Evidence]:
    return [
        Evidence(name, "d", Outcome.PASSED if passed else Outcome.FAILED, float(passed), "")
        for name, passed in outcomes.items()
    ]


def choosing(found: Suite) -> set[str]:
    return {task.id for task in found.of(Split.VALIDATION)}


@given(st.dictionaries(NAMES, st.booleans(), min_size=4, max_size=40), st.dictionaries(NAMES, st.booleans()), st.data())
def test_two_in_seven_choose_by_what_the_runs_own_tasks_showed(
    outcomes: dict[str, bool], others: dict[str, bool], data: st.DataObject
) -> None:
    settings = LoopSettings(accept="validate", seed=data.draw(st.integers(0, 3)))
    found = learning(suite_of([*outcomes]), settings, baseline_of(outcomes))
    chosen = choosing(found)
    assert len(chosen) == max(LEAST, round(len(outcomes) * 2 / 7))
    assert LEAST <= len(found.of(Split.TRAIN)) == len(outcomes) - len(chosen)
    for outcome in (True, False):
        stratum = {task for task in outcomes if outcomes[task] is outcome}
        assert abs(len(chosen & stratum) - len(chosen) * len(stratum) / len(outcomes)) <= 1
    shuffled = learning(
        suite_of(data.draw(st.permutations([*outcomes]))), settings, baseline_of({**others, **outcomes})
    )
    assert choosing(shuffled) == chosen, "neither the order of the suite nor a task left out says anything"


@pytest.mark.parametrize("accept", ["always", "final"])
def test_where_no_step_must_win_all_teach(accept: str) -> None:
    settings = LoopSettings.model_validate({"accept": accept})
    assert not choosing(learning(suite_of(["a", "b", "c", "d"]), settings))


def test_what_no_person_reviewed_chooses_nothing() -> None:
    found = learning(suite_of([*"abcdefghij"], unreviewed=6), LoopSettings(accept="validate"))
    assert choosing(found) <= {*"ghij"}
    assert len(choosing(found)) == 2


def test_a_run_begins_without_the_memory_and_never_executes_what_it_leaves_out() -> None:
    whole, rollout, oracle = suite(16), Synthetic(), Oracle()
    here = world(rollout, oracle)
    memory = PatternMemory("s", (Pattern("earlier-lesson", "operation", "of all tasks"),))
    base = Run(SKILL, SKILL, SKILL, whole, LoopSettings(accept="validate", iterations=3), memory)
    ids = {task.id for task in whole.tasks[:4]}
    run = learn_without(base, ids, here, "fold-1")
    assert run.incumbent.skill != SKILL
    assert not {task for _, task in rollout.done} & ids
    assert not run.memory.get("earlier-lesson")
    assert not any("earlier-lesson" in said or f"{task} " in said for _, said in oracle.prompts for task in ids)
    rollout.done.clear()
    before, after = measure_left_out(base, run, ids, here)
    assert {task for _, task in rollout.done} == ids
    assert [row.skill_digest for row in (before[0], after[0])] == [SKILL.digest, run.final.digest]

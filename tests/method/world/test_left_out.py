"""Tasks that are left out: a run never sees them, and both skills are measured on them one beside the other."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.method.events import Event, Measuring
from skillgrad_ci.method.evidence import Evidence, Outcome
from skillgrad_ci.method.memory import Pattern, PatternMemory
from skillgrad_ci.method.run import Run
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.world.left_out import LEFT_OUT, learn_without, measure_left_out
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

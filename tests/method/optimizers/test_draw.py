"""Which failed tasks teach: the seed chooses, whatever the suite's order, and a run that goes on chooses the same."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.method.evidence import Evidence, Outcome
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimizers.draw import failures
from skillgrad_ci.method.run import Run
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import Split
from tests.support.worlds import SKILL, suite

TASKS = suite(24)


def drawn(seed: int, most: int) -> list[str]:
    """The ids of two epochs' batches of two, where every second task failed and all of them teach."""
    tasks = replace(TASKS, tasks=[replace(task, split=Split.TRAIN) for task in TASKS.tasks])
    rows = [
        Evidence(task.id, SKILL.digest, Outcome.FAILED if place % 2 else Outcome.PASSED)
        for place, task in enumerate(tasks.tasks)
    ]
    settings = LoopSettings(seed=seed, train_tasks=most, batch_size=2, iterations=most)
    run = Run(SKILL, SKILL, SKILL, tasks, settings, PatternMemory("s"), rows)
    return [task.id for batch in failures(run) for task in batch.tasks]


@given(st.integers(0, 1_000), st.sampled_from([2, 4, 6]))
def test_of_too_many_failures_the_seed_takes_some_and_each_comes_once_an_epoch(seed: int, most: int) -> None:
    ids = drawn(seed, most)
    assert ids == drawn(seed, most)
    failed = {task.id for task in TASKS.tasks[1::2]}
    chosen = set(ids)
    assert len(chosen) == most
    assert chosen <= failed
    assert sorted(ids[:most]) == sorted(ids[most:]) == sorted(chosen)


def test_another_seed_takes_others_and_not_those_that_stand_first() -> None:
    pools = {frozenset(drawn(seed, 4)) for seed in range(20)}
    assert len(pools) > 10
    assert frozenset(task.id for task in TASKS.tasks[1:8:2]) not in pools

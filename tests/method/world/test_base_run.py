"""What is executed at the least, and in which order: promised before the run, and held against what it executes."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from skillgrad_ci.method.acceptance import Verdict
from skillgrad_ci.method.budget import Cap, Ledger
from skillgrad_ci.method.events import Event, IterationDone
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.run import Run
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import GraderSpec, Split, Suite, Task
from skillgrad_ci.method.world import Earlier
from skillgrad_ci.method.world.foresight import Work
from skillgrad_ci.method.world.measurements import ALIKE, base_order, base_run, least_work, surely
from tests.support.worlds import SKILL, Synthetic, world


def suite_of(splits: list[Split | None], unreviewed: frozenset[int] = frozenset(), asking: int | None = None) -> Suite:
    """Tasks that all fail, each in its own words, until the skill says `always alpha`; the first asks for trials."""
    tasks = [
        Task(
            f"task-{number}",
            "Needs alpha.",
            [GraderSpec("text")],
            split=split,
            unreviewed=number in unreviewed,
            trials=None if number else asking,
        )
        for number, split in enumerate(splits)
    ]
    return Suite("s", "native", Path("evals"), tasks)


def begun(suite: Suite, config: LoopSettings) -> Run:
    return Run(SKILL, SKILL, SKILL, suite, config, PatternMemory("s"))


said = st.lists(st.sampled_from(Split), min_size=1, max_size=14)
unsaid = st.lists(st.sampled_from([*Split, None]), min_size=1, max_size=8)
enough = st.none() | st.integers(0, 9)


@given(said | unsaid, enough, st.integers(0, 3))
def test_where_all_fails_a_base_run_executes_just_what_it_surely_executes(
    splits: list[Split | None], enough: int | None, seed: int
) -> None:
    suite, rollout = suite_of(splits), Synthetic()
    base_run(begun(suite, LoopSettings(seed=seed)), world(rollout), enough)
    order = [task.id for task in base_order(suite, seed, enough)]
    promised = [task.id for task in surely(suite, seed, enough)]
    assert [task for _, task in rollout.done] == promised == order[: len(promised)]
    training = [task.id for task in suite.of(Split.TRAIN)]
    if training and None not in splits:
        assert sorted(order) == sorted(training), "each training task once, and no other"
        assert len(promised) == (len(order) if enough is None else min(len(order), max(enough, ALIKE)))
    else:
        assert order == promised == [task.id for task in suite.tasks], "the whole suite, as it stands"


def test_the_seed_decides_which_training_tasks_come_first_where_not_all_are_needed() -> None:
    suite = suite_of([Split.TRAIN] * 9)
    orders = [tuple(task.id for task in base_order(suite, seed, 3)) for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert base_order(suite, 0, None) == base_order(suite, 1, None) == suite.tasks


def test_an_order_that_is_promised_is_the_order_of_a_base_run_with_trials() -> None:
    suite, rollout = suite_of([None] * 3, asking=3), Synthetic()
    split = replace(suite, tasks=[replace(task, split=Split.TRAIN) for task in suite.tasks])

    def halve(whole: Suite, rows: object) -> Suite:
        return split

    run = base_run(begun(suite, LoopSettings(trials=2)), world(rollout, split=halve), None)
    assert run.suite is split
    assert [(row.task_id) for row in run.baseline] == ["task-0"] * 3 + ["task-1"] * 2 + ["task-2"] * 2


@given(
    said,
    st.frozensets(st.integers(0, 13), max_size=3),
    st.sampled_from(["always", "final", "validate", "no-worse"]),
    st.integers(1, 2),
    st.none() | st.integers(1, 3),
    st.frozensets(st.integers(0, 13), max_size=5),
)
@settings(max_examples=60)
def test_the_least_work_is_what_a_run_executes_whose_first_patch_wins(
    splits: list[Split],
    unreviewed: frozenset[int],
    accept: str,
    trials: int,
    asking: int | None,
    earlier: frozenset[int],
) -> None:
    """All fails, and the first patch brings what every task needs: no run comes to a result with less.

    An earlier run may know of some tasks how the initial skill does on them.
    """

    def known(task: Task, trial: int) -> Evidence | None:
        row = Synthetic()(SKILL, task, iteration="earlier", trial=trial)
        return replace(row, trial=trial) if int(task.id.removeprefix("task-")) in earlier else None

    suite = suite_of(list(splits), unreviewed, asking)
    chosen = [split for split in (Split.VALIDATION, Split.HELDOUT, Split.TRAIN) if split in splits]
    assume(Split.TRAIN in splits and (accept in ("always", "final") or Split.VALIDATION in splits))
    assume(all(any(not task.unreviewed for task in suite.of(split)) for split in chosen))
    config = LoopSettings.model_validate(
        {"iterations": 1, "batch_size": 3, "accept": accept, "trials": trials, "train_tasks": 5}
    )
    ledger, ended = Ledger(Cap(usd=1000.0)), [0]
    rollout = Synthetic(ledger=ledger)

    def observe(event: Event) -> None:
        if isinstance(event, IterationDone):
            ended[0] = len(rollout.done)

    there = world(rollout, ledger=ledger, observe=observe, earlier=Earlier("run 7", known) if earlier else None)
    result = optimize(SKILL, suite, config, PatternMemory("s"), there)
    assume(result.verdict is Verdict.BETTER)
    split_of = {task.id: task.split for task in suite.tasks}
    done = Counter((name, split_of[task]) for name, task in rollout.done)
    line_search = sum(count for (name, split), count in done.items() if split is Split.VALIDATION)
    work = least_work(begun(suite, config), there, 3)
    assert work.base + work.final == sum(done.values()) - (0 if accept in ("always", "final") else line_search)
    at_the_end = len(rollout.done) - ended[0]
    assert ledger.reserve.usd == pytest.approx(1.2 * at_the_end * 0.01 + 0.01 * (at_the_end > 0))
    again = {task for name, task in rollout.done if name == "base"}
    taken = {f"task-{number}" for number in earlier} - again
    assert dict.fromkeys(taken & {row.task_id for row in result.baseline}, "run 7") == result.reused
    known_now = Counter(row.task_id for row in result.baseline)
    assert known_now == {task.id: task.trials or trials for task in suite.tasks if task.id in known_now}
    assert {row.task_id for row in result.measured} <= {row.task_id for row in result.baseline}


def test_a_split_that_is_not_known_yet_promises_the_whole_suite_and_no_final_measurement() -> None:
    suite = suite_of([None, Split.TRAIN, Split.HELDOUT])
    assert least_work(begun(suite, LoopSettings()), world(), 1) == Work(3, 0)


def test_what_an_earlier_run_measured_is_taken_whole_or_not_at_all() -> None:
    """No task's rate is made of two runs."""
    suite = suite_of([Split.TRAIN, Split.HELDOUT, Split.HELDOUT])
    known = Evidence("", "d", Synthetic()(SKILL, suite.tasks[0], iteration="x").outcome)

    def execution(task: Task, trial: int) -> Evidence | None:
        return None if (task.id, trial) == ("task-1", 1) else replace(known, task_id=task.id, trial=trial)

    earlier = Earlier("run 7", execution)
    assert [row.trial for row in earlier.of(suite.tasks[2], 2)] == [0, 1]
    assert earlier.of(suite.tasks[1], 2) == []
    assert len(earlier.of(suite.tasks[1], 1)) == 1

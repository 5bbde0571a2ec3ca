"""Power and reliability figures: the published formulas, and that they agree with each other."""

from itertools import combinations, product
from math import comb, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.report.power import (
    CHURN,
    churn_of,
    detectable_change,
    pass_all,
    pass_at,
    tasks_needed,
    telling_trials,
    trials_needed,
)
from skillgrad_ci.report.statistics import mcnemar


@pytest.mark.parametrize(("change", "churn"), [(0.15, 0.2), (0.2, 0.1), (0.1, 0.1)])
def test_the_tasks_needed_have_the_power_that_is_claimed(change: float, churn: float) -> None:
    """Summed over every outcome of the test z = (c - b) / sqrt(b + c), which Connor's formula is for."""
    tasks = tasks_needed(change, churn)
    up, down = change + churn / 2, churn / 2
    power = 0.0
    for better, worse in product(range(tasks + 1), repeat=2):
        same = tasks - better - worse
        if same >= 0 and better - worse > 1.959964 * sqrt(better + worse):
            power += (
                comb(tasks, better) * comb(tasks - better, worse) * up**better * down**worse * (1 - up - down) ** same
            )
    assert power == pytest.approx(0.8, abs=0.04)


@given(st.integers(1, 4) | st.integers(5, 500), st.floats(0, 0.5))
def test_the_detectable_change_is_the_smallest_that_these_tasks_show(tasks: int, churn: float) -> None:
    change = detectable_change(tasks, churn)
    if change is None:
        assert 0.5**tasks > 0.05, "the mid-p of so many tasks that all went from failed to passed"
    else:
        assert 0.5**tasks <= 0.05
        assert tasks_needed(change, churn) <= tasks
        assert change < 0.0015 or tasks_needed(change - 0.001, churn) > tasks


@given(st.integers(5, 2000), st.floats(0, 0.5))
def test_trials_help_only_against_noise(tasks: int, churn: float) -> None:
    trials = trials_needed(0.05, tasks, churn)
    if trials is not None:
        assert tasks_needed(0.05, churn / trials) <= tasks
    assert trials_needed(0.05, 10, churn) is None


outcomes = st.lists(st.booleans(), min_size=1, max_size=7)


@given(outcomes, st.data())
def test_pass_at_and_pass_all_average_over_every_choice(trials: list[bool], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(trials)))
    chosen = list(combinations(trials, k))
    assert pass_at(k, sum(trials), len(trials)) == pytest.approx(sum(map(any, chosen)) / len(chosen))
    assert pass_all(k, sum(trials), len(trials)) == pytest.approx(sum(map(all, chosen)) / len(chosen))


def test_churn_is_unbiased() -> None:
    """Averaged over all outcomes of three runs at p = 0.3, the estimate is 2 p (1 - p)."""
    expected = 0.0
    for runs in product((True, False), repeat=3):
        chance = 0.3 ** sum(runs) * 0.7 ** (3 - sum(runs))
        expected += chance * (churn_of([runs]) or 0.0)
    assert expected == pytest.approx(2 * 0.3 * 0.7)
    assert churn_of([[True], []]) is None


@given(st.integers(0, 30), st.floats(0, 0.5))
def test_no_change_is_named_that_the_test_never_calls_clear(tasks: int, churn: float) -> None:
    """Not even where every task went from failed to passed."""
    every = mcnemar(tasks, 0)
    assert detectable_change(tasks, churn) is None or every < 0.05
    assert (detectable_change(tasks, 0.0) is None) == (every >= 0.05)


def test_trials_are_added_as_long_as_smaller_gains_come_into_sight() -> None:
    assert [telling_trials(tasks) for tasks in (1, 4, 6, 12, 30)] == [1, 1, 3, 3, 3]
    assert telling_trials(2_000) == 1
    assert telling_trials(12, churn=0.3) > telling_trials(12) > telling_trials(12, churn=0.01) == 1
    for tasks in (6, 12, 20, 30, 60):
        trials = telling_trials(tasks)
        shown = [detectable_change(tasks, CHURN / number) or 1.0 for number in (trials - 1 or 1, trials, trials + 1)]
        assert shown[1] - shown[2] < 0.01 <= round(shown[0] - shown[1], 3) or trials == 1

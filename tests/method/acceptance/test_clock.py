"""A clock is not a verdict: what a time limit ended is counted, and where it is much, nothing is compared."""

from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.method.acceptance import Verdict, compare, no_worse
from skillgrad_ci.method.acceptance.clock import fisher, incomparable, overrun
from skillgrad_ci.method.evidence import Accuracy, Evidence, Outcome, Trajectory
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.run import Run, Stop
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import Split, Suite
from tests.support.worlds import SKILL, Synthetic, suite, world

LATE = Trajectory(stopped="timeout")


def rows(passed: int, late: int, size: int, name: str = "t") -> list[Evidence]:
    """The first so many tasks passed, the last so many were ended by a clock."""
    return [
        Evidence(
            f"{name}{n}",
            "d",
            Outcome.PASSED if n < passed else Outcome.FAILED,
            trajectory=LATE if n >= size - late else Trajectory(),
        )
        for n in range(size)
    ]


def run(rollout: Synthetic, tasks: Suite | None = None, **settings: Any) -> Run:
    config = LoopSettings(iterations=3, **settings)
    return optimize(SKILL, tasks or suite(48), config, PatternMemory("s"), world(rollout))


@given(st.integers(0, 5), st.integers(1, 5), st.integers(0, 5), st.integers(1, 5))
def test_fishers_test_counts_the_arrangements_that_are_no_more_likely(a: int, m: int, b: int, n: int) -> None:
    a, b = min(a, m), min(b, n)
    drawn = [sum(at < m for at in chosen) for chosen in combinations(range(m + n), a + b)]
    likely = {count: Fraction(drawn.count(count), len(drawn)) for count in set(drawn)}
    assert fisher(a, m, b, n) == pytest.approx(float(sum(p for p in likely.values() if p <= likely[a])))
    assert fisher(a, m, b, n) == pytest.approx(fisher(b, n, a, m))


def test_a_fifth_in_either_is_the_most_that_is_compared() -> None:
    quiet, fifth, more = rows(4, 0, 10), rows(4, 2, 10), rows(4, 3, 10)
    assert overrun(fifth) == incomparable(quiet, fifth) == ""
    assert overrun(more) == "3 of 10 executions ended at a time limit"
    told = "0 of 10 executions before and 3 of 10 after ended at a time limit"
    assert incomparable(quiet, more) == told
    assert incomparable(more, quiet)
    assert overrun([]) == incomparable([], []) == incomparable(quiet, []) == ""


def test_a_difference_beyond_chance_is_refused_where_both_shares_are_small() -> None:
    assert incomparable(rows(20, 0, 60), rows(20, 7, 60))
    assert not incomparable(rows(20, 0, 60), rows(20, 3, 60))
    assert not incomparable(rows(20, 7, 60), rows(20, 7, 60))
    assert incomparable(rows(20, 0, 40), rows(20, 6, 40)), "p = 0.026"
    assert not incomparable(rows(20, 0, 40), rows(20, 5, 40)), "p = 0.055"


def test_only_tasks_that_both_were_measured_on_count() -> None:
    elsewhere = rows(0, 9, 9, "other")
    assert not incomparable([*rows(4, 0, 10), *elsewhere], rows(5, 0, 10))
    gone = [replace(row, outcome=Outcome.UNMEASURED) for row in elsewhere]
    assert not incomparable([*rows(4, 0, 10), *elsewhere], [*rows(5, 0, 10), *gone])
    assert not overrun([*rows(4, 0, 10), *gone])
    assert Accuracy.of([*rows(4, 2, 10), *gone]) == Accuracy(4, 10, 9, 2)


SOME = st.lists(
    st.builds(
        lambda task, outcome, late: Evidence(
            f"t{task}", "d", outcome, trajectory=Trajectory(stopped="timeout" if late else "answered")
        ),
        st.integers(0, 4),
        st.sampled_from(Outcome),
        st.booleans(),
    ),
    max_size=16,
)


@given(SOME, SOME)
def test_what_was_not_measured_on_both_sides_changes_nothing(before: list[Evidence], after: list[Evidence]) -> None:
    both = {row.task_id for row in before if row.measured} & {row.task_id for row in after if row.measured}
    old, new = ([row for row in rows if row.measured and row.task_id in both] for rows in (before, after))
    assert incomparable(before, after) == incomparable(old, new)


def test_no_verdict_comes_of_a_clock() -> None:
    old, new = rows(4, 0, 10), rows(0, 8, 10)
    assert compare(new, old) is compare(old, new) is Verdict.UNCHECKED
    held, why = no_worse(old, new, 1.0)
    assert (held, "ended at a time limit" in why) == (False, True)


def test_a_busy_machine_at_the_end_is_no_fall() -> None:
    """All of the candidate's executions end at the clock: that once was told as a fall to nothing."""
    ended = run(Synthetic(late=lambda iteration, task: iteration == "final"))
    assert (ended.stop, ended.verdict) == (Stop.UNMEASURED, Verdict.UNCHECKED)
    assert "of 12 after ended at a time limit on validation tasks" in ended.why
    assert ended.final is ended.initial
    assert not any(edit.by == "validation" for edit in ended.memory.rejected)


def test_a_busy_machine_at_the_beginning_costs_the_base_run_alone() -> None:
    rollout = Synthetic(late=lambda iteration, task: iteration == "base")
    ended = run(rollout)
    assert ended.stop is Stop.UNMEASURED
    assert "with the initial skill, so nothing can be compared: give tasks more time" in ended.why
    assert {iteration for iteration, _ in rollout.done} == {"base"}
    later = Synthetic(late=lambda iteration, task: task.split is Split.VALIDATION)
    assert run(later, accept="validate").stop is Stop.UNMEASURED
    assert {iteration for iteration, _ in later.done} == {"base"}


def test_a_step_is_not_judged_by_the_clock() -> None:
    ended = run(Synthetic(late=lambda iteration, task: iteration == "validate-1"), accept="validate")
    assert ended.iterations[0].verdict.startswith("rejected: unchecked on validation (0 of 12 executions before and 12")
    assert ended.iterations[1].verdict == "accepted"


def test_a_run_on_the_clock_is_as_it_was_where_little_ended_late() -> None:
    calm, busy = (run(Synthetic(late=late)) for late in (lambda i, t: False, lambda i, t: t.id == "task-9"))
    assert calm.stop is busy.stop is Stop.ITERATIONS
    assert busy.verdict is Verdict.BETTER

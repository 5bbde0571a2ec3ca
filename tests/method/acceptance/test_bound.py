"""The exact bound: a measurement ends as soon as nothing can win, and never changes who wins."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from hypothesis import assume, given
from hypothesis import strategies as st

from skillgrad_ci.method.acceptance import DecideBy, Verdict, compare
from skillgrad_ci.method.acceptance.bound import failed_first, until_lost
from skillgrad_ci.method.evidence import Evidence, Outcome, Trajectory
from skillgrad_ci.method.task import GraderSpec, Task

OUTCOMES = [Outcome.PASSED, Outcome.FAILED, Outcome.UNMEASURED]
outcomes = st.lists(st.tuples(st.sampled_from(OUTCOMES), st.sampled_from(OUTCOMES)), min_size=1, max_size=12)


def row(task: int, outcome: Outcome, trial: int = 0, *, late: bool = False, partly: float = 0.0) -> Evidence:
    ended = Trajectory(stopped="timeout" if late else "answered")
    score = 1.0 if outcome is Outcome.PASSED else partly
    return Evidence(f"t{task}", "d", outcome, score, trajectory=ended, trial=trial)


def tasks(number: int) -> list[Task]:
    return [Task(f"t{n}", "do", [GraderSpec("text")]) for n in range(number)]


def ended(
    order: Sequence[Task], incumbent: Sequence[Evidence], candidate: Sequence[Evidence], by: DecideBy
) -> list[Evidence]:
    """What is measured of a candidate until nothing can be won."""
    by_task = {task.id: [one for one in candidate if one.task_id == task.id] for task in order}
    done: list[Evidence] = []
    for task in order:
        if not until_lost(order, incumbent, by)(done):
            break
        done += by_task[task.id]
    return done


partial = st.lists(st.sampled_from([0.0, 0.25, 0.5]), min_size=48, max_size=48)


@given(
    outcomes,
    st.integers(1, 3),
    st.lists(st.booleans(), min_size=36, max_size=36),
    partial,
    st.sampled_from(["pass", "score"]),
)
def test_what_ends_early_would_have_been_rejected(
    both: list[tuple[Outcome, Outcome]], trials: int, late: list[bool], partly: list[float], by: DecideBy
) -> None:
    """Also where tasks cannot be measured, or a clock ends them: those forbid a verdict, and never make a win."""
    incumbent = [row(n, old, partly=partly[36 + n]) for n, (old, _) in enumerate(both)]
    candidate = [
        row(n, new, k, late=late[3 * n + k], partly=partly[3 * n + k])
        for n, (_, new) in enumerate(both)
        for k in range(trials)
    ]
    order = failed_first(tasks(len(both)), incumbent, by)
    done = ended(order, incumbent, candidate, by)
    if len({one.task_id for one in done}) < len(both):
        assert compare(candidate, incumbent, by) is not Verdict.BETTER


@given(outcomes)
def test_so_many_tasks_are_needed_at_least(both: list[tuple[Outcome, Outcome]]) -> None:
    """No outcome of fewer tasks ends it, and some outcome of so many does, as far as there are so many."""
    incumbent = [row(n, old) for n, (old, _) in enumerate(both)]
    order = failed_first(tasks(len(both)), incumbent)
    least = until_lost(order, incumbent)
    needed = least([])
    for number in range(min(needed, 5)):
        for chosen in product([Outcome.PASSED, Outcome.FAILED], repeat=number):
            done = [row(int(task.id[1:]), one) for task, one in zip(order, chosen, strict=False)]
            assert least(done) >= needed - number > 0
    known = [task for task in order if task.id in {one.task_id for one in incumbent if one.measured}]
    if known:
        worst = [row(int(task.id[1:]), Outcome.FAILED) for task in order[:needed]]
        assert least(worst) == 0


@given(outcomes, st.integers(0, 12), partial, st.sampled_from(["pass", "score"]))
def test_the_bound_is_just_so_many_failures_as_leave_nothing_to_win(
    both: list[tuple[Outcome, Outcome]], measured: int, partly: list[float], by: DecideBy
) -> None:
    """Tried out: so many of the next tasks fail, and all others pass."""

    def worth(one: Evidence) -> float:
        return one.score if by == "score" else float(one.passed)

    incumbent = [row(n, old, partly=partly[n]) for n, (old, _) in enumerate(both)]
    order = failed_first(tasks(len(both)), incumbent, by)
    known = {one.task_id: worth(one) for one in incumbent if one.measured}
    assume(known)
    rates = [known.get(task.id, 2.0) for task in order]
    assert rates == sorted(rates)
    numbers = [int(task.id[1:]) for task in order[:measured]]
    done = [row(n, both[n][1], partly=partly[24 + n]) for n in numbers]
    gained = sum(worth(one) - known[one.task_id] for one in done if one.measured and one.task_id in known)
    rest = [task.id for task in order[measured:] if task.id in known]
    needed = until_lost(order, incumbent, by)(done)
    for failing in range(len(rest) + 1):
        gain = gained + sum((place >= failing) - known[task] for place, task in enumerate(rest))
        assert (gain > 0) == (failing < needed)


def test_the_tasks_that_can_be_won_come_first_and_the_unmeasured_last() -> None:
    incumbent = [row(0, Outcome.PASSED), row(1, Outcome.UNMEASURED), row(2, Outcome.FAILED), row(3, Outcome.PASSED)]
    assert [task.id for task in failed_first(tasks(4), incumbent)] == ["t2", "t0", "t3", "t1"]
    nothing = [replace(one, outcome=Outcome.UNMEASURED) for one in incumbent]
    assert until_lost(tasks(4), nothing)([]) == 4

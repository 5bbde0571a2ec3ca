"""Line search: strictly better, on tasks measured in both; an outage is never a verdict."""

from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.errors import UserError
from skillgrad_ci.method.acceptance import NO_WORSE_Z, Verdict, check_mode, check_split, compare, no_worse
from skillgrad_ci.method.evidence import Evidence, Flat, Outcome, Trajectory, flat_signal
from skillgrad_ci.method.task import GraderSpec, Split, Suite, Task


def rows(*outcomes: str, feedback: str = "wrong") -> list[Evidence]:
    return [Evidence(f"t{n}", "d", Outcome(outcome), feedback=feedback) for n, outcome in enumerate(outcomes)]


outcomes = st.lists(st.sampled_from(["passed", "failed", "unmeasured"]), min_size=4, max_size=8)


@given(outcomes, outcomes)
def test_comparing_is_antisymmetric_and_blind_to_what_was_not_measured(one: list[str], other: list[str]) -> None:
    size = min(len(one), len(other))
    new, old = rows(*one[:size]), rows(*other[:size])
    mirror = {Verdict.BETTER: Verdict.WORSE, Verdict.WORSE: Verdict.BETTER}
    verdict = compare(new, old)
    assert compare(old, new) is mirror.get(verdict, verdict)
    gone = [row if row.measured else Evidence(row.task_id, "x", Outcome.UNMEASURED, feedback="else") for row in new]
    assert compare(gone, old) is verdict


def test_a_tie_is_a_tie_and_less_than_half_a_measurement_is_none() -> None:
    assert compare(rows("passed", "failed"), rows("failed", "passed")) is Verdict.TIE
    assert compare(rows("passed", "passed"), rows("failed", "passed")) is Verdict.BETTER
    assert compare(rows("passed", "unmeasured", "unmeasured"), rows("failed", "failed", "failed")) is Verdict.UNCHECKED
    assert compare(rows("passed", "unmeasured"), rows("failed", "failed")) is Verdict.BETTER  # just half is paired
    assert compare([], rows("failed")) is Verdict.UNCHECKED


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_not_worse_is_wilsons_upper_limit_of_what_was_lost_less_what_was_won(pairs: list[tuple[int, int]]) -> None:
    """The limit is found here from its definition: the share whose distance from what was seen is just z."""

    def trials(passes: Sequence[int]) -> list[Evidence]:
        return [
            Evidence(f"t{task}", "d", Outcome.PASSED if trial < count else Outcome.FAILED, trial=trial)
            for task, count in enumerate(passes)
            for trial in range(3)
        ]

    old, new, number = [before for before, _ in pairs], [after for _, after in pairs], len(pairs)
    lost = sum(max(0, before - after) for before, after in pairs) / 3 / number
    won = sum(max(0, after - before) for before, after in pairs) / 3 / number
    low, high = lost, 1.0
    for _ in range(60):
        share = (low + high) / 2
        near = (share - lost) ** 2 <= NO_WORSE_Z**2 * share * (1 - share) / number
        low, high = (share, high) if near else (low, share)
    words = f"a loss of up to {100 * max(0.0, low - won):.1f} points is possible ({number} tasks)"
    assert no_worse(trials(new), trials(old), low - won + 1e-9) == (True, words)
    assert no_worse(trials(new), trials(old), low - won - 1e-9) == (False, words)


def test_ten_points_can_be_ruled_out_from_seven_tasks_on() -> None:
    """At the level 0.2, one-sided, where no task got worse."""
    assert pytest.approx(NormalDist().inv_cdf(1 - 0.2), abs=1e-4) == NO_WORSE_Z
    held = {number: no_worse(rows(*["passed"] * number), rows(*["passed"] * number), 0.1)[0] for number in (6, 7)}
    assert held == {6: False, 7: True}


def test_trials_of_a_task_count_as_one_task() -> None:
    twice = [Evidence("t0", "d", Outcome.PASSED, trial=0), Evidence("t0", "d", Outcome.FAILED, trial=1)]
    assert compare([*twice, *rows("unmeasured")[1:]], rows("failed")) is Verdict.BETTER
    assert compare(twice, rows("passed")) is Verdict.WORSE


def suite(*splits: Split) -> Suite:
    tasks = [Task(f"t{n}", "do", [GraderSpec("text")], split=split) for n, split in enumerate(splits)]
    return Suite("s", "native", Path("evals"), tasks)


def test_the_end_check_falls_from_validation_to_heldout_to_training() -> None:
    assert check_split(suite(Split.TRAIN, Split.VALIDATION, Split.HELDOUT)) is Split.VALIDATION
    assert check_split(suite(Split.TRAIN, Split.HELDOUT)) is Split.HELDOUT
    assert check_split(suite(Split.TRAIN)) is Split.TRAIN


def test_validate_without_validation_tasks_says_what_to_do() -> None:
    with pytest.raises(UserError, match=r"evals: accept: validate needs validation tasks.*split: validation"):
        check_mode("validate", suite(Split.TRAIN, Split.HELDOUT))
    check_mode("validate", suite(Split.TRAIN, Split.VALIDATION))
    check_mode("final", suite(Split.TRAIN))


def test_a_flat_base_run_is_named() -> None:
    assert flat_signal(rows("passed", "failed", "failed", "failed")) is None
    assert flat_signal([*rows("failed", "failed"), *rows("failed", feedback="other")]) is None
    kind, why = flat_signal(rows("unmeasured", "unmeasured", feedback="no network")) or (None, "")
    assert (kind, "no network" in why) == (Flat.UNMEASURED, True)
    kind, _ = flat_signal(rows("passed", "unmeasured", "passed")) or (None, "")
    assert kind is Flat.PASSED
    kind, why = flat_signal(rows("failed", "failed", "failed")) or (None, "")
    assert (kind, "never used a tool" in why) == (Flat.SAME_FAILURE, True)
    named = [Evidence(f"t{n}", "d", Outcome.FAILED, feedback=f"1_t{n}_output.xlsx is missing") for n in range(3)]
    assert "never used a tool" in (flat_signal(named) or (None, ""))[1]
    call = Trajectory([{"kind": "tool_call", "id": "1", "tool": "shell", "arguments": {}}])
    busy = [Evidence(f"t{n}", "d", Outcome.FAILED, feedback="no file", trajectory=call) for n in range(3)]
    assert "the grader, or a path" in (flat_signal(busy) or (None, ""))[1]

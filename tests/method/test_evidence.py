"""The loss: what is counted, what is not, and when a base run teaches nothing."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.method.evidence import Accuracy, Evidence, Flat, Grade, Outcome, Trajectory, Usage, flat_signal

COUNTS = st.integers(0, 99)
USAGES = st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS, st.none() | st.integers(0, 64).map(lambda n: n / 64))
CALL = Trajectory([{"kind": "tool_call", "id": "1", "tool": "shell", "arguments": {}}])
LATE = Trajectory(stopped="timeout")
CRASHED = Evidence("t1", "digest", Outcome.UNMEASURED, feedback="no network", trajectory=LATE)
ROWS = st.lists(
    st.builds(
        Evidence,
        st.sampled_from(["t1", "t2", "t3"]),
        st.just("digest"),
        st.sampled_from(Outcome),
        feedback=st.sampled_from(["wrong", "no file"]),
        trajectory=st.sampled_from([Trajectory(), CALL, LATE]),
    ),
    max_size=8,
)


@given(USAGES, USAGES, USAGES)
def test_usage_adds_up_field_by_field_and_an_unknown_price_stays_unknown(one: Usage, two: Usage, three: Usage) -> None:
    both = one + two
    assert both == two + one
    assert both + three == one + (two + three)
    assert one + Usage() == one
    for name in ("calls", "prompt_tokens", "cached_tokens", "completion_tokens", "tokens"):
        assert getattr(both, name) == getattr(one, name) + getattr(two, name)
    assert one.tokens == one.prompt_tokens + one.completion_tokens, "what was cached is among the prompt's"
    assert both.usd == (None if one.usd is None or two.usd is None else one.usd + two.usd)


@given(ROWS)
def test_every_execution_is_passed_failed_or_unmeasured_and_accuracy_is_over_what_was_measured(
    rows: list[Evidence],
) -> None:
    accuracy = Accuracy.of(iter(rows))
    assert all([row.passed, row.failed, not row.measured].count(True) == 1 for row in rows)
    assert accuracy.measured + accuracy.unmeasured == len(rows)
    assert accuracy.passed + sum(row.failed for row in rows) == accuracy.measured
    assert accuracy.timed_out == len([row for row in rows if row.measured and row.trajectory == LATE])
    assert accuracy.value == (accuracy.passed / accuracy.measured if accuracy.measured else None)
    more = Accuracy.of([*rows, CRASHED])
    assert (more.value, more.timed_out, more.unmeasured) == (
        accuracy.value,
        accuracy.timed_out,
        accuracy.unmeasured + 1,
    )


@given(st.floats(0, 1), st.floats().filter(lambda score: not 0 <= score <= 1))
def test_a_grade_lies_between_nothing_and_all(inside: float, outside: float) -> None:
    for score in (inside, 0.0, 1.0):
        assert Grade(Outcome.FAILED, score).score == score
    with pytest.raises(ValueError, match=re.escape(f"lies in [0, 1], not {outside}")):
        Grade(Outcome.FAILED, outside)


@given(ROWS)
def test_what_could_not_be_measured_changes_no_word_of_a_flat_base_run(rows: list[Evidence]) -> None:
    measured = [row for row in rows if row.measured]
    if measured:
        assert flat_signal(rows) == flat_signal(measured)
    else:
        assert (flat_signal(rows) or [None])[0] is Flat.UNMEASURED


@given(ROWS.map(lambda rows: [row for row in rows if row.measured]).filter(bool))
def test_a_base_run_is_flat_where_all_passes_or_all_fails_alike(rows: list[Evidence]) -> None:
    flat = flat_signal(rows)
    if all(row.passed for row in rows):
        assert flat
        assert flat[0] is Flat.PASSED
        return
    alike = len({row.feedback for row in rows}) == 1 and not any(row.passed for row in rows)
    assert (flat is not None) == (alike and len(rows) >= 3)
    if flat:
        tools = any(row.trajectory == CALL for row in rows)
        assert flat[0] is Flat.SAME_FAILURE
        assert repr(rows[0].feedback) in flat[1]
        assert ("never used a tool" in flat[1], "usually the grader" in flat[1]) == (not tools, tools)


def test_a_tasks_own_name_is_no_difference_only_where_the_model_was_idle() -> None:
    idle = [Evidence(f"t{n}", "d", Outcome.FAILED, feedback=f"t{n}.xlsx is missing") for n in range(3)]
    assert flat_signal(idle) is not None
    assert flat_signal([replace(row, trajectory=CALL) for row in idle]) is None
    assert "(nothing)" in (flat_signal([replace(row, feedback="") for row in idle]) or ("", ""))[1]
    assert "the suite is empty" in (flat_signal([]) or ("", ""))[1]
    assert "no network" in (flat_signal([CRASHED, replace(CRASHED, feedback="else")]) or ("", ""))[1]

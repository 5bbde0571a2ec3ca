"""Cells are equal where SpreadsheetBench's evaluation says so."""

import datetime
import json
import math

from hypothesis import example, given
from hypothesis import strategies as st

from skillgrad_ci.graders.xlsx.values import normalised
from tests.support import official_xlsx

raw = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["", " ", "1", "1.0", " 1 ", "1_0", "1e3", "nan", "inf", "1,000", "TRUE", "#N/A", "12:30", "0.005"]
    ),
    st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2100, 1, 1)),
    st.times(),
    st.timedeltas(),
    st.dates(),
)


@given(raw, raw)
@example(True, 1)
@example(datetime.datetime(2024, 1, 1, 11), 45292)
@example(datetime.time(12, 30, 59), "12:30")
@example(0.125, 0.12)
def test_equality_is_the_evaluations(one: object, other: object) -> None:
    assert _equal(one, other) == official_xlsx.equal(one, other)


@given(raw, st.floats(-0.02, 0.02))
def test_nearly_equal_numbers_too(one: object, away: float) -> None:
    if isinstance(one, int | float) and math.isfinite(one):
        assert _equal(one, one + away) == official_xlsx.equal(one, one + away)


@given(raw)
def test_a_value_survives_its_way_between_processes(value: object) -> None:
    before = normalised(value)
    after = json.loads(json.dumps(before))
    after = tuple(after) if isinstance(after, list) else after
    assert after == before or (before != before and after != after)


def _equal(one: object, other: object) -> bool:
    a, b = normalised(one), normalised(other)
    return a == b if a is None or b is None else a == b and type(a) is type(b)


def test_a_number_that_no_float_holds_is_only_itself() -> None:
    assert normalised(10**400) == normalised(10**400)
    assert normalised(10**400) != normalised(1e300)

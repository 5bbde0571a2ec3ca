"""The statistics agree with published worked examples and keep the properties a reader relies on."""

from fractions import Fraction
from itertools import product
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.method.evidence import Evidence, Outcome
from skillgrad_ci.report.statistics import (
    WITHIN,
    Interval,
    difference_interval,
    doubt,
    mcnemar,
    newcombe,
    paired,
    sign_flip,
    student,
    wilson,
)

PASS, FAIL, UNMEASURED = Outcome.PASSED, Outcome.FAILED, Outcome.UNMEASURED


def table(both: int, first: int, second: int, neither: int) -> Interval:
    """The interval of p1 - p2 from a paired 2x2 table (the first column of numbers is p1's)."""
    new = [1] * (both + first) + [0] * (second + neither)
    old = [1] * both + [0] * first + [1] * second + [0] * neither
    return newcombe([Fraction(x) for x in old], [Fraction(x) for x in new])


def rows(outcomes: str, trial: int = 0, versions: str = "v") -> list[Evidence]:
    """One row a task: p passed, f failed, u unmeasured."""
    kinds = {"p": PASS, "f": FAIL, "u": UNMEASURED}
    return [Evidence(f"t{n}", "d", kinds[c], trial=trial, versions=versions) for n, c in enumerate(outcomes)]


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((36, 12, 2, 0), 0.0569, 0.3404),  # Newcombe 1998, table III, method 10
        ((54, 0, 0, 0), -0.0664, 0.0664),  # the same: no discordant pair
        ((14, 5, 0, 22), 0.0115, 0.2265),  # Altman et al., Statistics with Confidence (2000), table 6.2
        ((1, 1, 7, 12), -0.5069, -0.0256),  # Bentur et al. 2009, as worked by Fagerland et al. (2014)
    ],
)
def test_intervals_of_published_tables(counts: tuple[int, int, int, int], low: float, high: float) -> None:
    assert table(*counts) == pytest.approx((low, high), abs=1e-4)


def test_wilson_of_a_published_example() -> None:
    """Newcombe 1998 (Statistics in Medicine 17, 857-872), table I: 81 of 263, and 0 of 20."""
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)


def test_mcnemar_of_published_examples() -> None:
    """Bentur (7 against 1) and Cavo (16 against 6), mid-p values in Fagerland et al. (2013)."""
    assert mcnemar(7, 1) == pytest.approx(0.0391, abs=1e-4)
    assert mcnemar(16, 6) == pytest.approx(0.0347, abs=1e-4)
    assert mcnemar(0, 0) == 1.0


counts = st.integers(0, 25)


@given(counts, counts, counts, counts)
def test_an_interval_holds_its_estimate_stays_in_range_and_mirrors(a: int, b: int, c: int, d: int) -> None:
    if not a + b + c + d:
        return
    low, high = table(a, b, c, d)
    estimate = (b - c) / (a + b + c + d)
    assert -1 <= low <= estimate + 1e-12
    assert estimate - 1e-12 <= high <= 1
    assert low < high
    assert table(a, c, b, d) == pytest.approx((-high, -low), abs=1e-12)


@given(counts, counts)
def test_a_p_value_is_one_and_is_symmetric(fixed: int, broken: int) -> None:
    assert 0 < mcnemar(fixed, broken) <= 1
    assert mcnemar(fixed, broken) == mcnemar(broken, fixed)
    if fixed > broken:
        assert mcnemar(fixed + 1, broken) <= mcnemar(fixed, broken)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_the_sign_flip_test_of_single_trials_is_mcnemars(pairs: list[tuple[bool, bool]]) -> None:
    old, new = [Fraction(a) for a, _ in pairs], [Fraction(b) for _, b in pairs]
    fixed, broken = sum(b > a for a, b in pairs), sum(b < a for a, b in pairs)
    assert isclose(sign_flip(old, new), mcnemar(fixed, broken), rel_tol=1e-9)


rates = st.integers(1, 4).flatmap(lambda n: st.integers(0, n).map(lambda k: Fraction(k, n)))


@given(st.lists(st.tuples(rates, rates), min_size=1, max_size=9))
def test_the_sign_flip_test_counts_every_flip(pairs: list[tuple[Fraction, Fraction]]) -> None:
    differences = [b - a for a, b in pairs]
    sums = [
        abs(sum((s * d for s, d in zip(signs, differences, strict=True)), Fraction()))
        for signs in product((1, -1), repeat=len(pairs))
    ]
    seen = abs(sum(differences, Fraction()))
    expected = min(1.0, (sum(v > seen for v in sums) + sum(v == seen for v in sums) / (2 if seen else 1)) / len(sums))
    assert isclose(sign_flip([a for a, _ in pairs], [b for _, b in pairs]), expected, rel_tol=1e-9)


@given(st.lists(st.tuples(rates, rates), min_size=1, max_size=30))
def test_an_interval_of_means_holds_its_estimate_stays_in_range_and_mirrors(
    pairs: list[tuple[Fraction, Fraction]],
) -> None:
    old, new = [a for a, _ in pairs], [b for _, b in pairs]
    low, high = difference_interval(old, new)
    change = float(sum(new) - sum(old)) / len(pairs)
    assert -1 <= low <= change + 1e-9
    assert change - 1e-9 <= high <= 1
    assert low < high
    assert difference_interval(new, old) == pytest.approx((-high, -low))


def test_students_t_of_the_published_table() -> None:
    """Student's t at 97.5%, one-sided: any table of it."""
    known = {1: 12.706, 2: 4.303, 3: 3.182, 6: 2.447, 7: 2.365, 13: 2.160, 30: 2.042, 60: 2.000, 120: 1.980}
    assert {freedom: student(freedom) for freedom in known} == pytest.approx(known, abs=6e-4)


def scored(*scores: float) -> list[Evidence]:
    return [Evidence(f"t{n}", "d", PASS if score == 1 else FAIL, score) for n, score in enumerate(scores)]


def test_by_score_a_statement_more_in_a_failing_task_is_a_change() -> None:
    before, after = scored(0.5, 0.25, 1, 0), scored(0.75, 0.25, 1, 0)
    whole, partial = paired(before, after), paired(before, after, "score")
    assert whole is not None
    assert (whole.change, whole.fixed, whole.by) == (0, [], "pass")
    assert partial is not None
    assert (partial.change, partial.fixed, partial.by) == (1 / 16, ["t0"], "score")
    assert partial.test == "sign flip mid-p"
    assert (partial.baseline, partial.final) == (7 / 16, 0.5)


def test_statements_are_clustered_by_task() -> None:
    """Trials of one task, however many statements they hold, are one pair."""
    twice = [Evidence("t0", "d", FAIL, score, trial=n) for n, score in enumerate((0.5, 1.0))]
    delta = paired([*scored(0.5), Evidence("t0", "d", FAIL, 0.5, trial=1)], twice, "score")
    assert delta is not None
    assert (delta.tasks, delta.change) == (1, 0.25)


def test_only_tasks_measured_on_both_sides_are_paired() -> None:
    delta = paired(rows("ppffu"), rows("pfpuf"))
    assert delta is not None
    assert (delta.tasks, delta.fixed, delta.broken) == (3, ["t2"], ["t1"])
    assert delta.change == 0
    assert set(delta.unpaired) == {"t3", "t4"}
    assert not delta.clear
    assert paired(rows("u"), rows("p")) is None
    assert paired([], []) is None


@given(st.text("pfu", min_size=1, max_size=30), st.data())
def test_an_outage_never_moves_the_change(first: str, data: st.DataObject) -> None:
    second = data.draw(st.text("pf", min_size=len(first), max_size=len(first)))
    delta = paired(rows(first), rows(second))
    measured = [n for n, outcome in enumerate(first) if outcome != "u"]
    alone = paired([rows(first)[n] for n in measured], [rows(second)[n] for n in measured])
    assert (delta and delta.change) == (alone and alone.change)
    assert (delta and delta.interval) == (alone and alone.interval)


def test_trials_are_paired_by_task() -> None:
    delta = paired([*rows("ff"), *rows("pf", 1)], [*rows("pp"), *rows("pf", 1)])
    assert delta is not None
    assert (delta.trials, delta.test, delta.fixed) == (2, "sign flip mid-p", ["t0", "t1"])
    assert delta.change == pytest.approx(0.5)


def test_a_delta_never_mixes_two_versions() -> None:
    with pytest.raises(EnvironmentFailure, match="t0: measured by v1 and v2"):
        paired(rows("p", versions="v1"), rows("p", versions="v2"))
    assert paired(rows("up", versions="v1")[:1] + rows("up")[1:], rows("pp"))


def test_a_change_is_clear_only_where_interval_and_test_agree() -> None:
    few, more = paired(rows("ffff"), rows("pppp")), paired(rows("fffff"), rows("ppppp"))
    assert few is not None
    assert more is not None
    assert few.interval[0] > 0
    assert (few.p_value > 0.05, few.clear) == (True, False)
    assert (more.p_value < 0.05, more.clear) == (True, True)
    assert (few.doubt, more.doubt) == ("too few tasks differ to rule chance out", "")
    even = paired(rows("fp"), rows("pf"))
    assert even is not None
    assert even.doubt == WITHIN


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_doubt_never_contradicts_the_figures_beside_it(change: float, down: float, up: float, p: float) -> None:
    interval = max(-1.0, change - down), min(1.0, change + up)
    told = doubt(change, interval, p)
    leaves_nought_out = interval[0] > 0 or interval[1] < 0
    assert (not told) == (leaves_nought_out and p < 0.05)
    if told == WITHIN:
        assert not leaves_nought_out, "what an interval leaves out is not said to be within it"
        assert p >= 0.05 or change == 0

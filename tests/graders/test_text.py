"""The text grader's six checks."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.graders import text
from skillgrad_ci.graders.text import TextGrader
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.ports import Result
from skillgrad_ci.method.task import GraderSpec, Task

ABCD = {"choices": ["A", "B", "C", "D"]}


def graded(answer: str, work: Path = Path("/nonexistent"), **options: Any) -> Grade:
    spec = GraderSpec("text", options)
    return TextGrader().grade(spec, Task("t", "?", [spec]), Result(work, answer))


@pytest.mark.parametrize(
    ("answer", "options", "right"),
    [
        (" North\r\n", {"exact": "North"}, True),
        ("north", {"exact": "North"}, False),
        ("NORTH", {"exact": "North", "ignore_case": True}, True),
        ("North.", {"exact": "North"}, False),
        ("a North b 150.5", {"contains": ["North", "150.5"]}, True),
        ("total: 12", {"regex": r"total: \d+$"}, True),
        ("Total: 12", {"regex": r"total: \d+$"}, False),
        ("Total: 12", {"regex": r"total: \d+$", "ignore_case": True}, True),
        ("The 3 regions make 1,234.50 in all.", {"number": 1234.5}, True),
        ("It is −5", {"number": -5}, True),
        ("1.2e3", {"number": 1200}, True),
        ("about 0.33", {"number": 1 / 3, "tolerance": 0.01}, True),
        ("0.33", {"number": 1 / 3}, False),
        ("5 of 7", {"number": 5}, False),
        ("1.234,50", {"number": 50}, False),
        ("12,34", {"number": 34}, False),
        ("1'234.50", {"number": 234.5}, False),
        ("1, 2 and 3.", {"number": 3}, True),
        ("room A-5", {"number": 5}, True),
        ("May of 2020-05", {"number": 5}, True),
        ("x=-.5!", {"number": -0.5}, True),
        ("none", {"number": 0}, False),
        ('{"b": [1, 2.0], "a": null}', {"json": {"a": None, "b": [1, 2]}}, True),
        ('Here:\n```json\n{"a": {"b": [5]}}\n```\n', {"json": 5, "path": "a.b.0"}, True),
        ("```\n1\n```\ntext\n```\n2\n```", {"json": 2}, True),
        ("true", {"json": 1}, False),
        ("null", {"json": None}, True),
        ("{", {"json": None}, False),
        ('{"a": 1}', {"json": 1, "path": "b"}, False),
        ("B", {"choice": "B", **ABCD}, True),
        ("**B.**", {"choice": "B", **ABCD}, True),
        ("A bird is odd.\n\nAnswer: B", {"choice": "B", **ABCD}, True),
        ("A or B", {"choice": "B", **ABCD}, False),
        ("b", {"choice": "B", **ABCD}, False),
        ("b", {"choice": "B", "ignore_case": True, **ABCD}, True),
        ("", {"choice": "B", **ABCD}, False),
        ("Banana", {"choice": "B", **ABCD}, False),
    ],
)
def test_checks(answer: str, options: dict[str, Any], right: bool) -> None:
    verdict = graded(answer, **options)
    assert verdict.score == float(right)
    assert (verdict.outcome is Outcome.PASSED) is right
    assert verdict.feedback


def test_contains_scores_the_share_that_is_there() -> None:
    verdict = graded("North", contains=["North", "South", "East", "West"])
    assert (verdict.outcome, verdict.score) == (Outcome.FAILED, 0.25)
    assert "'South', 'East', 'West'" in verdict.feedback


def test_a_file_can_be_checked(tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("North")
    assert graded("", tmp_path, exact="North", output="out.txt").outcome is Outcome.PASSED
    assert "was not written" in graded("", tmp_path, exact="North", output="no.txt").feedback


def test_a_pattern_that_never_ends_is_stopped_and_unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "REGEX_SECONDS", 0.5)
    started = time.monotonic()
    with pytest.raises(EnvironmentFailure, match="simplify it"):
        graded("a" * 64, regex="(a+)+$b")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("answer", ["[" * 100_000, "1" * 200_000, "```\n" * 50_000, '{"a":' * 5_000, "2," * 100_000])
def test_hostile_text_is_graded_in_bounded_time(answer: str) -> None:
    started = time.monotonic()
    for options in ({"json": 1}, {"number": 1}, {"exact": "x"}, {"contains": ["x"]}, {"choice": "B", **ABCD}):
        assert graded(answer, **options).outcome is Outcome.FAILED
    assert time.monotonic() - started < 5


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)


@given(JSON, JSON)
def test_json_equality_is_that_of_sorted_text(a: Any, b: Any) -> None:
    """Canonical text tells true from 1; over integers it is equality."""
    same = json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)
    assert (graded(json.dumps(a), json=b).score == 1.0) is same
    assert graded(json.dumps(a), json=a).score == 1.0


@given(st.floats(-1e9, 1e9), st.floats(0, 10), st.floats(-10, 10))
def test_a_number_is_right_within_its_tolerance(wanted: float, tolerance: float, off: float) -> None:
    verdict = graded(f"so it is {wanted + off:f}", number=wanted, tolerance=tolerance)
    if abs(abs(off) - tolerance) > 1e-5:
        assert (verdict.score == 1.0) is (abs(off) < tolerance)

"""The text grader's six checks."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.graders import text
from skillgrad_ci.graders.text import TextGrader
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.grader_options import TextOptions
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
        ("1'234.50", {"number": 1234.5}, True),
        ("1 234 567.5 rows", {"number": 1234567.5}, True),
        ("1\u00a0234\u202f567", {"number": 1234567}, True),
        ("rows 12 34", {"number": 1234}, False),
        ("between 2024 300", {"number": 300}, True),
        ("0.31", {"number": 0.30, "tolerance": 0.01}, True),
        ("0.29", {"number": 0.30, "tolerance": 0.01}, True),
        ("0.3101", {"number": 0.30, "tolerance": 0.01}, False),
        ("the share is 1/2", {"number": 2}, False),
        ("the share is 1/2 of 40", {"number": 40}, True),
        ("at 12:30", {"number": 30}, False),
        ("at 12:30 it was 40", {"number": 40}, True),
        ("about 10^3", {"number": 3}, False),
        ("of about 10^3 only 7", {"number": 7}, True),
        ("3 × 10", {"number": 10}, False),
        ("12 tons of CO2", {"number": 12}, True),
        ("12 tons of CO2", {"number": 2}, False),
        ("40 m2 of room", {"number": 40}, True),
        ("It weighs 30kg", {"number": 30}, True),
        ("EUR30", {"number": 30}, True),
        ("It was 17 (in 2024).", {"number": 17}, True),
        ("It was 17 (in 2024).", {"number": 2024}, False),
        ("(17)", {"number": 17}, True),
        ("none but CO2", {"number": 2}, False),
        ("1, 2 and 3.", {"number": 3}, True),
        ("room A-5", {"number": 5}, True),
        ("May of 2020-05", {"number": 5}, True),
        ("x=-.5!", {"number": -0.5}, True),
        ("none", {"number": 0}, False),
        ('{"b": [1, 2.0], "a": null}', {"json": {"a": None, "b": [1, 2]}}, True),
        ('Here:\n```json\n{"a": {"b": [5]}}\n```\n', {"json": 5, "path": "a.b.0"}, True),
        ("```\n1\n```\ntext\n```\n2\n```", {"json": 2}, True),
        ("true", {"json": 1}, False),
        ('{"a": [1]}', {"is_json": True}, True),
        ('So: {"a": 1}', {"is_json": True}, False),
        ("null", {"json": None}, True),
        ("{", {"json": None}, False),
        ('{"a": 1}', {"json": 1, "path": "b"}, False),
        ('The answer is {"a": 1}, as asked.', {"json": {"a": 1}}, True),
        ("It lists [1, 2] and then [3].", {"json": [3]}, True),
        ('1. So:\n\n   ```json\n   {"a": 1}\n   ```\n', {"json": {"a": 1}}, True),
        ('~~~\n{"a": 1}\n~~~\n', {"json": {"a": 1}}, True),
        ('```json\n{"a": 1}\n```\nRun:\n```sh\nls\n```\n', {"json": {"a": 1}}, True),
        ('{"a": 1, "a": 2}', {"json": {"a": 2}}, False),
        ('{"a": {"a": 2}}', {"json": {"a": {"a": 2}}}, True),
        ('The answer is {"a": 2}, as asked.', {"json": {"a": 1}}, False),
        ('~~~\n{"a": 2}\n~~~\n', {"json": {"a": 1}}, False),
        ('1. So:\n\n   ```json\n   {"a": 2}\n   ```\n', {"json": {"a": 1}}, False),
        ('```json\n{"a": 1}\n```\nNo:\n```json\n{"a": 2}\n```\n', {"json": {"a": 1}}, False),
        ('{"a.b": {"c": 1}}', {"json": 1, "path": "a.b.c"}, True),
        ('{"a.b": {"c": 2}}', {"json": 1, "path": "a.b.c"}, False),
        ('{"a.b": {"c": 1}}', {"json": 1, "path": "a.b.d"}, False),
        ('{"a": {"b": 2}}', {"json": 2, "path": "a.b"}, True),
        ('{"a": 0.31}', {"json": {"a": 0.30}, "tolerance": 0.01}, True),
        ('{"a": 0.32}', {"json": {"a": 0.30}, "tolerance": 0.01}, False),
        ('{"a": 0.31}', {"json": {"a": 0.30}}, False),
        ("cafe\u0301", {"exact": "caf\u00e9"}, True),
        ("cafe", {"exact": "caf\u00e9"}, False),
        ("in\u00a0all", {"contains": ["in all"]}, True),
        ("inall", {"contains": ["in all"]}, False),
        ("a b", {"regex": "a\u00a0b"}, True),
        ("no prices here", {"not_contains": ["EUR", "$"]}, True),
        ("5 EUR", {"not_contains": ["EUR"]}, False),
        ("Paris it is", {"contains": "Paris"}, True),
        ("New York", {"choice": "New York", "choices": ["York", "New York"]}, True),
        ("It is New York.", {"choice": "York", "choices": ["York", "New York"]}, False),
        ("It is York.", {"choice": "York", "choices": ["York", "New York"]}, True),
        ("York, not New York", {"choice": "York", "choices": ["York", "New York"]}, False),
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
    started = time.thread_time()
    with pytest.raises(EnvironmentFailure, match="simplify it"):
        graded("a" * 64, regex="(a+)+$b")
    assert time.thread_time() - started < 5


def test_a_pattern_that_composing_breaks_is_named_and_unmeasured() -> None:
    """The kelvin sign, composed, is the letter K: the range then runs backwards."""
    with pytest.raises(
        EnvironmentFailure, match=r"task t: the regex cannot be tried \(re.error: bad .* range .*simplify"
    ):
        graded("x", regex="[\u0100-\u212a]")


@pytest.mark.parametrize("answer", ["[" * 100_000, "1" * 200_000, "```\n" * 50_000, '{"a":' * 5_000, "2," * 100_000])
def test_hostile_text_is_graded_in_bounded_time(answer: str) -> None:
    started = time.thread_time()
    for options in ({"json": 1}, {"number": 1}, {"exact": "x"}, {"contains": ["x"]}, {"choice": "B", **ABCD}):
        assert graded(answer, **options).outcome is Outcome.FAILED
    assert time.thread_time() - started < 5


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


def test_an_edge_of_any_tolerance_is_met() -> None:
    for cents in range(1, 200):
        wanted, tolerance = cents / 100, cents / 1000
        edge = f"{cents / 100 + cents / 1000:.3f}"
        assert graded(edge, number=wanted, tolerance=tolerance).score == 1.0, edge


def test_a_file_that_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "out.bin").write_bytes(b"\xff\0")
    (tmp_path / "link").symlink_to("out.bin")
    assert graded("", tmp_path, exists=True, output="out.bin").score == 1.0
    assert graded("", tmp_path, exists=True, output="link").score == 0.0
    assert "was not written" in graded("", tmp_path, exists=True, output="none").feedback


def test_an_object_with_a_key_twice_says_so() -> None:
    assert "the key 'a' stands twice" in graded('{"a": 1, "a": 2}', json={"a": 2}).feedback


@pytest.mark.parametrize("options", [{"contains": []}, {"contains": [""]}, {"contains": [" "]}, {"contains": ""}])
def test_an_empty_contains_is_refused_when_it_is_read(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TextOptions.model_validate(options)

"""WikiTableQuestions' denotations: agreement with a second reading of the official evaluator."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skillgrad_ci.graders.table import MAX_CHARACTERS, TableGrader, normalize, predicted, right, value, value_set
from skillgrad_ci.method.evidence import Outcome
from skillgrad_ci.method.ports import Result
from skillgrad_ci.method.task import GraderSpec, Suite, Task
from skillgrad_ci.suites import load_suite
from tests.support import denotation_oracle as oracle

PIECES = [
    *"0123456789", "1", "12", "2009", "-", "xx", "xxxx", "-05", "-xx", ".", ",", "1,234", "e3", "nan", "inf", "_",
    "5.0", "0.9999999", "2.9999999", "3.0000004", " ", "\t", "\xa0", "\n", "(b)", " (c d)", "[1]", "[note]", "†", "*",
    '"', "'", "’", "“", "”", "–", "−", "é", "e\u0301", "ﬁ", "İ", "²", "٣", "A", "word", "The", "|", "\\n", "%", "$",
    "xx-12-05", "2012-xx-xx",
]  # fmt: skip
text = st.one_of(st.lists(st.sampled_from(PIECES), max_size=6).map("".join), st.text(max_size=8), st.floats().map(str))


def verdict(targets: list[str], canonical: list[str] | None, predictions: list[str]) -> bool:
    return right(value_set(targets, canonical), value_set(predictions))


@given(text)
@example('"a (b) [1]".')
@example("[1]")
@example("(only)")
def test_normal_forms_agree(raw: str) -> None:
    assert normalize(raw) == oracle.canonical_text(raw)


@given(text, st.none() | text)
@example("five", "5.0")
@example("July 4, 1776", "1776-07-04")
@example("2009", "2009-xx-xx")
@example("1_000", None)
@example("xx-xx-xx", None)
@example("1999-13-01", None)
def test_kinds_of_values_agree(raw: str, canonical: str | None) -> None:
    ours, theirs = value(raw, canonical), oracle.to_value(raw, canonical)
    assert ours.number == (theirs.amount if isinstance(theirs, oracle.NumberValue) else None)
    assert ours.date == (theirs.ymd if isinstance(theirs, oracle.DateValue) else None)


@st.composite
def questions(draw: st.DrawFn) -> tuple[list[str], list[str] | None, list[str]]:
    """Targets and predictions that have much in common: else nothing would ever match."""
    pool = draw(st.lists(text, min_size=1, max_size=3))
    pick = st.lists(st.sampled_from(pool), min_size=1, max_size=3)
    targets = draw(pick)
    canonical = draw(
        st.none() | st.lists(st.sampled_from([*pool, "5.0", "2009"]), min_size=len(targets), max_size=len(targets))
    )
    changed = st.tuples(
        st.sampled_from([*pool, *(canonical or [])]), st.sampled_from(["", ".", " ", ".0", " (x)", "[1]"])
    )
    return targets, canonical, draw(st.lists(changed.map("".join), min_size=1, max_size=3))


@settings(max_examples=250)
@given(questions())
@example((["5"], None, ["5.0"]))
@example((["a", "a."], None, ["A"]))
@example((["1,234"], ["1234.0"], ["1234"]))
@example((["2.9999999"], None, ["2"]))
@example((["2012-07-xx"], None, ["2012-7-xx"]))
@example((["5"], ["xx-xx-05"], ["5", "5.0"]))  # of equal values the first one's text counts
def test_verdicts_agree(question: tuple[list[str], list[str] | None, list[str]]) -> None:
    targets, canonical, predictions = question
    assert verdict(targets, canonical, predictions) == oracle.is_right(targets, canonical, predictions)


@pytest.fixture(scope="module")
def sample(samples: Path) -> Suite:
    return load_suite(samples / "wikitablequestions")


def answers(task: Task, others: list[str]) -> Iterator[list[str]]:
    """Right, nearly right and wrong predictions for one question."""
    options = task.graders[0].options
    targets, canonical = options["targets"], options.get("canonical") or options["targets"]
    yield from (targets, canonical, targets[::-1], targets[:-1] or [""], [*targets, "x"], targets * 2, others)
    yield [f" {t.upper()} [3]" for t in targets]
    yield [t.replace(",", "") for t in targets]
    yield [c.removesuffix(".0") for c in canonical]


def test_every_row_of_the_sample_agrees(sample: Suite) -> None:
    right_answers = 0
    others: list[str] = ["nothing"]
    for task in sample.tasks:
        options = task.graders[0].options
        for predictions in answers(task, others):
            wanted = oracle.is_right(options["targets"], options.get("canonical"), predictions)
            assert verdict(options["targets"], options.get("canonical"), predictions) == wanted, (task.id, predictions)
            right_answers += wanted
        others = list(options["targets"])
    assert right_answers > 2 * len(sample.tasks)  # the comparison has seen both kinds


def test_every_reference_of_the_sample_passes_and_silence_fails(sample: Suite, tmp_path: Path) -> None:
    grader = TableGrader()
    for task in sample.tasks:
        assert task.reference is not None
        good = grader.grade(task.graders[0], task, Result(tmp_path, task.reference.answer))
        assert good.outcome is Outcome.PASSED, task.id
        assert grader.grade(task.graders[0], task, Result(tmp_path)).outcome is Outcome.FAILED


def test_a_canonical_target_lets_the_canonical_answer_pass() -> None:
    assert verdict(["five"], ["5.0"], ["5"])
    assert not verdict(["five"], None, ["5"])


@pytest.mark.parametrize(
    ("message", "expected"),
    [("a", ["a"]), ("a\nb\n", ["a", "b"]), ("a\tb", ["a", "b"]), ("a\t", ["a", ""]), ("", [""]), ("\n\n", [""])],
)
def test_an_answer_is_split_at_tabs_or_else_at_lines(message: str, expected: list[str]) -> None:
    assert predicted(message) == expected


@pytest.mark.parametrize(
    "hostile", ["[" * MAX_CHARACTERS, " (" * 9_999, '"' * MAX_CHARACTERS, "a (b) [1]" * 2_000, "9" * 10**7]
)
def test_a_hostile_answer_is_graded_in_bounded_time(hostile: str, tmp_path: Path) -> None:
    started = time.thread_time()
    task = Task("t", "?", [GraderSpec("table", {"targets": ["a"]})])
    assert TableGrader().grade(task.graders[0], task, Result(tmp_path, hostile)).outcome is Outcome.FAILED
    assert time.thread_time() - started < 5

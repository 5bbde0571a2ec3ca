"""Precision and recall of a trigger set, and when a set says nothing."""

import pytest

from skillgrad_ci.method.acceptance.triggers import TriggerQuality
from skillgrad_ci.method.evidence import Evidence, Outcome
from skillgrad_ci.method.task import GraderSpec, Task


def query(name: str, wanted: bool) -> Task:
    return Task(name, name, [GraderSpec("trigger", {"should_trigger": wanted})], probe=True)


def row(name: str, outcome: Outcome) -> Evidence:
    return Evidence(name, "digest", outcome)


QUERIES = [query("a", True), query("b", True), query("c", False), query("d", False)]


@pytest.mark.parametrize(
    ("passed", "precision", "recall"),
    [("abcd", 1.0, 1.0), ("acd", 1.0, 0.5), ("abc", 2 / 3, 1.0), ("cd", None, 0.0), ("ab", 0.5, 1.0), ("", 0.0, 0.0)],
)
def test_precision_and_recall_are_of_activations(passed: str, precision: float | None, recall: float) -> None:
    rows = [row(task.id, Outcome.PASSED if task.id in passed else Outcome.FAILED) for task in QUERIES]
    quality = TriggerQuality.of(QUERIES, rows)
    assert quality.precision == (None if precision is None else pytest.approx(precision))
    assert quality.recall == pytest.approx(recall)


def test_both_are_said_in_words() -> None:
    assert TriggerQuality(3, 1, 3, 5).sentence == "triggering: precision 75%, recall 50%"
    assert TriggerQuality(stayed_rightly=5).sentence == (
        "triggering: precision it never fired, recall no query should fire"
    )


def test_what_was_not_measured_and_what_is_no_query_does_not_count() -> None:
    rows = [row("a", Outcome.UNMEASURED), row("b", Outcome.PASSED), row("x", Outcome.FAILED)]
    assert TriggerQuality.of(QUERIES, rows) == TriggerQuality(fired_rightly=1)


def test_a_set_on_which_the_skill_never_fires_is_a_broken_signal() -> None:
    assert "cannot see or activate skills here" in TriggerQuality(stayed_wrongly=2, stayed_rightly=9).broken
    assert TriggerQuality(stayed_wrongly=1, stayed_rightly=9).broken == ""
    assert TriggerQuality(fired_rightly=1, stayed_wrongly=9).broken == ""
    assert TriggerQuality(stayed_rightly=9).broken == ""

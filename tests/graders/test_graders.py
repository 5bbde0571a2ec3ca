"""Several graders make one verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.graders import grade
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.ports import Result
from skillgrad_ci.method.task import GraderSpec, Task


@dataclass
class Fixed:
    """Gives one score; None: cannot measure."""

    score: float | None
    identity: str = "fixed"

    def grade(self, spec: GraderSpec, task: Task, result: Result) -> Grade:
        if self.score is None:
            raise EnvironmentFailure("it is down")
        return Grade(Outcome.PASSED if self.score == 1 else Outcome.FAILED, self.score, "words")


def combined(parts: Sequence[tuple[float | None, float]], threshold: float = 1.0) -> Grade:
    """The verdict over `(score, weight)` pairs."""
    specs = [GraderSpec(str(number), weight=weight) for number, (_, weight) in enumerate(parts)]
    task = Task("t", "?", specs, threshold=threshold)
    graders = {str(number): Fixed(score, f"fixed-{number}") for number, (score, _) in enumerate(parts)}
    return grade(task, Result(Path()), graders)


scores = st.floats(0, 1)
weights = st.floats(0.01, 100)


@given(st.lists(st.tuples(scores, weights), min_size=1, max_size=4), st.floats(0.01, 1))
def test_the_weighted_mean_is_held_against_the_threshold(parts: list[tuple[float, float]], threshold: float) -> None:
    verdict = combined(parts, threshold)
    mean = sum(score * weight for score, weight in parts) / sum(weight for _, weight in parts)
    assert verdict.score == pytest.approx(mean, abs=1e-9)
    assert min(score for score, _ in parts) - 1e-9 <= verdict.score <= max(score for score, _ in parts) + 1e-9
    assert (verdict.outcome is Outcome.PASSED) == (verdict.score >= threshold - 1e-9)


@given(st.lists(weights, min_size=1, max_size=5))
def test_all_perfect_passes_whatever_the_weights(shares: list[float]) -> None:
    assert combined([(1.0, weight) for weight in shares]).outcome is Outcome.PASSED


def test_one_unmeasured_part_leaves_the_whole_unmeasured() -> None:
    for order in ([(1.0, 1.0), (None, 0.1)], [(None, 0.1), (0.0, 1.0)]):
        verdict = combined(order)
        assert verdict.outcome is Outcome.UNMEASURED
        assert "it is down" in verdict.feedback


def test_a_threshold_turns_a_partial_score_into_a_pass() -> None:
    assert combined([(0.8, 1)], threshold=0.8).outcome is Outcome.PASSED
    assert combined([(0.79, 1)], threshold=0.8).outcome is Outcome.FAILED


def test_weights_that_do_not_add_up_exactly_still_reach_the_threshold() -> None:
    assert 0.7 + 0.1 < 0.8
    assert combined([(1.0, 0.7), (1.0, 0.1), (0.0, 0.2)], threshold=0.8).outcome is Outcome.PASSED


def test_every_part_is_named_in_feedback_and_version() -> None:
    verdict = combined([(1.0, 0.7), (0.5, 0.3)])
    assert verdict.version == "fixed-0; fixed-1"
    assert "0 (weight 0.7): 1.00: words" in verdict.feedback
    assert "1 (weight 0.3): 0.50: words" in verdict.feedback


def test_weights_must_count_and_kinds_must_exist() -> None:
    with pytest.raises(UserError, match="weights of its graders add up to 0"):
        combined([(1.0, 0.0)])
    with pytest.raises(UserError, match="no grader of kind 'gone'"):
        grade(Task("t", "?", [GraderSpec("gone")]), Result(Path()), {"text": Fixed(1.0)})

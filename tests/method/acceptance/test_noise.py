"""A step passes by a gain beyond noise, where the noise is known; where it is not, by a single task, as ever."""

from fractions import Fraction
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.config.settings import Models, Settings
from skillgrad_ci.method.acceptance import DecideBy, Verdict, compare, score
from skillgrad_ci.method.acceptance.noise import Gate, above, flickers, flips
from skillgrad_ci.method.evidence import Evidence, Outcome
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.run import Run
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import Task
from skillgrad_ci.report.report import Circumstances, report_of
from skillgrad_ci.skill.skill import Skill
from tests.support.worlds import SKILL, Synthetic, suite, world


def rows(*passes: str) -> list[Evidence]:
    """A row for each trial of each task: p passed, f failed."""
    return [
        Evidence(f"t{n}", "d", Outcome.PASSED if each == "p" else Outcome.FAILED, float(each == "p"), trial=trial)
        for n, trials in enumerate(passes)
        for trial, each in enumerate(trials)
    ]


@given(st.integers(1, 5), st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]))
def test_the_net_gain_of_two_runs_of_one_skill_is_counted_over_all_ways(tasks: int, flicker: float) -> None:
    chances = dict.fromkeys(range(-tasks, tasks + 1), 0.0)
    for way in product((-1, 0, 1), repeat=tasks):
        weights = [1 - flicker if step == 0 else flicker / 2 for step in way]
        chance = 1.0
        for weight in weights:
            chance *= weight
        chances[sum(way)] += chance
    assert flickers(tasks, flicker) == pytest.approx(list(chances.values()))


@given(st.lists(st.integers(0, 4), max_size=6))
def test_the_sum_of_steps_that_go_up_or_down_is_counted_over_all_ways(steps: list[int]) -> None:
    reach = sum(steps)
    chances = dict.fromkeys(range(-reach, reach + 1), 0.0)
    for way in product((-1, 1), repeat=len(steps)):
        chances[sum(sign * step for sign, step in zip(way, steps, strict=True))] += 0.5 ** len(steps)
    assert flips(steps) == pytest.approx(list(chances.values()))


@given(st.integers(2, 30), st.floats(0.0, 0.6), st.sampled_from([0.05, 0.1, 0.2]))
def test_a_skill_that_is_the_same_passes_about_as_seldom_as_the_level_says(
    tasks: int, flicker: float, level: float
) -> None:
    """The chance of a wrong acceptance is at most the level and half of the chance of the least gain that passes."""
    chances = flickers(tasks, flicker)
    passing = [chances[tasks + gain] for gain in range(1, tasks + 1) if above(chances, gain) <= level]
    assert sum(passing) <= level + max(passing, default=0.0) / 2 + 1e-12
    assert sum(passing) <= 2 * level


@given(st.lists(st.tuples(st.text("pf", min_size=3, max_size=3), st.text("pf", min_size=3, max_size=3)), max_size=6))
def test_with_several_trials_the_chance_is_that_of_all_flips_of_the_differences(pairs: list[tuple[str, str]]) -> None:
    """Of all ways to turn the tasks' differences round: the share that gains more, and half of what gains as much."""
    candidate, incumbent = rows(*(new for new, _ in pairs)), rows(*(old for _, old in pairs))
    gains = [new.count("p") - old.count("p") for new, old in pairs]
    sums = [
        sum(sign * gain for sign, gain in zip(way, gains, strict=True)) for way in product((-1, 1), repeat=len(gains))
    ]
    more, same = (sum(test(total) for total in sums) for test in (sum(gains).__lt__, sum(gains).__eq__))
    if pairs:
        assert Gate().chance(candidate, incumbent) == pytest.approx((more + same / 2) / len(sums))
        assert Gate(flicker=0.3).chance(candidate, incumbent) == Gate().chance(candidate, incumbent)


def test_several_trials_of_one_task_are_enough_to_ask_for_more_than_one_task() -> None:
    """Also where the others were measured once, and what was not measured is no trial."""
    lost = Evidence("t1", "d", Outcome.UNMEASURED, trial=1)
    before = rows("f", "f", "ff")
    assert Gate().refusal([*rows("p", "f", "f"), lost], before) == ""
    assert "within noise" in Gate().refusal(rows("p", "f", "ff"), before)


@given(
    st.integers(1, 7),
    st.integers(1, 3),
    st.none() | st.sampled_from([0.0, 0.1, 0.4]),
    st.sampled_from(["pass", "score"]),
    st.sampled_from([0.05, 0.2]),
)
def test_a_gain_passes_from_the_least_on_that_is_told(
    tasks: int, trials: int, flicker: float | None, by: DecideBy, level: float
) -> None:
    gate, before = Gate(by, flicker, level), rows(*["f" * trials] * tasks)
    least = gate.least(tasks, trials)
    for gained in range(1, tasks + 1):
        after = rows(*["p" * trials] * gained, *["f" * trials] * (tasks - gained))
        assert (gate.refusal(after, before) == "") == (least is not None and Fraction(gained, tasks) >= least)


def test_with_one_trial_and_nothing_known_one_task_decides() -> None:
    assert Gate().refusal(rows("p", "f", "f"), rows("f", "f", "f")) == ""
    assert Gate().refusal(rows("f", "f"), rows("f", "f")) == "tie on validation"


def test_with_several_trials_a_task_that_flickers_once_is_noise() -> None:
    before = rows("fff", "ppp", "fpf", "fff")
    told = "the gain on validation is within noise (one-sided p = 0.25, level 0.2)"
    assert Gate().refusal(rows("fff", "ppp", "ppf", "fff"), before) == told
    assert Gate().refusal(rows("pff", "ppp", "ppf", "fff"), before) == ""
    assert Gate(level=0.1).refusal(rows("pff", "ppp", "ppf", "fff"), before)
    assert Gate().refusal(rows("fff", "ppp", "fff", "fff"), before) == "worse on validation"


def test_a_known_flicker_says_what_one_trial_is_worth() -> None:
    one, before = rows("p", *"ffffffffff"), rows(*"fffffffffff")
    assert Gate(flicker=0.01).refusal(one, before) == ""
    assert "within noise" in Gate(flicker=0.3).refusal(one, before)
    assert Gate(flicker=0.3).refusal(rows("p", "p", "p", *"ffffffff"), before) == ""


def scored(*scores: float) -> list[Evidence]:
    return [Evidence(f"t{n}", "d", Outcome.PASSED if s == 1 else Outcome.FAILED, s) for n, s in enumerate(scores)]


def test_partial_scores_decide_where_that_is_said() -> None:
    before, after = scored(0.5, 0.25), scored(0.75, 0.25)
    assert compare(after, before) is Verdict.TIE
    assert compare(after, before, "score") is Verdict.BETTER
    assert compare(before, after, "score") is Verdict.WORSE
    assert Gate().refusal(after, before) == "tie on validation"
    assert Gate("score").refusal(after, before) == ""
    assert score(after, "score") == Fraction(1, 2)


@pytest.mark.parametrize(
    ("gate", "tasks", "trials", "least"),
    [
        (Gate(), 5, 1, Fraction(1, 5)),
        (Gate(), 5, 3, Fraction(2, 5)),
        (Gate(), 1, 3, None),
        (Gate(flicker=0.0), 10, 1, Fraction(1, 10)),
        (Gate(flicker=0.4), 10, 1, Fraction(2, 10)),
        (Gate(level=0.01), 4, 3, None),
    ],
)
def test_the_least_gain_that_passes(gate: Gate, tasks: int, trials: int, least: Fraction | None) -> None:
    assert gate.least(tasks, trials) == least


def test_a_gate_that_opens_at_just_a_fifth_is_not_too_small() -> None:
    asked = "Each step had to gain beyond noise on 5 validation tasks (one-sided, level 0.2): whole tasks worth"
    assert Gate(flicker=0.0).words(5, 1) == f"{asked} 20 points, if none got worse."
    small = "; the split is too small for this gate to mean much."
    assert Gate(flicker=0.0).words(4, 1).endswith(f"worth 25 points, if none got worse{small}")
    assert Gate().words(5, 1).startswith("Each step had to win on 5 validation tasks with one trial")


def run(tasks: int = 48, **settings: Any) -> Run:
    config = LoopSettings(iterations=3, accept="validate", **settings)
    return optimize(SKILL, suite(tasks), config, PatternMemory("s"), world(Partial()))


class Partial(Synthetic):
    """Every task has two parts: one is done by any skill that holds an edit, the other by what the task needs."""

    def __call__(self, skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        row = super().__call__(skill, task, iteration=iteration, trial=trial)
        edited = skill is not None and "always" in skill.text
        return Evidence(**{**vars(row), "score": 1.0 if row.passed else 0.5 if edited else 0.0})


def remarks(result: Run) -> str:
    around = Circumstances(Settings(models=Models(executor="p/m")), "skills/s", "evals/s", "sandlock", "x")
    return " ".join(report_of(result, around).remarks)


def test_the_report_says_what_the_gate_asked_and_where_the_split_is_too_small() -> None:
    assert "Each step had to win on 12 validation tasks with one trial, so chance may have decided" in remarks(run())
    told = remarks(run(trials=2))
    assert "had to gain beyond noise on 12 validation tasks (one-sided, level 0.2): whole tasks worth 17" in told
    assert "too small" not in told
    assert "the split is too small for this gate to mean much" in remarks(run(24, trials=2))
    assert "too few for any step to show that" in remarks(run(24, trials=2, gate_level=0.001))


def test_the_headline_says_that_scores_decide_and_passes_name_what_scores_did() -> None:
    around = Circumstances(Settings(models=Models(executor="p/m")), "skills/s", "evals/s", "sandlock", "x")
    by_score, by_pass = (report_of(run(decide_by=by), around) for by in ("score", "pass"))
    assert by_score.headline.startswith("Heldout score rose from 0.0% to 100.0%")
    assert any(
        remark.startswith("Partial scores decide here (decide_by: score); accuracy") for remark in by_score.remarks
    )
    assert by_pass.headline.startswith("Heldout accuracy rose")
    assert by_pass.heldout.scores is None  # no score between nought and one was measured


def test_a_statement_more_in_tasks_that_still_fail_is_no_longer_no_change() -> None:
    """One step that teaches what a third of the tasks need does half of all the others."""
    config = {"iterations": 1, "batch_size": 1, "accept": "final"}
    results = [
        optimize(
            SKILL, suite(12, ("alpha", "beta")), LoopSettings(**config, decide_by=by), PatternMemory("s"), world(Half())
        )
        for by in ("pass", "score")
    ]
    assert [result.verdict for result in results] == [Verdict.TIE, Verdict.BETTER]
    assert "The mean score went from 0.0% to 50.0%" in remarks(results[0])


class Half(Partial):
    """No task ever passes; an edit does half of each."""

    def __call__(self, skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        row = super().__call__(skill, task, iteration=iteration, trial=trial)
        return Evidence(**{**vars(row), "outcome": Outcome.FAILED, "score": min(0.5, row.score)})

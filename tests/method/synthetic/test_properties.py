"""What the algorithm promises, held over many seeds with wide margins. A promise that does not hold is told as such."""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

import pytest

from skillgrad_ci.method.optimizers.choices import LOOP, Preset
from tests.method.synthetic.nature import Lived, Nature, cross, live, lives
from tests.support.worlds import SKILL

SEEDS = 16
SKILLOPT = {"batch_size": 12, "iterations": 6}


def mean(runs: Sequence[Lived], of: Callable[[Lived], float]) -> float:
    return fmean(map(of, runs))


def accuracy(runs: Sequence[Lived]) -> float:
    """The mean true accuracy of the skills in the end."""
    return mean(runs, lambda one: one.after)


def test_one_seed_gives_one_run_and_learning_helps() -> None:
    first, second = lives(Nature(), 3), lives(Nature(), 3)
    assert [one.run.final.digest for one in first] == [one.run.final.digest for one in second]
    assert len({one.run.final.digest for one in first}) > 1
    assert round(Nature().accuracy(SKILL), 6) == 0.1
    assert accuracy(first) > 0.7


def test_a_gate_beats_taking_all_where_edits_harm() -> None:
    """`final` looks once: it only keeps a spoiled skill from being taken."""
    harmful = Nature(harm=0.4)
    gated, always = lives(harmful, SEEDS, accept="validate"), lives(harmful, SEEDS)
    assert accuracy(gated) > 2 * accuracy(always)


def test_momentum_keeps_edits_from_being_repeated() -> None:
    """The record tells the patcher which remedies were tried, so it makes guidance firm instead of saying it again."""
    with_record, without = lives(Nature(), SEEDS), lives(Nature(), SEEDS, momentum=False)
    assert mean(with_record, lambda one: one.agents.repeated) < 0.2 * mean(without, lambda one: one.agents.repeated)
    assert accuracy(with_record) > accuracy(without) + 0.2
    assert mean(with_record, lambda one: one.lines) < mean(without, lambda one: one.lines)


def test_contrastive_diagnoses_keep_what_works_from_being_tidied_away() -> None:
    tidy: dict[str, Any] = {"batch_size": 12}
    contrastive, blind = (lives(Nature(tidies=1.0), SEEDS, contrastive=each, **tidy) for each in (True, False))
    assert mean(contrastive, lambda one: one.agents.lost) < 0.8 * mean(blind, lambda one: one.agents.lost)
    assert accuracy(contrastive) > accuracy(blind) + 0.1


def test_an_edit_budget_bounds_bloat() -> None:
    wordy = Nature(bloat=4, forget=40)
    parts = ({"preset": "skillopt", "slow_tasks": 0, "rate": rate} for rate in ("cosine", "none"))
    bounded, free = (lives(wordy, SEEDS, optimizer=each, **SKILLOPT) for each in parts)
    assert mean(bounded, lambda one: one.lines) < 0.5 * mean(free, lambda one: one.lines)
    assert accuracy(bounded) > accuracy(free) + 0.1


def test_a_slow_update_mends_what_steps_miss() -> None:
    half_blind = Nature(blind=frozenset({"m0"}))
    parts = ({"preset": "skillopt", "rate": "none", "slow_tasks": tasks} for tasks in (20, 0))
    slow, steps = (lives(half_blind, SEEDS, optimizer=each, **SKILLOPT) for each in parts)
    chances = [mean(runs, lambda one: half_blind.chance(one.run.final, "m0")) for runs in (slow, steps)]
    assert chances[0] > chances[1] + 0.4


def test_a_gate_beyond_noise_takes_less_junk_at_the_same_cost() -> None:
    """A level of one is the strict comparison: the same executions, and any gain passes."""
    noisy = Nature(unguided=0.3, hint=0.6, junk=0.6)
    aware, strict = (lives(noisy, SEEDS, accept="validate", trials=3, gate_level=level) for level in (0.2, 1.0))
    assert mean(aware, lambda one: one.junk) < 0.75 * mean(strict, lambda one: one.junk)
    cost = [mean(runs, lambda one: one.executions) for runs in (aware, strict)]
    assert abs(cost[0] - cost[1]) < 0.1 * cost[1]


def test_momentum_keeps_guidance_from_swinging_to_and_fro() -> None:
    """Without the record a hint that does not do is turned round, and turned back: nobody knows that it was tried."""
    swinging = Nature(swings=0.8)
    with_record, without = (lives(swinging, SEEDS // 2, momentum=each) for each in (True, False))
    assert mean(without, lambda one: one.swings) > 1
    assert mean(with_record, lambda one: one.swings) < 0.2 * mean(without, lambda one: one.swings)
    assert accuracy(with_record) > accuracy(without) + 0.2


@pytest.mark.parametrize("trials", [1, 3])
def test_the_exact_bound_saves_executions_and_changes_no_verdict(trials: int) -> None:
    harmful, gated = Nature(harm=0.3), {"accept": "validate", "trials": trials}
    bound, whole = (
        [live(harmful, seed, bounded=each, **gated) for seed in range(SEEDS // 4)] for each in (True, False)
    )
    for one, other in zip(bound, whole, strict=True):
        accepted = [[step.verdict == "accepted" for step in lived.run.iterations] for lived in (one, other)]
        assert accepted[0] == accepted[1]
        assert one.run.final.digest == other.run.final.digest
    assert mean(bound, lambda one: one.executions) < mean(whole, lambda one: one.executions)


@pytest.mark.parametrize(("accept", "least"), [("final", 0.1), ("validate", 0.05)])
def test_what_cross_fitting_estimates_is_what_its_runs_gain(accept: str, least: float) -> None:
    """On suites of twelve tasks, each drawn anew; a figure of the tasks that taught would be far above it."""
    crossed = [cross(Nature(harm=0.2), seed, accept=accept) for seed in range(SEEDS)]
    estimates, gains = [one.delta.change for one in crossed], [one.gain for one in crossed]
    assert fmean(gains) > least
    assert abs(fmean(estimates) - fmean(gains)) < 0.08
    covered = [low <= one.gain <= high for one in crossed for low, high in [one.delta.interval]]
    assert fmean(covered) > 0.8


@pytest.mark.parametrize("preset", ["skillgrad", "skillopt", "evoskill", "trace2skill"])
def test_every_optimizer_that_learns_does_so_here(preset: Preset) -> None:
    """As their papers have them, but for fewer and smaller batches."""
    small: dict[str, Any] = {"skillopt": {"batch_size": 8, "iterations": 6}, "evoskill": {"iterations": 6}}
    config = {"optimizer": preset, "accept": LOOP[preset].get("accept", "final"), **small.get(preset, {})}
    runs = lives(Nature(), SEEDS // 4, **config)
    assert accuracy(runs) > 0.3
    assert [one.run.settings.optimizer.preset for one in runs] == [preset] * len(runs)

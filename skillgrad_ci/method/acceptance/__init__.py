"""Line search: when a candidate skill takes the place of the one in hand.

`always` takes every valid patch (the paper). `validate` wants strictly more on the validation tasks
after each patch; a tie is rejected. `final` iterates as `always`, and then wants the final skill to be
strictly better than the initial one. `no-worse`, for edits that make a skill shorter, wants a loss of
more than a margin ruled out after each patch. `triggers.py` checks edits of the description before that,
`bound.py` ends a measurement that cannot be won any more, `clock.py` says where executions that ended at a time limit
forbid a verdict, `noise.py` what a gain beyond noise is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Literal

from skillgrad_ci.errors import UserError
from skillgrad_ci.method.acceptance.clock import incomparable
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.task import Split, Suite, Task
from skillgrad_ci.skill.skill import Skill

Mode = Literal["always", "validate", "final", "no-worse"]
DecideBy = Literal["pass", "score"]
GATED = ("validate", "no-worse")  # the modes that measure each candidate on validation tasks
NO_WORSE_Z = 0.8416  # one-sided, at the level 0.2
GRID = 840  # scores count in parts of this: halves to eighths are exact, and sums over tasks stay small numbers


class Verdict(StrEnum):
    """A candidate against an incumbent on the same tasks."""

    BETTER = "better"
    TIE = "tie"
    WORSE = "worse"
    UNCHECKED = "unchecked"  # too little could be measured in both to say, or a clock ended too much of it


def check_mode(mode: Mode, suite: Suite) -> None:
    """Raises UserError where the suite cannot serve the mode."""
    if mode != "always":
        suite.reviewed()
    if mode in GATED and not suite.of(Split.VALIDATION):
        raise UserError(
            f"{suite.root}: accept: {mode} needs validation tasks and the suite has none; "
            "give some tasks 'split: validation' (or 20 tasks or more), or use accept: final"
        )


def check_split(suite: Suite) -> Split:
    """Where the end check looks: validation, else heldout, else the training tasks themselves."""
    return next(split for split in (Split.VALIDATION, Split.HELDOUT, Split.TRAIN) if suite.of(split))


def check_tasks(suite: Suite) -> list[Task]:
    """The tasks that the end check measures: those of its split that a person has reviewed."""
    return [task for task in suite.of(check_split(suite)) if not task.unreviewed]


def compare(candidate: Sequence[Evidence], incumbent: Sequence[Evidence], by: DecideBy = "pass") -> Verdict:
    """Compare pass rates, or mean scores, averaged over the tasks measured in both.

    `UNCHECKED` where more than half of the candidate's tasks could not be paired, or where the clock forbids it.
    """
    if untold(candidate, incumbent):
        return Verdict.UNCHECKED
    new, old = task_means(candidate, by), task_means(incumbent, by)
    paired = new.keys() & old.keys()
    change = sum((new[task] - old[task] for task in paired), Fraction())
    return Verdict.BETTER if change > 0 else Verdict.WORSE if change < 0 else Verdict.TIE


def untold(candidate: Sequence[Evidence], incumbent: Sequence[Evidence], what: str = "tasks") -> str:
    """Why a candidate and an incumbent cannot be compared; "" where they can."""
    tasks = {row.task_id for row in candidate}
    paired = pass_rates(candidate).keys() & pass_rates(incumbent).keys()
    if not paired or 2 * len(paired) < len(tasks):
        return f"{len(paired)} of {len(tasks)} {what} could be measured in both"
    return incomparable(incumbent, candidate)


def no_worse(
    candidate: Sequence[Evidence], initial: Sequence[Evidence], margin: float, by: DecideBy = "pass"
) -> tuple[bool, str]:
    """Whether the evidence rules out a loss of more than `margin`, and that in words.

    The share of tasks that got worse is bounded by Wilson's upper limit (one-sided, level 0.2), and what other
    tasks gained is taken off it: our reading of "not worse", which leaves no room where few tasks are measured.
    """
    if why := untold(candidate, initial):
        return False, f"nothing can be said: {why}"
    new, old = task_means(candidate, by), task_means(initial, by)
    paired = new.keys() & old.keys()
    n, square = len(paired), NO_WORSE_Z**2
    lost = float(sum(max(Fraction(), old[task] - new[task]) for task in paired)) / n
    won = float(sum(max(Fraction(), new[task] - old[task]) for task in paired)) / n
    spread = NO_WORSE_Z * ((lost * (1 - lost) + square / (4 * n)) / n) ** 0.5
    bound = (lost + square / (2 * n) + spread) / (1 + square / n) - won
    return bound <= margin, f"a loss of up to {100 * max(0.0, bound):.1f} points is possible ({n} tasks)"


def score(evidence: Sequence[Evidence], by: DecideBy = "pass") -> Fraction:
    """The mean over measured tasks of what decides; below all others where nothing was measured."""
    rates = task_means(evidence, by)
    return sum(rates.values(), Fraction()) / len(rates) if rates else Fraction(-1)


def pass_rates(evidence: Sequence[Evidence]) -> Mapping[str, Fraction]:
    """Each measured task's share of passed trials, exact."""
    return task_means(evidence, "pass")


def task_means(evidence: Sequence[Evidence], by: DecideBy) -> Mapping[str, Fraction]:
    """Each measured task's mean over its trials: of passes, or of scores.

    A score is the share of a task's statements, checks or cells that are right, so these are clustered by task.
    """
    trials: dict[str, list[Fraction]] = {}
    for row in evidence:
        if row.measured:
            value = Fraction(row.passed) if by == "pass" else Fraction(round(row.score * GRID), GRID)
            trials.setdefault(row.task_id, []).append(value)
    return {task: sum(values, Fraction()) / len(values) for task, values in trials.items()}


@dataclass(frozen=True)
class Incumbent:
    """A skill in hand, with what was measured of it: on validation tasks, and on the trigger set.

    `validation` is empty where no measurement was needed to accept the skill. `line` are the iterations whose
    edits lead to it.
    """

    skill: Skill
    validation: Sequence[Evidence] = ()
    triggers: Sequence[Evidence] = ()
    line: tuple[int, ...] = ()

"""Line search: when a candidate skill takes the place of the one in hand.

`always` takes every valid patch (the paper). `validate` wants strictly more on the validation tasks
after each patch; a tie is rejected. `final` iterates as `always`, and then wants the final skill to be
strictly better than the initial one.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from fractions import Fraction
from typing import Literal

from skillgrad_ci.errors import UserError
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.task import Split, Suite

Mode = Literal["always", "validate", "final"]


class Verdict(StrEnum):
    """A candidate against an incumbent on the same tasks."""

    BETTER = "better"
    TIE = "tie"
    WORSE = "worse"
    UNCHECKED = "unchecked"  # too little could be measured in both to say


def check_mode(mode: Mode, suite: Suite) -> None:
    """Raises UserError where the suite cannot serve the mode."""
    if mode == "validate" and not suite.of(Split.VALIDATION):
        raise UserError(
            f"{suite.root}: accept: validate needs validation tasks and the suite has none; "
            "give some tasks 'split: validation' (or 20 tasks or more), or use accept: final"
        )


def check_split(suite: Suite) -> Split:
    """Where the end check looks: validation, else heldout, else the training tasks themselves."""
    return next(split for split in (Split.VALIDATION, Split.HELDOUT, Split.TRAIN) if suite.of(split))


def compare(candidate: Sequence[Evidence], incumbent: Sequence[Evidence]) -> Verdict:
    """Compare pass rates, averaged over the tasks measured in both.

    `UNCHECKED` where more than half of the candidate's tasks could not be paired.
    """
    new, old = pass_rates(candidate), pass_rates(incumbent)
    paired = new.keys() & old.keys()
    if not paired or 2 * len(paired) < len({row.task_id for row in candidate}):
        return Verdict.UNCHECKED
    change = sum((new[task] - old[task] for task in paired), Fraction())
    return Verdict.BETTER if change > 0 else Verdict.WORSE if change < 0 else Verdict.TIE


def pass_rates(evidence: Sequence[Evidence]) -> Mapping[str, Fraction]:
    """Each measured task's share of passed trials, exact."""
    trials: dict[str, list[bool]] = {}
    for row in evidence:
        if row.measured:
            trials.setdefault(row.task_id, []).append(row.passed)
    return {task: Fraction(sum(passes), len(passes)) for task, passes in trials.items()}

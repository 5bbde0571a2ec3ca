"""The seam: an optimizer is a value of three functions, and a fourth for the end of an epoch.

The loop calls them and knows none of them by name; what they propose goes through one and the same acceptance.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from skillgrad_ci.method.evidence import Evidence, Flat
from skillgrad_ci.method.patch import EditResult
from skillgrad_ci.method.run import Iteration, Run
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import Task
from skillgrad_ci.method.world import World
from skillgrad_ci.skill.skill import Skill


@dataclass(frozen=True)
class Batch:
    """Tasks of one step. `ends_epoch` says that all training tasks were seen since the epoch began.

    `known` is evidence that is at hand, by task: it is not executed again.
    """

    tasks: Sequence[Task] = ()
    epoch: int = 1
    ends_epoch: bool = False
    known: Mapping[str, Evidence] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidate:
    """A candidate for the next skill, and what became of the edits that lead to it."""

    skill: Skill
    edits: Sequence[EditResult]


Draw = Callable[[Run], Iterator[Batch]]
Teach = Callable[[Run, World, Iteration, Batch], Iteration]  # the step with its evidence and gradients
Propose = Callable[[Run, World, Iteration], tuple[Iteration, Candidate]]  # the step with its record and overlay
Enough = Callable[[LoopSettings], int | None]  # failures of the base run that fill the pool; None: all tasks are needed


@dataclass(frozen=True)
class Optimizer:
    """A choice of parts. `enough` says when the base run may end. `slow` proposes at an epoch's end, of a step that
    holds what both skills did.

    `patience` is how many batches in a row without a failure end the run; None where failures are not what teaches.
    `ends_on` are the base runs that leave it nothing to do.
    """

    enough: Enough
    draw: Draw
    teach: Teach
    propose: Propose
    slow: Propose | None = None
    patience: int | None = 4
    ends_on: Collection[Flat] = frozenset(Flat)

"""What the loop and the session tell while they work: one frozen class an event.

Texts in them are data of models, tasks and graders: whoever shows an event makes them inert first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from skillgrad_ci.method.evidence import Outcome


@dataclass(frozen=True)
class Noted:
    """Something that a person should know before the run goes on."""

    text: str


@dataclass(frozen=True)
class Starting:
    """A stage of the start begins or has come on, before anything is measured: it can take a minute."""

    stage: str


@dataclass(frozen=True)
class Estimated:
    """What the run may take, in one line, and how many executions at most; told again once the base run is in."""

    text: str
    executions: int = 0


@dataclass(frozen=True)
class Measuring:
    """A measurement of so many executions begins; `name` is its iteration (`base`, `validate-2`, `final`).

    `at_most`: it ends before them once it has shown what is asked.
    """

    name: str
    executions: int
    at_most: bool = False


@dataclass(frozen=True)
class BatchBegun:
    """An iteration begins, with these tasks by id; `at_most` so many follow each other.

    `reused` names by task the measurement that is not repeated.
    """

    number: int
    tasks: Sequence[str]
    at_most: int = 0
    reused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Executing:
    """An execution that is to be paid for begins."""

    iteration: str
    task: str
    trial: int


@dataclass(frozen=True)
class SpentSoFar:
    """What the run has taken so far, of its cap: `$0.31 of $5`."""

    text: str


@dataclass(frozen=True)
class Executed:
    """One execution of a measurement or a batch is graded; `seconds` is how long both took."""

    iteration: str
    task: str
    trial: int
    outcome: Outcome
    feedback: str
    seconds: float


@dataclass(frozen=True)
class Replied:
    """A model replied. `role` names the agent, and the task where it executes one."""

    role: str
    text: str


@dataclass(frozen=True)
class Dropped:
    """A diagnosis (`what` is its task) or a patch (`what` is its iteration) was given up, and the run goes on."""

    what: str
    why: str


@dataclass(frozen=True)
class IterationDone:
    """An iteration ended; `verdict` says what became of its patch."""

    number: int
    verdict: str


Event = (
    Noted
    | Starting
    | Estimated
    | Measuring
    | BatchBegun
    | Executing
    | SpentSoFar
    | Executed
    | Replied
    | Dropped
    | IterationDone
)

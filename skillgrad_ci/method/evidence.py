"""The loss: what one execution of one task showed.

An infrastructure failure is `UNMEASURED`. It is never a zero, it is left out of
every accuracy, and no agent learns from it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """What the grader could say of an execution."""

    PASSED = "passed"
    FAILED = "failed"
    UNMEASURED = "unmeasured"


@dataclass(frozen=True)
class Usage:
    """What model calls took: tokens, and US dollars where the price is known (None: unknown)."""

    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    usd: float | None = 0.0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "Usage") -> "Usage":
        known = self.usd is not None and other.usd is not None
        return Usage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.completion_tokens + other.completion_tokens,
            (self.usd or 0.0) + (other.usd or 0.0) if known else None,
        )


@dataclass(frozen=True)
class ModelCall:
    """A call of the conversation: `first` is the index of the event that its reply began with, `time` in ISO 8601."""

    first: int
    usage: Usage
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))


@dataclass(frozen=True)
class Trajectory:
    """Everything an executor did on one task.

    `events` are JSON objects in order, each with `kind`:
    `{"kind": "message", "role": "system" | "user" | "assistant", "text": str}`,
    `{"kind": "tool_call", "id": str, "tool": str, "arguments": object | str}`,
    `{"kind": "tool_result", "id": str, "tool": str, "output": str, "exit_code": int | None}`.
    `answer` is the last assistant message. `stopped` says why the execution ended:
    `answered`, `turns`, `timeout`, `empty` (it said nothing, twice in a row), `context` (the conversation
    outgrew the model), `refused` (the model would not go on, or its provider's content filter ended the
    reply), `length` (the one reply was cut) or `activated` (a probe's end).
    `activated` and `references_read` speak of the measured skill; `others_activated` names other skills.
    `model_calls` tell what each turn took and when it came; `usage` also counts calls beside the conversation.
    """

    events: Sequence[Mapping[str, Any]] = ()
    answer: str = ""
    turns: int = 0
    activated: bool = False
    references_read: Sequence[str] = ()
    stopped: str = "answered"
    usage: Usage = field(default_factory=Usage)
    others_activated: Sequence[str] = ()
    model_calls: Sequence[ModelCall] = ()


@dataclass(frozen=True)
class Grade:
    """A grader's verdict: `score` in [0, 1], feedback for the diagnoser, the grader's version."""

    outcome: Outcome
    score: float = 0.0
    feedback: str = ""
    version: str = ""

    def __post_init__(self) -> None:
        if not 0.0 <= self.score <= 1.0:
            raise ValueError(f"a grade's score lies in [0, 1], not {self.score}")


@dataclass(frozen=True)
class Evidence:
    """One graded execution. For an unmeasured one `feedback` names the infrastructure's failure."""

    task_id: str
    skill_digest: str
    outcome: Outcome
    score: float = 0.0
    feedback: str = ""
    trajectory: Trajectory = field(default_factory=Trajectory)
    seconds: float = 0.0
    trial: int = 0
    versions: str = ""  # executor, sandbox and grader identities: a delta never mixes two

    @property
    def passed(self) -> bool:
        return self.outcome is Outcome.PASSED

    @property
    def failed(self) -> bool:
        return self.outcome is Outcome.FAILED

    @property
    def measured(self) -> bool:
        return self.outcome is not Outcome.UNMEASURED

    @property
    def timed_out(self) -> bool:
        """Whether a time limit ended it; it is graded all the same."""
        return self.trajectory.stopped == "timeout"


@dataclass(frozen=True)
class Accuracy:
    """Passed over measured executions; `value` is None when nothing was measured.

    `timed_out` of the measured ones ended at a time limit.
    """

    passed: int
    measured: int
    unmeasured: int
    timed_out: int = 0

    @property
    def value(self) -> float | None:
        return self.passed / self.measured if self.measured else None

    @classmethod
    def of(cls, evidence: Iterable[Evidence]) -> "Accuracy":
        rows = list(evidence)
        measured = sum(row.measured for row in rows)
        late = sum(row.measured and row.timed_out for row in rows)
        return cls(sum(row.passed for row in rows), measured, len(rows) - measured, late)


class Flat(StrEnum):
    """Why a base run gives no direction to descend in."""

    UNMEASURED = "unmeasured"
    PASSED = "passed"
    SAME_FAILURE = "same failure"


def flat_signal(evidence: Sequence[Evidence]) -> tuple[Flat, str] | None:
    """Whether a base run teaches nothing, and what that usually means; None where it can teach."""
    measured = [row for row in evidence if row.measured]
    if not measured:
        first = evidence[0].feedback if evidence else "the suite is empty"
        return Flat.UNMEASURED, f"no task could be measured; the first says: {first}"
    if all(row.passed for row in measured):
        return Flat.PASSED, f"all {len(measured)} measured tasks pass with the skill as it is: nothing is left to learn"
    idle = not any(event["kind"] == "tool_call" for row in measured for event in row.trajectory.events)
    # What an idle model did not write is named by feedback, and such a file's name often holds the task's id.
    alike = {row.feedback.replace(row.task_id, "") if idle else row.feedback for row in measured}
    if len(alike) == 1 and len(measured) >= 3 and not any(row.passed for row in measured):
        grader = "usually the grader, or a path that it expects, is wrong"
        cause = "the model never used a tool, or has none" if idle else grader
        said = measured[0].feedback or "(nothing)"
        return Flat.SAME_FAILURE, f"all {len(measured)} tasks failed with one and the same feedback, {said!r}: {cause}"
    return None

"""The turns of one execution, kept in the journal, so that a kill repeats the call in flight and no more.

What was paid for is a model's reply; it is recorded under the execution's key and the turns before it.
An execution that starts again is given the recorded replies, and its commands run again, for that is what
rebuilds the work folder, temporary files and processes alike. The model goes on reading the outputs that
it was shown: a command that runs again must end the same way and print the same, but for readings of a
clock. Where it does not, the world is another one than the recorded replies speak of. The conversation
then holds what the command says now, and the model is asked anew from there.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.method.evidence import Usage
from skillgrad_ci.method.ports import CommandResult, Journal, ModelReply, ToolCall
from skillgrad_ci.method.task import digest_of

CLOCK = re.compile(
    r"\b\d{4}-\d\d-\d\d(T[\d:.,]+Z?)?|\b\d{1,2}:\d\d(:\d\d)?([.,]\d+)?|\b1[6-9]\d{8}(\.\d+)?\b|\b0x[0-9a-f]{6,}\b"
    r"|\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\w* +\d{1,2}\b|\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b"
    r"|\b\d+(\.\d+)? ?(ns|us|µs|ms|s|sec|seconds?|minutes?)\b",
    re.IGNORECASE,
)  # dates, times, seconds since 1970, how long something took; and addresses in memory, which are as fleeting


@dataclass
class Turns:
    """The turns of the execution of this key, in order. For one thread; without a journal nothing is kept."""

    journal: Journal | None = None
    key: str = ""
    _ran: list[Mapping[str, Any]] = field(default_factory=list)  # commands since the last reply
    _other: bool = False  # one of them did not do what it did before

    def __post_init__(self) -> None:
        self.key = digest_of(["turn", self.key])  # the execution's own record stands under its key

    def ran(self, done: CommandResult, seconds: float) -> tuple[CommandResult, float]:
        """What the conversation holds of a command that just ran: if the same as before, what was shown then."""
        now: Mapping[str, Any] = {**asdict(done), "seconds": seconds}
        known = self._known()
        if known is not None:
            before = known["ran"][len(self._ran) :][:1]
            self._other = self._other or not before or not _same(before[0], now)
            now = now if self._other else before[0]
        self._ran.append(now)
        return CommandResult(now["output"], now["exit_code"], now["timed_out"]), now["seconds"]

    def reply(self, ask: Callable[[], ModelReply]) -> ModelReply:
        """The recorded reply to what was said and done so far; else that of `ask`, recorded before it is used."""
        if self.journal is None:
            return ask()
        known = self._known()
        if known is None or self._other or len(known["ran"]) != len(self._ran):
            self.journal.record(self.key, "turn", {"ran": self._ran, "reply": asdict(ask())})
            known = self._known()
        if known is None:
            raise EnvironmentFailure("the journal lost a record that it had just written; look at the disk")
        self.key = digest_of([self.key, known])
        self._ran, self._other = [], False
        reply = known["reply"]
        calls = [ToolCall(**call) for call in reply["tool_calls"]]
        return ModelReply(reply["text"], calls, reply["stop"], Usage(**reply["usage"]))

    def _known(self) -> Mapping[str, Any] | None:
        return self.journal.recall(self.key) if self.journal is not None else None


def _same(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether a command ended as it did before, and printed the same but for readings of a clock."""
    ends = [(row["exit_code"], row["timed_out"], CLOCK.sub("", row["output"])) for row in (before, now)]
    return ends[0] == ends[1]

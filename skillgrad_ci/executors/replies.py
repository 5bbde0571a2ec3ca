"""The replies to a foreign agent's calls, kept in the journal, so that a kill repeats the calls in flight and no more.

What an agent holds of its conversation dies with its container, so an execution that was cut begins anew. But
each call carries the whole conversation: a call that says what an earlier one said is given the reply that was
paid for then. The agent's commands run again, and rebuild the work folder. Where one prints something else, the
next call says something else, and from there the provider is asked. What is new in every start and means
nothing is no difference: readings of a clock, as in `turns.py`, and what the agent's description names as
`fleeting`. The execution's token stays the same, for a command may print it.
"""

import re
import secrets
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from skillgrad_ci.executors.turns import CLOCK
from skillgrad_ci.method.ports import Journal
from skillgrad_ci.method.task import digest_of

KIND = "turn"  # of the journal's records: work that was in flight


@dataclass
class Replies:
    """`ports.gateway.PaidReplies` of the execution of this key. Agents ask several calls at once, so it is thread-safe.

    Without a journal nothing is kept.
    """

    journal: Journal | None = None
    key: str = ""
    fleeting: Sequence[re.Pattern[str]] = ()
    token: str = field(init=False, repr=False)
    _asked: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.key = digest_of(["line", self.key])  # the execution's own record stands under its key
        known = self.journal.recall(self.key) if self.journal is not None else None
        self.token = known["token"] if known else self.forget()

    def forget(self) -> str:
        """The token of a next start, which is given none of these replies: an agent crashed on one of them."""
        token = f"skillgrad-{secrets.token_hex(16)}"
        if self.journal is not None:
            self.journal.record(self.key, KIND, {"token": token})
        return token

    def place(self, asked: Sequence[Any]) -> str:
        if self.journal is None:
            return ""
        content = digest_of([self.token, _still(asked, [*self.fleeting, CLOCK])])
        with self._lock:
            self._asked[content] += 1
            return digest_of([content, self._asked[content]])

    def recall(self, place: str) -> Mapping[str, Any] | None:
        known = self.journal.recall(place) if self.journal is not None else None
        return known if known and known["body"] else None

    def keep(self, place: str, reply: Mapping[str, Any]) -> None:
        """A stream holds words in pieces, where no secret is found, so it is kept only if no word of it is one."""
        if self.journal is None:
            return
        self.journal.record(place, KIND, {**reply, "body": ""})
        known = self.journal.recall(place)
        if known and known["said"] == reply["said"]:
            self.journal.record(place, KIND, reply)


def _still(value: Any, fleeting: Sequence[re.Pattern[str]]) -> Any:
    """A JSON value without what is fleeting in its texts."""
    if isinstance(value, str):
        return reduce(lambda text, pattern: pattern.sub("", text), fleeting, value)
    if isinstance(value, Mapping):
        return {key: _still(item, fleeting) for key, item in value.items()}
    return [_still(item, fleeting) for item in value] if isinstance(value, list | tuple) else value

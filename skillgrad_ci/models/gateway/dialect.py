"""What the gateway must know of a call, whatever dialect it is written in.

A dialect reads a call and its reply: who is asked, for how much, what tools answered, what the model said, what it
took. Where the model's provider speaks it, both are passed on in it (`upstream.py`); else `translation` writes them.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from skillgrad_ci.method.ports import ModelRequest
from skillgrad_ci.models.replies import Said

Json = Mapping[str, Any]
EVENTS = "text/event-stream"


class Broken(Exception):
    """No usable reply: the stream broke off (`status` 0), or an error came in its place."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Answer:
    """An HTTP answer to the agent."""

    status: int
    content_type: str
    body: bytes

    @classmethod
    def of_json(cls, status: int, value: Json) -> "Answer":
        return cls(status, "application/json", json.dumps(value).encode())


@dataclass(frozen=True)
class ToolResult:
    """What a tool gave back, as the agent tells its model. `failed` is None where the dialect does not say."""

    id: str
    output: str
    failed: bool | None = None


@dataclass(frozen=True)
class Asked:
    """A model call: `said` are (role, text) of its system and user messages, `results` of its tools, in order.

    `prompt` is the call in a form whose bytes bound its tokens; `max_tokens` is None where it names none.
    A call without tools is not part of the conversation: it makes a title, for example, or a summary.
    """

    model: str
    stream: bool
    max_tokens: int | None
    has_tools: bool
    said: Sequence[tuple[str, str]]
    results: Sequence[ToolResult]
    prompt: ModelRequest


@dataclass(frozen=True)
class Call:
    """A request to the gateway that is a model call."""

    asked: Asked
    body: Json
    path: str  # with its query
    headers: Mapping[str, str]


class Dialect(Protocol):
    """One provider's form of a model call."""

    @property
    def name(self) -> str: ...

    @property
    def ping(self) -> bytes:
        """What keeps a stream open and says nothing; empty where clients take nothing."""
        ...

    def asked(self, path: str, body: Json) -> Asked | None:
        """The call, or None where this path is not a model call. Raises ValueError for one that is badly formed."""
        ...

    def limited(self, body: Json, max_tokens: int) -> Json:
        """The body, asking for at most so many tokens, and for the count of what it takes."""
        ...

    def said(self, body: bytes, *, stream: bool) -> Said:
        """The reply. Raises Broken."""
        ...

    def refusal(self, status: int, text: str, *, stream: bool) -> Answer:
        """The provider's own way to say that nothing more will be answered."""
        ...

    def late_refusal(self, text: str) -> bytes:
        """The same in the middle of a stream that was begun."""
        ...


def server_events(body: bytes) -> Iterator[Json]:
    """The JSON of each server-sent event (its `data` lines). Raises Broken for one that is not a JSON object."""
    for block in body.decode("utf-8", "replace").replace("\r\n", "\n").split("\n\n"):
        lines = (line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:"))
        data = "\n".join(lines)
        if data and data != "[DONE]":
            yield json_object(data)


def json_object(text: str | bytes) -> Json:
    """Raises Broken where the text is not a JSON object."""
    try:
        value = json.loads(text)
    except ValueError:
        raise Broken("the reply is no JSON") from None
    if not isinstance(value, dict):
        raise Broken("the reply is no JSON object")
    return value


def texts(content: Any) -> str:
    """The text of a message's content, which is a string or a list of parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    found = (part if isinstance(part, str) else part.get("text") for part in content if isinstance(part, str | dict))
    return "\n".join(text for text in found if isinstance(text, str))


def size_of(*written: str) -> int:
    return sum(len(text.encode("utf-8", "replace")) for text in written)


def reading(function: Callable[[], Said]) -> Said:
    """A reply read by `function`; one of another shape than the dialect's is Broken."""
    try:
        return function()
    except (AttributeError, KeyError, TypeError, IndexError, ValueError) as error:
        raise Broken(f"the reply has not the form of its dialect ({type(error).__name__})") from None

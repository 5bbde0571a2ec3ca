"""An agent's dialect before a provider that does not speak it: litellm asks, and the reply is written in the dialect.

A reply is read to its end before any of it is passed on, whoever speaks what. So the provider is asked for a whole
reply, and a stream is written of it where the agent asked for one. Headers of the agent's go to nobody.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from skillgrad_ci.method.evidence import Usage
from skillgrad_ci.method.ports import ModelRequest
from skillgrad_ci.models.faults import Fault
from skillgrad_ci.models.gateway.dialect import EVENTS, Answer, Asked, Call, Dialect, Json
from skillgrad_ci.models.gateway.translation import anthropic, chat, gemini, responses
from skillgrad_ci.models.gateway.translation.writing import Event, stream_of, with_ids
from skillgrad_ci.models.provider import LitellmModel
from skillgrad_ci.models.replies import Said, read_response

REQUESTS: Mapping[str, Callable[[Json], ModelRequest]] = {
    "anthropic": anthropic.request, "responses": responses.request, "chat": chat.request, "gemini": gemini.request,
}  # fmt: skip
WRITERS: Mapping[str, Callable[[Said, Usage, str, str], tuple[Json, list[Event]]]] = {
    "anthropic": anthropic.written, "chat": chat.written, "gemini": gemini.written,
}  # fmt: skip


@dataclass(frozen=True)
class Translating:
    """`Dialect`: of what an agent asks, `prompt` is the chat completion that the provider is asked for."""

    spoken: Dialect

    @property
    def name(self) -> str:
        return self.spoken.name

    @property
    def ping(self) -> bytes:
        return self.spoken.ping

    def asked(self, path: str, body: Json) -> Asked | None:
        asked = self.spoken.asked(path, body)
        return replace(asked, prompt=REQUESTS[self.name](body)) if asked else None

    def limited(self, body: Json, max_tokens: int) -> Json:
        return self.spoken.limited(body, max_tokens)

    def said(self, body: bytes, *, stream: bool) -> Said:
        return self.spoken.said(body, stream=stream)

    def refusal(self, status: int, text: str, *, stream: bool) -> Answer:
        return self.spoken.refusal(status, text, stream=stream)

    def late_refusal(self, text: str) -> bytes:
        return self.spoken.late_refusal(text)


def answer_of(dialect: str, call: Call, said: Said, usage: Usage) -> Answer:
    """The reply in the dialect, as a stream where one was asked for."""
    whole, events = _written(dialect, call, said, usage)
    if not call.asked.stream:
        return Answer.of_json(HTTPStatus.OK, whole)
    return Answer(HTTPStatus.OK, EVENTS, stream_of(events, done=dialect == "chat"))


def _written(dialect: str, call: Call, said: Said, usage: Usage) -> tuple[Json, list[Event]]:
    id, model = uuid4().hex[:24], call.asked.model
    if dialect == "responses":
        custom = frozenset(tool["name"] for tool in call.body.get("tools") or [] if tool["type"] == "custom")
        return responses.written(said, usage, id, model, custom)
    return WRITERS[dialect](said, usage, id, model)


class LibraryAttempt:
    """One completion by litellm on a daemon thread. `outcome` is asked for once `done` is set."""

    def __init__(self, source: LitellmModel, dialect: str, call: Call, max_tokens: int) -> None:
        self._source, self._dialect, self._call = source, dialect, call
        self._request = replace(call.asked.prompt, max_tokens=max_tokens)
        self._asking = source.ask(self._request)
        self.done = self._asking.done

    def start(self) -> None:
        self._asking.start()

    def leave(self) -> None:
        """Its thread ends with the call, or with the program."""

    def outcome(self) -> tuple[Said, Answer] | Fault:
        response: Any = self._source.outcome(self._asking)
        if isinstance(response, Fault):
            return response
        said = with_ids(read_response(response), self._request)
        return said, answer_of(self._dialect, self._call, said, self._source.taken(self._request, said))

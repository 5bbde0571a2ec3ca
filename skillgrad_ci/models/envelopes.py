"""Requests that litellm need not write anew.

Most of a call's processor time goes into a request that differs from an earlier one in its messages alone. So what
litellm wrote is kept as an envelope, and later messages go out in it: the same address, headers and parameters, through
the same client and its border. litellm's own function reads the reply.

An envelope takes only messages of shapes that litellm passed on as they were, each behind a shape that it came behind
there; so what a provider is asked stays what litellm would ask. Only providers that litellm asks through OpenAI's SDK
have envelopes: it writes the others' messages in a form of theirs. What a provider refuses is asked once more through
litellm, which knows ways round and the words of providers. Where it succeeds, the envelope was at fault.
"""

import copy
import hashlib
import json
import threading
from collections.abc import Hashable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import httpx

from skillgrad_ci.models.faults import refusal, waited_out

PATH = "/chat/completions"
SDK = "x-stainless-lang"  # a header of OpenAI's SDK
OF_THE_CLIENT = {"host", "content-length", "connection", "accept-encoding"}  # headers that it writes for each request
OF_THE_CALL = {"messages", "api_key", "timeout"}  # arguments that decide nothing of an envelope: a model has one key
KINDS = 100  # envelopes of a model: agents of others may ask with any tools

sent: ContextVar[list[httpx.Request] | None] = ContextVar("sent", default=None)
"""Where the border notes what it sends for this thread, if somebody wants to know."""

Messages = Sequence[Mapping[str, Any]]
Step = tuple[Hashable, Hashable]


@dataclass(frozen=True)
class Envelope:
    """A request of litellm's. `steps` are the shapes of messages that it takes, each with the shape before it."""

    url: httpx.URL
    headers: httpx.Headers = field(repr=False)  # with the key
    body: Mapping[str, Any]
    steps: frozenset[Step]

    def send(self, client: httpx.Client, messages: Messages, timeout: float) -> httpx.Response:
        body = {**self.body, "messages": messages}
        return client.post(self.url, headers=self.headers, json=body, timeout=timeout)


class Envelopes:
    """Those of one model, by what its calls ask for beside messages. Thread-safe."""

    def __init__(self) -> None:
        self._known: dict[str, Envelope] = {}
        self._faulty: set[str] = set()
        self._lock = threading.Lock()

    def complete(self, library: Any, arguments: Mapping[str, Any]) -> Any:
        """What `library`, litellm, gives for the arguments. Raises its exceptions, and httpx.HTTPError."""
        kind, messages = _kind(arguments), _as_sent(arguments["messages"])
        envelope = self._known.get(kind)
        fits = envelope is not None and _steps(messages) <= envelope.steps
        if envelope is not None and fits:
            response = envelope.send(library.client_session, messages, arguments["timeout"])
            if response.is_success:
                read = library.utils.convert_to_model_response_object
                return read(response_object=response.json(), model_response_object=library.ModelResponse())
            if waited_out(response.status_code):
                raise refusal(response.status_code, response.text, response)
        requests: list[httpx.Request] = []
        sent.set(requests)
        answer = library.completion(**copy.deepcopy(dict(arguments)))  # it may change what it is given
        with self._lock:
            if fits:  # and was refused what litellm was not
                self._faulty.add(kind)
                self._known.pop(kind, None)
            elif kind not in self._faulty:
                self._learn(kind, messages, requests)
        return answer

    def _learn(self, kind: str, messages: Messages, requests: Sequence[httpx.Request]) -> None:
        """Keep how litellm asked, where it did so once, by OpenAI's SDK, with the messages as they were given."""
        if len(requests) != 1 or SDK not in requests[0].headers or not requests[0].url.path.endswith(PATH):
            return
        (request,) = requests
        body = json.loads(request.content)
        if body["messages"] == messages:
            headers = request.headers.copy()
            for name in OF_THE_CLIENT & headers.keys():
                del headers[name]
            known = self._known.get(kind)
            steps = _steps(messages) | (known.steps if known else frozenset())
            self._known[kind] = Envelope(request.url, headers, {**body, "messages": []}, steps)
            if len(self._known) > KINDS:
                del self._known[next(iter(self._known))]


def _kind(arguments: Mapping[str, Any]) -> str:
    asked = {name: value for name, value in arguments.items() if name not in OF_THE_CALL}
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()


def _as_sent(messages: Messages) -> Messages:
    """litellm leaves out what is None: the content of a reply that only calls tools."""
    return [{name: value for name, value in message.items() if value is not None} for message in messages]


def _steps(messages: Messages) -> frozenset[Step]:
    return frozenset(pairwise([None, *map(_shape, messages), None]))


def _shape(value: Any) -> Hashable:
    """What litellm may look at in a message: its role and names, and which values are empty. Not the words."""
    if isinstance(value, Mapping):
        return tuple((name, held if name == "role" else _shape(held)) for name, held in value.items())
    if isinstance(value, list):
        return tuple(dict.fromkeys(map(_shape, value)))
    return type(value), bool(value)

"""Requests that litellm need not write anew.

Most of a call's processor time goes into a request that differs from an earlier one in its messages alone. So what
litellm wrote is kept as an envelope, and later messages go out in it: the same address, headers and parameters, through
the same client and its border. litellm's own function reads the reply.

An envelope takes only messages of text, of shapes that litellm passed on as they were, each behind a shape that it came
behind there; so what a provider is asked stays what litellm would ask. Only providers that litellm asks through
OpenAI's SDK have envelopes: it writes the others' messages in a form of theirs. What a provider refuses is asked once
more through litellm, which knows ways round and the words of providers. Where it succeeds, the envelope was at fault.
"""

import copy
import hashlib
import json
import threading
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import httpx

from skillgrad_ci.models.border import sent
from skillgrad_ci.models.faults import Kind, of_status, refusal

PATH = "/chat/completions"
SDK = "x-stainless-lang"  # a header of OpenAI's SDK
OF_THE_CALL = {"messages", "api_key", "timeout"}  # arguments that decide nothing of an envelope but its key
KINDS = 100  # envelopes of a model: agents of others may ask with any tools
STEPS = 1_000  # shapes of an envelope
NAMES = {"role", "type"}  # in a message, what is no words
OVERLOADED = {429, 503, 529}
CHARGED = {Kind.FILTERED, Kind.TOO_LONG}  # refusals that some providers charge for: asked again, they cost twice
AT_FAULT = {400, 404, 422}  # what an envelope is refused with that is not as litellm would write it today

Messages = Sequence[Mapping[str, Any]]
Step = tuple[Hashable, Hashable]


@dataclass(frozen=True)
class Envelope:
    """A request of litellm's. `steps` are the shapes of messages that it takes, each with the shape before it."""

    url: httpx.URL
    headers: httpx.Headers = field(repr=False)  # with the key
    body: Mapping[str, Any]
    steps: frozenset[Step] = frozenset()

    def filled(self, messages: Messages) -> bytes | None:
        """The body as the SDK encodes it; None where the messages do not fit, or hold what cannot be encoded."""
        if not _steps(messages) <= self.steps:
            return None
        body = {**self.body, "messages": messages}
        try:
            return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        except (TypeError, ValueError):
            return None


class Envelopes:
    """Those of one model, by what its calls ask for beside messages. Thread-safe."""

    def __init__(self) -> None:
        self._known: dict[str, Envelope | None] = {}  # None: it was at fault
        self._lock = threading.Lock()

    def complete(self, library: Any, arguments: Mapping[str, Any]) -> Any:
        """What `library`, litellm, gives for the arguments. Raises its exceptions, and httpx.HTTPError."""
        kind, messages, refused = _kind(arguments), _as_sent(arguments["messages"]), 0
        envelope = self._known.get(kind)
        if envelope is not None and (content := envelope.filled(messages)) is not None:
            timeout, client = arguments["timeout"], library.client_session
            response = client.post(envelope.url, headers=envelope.headers, content=content, timeout=timeout)
            if response.is_success:
                read = library.utils.convert_to_model_response_object
                return read(response_object=response.json(), model_response_object=library.ModelResponse())
            refused = response.status_code
            if refused in OVERLOADED or of_status(refused, "", response.text).kind in CHARGED:
                raise refusal(refused, response.text or response.reason_phrase, response)
        requests: list[httpx.Request] = []
        sent.set(requests)
        answer = library.completion(**copy.deepcopy(dict(arguments)))  # it may change what it is given
        if answer is not None:
            self._learn(kind, arguments, messages, requests, refused)
        return answer

    def _learn(
        self,
        kind: str,
        arguments: Mapping[str, Any],
        messages: Messages,
        requests: Sequence[httpx.Request],
        refused: int,
    ) -> None:
        """Keep how litellm asked with success. `refused` is the status that an envelope met before; 0 for none."""
        written = _envelope(arguments, messages, requests)
        with self._lock:
            known = self._known.get(kind)
            if refused in AT_FAULT:
                self._known[kind] = None
            elif written is not None and (known is not None or kind not in self._known):
                steps = _steps(messages)
                if known is not None and replace(known, steps=frozenset()) == written:
                    steps |= known.steps
                if len(steps) <= STEPS:
                    self._known[kind] = replace(written, steps=steps)
            if len(self._known) > KINDS:
                del self._known[next(iter(self._known))]


def _envelope(arguments: Mapping[str, Any], messages: Messages, requests: Sequence[httpx.Request]) -> Envelope | None:
    """The envelope of litellm's request; None where it asked otherwise, or with something of its own."""
    if len(requests) != 1 or SDK not in requests[0].headers or not requests[0].url.path.endswith(PATH):
        return None
    (request,) = requests
    body = json.loads(request.content)
    if body["messages"] != messages or not all(isinstance(one.get("content", ""), str) for one in messages):
        return None
    for name in ("tools", "tool_choice"):  # of a schema it makes a tool for some, and reads the call back as text
        if body.get(name) != arguments.get(name):
            return None
    headers = request.headers.copy()
    del headers["content-length"]
    return Envelope(request.url, headers, {**body, "messages": []})


def _kind(arguments: Mapping[str, Any]) -> str:
    asked = {name: value for name, value in arguments.items() if name not in OF_THE_CALL}
    return hashlib.sha256(json.dumps(asked, default=str).encode()).hexdigest()


def _as_sent(messages: Messages) -> Messages:
    """litellm leaves out what is None: the content of a reply that only calls tools."""
    return [{name: value for name, value in message.items() if value is not None} for message in messages]


def _steps(messages: Messages) -> frozenset[Step]:
    return frozenset(pairwise([None, *map(_shape, messages), None]))


def _shape(value: Any) -> Hashable:
    """What litellm may look at in a message: its role and names, and which values are empty. Not the words."""
    if isinstance(value, Mapping):
        return tuple((name, held if name in NAMES else _shape(held)) for name, held in value.items())
    if isinstance(value, list):
        return tuple(dict.fromkeys(map(_shape, value)))
    return type(value), bool(value)

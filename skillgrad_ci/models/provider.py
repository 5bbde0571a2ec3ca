"""Models through litellm: any provider, by its usual environment variable.

Retries are ours, not litellm's: what was surely not charged (no connection, 429, 5xx) is waited out
here, as long as the provider asks where it does. A reply that was lost on its way may have been
charged, so it is not asked for again inside one call; the meter does that, as a call of its own.
"""

import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from skillgrad_ci.errors import Cancelled, ReplyError, UserError
from skillgrad_ci.method.evidence import Usage
from skillgrad_ci.method.ports import Model, ModelReply, ModelRequest
from skillgrad_ci.models.advice import RefusedRequest, failure, provider_of
from skillgrad_ci.models.envelopes import Envelopes
from skillgrad_ci.models.faults import STARTING_UP, Fault, Kind, classify, retries_of
from skillgrad_ci.models.litellm_library import LibraryCall, litellm
from skillgrad_ci.models.prices import Prefixes, Price, Tokens, dollars
from skillgrad_ci.models.replies import Said, read_response
from skillgrad_ci.models.schemas import in_words, response_format

LONGEST_WAIT = 120.0  # seconds; a provider that asks for more is taken as gone
OWNED = {
    "model",
    "messages",
    "tools",
    "response_format",
    "stream",
    "n",
    "max_completion_tokens",
    "fallbacks",
    "num_retries",
    "max_retries",
}
SECRETS = ("api_key", "access_key", "token", "password")  # how names of parameters end that are not settings
ROOM = 256  # tokens for the check's reply: some reasoning models refuse a request with less


@dataclass(frozen=True)
class LitellmModel:
    """One model as litellm names it (`provider/model`). Thread-safe.

    `timeout` is in seconds and covers one attempt from request to the last byte. `stop`, once set,
    ends waits and calls in flight with `Cancelled`. `parameters` go to the provider as they are; a
    `max_tokens` among them stands for every request's own. `tell` is told, once, what is odd about a provider.
    """

    name: str
    api_base: str | None = None
    api_key: str | None = field(default=None, repr=False)
    price: Price | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    timeout: float = 300.0
    retries: int = 6
    backoff: float = 1.0  # seconds before the first retry, doubled for each further one
    stop: threading.Event = field(default_factory=threading.Event)
    tell: Callable[[str], None] = field(default=lambda _: None, repr=False)
    _prefixes: Prefixes = field(default_factory=Prefixes, repr=False)
    _envelopes: Envelopes = field(default_factory=Envelopes, repr=False)
    _counts_apart: threading.Lock = field(default_factory=threading.Lock, repr=False)  # taken once it was seen to
    _schema_refused: threading.Event = field(default_factory=threading.Event, repr=False)
    _told: set[str] = field(default_factory=set, repr=False)  # why calls are made again, each told once
    _heard: threading.Event = field(default_factory=threading.Event, repr=False)  # it answered once
    _schema_lost: threading.Event = field(default_factory=threading.Event, repr=False)

    def __post_init__(self) -> None:
        if owned := sorted(OWNED & set(self.parameters)):
            raise UserError(f"models.parameters: {owned[0]} cannot be set; calls and their costs are counted by it")
        if any(name.endswith(SECRETS) for name in self.parameters) or "@" in (self.api_base or ""):
            raise UserError("models: a key or a password stands in parameters or api_base; set it in the environment")

    @property
    def priced(self) -> bool:
        return self._usd(Tokens(1, 1)) is not None

    def bound(self, request: ModelRequest) -> Usage:
        return self._at_most(request, self._max_tokens(request))

    def complete(self, request: ModelRequest) -> ModelReply:
        waits = 0
        if request.schema is not None and request.goes_on:
            self._schema_lost.set()
        while True:
            with_schema = self._gives_schema(request)
            answer = self._attempt(request, with_schema)
            if not isinstance(answer, Fault):
                self._heard.set()
                return self._reply(request, read_response(answer))
            if answer.kind is Kind.FILTERED:
                return ModelReply(stop="content_filter", usage=self._at_most(request, 0))
            if answer.kind is Kind.REFUSED and with_schema:
                self._schema_refused.set()  # from here on it is said in words
                continue
            most = retries_of(answer, self.retries, heard=self._heard.is_set())
            if not most:
                raise failure(self.name, answer, self.api_base)
            if waits >= most or (answer.wait or 0.0) > LONGEST_WAIT:
                asked = f", and asks to wait {answer.wait:.0f} s" if answer.wait else ""
                tried = replace(answer, said=f"{answer.said} ({waits + 1} attempts{asked})")
                raise failure(self.name, tried, self.api_base)
            self._tell_once(str(failure(self.name, answer, self.api_base)), most)
            self._wait(waits, answer.wait)
            waits += 1

    def _tell_once(self, why: str, most: int) -> None:
        """Nobody should watch a silent minute of calls to a wrong address, or read a line for every busy answer."""
        same, spell = re.sub(r"\d+", "0", why), "about a minute" if most > STARTING_UP else "a few seconds"
        if same not in self._told:
            self._told.add(same)
            self.tell(f"{why}; asking again, {most} times at most in {spell}")

    def _wait(self, attempt: int, asked: float | None) -> None:
        """Exponential backoff with jitter, never less than the provider asked for."""
        jitter = random.SystemRandom().uniform(0.5, 1.5)
        if self.stop.wait(max(asked or 0.0, self.backoff * 2**attempt * jitter)):
            raise Cancelled(f"interrupted while waiting for {self.name}")

    def _attempt(self, request: ModelRequest, with_schema: bool) -> Any:
        """litellm's response, or the fault that came instead.

        It runs in a thread of its own, for that is what works for every provider's client: the caller
        is free at the deadline, even if a body drips in byte by byte, or when a stop is asked for.
        """
        if self.stop.is_set():
            raise Cancelled(f"interrupted before a call to {self.name}")
        call = self.ask(request, with_schema=with_schema)
        call.start()
        deadline = time.monotonic() + self.timeout
        while not call.done.wait(0.2):
            if self.stop.is_set():
                raise Cancelled(f"interrupted during a call to {self.name}")
            if time.monotonic() > deadline:
                break
        if not call.done.is_set():
            return Fault(Kind.LOST, f"no whole reply within {self.timeout:g} s")
        return self.outcome(call)

    def ask(self, request: ModelRequest, *, with_schema: bool = False) -> LibraryCall:
        """One attempt, which is not started yet."""
        return LibraryCall(self._arguments(request, with_schema), self._envelopes)

    def outcome(self, call: LibraryCall) -> Any:
        """What became of an attempt that is done: litellm's response, or the fault that came instead."""
        if call.error is not None:
            return classify(call.error)
        if not call.returned:
            raise RuntimeError(f"{self.name}: litellm failed in a way of its own")  # its traceback was printed
        if call.response is None:
            return Fault(Kind.REFUSED, "HTTP 422: a parameter that the model does not take")
        if not call.response.choices:
            return Fault(Kind.LOST, "a response without choices")
        return call.response

    def _arguments(self, request: ModelRequest, with_schema: bool) -> dict[str, Any]:
        """litellm's arguments."""
        arguments: dict[str, Any] = {
            **self.parameters,
            "model": self.name,
            "messages": self._messages(request, with_schema),
            "max_tokens": self._max_tokens(request),
            "timeout": self.timeout,
            "num_retries": 0,
            "max_retries": 0,
            "_skip_mcp_handler": True,  # else a call with tools imports a package that we do not need
        }
        if request.tools:
            arguments["tools"] = list(request.tools)
        if request.schema is not None and with_schema:
            arguments["response_format"] = response_format(request.schema)
        if self._marks_cache(request):
            last = {"location": "message", "index": -1}
            whole, first = [{"location": "message", "role": "system"}, last], [{"location": "message", "index": 0}]
            arguments["cache_control_injection_points"] = whole if request.tools else first
        given = {"api_base": self.api_base, "api_key": self.api_key}
        return arguments | {name: value for name, value in given.items() if value is not None}

    def _messages(self, request: ModelRequest, with_schema: bool) -> list[dict[str, Any]]:
        """The messages as they go out: what calls share apart where it is marked, and the schema once.

        Once a reply had to be repaired it is said in words too, for a server may have lost it on the way.
        """
        apart = bool(request.shared) and self._marks_cache(request)
        messages = request.parted if apart else request.joined
        if request.schema is not None and (not with_schema or self._schema_lost.is_set()):
            messages[int(apart)]["content"] += f"\n\n{in_words(request.schema)}"
        return messages

    def _gives_schema(self, request: ModelRequest) -> bool:
        """Whether the provider is given the schema apart from the text.

        Where a shared part is marked it is not: a provider has what it makes of a schema before all messages, so that
        calls of different forms would share nothing.
        """
        if request.schema is None or self._schema_refused.is_set() or (request.shared and self._marks_cache(request)):
            return False
        return bool(litellm().supports_response_schema(self.name))

    def _marks_cache(self, request: ModelRequest) -> bool:
        """Claude's models cache only what is marked, and charge a quarter more for it; the others cache by themselves.

        A conversation with tools goes on from what is marked, and what calls share is read by the next ones. Nothing
        reads the mark of a call that stands alone.
        """
        claude = provider_of(self.name) in {"anthropic", "bedrock", "vertex_ai"} and "claude" in self.name
        return claude and bool(request.tools or request.shared)

    def _reply(self, request: ModelRequest, said: Said) -> ModelReply:
        return ModelReply(said.text, said.calls, said.stop, self.taken(request, said))

    def taken(self, request: ModelRequest, said: Said) -> Usage:
        """What a reply took; at the most that can have been, where the provider does not say."""
        if said.tokens is None:
            return self._at_most(request, min(self._max_tokens(request), said.size))
        tokens = self._whole(said.tokens)
        self._prefixes.learn(request, tokens.prompt)
        return Usage(1, tokens.prompt, tokens.cached, tokens.completion, self._usd(tokens))

    def _whole(self, tokens: Tokens) -> Tokens:
        """Cached tokens as part of the prompt, also of a provider that was once seen to count them apart."""
        if tokens.apart and self._counts_apart.acquire(blocking=False):
            self.tell(
                f"{self.name}: its usage contradicts itself ({tokens.cached + tokens.written:,} cached tokens of "
                f"{tokens.prompt:,} in the prompt); cached tokens are counted beside the prompt's from here on"
            )
        return tokens.joined() if self._counts_apart.locked() else tokens

    def _at_most(self, request: ModelRequest, completion: int) -> Usage:
        prompt = self._prefixes.bound(request)
        usd = self._usd(Tokens(prompt, completion, written=prompt if self._marks_cache(request) else 0))
        return Usage(1, prompt, 0, completion, usd)

    def _max_tokens(self, request: ModelRequest) -> int:
        return int(self.parameters.get("max_tokens", request.max_tokens))

    def _usd(self, tokens: Tokens) -> float | None:
        return dollars(litellm(), self.name, tokens, self.price, self.parameters.get("service_tier"))


def check_access(model: Model) -> None:
    """One small call, before anything is spent. Raises UserError for a key or a model that is refused."""
    request = ModelRequest([{"role": "user", "content": "Reply with the word ready."}], max_tokens=ROOM)
    try:
        model.complete(request)
    except RefusedRequest as error:
        raise UserError(f"{error}; check the model's name and models.parameters") from None
    except ReplyError as error:  # the provider, or a proxy before it, takes no requests worth the name
        raise UserError(f"{error}; check models.api_base and what stands between") from None

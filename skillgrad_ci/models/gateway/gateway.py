"""The gateway of one run: the real key and the real provider on one side, a line for each execution on the other."""

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import httpx

from skillgrad_ci.errors import UserError
from skillgrad_ci.method.budget import Ledger
from skillgrad_ci.method.evidence import Usage
from skillgrad_ci.method.ports import ModelRequest
from skillgrad_ci.method.ports.gateway import PaidReplies
from skillgrad_ci.models.gateway.anthropic import Anthropic
from skillgrad_ci.models.gateway.chat import ChatCompletions
from skillgrad_ci.models.gateway.dialect import Asked, Call, Dialect
from skillgrad_ci.models.gateway.gemini import Gemini
from skillgrad_ci.models.gateway.line import OpenLine
from skillgrad_ci.models.gateway.recorder import Recorder
from skillgrad_ci.models.gateway.responses import Responses
from skillgrad_ci.models.gateway.translation import LibraryAttempt, Translating
from skillgrad_ci.models.gateway.upstream import Attempt, Attempting, Provider, upstream_of
from skillgrad_ci.models.litellm_library import litellm
from skillgrad_ci.models.prices import Prefixes, Tokens, dollars
from skillgrad_ci.models.provider import LitellmModel
from skillgrad_ci.models.replies import Said

DIALECTS: Mapping[str, type[Dialect]] = {kind.name: kind for kind in (Anthropic, Responses, ChatCompletions, Gemini)}
MOST = 32_000  # tokens of one reply: Claude Code's own limit; agents that name none get this one


@dataclass(frozen=True)
class ProviderGateway:
    """`ports.gateway.Gateway` over the provider of `source`, which is None where litellm translates for it."""

    source: LitellmModel
    ledger: Ledger
    dialect: Dialect
    provider: Provider | None
    role: str = "executor"
    _prefixes: Prefixes = field(default_factory=Prefixes, repr=False)

    @classmethod
    def of(cls, source: LitellmModel, ledger: Ledger, dialect: str, agent: str) -> "ProviderGateway":
        """Raises UserError for a model that no provider has or only built-in agents can use, and for want of a key."""
        if source.parameters:
            raise UserError(f"models.parameters: {agent} writes its own calls; leave the executor's out")
        provider, spoken = upstream_of(source, dialect, agent), DIALECTS[dialect]()
        if provider is not None:
            return cls(source, ledger, spoken, provider)
        source.tell(f"gateway: {agent} asks in the {dialect} dialect; its calls are translated for {source.name}")
        return cls(source, ledger, Translating(spoken), None)

    @property
    def identity(self) -> str:
        to = "" if self.provider else f" translated/1={self.name}"
        return f"gateway/1 {self.dialect.name}{to} reply={MOST}"

    @property
    def name(self) -> str:
        """The model's name as the configuration has it."""
        return self.source.name

    @property
    def model(self) -> str:
        """The model's name as the agent is given it: the provider's, or the last part of it, for some take no more."""
        return self.provider.model if self.provider else self.name.rpartition("/")[2]

    @property
    def timeout(self) -> float:
        return self.source.timeout

    @property
    def retries(self) -> int:
        return self.source.retries

    @property
    def stop(self) -> threading.Event:
        return self.source.stop

    @cached_property
    def client(self) -> httpx.Client:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=32)
        return httpx.Client(timeout=httpx.Timeout(self.timeout, connect=20.0), limits=limits)

    @contextmanager
    def open(
        self, *, turns: int, refusal: int, notice: Callable[[Mapping[str, Any]], None], replies: PaidReplies
    ) -> Iterator[OpenLine]:
        line = OpenLine(self, turns, refusal, Recorder(notice), replies)
        try:
            yield line
        finally:
            line.leave()

    def attempt(self, call: Call) -> Attempting:
        """One attempt to have the call answered, which is not started yet."""
        limit = self.limit(call.asked)
        if self.provider is None:
            return LibraryAttempt(self.source, self.dialect.name, call, limit)
        return Attempt(self.client, self.provider, self.dialect, call, limit)

    def pause(self, attempt: int, asked: float | None) -> float:
        """Exponential backoff with jitter, never less than the provider asked for. In seconds."""
        jitter = random.SystemRandom().uniform(0.5, 1.5)
        return max(asked or 0.0, float(self.source.backoff * 2**attempt * jitter))

    @cached_property
    def most(self) -> int:
        """Tokens that one reply may have."""
        try:
            known = litellm().get_model_info(self.name).get("max_output_tokens")
        except litellm().exceptions.ModelNotMappedError:
            known = None
        return min(MOST, known or MOST)

    def limit(self, asked: Asked) -> int:
        return min(self.most, asked.max_tokens or self.most)

    def bound(self, asked: Asked) -> Usage:
        """The most that a call can take."""
        if self.provider is None:
            return self.source.bound(self._translated(asked))
        return self._usage(Tokens(self._prefixes.bound(asked.prompt), self.limit(asked)), may_write=True)

    def taken(self, asked: Asked, said: Said) -> Usage:
        """What a call took; the most that it can have been, where the provider does not say."""
        if self.provider is None:
            return self.source.taken(self._translated(asked), said)
        if said.tokens is None:
            completion = min(self.limit(asked), said.size)
            return self._usage(Tokens(self._prefixes.bound(asked.prompt), completion), may_write=True)
        self._prefixes.learn(asked.prompt, said.tokens.prompt)
        return self._usage(said.tokens)

    def _translated(self, asked: Asked) -> ModelRequest:
        return replace(asked.prompt, max_tokens=self.limit(asked))

    def _usage(self, tokens: Tokens, *, may_write: bool = False) -> Usage:
        """`may_write`: what a provider writes to its cache may cost more than what it reads."""
        if may_write and self.dialect.name == "anthropic":
            tokens = Tokens(tokens.prompt, tokens.completion, written=tokens.prompt)
        subscribed = self.provider is not None and self.provider.subscription
        usd = None if subscribed else dollars(litellm(), self.name, tokens, self.source.price)
        return Usage(1, tokens.prompt, tokens.cached, tokens.completion, usd)

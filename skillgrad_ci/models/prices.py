"""What a call costs: at a price that a person gave, else at litellm's, else unknown; and a bound of its prompt.

The bound needs no tokenizer. No tokenizer of a current model makes more tokens than there are UTF-8 bytes, so
the bytes of a request are a bound for every provider. It is a loose one (prose has about four bytes a token,
digits may have one). An agent's conversation grows by appending, though, and each reply says how many tokens
the prompt before it took: from there on only what was added is bounded by its bytes.
"""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from skillgrad_ci.method.ports import ModelRequest

MILLION = 1_000_000
OVERHEAD = 1_000  # tokens that providers add to a request: for tools and schemas up to about 700
PER_MESSAGE = 16  # tokens around one message
KNOWN = 10_000  # conversations remembered


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens. Without `cached`, cached prompt tokens cost as much as others."""

    prompt: float
    completion: float
    cached: float | None = None


@dataclass(frozen=True)
class Tokens:
    """What one call took; `prompt` counts all of it, `cached` and `written` (to the cache) are parts of it."""

    prompt: int
    completion: int
    cached: int = 0
    written: int = 0

    @property
    def apart(self) -> bool:
        """Whether cached tokens were counted beside the prompt's: as parts of it they cannot be more."""
        return self.cached + self.written > self.prompt

    def joined(self) -> "Tokens":
        """The same call with the tokens that were counted apart made part of the prompt."""
        return replace(self, prompt=self.prompt + self.cached + self.written)


def dollars(
    library: Any, model: str, tokens: Tokens, price: Price | None, service_tier: str | None = None
) -> float | None:
    """The cost of a call; None where no price is known. `library` is litellm.

    litellm's table gives many models it knows little about (whole gateways) a price of zero. That is
    taken as unknown: what is really free can be said with a price of 0. Counts that contradict each other
    are read so that no call costs less than nothing: the cap would never come.
    """
    tokens = tokens.joined() if tokens.apart else tokens
    if price is not None:
        cached = price.prompt if price.cached is None else price.cached
        prompt = (tokens.prompt - tokens.cached) * price.prompt + tokens.cached * cached
        return (prompt + tokens.completion * price.completion) / MILLION
    try:
        facts = library.get_model_info(model)
        if not facts.get("input_cost_per_token") and not facts.get("output_cost_per_token"):
            return None
        usage = _usage(library, tokens)
        return float(sum(library.cost_per_token(model=model, usage_object=usage, service_tier=service_tier)))
    except library.exceptions.ModelNotMappedError:
        return None


def _usage(library: Any, tokens: Tokens) -> Any:
    details = {"cached_tokens": tokens.cached, "cache_creation_tokens": tokens.written}
    return library.Usage(
        prompt_tokens=tokens.prompt,
        completion_tokens=tokens.completion,
        total_tokens=tokens.prompt + tokens.completion,
        prompt_tokens_details=details,
    )


@dataclass
class Prefixes:
    """Prompt tokens that providers reported, by conversation. Thread-safe."""

    _known: OrderedDict[bytes, int] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def bound(self, request: ModelRequest) -> int:
        """The most tokens that the prompt of `request` can be."""
        most = OVERHEAD
        with self._lock:
            for digest, size in _steps(request):
                most = self._known.get(digest, most + size + PER_MESSAGE)
        return most

    def learn(self, request: ModelRequest, prompt_tokens: int) -> None:
        """Remember what the provider counted for this prompt."""
        *_, (digest, _) = _steps(request)
        with self._lock:
            self._known[digest] = prompt_tokens
            self._known.move_to_end(digest)
            if len(self._known) > KNOWN:
                self._known.popitem(last=False)


def _steps(request: ModelRequest) -> Iterator[tuple[bytes, int]]:
    """After the tools and schema, and after each message: the digest so far, the bytes of this step."""
    schema = request.schema.model_json_schema() if request.schema else None
    running = hashlib.sha256()
    shared = [request.shared] if request.shared else []
    parts: list[object] = [[list(request.tools), schema], *shared, *request.messages]
    for part in parts:
        text = json.dumps(part, ensure_ascii=False, default=_plain).encode("utf-8", "surrogatepass")
        running.update(len(text).to_bytes(8, "big"))
        running.update(text)
        yield running.digest(), len(text)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a request holds JSON values only, not {type(value).__name__}")

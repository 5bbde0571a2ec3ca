"""How many tokens a prompt can be, without a tokenizer.

No tokenizer of a current model makes more tokens than there are UTF-8 bytes, so the bytes of a
request are a bound for every provider. It is a loose one (prose has about four bytes a token, digits
may have one). An agent's conversation grows by appending, though, and each reply says how many
tokens the prompt before it took: from there on only what was added is bounded by its bytes.
"""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from skillgrad_ci.method.ports import ModelRequest

OVERHEAD = 1_000  # tokens that providers add to a request: for tools and schemas up to about 700
PER_MESSAGE = 16  # tokens around one message
KNOWN = 10_000  # conversations remembered


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
    parts: list[object] = [[list(request.tools), schema], *request.messages]
    for part in parts:
        text = json.dumps(part, ensure_ascii=False, default=_plain).encode("utf-8", "surrogatepass")
        running.update(len(text).to_bytes(8, "big"))
        running.update(text)
        yield running.digest(), len(text)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a request holds JSON values only, not {type(value).__name__}")

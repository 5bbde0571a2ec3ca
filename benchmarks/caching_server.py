"""A local provider that keeps a prompt cache as Anthropic's API and OpenAI's do, and counts what each role sends.

Both protocols over a real socket. A prompt is a list of pieces in the order in which a provider reads them: tools, the
form of the reply, system, messages. A token is four characters of their JSON.

- Anthropic: what stands up to a marked piece is written, where it has at least 1,024 tokens, and the longest such
  beginning that was written before is read. Nothing else is kept.
- OpenAI: of each prompt the longest beginning that was seen before is read, from 1,024 tokens on, in steps of 128;
  nothing is charged for writing. A schema stands before the messages.

With `at_once`, calls of one role in a row are taken as begun before any of them ended, as a batch's diagnoses are:
none reads what another one of them wrote. Entries do not age.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.serving import on_a_free_port

LEAST = 1_024  # tokens of what is kept at all
STEP = 128
WRITTEN, READ = 1.25, 0.1  # prices of Anthropic's cache, of a prompt token's

Json = Mapping[str, Any]
Answer = Callable[[str, str], str]  # the system text and the user's, to the reply's text


@dataclass(frozen=True)
class Count:
    """Tokens of prompts: `fresh` beside those that were written to the cache and read from it."""

    calls: int = 0
    fresh: int = 0
    written: int = 0
    read: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(
            self.calls + other.calls,
            self.fresh + other.fresh,
            self.written + other.written,
            self.read + other.read,
        )

    @property
    def prompt(self) -> int:
        return self.fresh + self.written + self.read

    @property
    def paid(self) -> float:
        """What they cost, in prompt tokens that no cache has to do with."""
        return self.fresh + WRITTEN * self.written + READ * self.read


@dataclass
class CachingServer:
    """What it was sent, by the role that `role_of` reads off a prompt."""

    answer: Answer
    role_of: Callable[[str], str]
    at_once: bool = False
    url: str = ""
    counts: dict[str, Count] = field(default_factory=dict)
    stopped: threading.Event = field(default_factory=threading.Event)
    _kept: set[str] = field(default_factory=set)
    _coming: set[str] = field(default_factory=set)  # of calls that have not ended
    _last: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, path: str, request: Json) -> Json:
        anthropic = path.endswith("/messages")
        system, user = (_text(_of_role(request, role)) for role in ("system", "user"))
        text, role = self.answer(system, user), self.role_of(system)
        with self._lock:
            if role != self._last or not self.at_once:
                self._kept |= self._coming
                self._coming.clear()
            self._last = role
            count = self._anthropic(request) if anthropic else self._openai(request)
            self.counts[role] = self.counts.get(role, Count()) + count
        return (_message if anthropic else _completion)(text, count)

    def _anthropic(self, request: Json) -> Count:
        pieces = [*request.get("tools", []), *[request[key] for key in ("output_format",) if key in request]]
        pieces += _blocks(request.get("system", []))
        pieces += [block for message in request["messages"] for block in _blocks(message["content"])]
        sizes, prefixes, marks = [], [], []
        running, total = hashlib.sha256(), 0
        for number, piece in enumerate(pieces):
            plain = {key: value for key, value in piece.items() if key != "cache_control"}
            text = json.dumps(plain, sort_keys=True)
            running.update(text.encode() + b"\0")
            total += len(text) // 4
            sizes.append(total)
            prefixes.append(running.hexdigest())
            if "cache_control" in piece and total >= LEAST:
                marks.append(number)
        last = marks[-1] if marks else -1
        hits = [size for size, key in zip(sizes[: last + 1], prefixes, strict=False) if key in self._kept]
        read = max(hits, default=0)
        self._coming |= {prefixes[number] for number in marks}
        written = sizes[last] - read if marks else 0
        return Count(1, total - written - read, written, read)

    def _openai(self, request: Json) -> Count:
        text = json.dumps([request.get("tools", []), request.get("response_format"), request["messages"]])
        steps = range(STEP, len(text) // 4 + 1, STEP)
        keys = {size: hashlib.sha256(text[: size * 4].encode()).hexdigest() for size in steps}
        read = max((size for size, key in keys.items() if key in self._kept and size >= LEAST), default=0)
        self._coming |= set(keys.values())
        return Count(1, len(text) // 4 - read, 0, read)


def _of_role(request: Json, role: str) -> Any:
    if role == "system" and "system" in request:
        return request["system"]
    return [block for m in request["messages"] if m["role"] == role for block in _blocks(m["content"])]


def _blocks(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _text(content: Any) -> str:
    return "\n\n".join(str(block.get("text", "")) for block in _blocks(content))


def _message(text: str, count: Count) -> Json:
    usage = {"input_tokens": count.fresh, "output_tokens": len(text) // 4}
    usage |= {"cache_creation_input_tokens": count.written, "cache_read_input_tokens": count.read}
    content = [{"type": "text", "text": text}]
    return {"id": "m", "type": "message", "role": "assistant", "content": content, "stop_reason": "end_turn",
            "usage": usage}  # fmt: skip


def _completion(text: str, count: Count) -> Json:
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": count.prompt, "completion_tokens": len(text) // 4,
             "prompt_tokens_details": {"cached_tokens": count.read}}  # fmt: skip
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return {"id": "c", "object": "chat.completion", "choices": choices, "usage": usage}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world: CachingServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        body = json.dumps(self.world.serve(self.path, request)).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def caching(answer: Answer, role_of: Callable[[str], str], *, at_once: bool = False) -> Iterator[CachingServer]:
    """A server on a free port of this machine."""
    world = CachingServer(answer, role_of, at_once)
    handler = type("Handler", (_Handler,), {"world": world})
    with on_a_free_port(handler, world.stopped) as url:
        world.url = url
        yield world


def total(counts: Sequence[Count]) -> Count:
    return sum(counts, Count())

"""A provider as foreign agents know it, over a real socket: four dialects, as one body or as server-sent events.

A script decides each answer, as in `scripted_server`: it is given the request's JSON, with the path it came on
under `path`. Every reply has an id of its own, for Claude Code takes two with one id as one.
"""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from itertools import count
from typing import Any

from tests.support.scripted_answers import Answer, Call, Raw, Reply, Reset, Script, Stall, error, in_order, quarter
from tests.support.serving import on_a_free_port

EVENTS = "text/event-stream"
NAMES = {"messages": "anthropic", "responses": "responses", "completions": "chat"}
Event = tuple[str, dict[str, Any]]


@dataclass
class AgentProvider:
    """What it was asked, with which headers, and the (prompt, cached, completion) tokens that it charged."""

    script: Script
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    charged: list[tuple[int, int, int]] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    ids: Iterator[int] = field(default_factory=lambda: count(1))

    def encode(self, request: dict[str, Any], reply: Reply) -> Raw:
        dialect = dialect_of(request["path"])
        calls = [Call(call.name, call.arguments, call.id or f"call_{next(self.ids)}") for call in reply.calls]
        tokens = (reply.prompt_tokens or quarter(request), reply.cached_tokens, reply.completion_tokens or 20)
        with self.lock:
            self.charged.append(tokens)
        number, model = next(self.ids), request.get("model", "")
        body, events = FORMS[dialect](reply, calls, tokens, f"reply_{number}", model)
        stream = request.get("stream") or "streamGenerateContent" in request["path"]
        if not stream:
            return Raw(body=json.dumps(body).encode())
        named = dialect in ("anthropic", "responses")
        rows = [f"event: {name}\n" * named + f"data: {json.dumps(event)}\n\n" for name, event in events]
        done = "data: [DONE]\n\n" if dialect == "chat" else ""
        return Raw(body=("".join(rows) + done).encode(), content_type=EVENTS)


def dialect_of(path: str) -> str:
    return NAMES.get(path.partition("?")[0].rpartition("/")[2], "gemini")


def _arguments(call: Call) -> str:
    return call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments)


def _anthropic(
    reply: Reply, calls: Sequence[Call], tokens: tuple[int, int, int], id: str, model: str
) -> tuple[dict[str, Any], list[Event]]:
    prompt, cached, completion = tokens
    content: list[dict[str, Any]] = [{"type": "text", "text": reply.text}] if reply.text else []
    content += [{"type": "tool_use", "id": c.id, "name": c.name, "input": json.loads(_arguments(c))} for c in calls]
    stop = reply.stop or ("tool_use" if calls else "end_turn")
    spent = {"input_tokens": prompt - cached, "cache_read_input_tokens": cached, "cache_creation_input_tokens": 0}
    usage = {"usage": {**spent, "output_tokens": completion}} if reply.usage else {}
    whole = {"id": id, "type": "message", "role": "assistant", "model": model, "content": content}
    begun = {**whole, "content": [], "stop_reason": None, "usage": {**spent, "output_tokens": 1}}
    events: list[Event] = [("message_start", {"message": begun})]
    for index, part in enumerate(content):
        text = part["type"] == "text"
        empty = {**part, "text": ""} if text else {**part, "input": {}}
        written = part["text"] if text else json.dumps(part["input"])
        kind, key = ("text_delta", "text") if text else ("input_json_delta", "partial_json")
        events.append(("content_block_start", {"index": index, "content_block": empty}))
        for piece in (written[:5], written[5:]):
            events.append(("content_block_delta", {"index": index, "delta": {"type": kind, key: piece}}))
        events.append(("content_block_stop", {"index": index}))
    events += [("message_delta", {"delta": {"stop_reason": stop}, **usage}), ("message_stop", {})]
    return {**whole, "stop_reason": stop, **usage}, [(name, {"type": name, **event}) for name, event in events]


def _responses(
    reply: Reply, calls: Sequence[Call], tokens: tuple[int, int, int], id: str, model: str
) -> tuple[dict[str, Any], list[Event]]:
    prompt, cached, completion = tokens
    said = {"type": "output_text", "text": reply.text, "annotations": []}
    items: list[dict[str, Any]] = (
        [{"type": "message", "id": f"{id}_m", "role": "assistant", "status": "completed", "content": [said]}]
        if reply.text
        else []
    )
    items += [
        {"type": "function_call", "id": f"{id}_{n}", "call_id": c.id, "name": c.name, "arguments": _arguments(c)}
        for n, c in enumerate(calls)
    ]
    spent = {
        "input_tokens": prompt, "input_tokens_details": {"cached_tokens": cached}, "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": prompt + completion,
    }  # fmt: skip
    ended = "incomplete" if reply.stop else "completed"
    whole: dict[str, Any] = {"id": id, "object": "response", "model": model, "status": ended, "output": items}
    if reply.stop:
        whole["incomplete_details"] = {"reason": reply.stop}
    if reply.usage:
        whole["usage"] = spent
    events: list[Event] = [("response.created", {"response": {"id": id, "status": "in_progress", "output": []}})]
    for index, item in enumerate(items):
        events.append(("response.output_item.added", {"output_index": index, "item": item}))
        if item["type"] == "message":
            delta = {"item_id": item["id"], "output_index": index, "content_index": 0, "delta": reply.text}
            events.append(("response.output_text.delta", delta))
        events.append(("response.output_item.done", {"output_index": index, "item": item}))
    events.append((f"response.{ended}", {"response": whole}))
    return whole, [(name, {"type": name, "sequence_number": n, **event}) for n, (name, event) in enumerate(events)]


def _chat(
    reply: Reply, calls: Sequence[Call], tokens: tuple[int, int, int], id: str, model: str
) -> tuple[dict[str, Any], list[Event]]:
    prompt, cached, completion = tokens
    functions = [
        {"index": n, "id": c.id, "type": "function", "function": {"name": c.name, "arguments": _arguments(c)}}
        for n, c in enumerate(calls)
    ]
    finish = reply.stop or ("tool_calls" if calls else "stop")
    spent = {
        "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }  # fmt: skip
    message = {"role": "assistant", "content": reply.text or None, "tool_calls": functions or None}
    usage = {"usage": spent} if reply.usage else {}
    head = {"id": id, "model": model, "created": 1}
    whole = {
        **head,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
    }
    chunk = {**head, "object": "chat.completion.chunk"}
    deltas = [({"role": "assistant", "content": reply.text}, None), ({"tool_calls": functions}, None), ({}, finish)]
    events: list[Event] = [
        ("", {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]}) for delta, end in deltas
    ]
    return {**whole, **usage}, [*events, ("", {**chunk, "choices": [], **usage})]


def _gemini(
    reply: Reply, calls: Sequence[Call], tokens: tuple[int, int, int], id: str, model: str
) -> tuple[dict[str, Any], list[Event]]:
    prompt, cached, completion = tokens
    parts: list[dict[str, Any]] = [{"text": reply.text}] if reply.text else []
    parts += [{"functionCall": {"name": c.name, "args": json.loads(_arguments(c))}} for c in calls]
    spent = {
        "promptTokenCount": prompt, "cachedContentTokenCount": cached, "candidatesTokenCount": completion - 5,
        "thoughtsTokenCount": 5, "totalTokenCount": prompt + completion,
    }  # fmt: skip
    candidate = {"index": 0, "content": {"role": "model", "parts": parts}, "finishReason": reply.stop or "STOP"}
    whole: dict[str, Any] = {"responseId": id, "modelVersion": model, "candidates": [candidate]}
    whole |= {"usageMetadata": spent} if reply.usage else {}
    return whole, [("", whole)]


FORMS = {"anthropic": _anthropic, "responses": _responses, "chat": _chat, "gemini": _gemini}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world: AgentProvider

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        request["path"] = self.path
        with self.world.lock:
            self.world.requests.append(request)
            self.world.headers.append({name.lower(): value for name, value in self.headers.items()})
        try:
            self.give(request, self.world.script(request))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def give(self, request: dict[str, Any], answer: Answer) -> None:
        match answer:
            case Reply():
                self.send(self.world.encode(request, answer))
            case Raw():
                self.send(answer)
            case Reset():
                whole = self.world.encode(request, Reply("a reply that is cut off on its way")).body
                if answer.after is not None:
                    self.send(Raw(body=whole[: answer.after], content_type=EVENTS, missing=len(whole)))
                self.close_connection = True
            case Stall():
                self.world.stopped.wait(answer.seconds)
                self.send(self.world.encode(request, Reply("late")))

    def send(self, raw: Raw) -> None:
        self.send_response(raw.status)
        headers = {"content-type": raw.content_type, "content-length": str(len(raw.body) + raw.missing), **raw.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw.body)


@contextmanager
def provider(script: Script | Sequence[Answer]) -> Iterator[AgentProvider]:
    """A provider on a free port of 127.0.0.1; it is gone on leaving."""
    world = AgentProvider(script if callable(script) else in_order(script))
    handler = type("Handler", (_Handler,), {"world": world})
    with on_a_free_port(handler, world.stopped) as url:
        world.url = url
        yield world


__all__ = ["AgentProvider", "Answer", "Call", "Raw", "Reply", "Reset", "Stall", "error", "provider"]

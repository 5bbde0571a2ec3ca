"""Anthropic's messages (https://docs.anthropic.com/en/api/messages): `POST /v1/messages`."""

import json
from collections.abc import Iterator
from typing import Any

from skillgrad_ci.method.ports import ModelRequest, ToolCall
from skillgrad_ci.models.gateway.dialect import (
    Answer,
    Asked,
    Broken,
    Json,
    ToolResult,
    json_object,
    reading,
    server_events,
    size_of,
    texts,
)
from skillgrad_ci.models.prices import Tokens
from skillgrad_ci.models.replies import Said

STATUS = {  # of an error that comes inside a stream
    "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403,
    "not_found_error": 404, "request_too_large": 413, "rate_limit_error": 429, "api_error": 500,
    "timeout_error": 504, "overloaded_error": 529,
}  # fmt: skip
STOPS = {"max_tokens": "length", "model_context_window_exceeded": "length", "refusal": "content_filter"}


class Anthropic:
    """The dialect of Claude Code."""

    name = "anthropic"
    ping = b'event: ping\ndata: {"type": "ping"}\n\n'

    def asked(self, path: str, body: Json) -> Asked | None:
        if path != "/v1/messages":
            return None
        said = [("system", texts(body.get("system")))]
        results = []
        for message in body["messages"]:
            for part in _parts(message["content"]):
                if part.get("type") == "tool_result":
                    failed = bool(part.get("is_error"))
                    results.append(ToolResult(part["tool_use_id"], texts(part.get("content")), failed))
                elif part.get("type") == "text" and message["role"] != "assistant":
                    said.append((message["role"], part["text"]))
        tools = body.get("tools") or []
        rest = {key: value for key, value in body.items() if key in ("system", "tool_choice", "output_config")}
        prompt = ModelRequest([_unmarked(message) for message in body["messages"]], [*tools, _unmarked(rest)])
        limit = body.get("max_tokens")
        return Asked(body["model"], bool(body.get("stream")), limit, bool(tools), said, results, prompt)

    def limited(self, body: Json, max_tokens: int) -> Json:
        return {**body, "max_tokens": max_tokens}

    def said(self, body: bytes, *, stream: bool) -> Said:
        return reading(lambda: _said(_assembled(body) if stream else json_object(body)))

    def refusal(self, status: int, text: str, *, stream: bool) -> Answer:  # noqa: ARG002
        return Answer.of_json(status, {"type": "error", "error": {"type": "invalid_request_error", "message": text}})

    def late_refusal(self, text: str) -> bytes:
        error = {"type": "error", "error": {"type": "invalid_request_error", "message": text}}
        return f"event: error\ndata: {json.dumps(error)}\n\n".encode()


def _parts(content: Any) -> Iterator[Json]:
    if isinstance(content, str):
        yield {"type": "text", "text": content}
    else:
        yield from content


def _unmarked(value: Any) -> Any:
    """Without the marks of what is to be cached: agents move them from call to call."""
    if isinstance(value, dict):
        return {key: _unmarked(item) for key, item in value.items() if key != "cache_control"}
    return [_unmarked(item) for item in value] if isinstance(value, list) else value


def _assembled(body: bytes) -> Json:
    """The message that a stream of events builds up."""
    message: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    for event in server_events(body):
        match event.get("type"):
            case "message_start":
                message = dict(event["message"])
            case "content_block_start":
                blocks[event["index"]] = {**event["content_block"], "written": ""}
            case "content_block_delta":
                delta = event["delta"]
                blocks[event["index"]]["written"] += (
                    delta.get("text") or delta.get("thinking") or delta.get("partial_json") or ""
                )
            case "message_delta":
                counted = {key: count for key, count in (event.get("usage") or {}).items() if count is not None}
                message |= event["delta"] | {"usage": {**(message.get("usage") or {}), **counted}}
            case "error":
                error = event["error"]
                raise Broken(json.dumps(event), STATUS.get(error.get("type"), 500))
            case "message_stop":
                return message | {"content": [_whole(block) for _, block in sorted(blocks.items())]}
    raise Broken("the stream ended before its end")


def _whole(block: dict[str, Any]) -> Json:
    written = block.pop("written")
    if block["type"] == "tool_use":
        return block | ({"input": written} if written else {})
    return block | {"text": (block.get("text") or block.get("thinking") or "") + written}


def _said(message: Json) -> Said:
    calls, spoken, thought = [], [], []
    for part in message["content"]:
        if part["type"] == "tool_use":
            given = part["input"]
            arguments = given if isinstance(given, str) else json.dumps(given)
            calls.append(ToolCall(part["id"], part["name"], arguments))
        elif part["type"] == "text":
            spoken.append(part["text"])
        else:
            thought.append(str(part.get("text") or part.get("thinking") or ""))
    text = "".join(spoken)
    stop = STOPS.get(message.get("stop_reason") or "", "tool_calls" if calls else "stop")
    size = size_of(text, *thought, *(call.arguments for call in calls))
    return Said(text, calls, stop, size, _tokens(message.get("usage") or {}))


def _tokens(usage: Json) -> Tokens | None:
    """Input is counted without what came from the cache, or went to it."""
    fresh, completion = usage.get("input_tokens"), usage.get("output_tokens")
    if fresh is None or completion is None:
        return None
    cached, written = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0
    return Tokens(fresh + cached + written, completion, cached, written)

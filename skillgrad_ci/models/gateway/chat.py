"""OpenAI's chat completions, which most providers speak: `POST /v1/chat/completions`."""

import json
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
from skillgrad_ci.models.replies import STOPS, Said


class ChatCompletions:
    """The dialect of OpenCode, Copilot CLI and Goose."""

    name = "chat"
    ping = b": waiting\n\n"

    def asked(self, path: str, body: Json) -> Asked | None:
        if path != "/v1/chat/completions":
            return None
        said, results = [], []
        for message in body["messages"]:
            if message["role"] == "tool":
                results.append(ToolResult(message["tool_call_id"], texts(message.get("content"))))
            elif message["role"] != "assistant":
                said.append((message["role"], texts(message.get("content"))))
        tools = body.get("tools") or []
        rest = {key: value for key, value in body.items() if key in ("response_format", "tool_choice")}
        prompt = ModelRequest(body["messages"], [*tools, rest])
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        return Asked(body["model"], bool(body.get("stream")), limit, bool(tools), said, results, prompt)

    def limited(self, body: Json, max_tokens: int) -> Json:
        name = "max_completion_tokens" if "max_completion_tokens" in body else "max_tokens"
        counted = {"stream_options": {**(body.get("stream_options") or {}), "include_usage": True}}
        return {**body, name: max_tokens, **(counted if body.get("stream") else {})}

    def said(self, body: bytes, *, stream: bool) -> Said:
        return reading(lambda: _said(_assembled(body) if stream else json_object(body)))

    def refusal(self, status: int, text: str, *, stream: bool) -> Answer:  # noqa: ARG002
        return Answer.of_json(status, _error(text))

    def late_refusal(self, text: str) -> bytes:
        return f"data: {json.dumps(_error(text))}\n\n".encode()


def _error(text: str) -> Json:
    return {"error": {"message": text, "type": "invalid_request_error", "code": "refused"}}


def _assembled(body: bytes) -> Json:
    """The completion that a stream of chunks builds up."""
    spoken = thought = ""
    calls: dict[int, dict[str, str]] = {}
    finish: str | None = None
    usage: Json = {}
    for chunk in server_events(body):
        if "error" in chunk:
            raise Broken(json.dumps(chunk), _status(chunk["error"]))
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"][:1]:
            delta = choice.get("delta") or {}
            spoken += delta.get("content") or ""
            thought += delta.get("reasoning_content") or ""
            finish = choice.get("finish_reason") or finish
            for part in delta.get("tool_calls") or []:
                _add(calls.setdefault(part.get("index", 0), {"id": "", "name": "", "arguments": ""}), part)
    if finish is None:
        raise Broken("the stream ended before its end")
    whole = [{"id": call["id"], "function": call} for _, call in sorted(calls.items())]
    message = {"content": spoken, "reasoning_content": thought, "tool_calls": whole}
    return {"choices": [{"message": message, "finish_reason": finish}], "usage": usage}


def _add(call: dict[str, str], part: Json) -> None:
    function = part.get("function") or {}
    call["id"] = part.get("id") or call["id"]
    call["name"] += function.get("name") or ""
    call["arguments"] += function.get("arguments") or ""


def _status(error: Any) -> int:
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and code >= 400 else 500


def _said(completion: Json) -> Said:
    choice = completion["choices"][0]
    message = choice["message"]
    text = message.get("content") or ""
    calls = [
        ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"] or "")
        for call in message.get("tool_calls") or []
    ]
    stop = STOPS.get(choice.get("finish_reason") or "", "tool_calls" if calls else "stop")
    thought = message.get("reasoning_content") or ""
    size = size_of(text, thought, *(call.arguments for call in calls))
    return Said(text, calls, stop, size, _tokens(completion.get("usage") or {}))


def _tokens(usage: Json) -> Tokens | None:
    if not usage.get("prompt_tokens") or usage.get("completion_tokens") is None:
        return None
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return Tokens(usage["prompt_tokens"], usage["completion_tokens"], cached)

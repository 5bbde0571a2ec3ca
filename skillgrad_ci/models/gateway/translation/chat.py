"""Chat completions for a provider that has none of its own: litellm speaks its form; only replies are written here."""

import json
from typing import Any

from skillgrad_ci.method.evidence import Usage
from skillgrad_ci.method.ports import ModelRequest
from skillgrad_ci.models.gateway.dialect import Json
from skillgrad_ci.models.gateway.translation.writing import Event
from skillgrad_ci.models.replies import Said

PASSED = ("role", "content", "tool_calls", "tool_call_id", "name")


def request(body: Json) -> ModelRequest:
    messages = [{key: value for key, value in message.items() if key in PASSED} for message in body["messages"]]
    for message in messages:
        if message["role"] == "developer":
            message["role"] = "system"
    return ModelRequest(messages, [tool for tool in body.get("tools") or [] if tool["type"] == "function"])


def written(said: Said, usage: Usage, id: str, model: str) -> tuple[Json, list[Event]]:
    """The completion, and the chunks that build it up."""
    functions = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}
        for call in said.calls
    ]
    spent = {
        "prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.tokens, "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }  # fmt: skip
    head = {"id": f"chatcmpl-{id}", "created": 0, "model": model}
    message: dict[str, Any] = {"role": "assistant", "content": said.text or None}
    if functions:
        message["tool_calls"] = functions
    choice = {"index": 0, "message": message, "finish_reason": said.stop}
    whole = {**head, "object": "chat.completion", "choices": [choice], "usage": spent}
    numbered = [{"index": number, **function} for number, function in enumerate(functions)]
    deltas = [({**message, "tool_calls": numbered} if functions else message, None), ({}, said.stop)]
    chunk = {**head, "object": "chat.completion.chunk"}
    events: list[Event] = [
        ("", {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]}) for delta, end in deltas
    ]
    return json.loads(json.dumps(whole)), [*events, ("", {**chunk, "choices": [], "usage": spent})]

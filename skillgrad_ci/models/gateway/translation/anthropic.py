"""Anthropic's messages as chat completions, and replies as Anthropic's messages."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from skillgrad_ci.method.evidence import Usage
from skillgrad_ci.method.ports import ModelRequest
from skillgrad_ci.models.gateway.dialect import Json
from skillgrad_ci.models.gateway.translation.transcript import Message, Transcript, function, image, left_out, text
from skillgrad_ci.models.gateway.translation.writing import Event, as_object
from skillgrad_ci.models.replies import Said

STOPS = {"length": "max_tokens", "content_filter": "refusal", "tool_calls": "tool_use"}
THOUGHT = ("thinking", "redacted_thinking")


def request(body: Json) -> ModelRequest:
    talk = Transcript()
    talk.told("system", list(_parts(body.get("system") or [])))
    for message in body["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if message["role"] == "assistant":
            _spoken(talk, blocks)
            continue
        for block in blocks:
            if block["type"] == "tool_result":
                talk.result(block["tool_use_id"], _result(block))
        talk.told(message["role"], list(_parts(block for block in blocks if block["type"] != "tool_result")))
    offered = [tool for tool in body.get("tools") or [] if "input_schema" in tool]  # the others run at Anthropic
    return talk.request([function(tool["name"], tool.get("description"), tool["input_schema"]) for tool in offered])


def _spoken(talk: Transcript, blocks: Iterable[Json]) -> None:
    for block in blocks:
        if block["type"] == "text":
            talk.said(block["text"])
        elif block["type"] == "tool_use":
            talk.called(block["id"], block["name"], json.dumps(block["input"]))


def _result(block: Json) -> Iterator[Message]:
    if block.get("is_error"):
        yield text("(the tool failed)")
    yield from _parts(block.get("content") or [])


def _parts(content: str | Iterable[Json]) -> Iterator[Message]:
    if isinstance(content, str):
        yield text(content)
        return
    for block in content:
        if block["type"] == "text":
            yield text(block["text"])
        elif block["type"] == "image":
            source = block["source"]
            encoded = f"data:{source.get('media_type')};base64,{source.get('data')}"
            yield image(source["url"] if source["type"] == "url" else encoded)
        elif block["type"] not in THOUGHT:
            yield left_out(block["type"])


def written(said: Said, usage: Usage, id: str, model: str) -> tuple[Mapping[str, Any], list[Event]]:
    """The message, and the events that build it up."""
    content: list[dict[str, Any]] = [{"type": "text", "text": said.text}] if said.text else []
    content += [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": as_object(call.arguments)}
        for call in said.calls
    ]  # fmt: skip
    spent = {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens, "cache_read_input_tokens": usage.cached_tokens,
        "cache_creation_input_tokens": 0, "output_tokens": usage.completion_tokens,
    }  # fmt: skip
    stop = {"stop_reason": STOPS.get(said.stop, "end_turn"), "stop_sequence": None}
    whole = {"id": f"msg_{id}", "type": "message", "role": "assistant", "model": model, "content": content}
    begun = {**whole, "content": [], "stop_reason": None, "stop_sequence": None, "usage": spent}
    events: list[tuple[str, dict[str, Any]]] = [("message_start", {"message": begun})]
    for index, block in enumerate(content):
        events += _events(index, block)
    events += [("message_delta", {"delta": stop, "usage": spent}), ("message_stop", {})]
    return {**whole, **stop, "usage": spent}, [(name, {"type": name, **event}) for name, event in events]


def _events(index: int, block: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if block["type"] == "text":
        empty, delta = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
    else:
        empty, delta = {**block, "input": {}}, {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    yield "content_block_start", {"index": index, "content_block": empty}
    yield "content_block_delta", {"index": index, "delta": delta}
    yield "content_block_stop", {"index": index}

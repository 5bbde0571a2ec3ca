"""OpenAI's responses as chat completions, and replies as OpenAI's responses."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from skillgrad_ci.method.evidence import Usage
from skillgrad_ci.method.ports import ModelRequest, ToolCall
from skillgrad_ci.models.gateway.dialect import Json
from skillgrad_ci.models.gateway.translation.transcript import Message, Transcript, function, image, left_out, text
from skillgrad_ci.models.gateway.translation.writing import Event
from skillgrad_ci.models.replies import Said

FREE = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}  # of a tool that takes text
REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}


def request(body: Json) -> ModelRequest:
    talk = Transcript()
    talk.told("system", [text(body["instructions"])] if body.get("instructions") else [])
    given = body["input"]
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        kind = item.get("type") or "message"
        if kind == "message" and item["role"] == "assistant":
            talk.said("\n".join(part["text"] for part in _parts(item["content"]) if part["type"] == "text"))
        elif kind == "message":
            talk.told(item["role"], list(_parts(item["content"])))
        elif kind == "function_call":
            talk.called(item["call_id"], item["name"], item["arguments"])
        elif kind == "custom_tool_call":
            talk.called(item["call_id"], item["name"], json.dumps({"input": item["input"]}))
        elif kind in ("function_call_output", "custom_tool_call_output"):
            talk.result(item["call_id"], _parts(item["output"]))
    return talk.request([*_tools(body)])


def _tools(body: Json) -> Iterator[Message]:
    """Functions, and tools that take a text, as functions. All others run at OpenAI."""
    for tool in body.get("tools") or []:
        if tool["type"] == "function":
            yield function(tool["name"], tool.get("description"), tool.get("parameters"))
        elif tool["type"] == "custom":
            form = (tool.get("format") or {}).get("definition")
            told = (
                f"{tool.get('description') or ''}\n\nThe input has this form:\n{form}" if form else tool["description"]
            )
            yield function(tool["name"], told, FREE)


def _parts(content: str | list[Json]) -> Iterator[Message]:
    if isinstance(content, str):
        yield text(content)
        return
    for part in content:
        kind = part["type"]
        if kind in ("input_text", "output_text", "text", "refusal"):
            yield text(part.get("text") or part.get("refusal") or "")
        elif kind == "input_image" and part.get("image_url"):
            yield image(part["image_url"])
        else:
            yield left_out(kind)


def written(said: Said, usage: Usage, id: str, model: str, custom: frozenset[str]) -> tuple[Json, list[Event]]:
    """The response, and the events that build it up. `custom` are the tools that take a text."""
    items = [_message(said.text, id)] if said.text else []
    items += [_call(call, f"{id}_{number}", call.name in custom) for number, call in enumerate(said.calls)]
    spent = {
        "input_tokens": usage.prompt_tokens, "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.completion_tokens, "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.tokens,
    }  # fmt: skip
    head = {"id": f"resp_{id}", "object": "response", "created_at": 0, "model": model}
    reason = REASONS.get(said.stop)
    ended = "incomplete" if reason else "completed"
    details = {"incomplete_details": {"reason": reason} if reason else None, "error": None}
    whole = {**head, **details, "status": ended, "output": items, "usage": spent}
    events = [("response.created", {"response": {**head, "status": "in_progress", "output": []}})]
    for index, item in enumerate(items):
        events += _events(index, item)
    events.append((f"response.{ended}", {"response": whole}))
    numbered = enumerate(events)
    return whole, [(name, {"type": name, "sequence_number": number, **event}) for number, (name, event) in numbered]


def _message(words: str, id: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": words, "annotations": []}]
    return {"type": "message", "id": f"msg_{id}", "role": "assistant", "status": "completed", "content": content}


def _call(call: ToolCall, id: str, custom: bool) -> dict[str, Any]:
    head = {"call_id": call.id, "name": call.name, "status": "completed"}
    if not custom:
        return {"type": "function_call", "id": f"fc_{id}", **head, "arguments": call.arguments or "{}"}
    try:
        given = json.loads(call.arguments)
    except ValueError:
        given = call.arguments
    free = given.get("input") if isinstance(given, Mapping) else given
    return {
        "type": "custom_tool_call",
        "id": f"ctc_{id}",
        **head,
        "input": free if isinstance(free, str) else call.arguments,
    }


def _events(index: int, item: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    at = {"output_index": index, "item_id": item["id"]}
    yield "response.output_item.added", {"output_index": index, "item": {**item, "status": "in_progress"}}
    if item["type"] == "message":
        words = item["content"][0]["text"]
        yield "response.output_text.delta", {**at, "content_index": 0, "delta": words}
        yield "response.output_text.done", {**at, "content_index": 0, "text": words}
    yield "response.output_item.done", {"output_index": index, "item": item}

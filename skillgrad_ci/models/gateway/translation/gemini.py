"""Gemini's generateContent as chat completions, and replies in its form. It has no ids of calls: they are counted."""

import json
from collections.abc import Iterator
from typing import Any

from skillgrad_ci.method.evidence import Usage
from skillgrad_ci.method.ports import ModelRequest
from skillgrad_ci.models.gateway.dialect import Json
from skillgrad_ci.models.gateway.translation.transcript import Message, Transcript, function, image, left_out, text
from skillgrad_ci.models.gateway.translation.writing import Event, as_object
from skillgrad_ci.models.replies import Said

STOPS = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}


def request(body: Json) -> ModelRequest:
    talk = Transcript()
    talk.told("system", [*_parts((body.get("systemInstruction") or {}).get("parts") or [])])
    calls = results = 0
    for content in body["contents"]:
        parts = content["parts"]
        if content.get("role") == "model":
            talk.said("\n".join(part["text"] for part in parts if "text" in part and not part.get("thought")))
            for call in (part["functionCall"] for part in parts if "functionCall" in part):
                talk.called(f"call_{calls}", call["name"], json.dumps(call.get("args") or {}))
                calls += 1
            continue
        for answer in (part["functionResponse"] for part in parts if "functionResponse" in part):
            talk.result(f"call_{results}", [text(json.dumps(answer.get("response")))])
            results += 1
        talk.told("user", [*_parts([part for part in parts if "functionResponse" not in part])])
    declared = [each for tool in body.get("tools") or [] for each in tool.get("functionDeclarations") or []]
    return talk.request([function(each["name"], each.get("description"), _schema(each)) for each in declared])


def _schema(declared: Json) -> Any:
    return declared.get("parametersJsonSchema") or _lowered(declared.get("parameters"))


def _lowered(schema: Any) -> Any:
    """A schema of Gemini's own form: it is JSON schema, with the names of types in capitals."""
    if isinstance(schema, dict):
        return {
            key: value.lower() if key == "type" and isinstance(value, str) else _lowered(value)
            for key, value in schema.items()
        }
    return [_lowered(item) for item in schema] if isinstance(schema, list) else schema


def _parts(parts: list[Json]) -> Iterator[Message]:
    for part in parts:
        if "text" in part:
            yield text(part["text"])
        elif (data := part.get("inlineData")) and str(data["mimeType"]).startswith("image/"):
            yield image(f"data:{data['mimeType']};base64,{data['data']}")
        else:
            yield left_out(" ".join(part))


def written(said: Said, usage: Usage, id: str, model: str) -> tuple[Json, list[Event]]:
    """The reply, which is one event where a stream is asked for."""
    parts: list[dict[str, Any]] = [{"text": said.text}] if said.text else []
    parts += [{"functionCall": {"name": call.name, "args": as_object(call.arguments)}} for call in said.calls]
    spent = {
        "promptTokenCount": usage.prompt_tokens, "cachedContentTokenCount": usage.cached_tokens,
        "candidatesTokenCount": usage.completion_tokens, "totalTokenCount": usage.tokens,
    }  # fmt: skip
    content = {"role": "model", "parts": parts}
    candidate = {"index": 0, "content": content, "finishReason": STOPS.get(said.stop, "STOP")}
    whole = {"responseId": id, "modelVersion": model, "candidates": [candidate], "usageMetadata": spent}
    return whole, [("", whole)]

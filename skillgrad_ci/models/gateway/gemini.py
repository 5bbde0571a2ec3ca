"""Gemini's generateContent (https://ai.google.dev/api/generate-content): the model is in the path."""

import json
import re
from collections.abc import Sequence
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
)
from skillgrad_ci.models.prices import Tokens
from skillgrad_ci.models.replies import Said

PATH = re.compile(r"^/v1(?:beta)?/models/([^/:]+):(generateContent|streamGenerateContent)$")
FILTERS = {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"}


class Gemini:
    """The dialect of Gemini CLI. Clients of it take no event without a reply, so nothing keeps a stream open."""

    name = "gemini"
    ping = b""

    def asked(self, path: str, body: Json) -> Asked | None:
        found = PATH.match(path)
        if found is None:
            return None
        said = [("system", _text((body.get("systemInstruction") or {}).get("parts") or []))]
        results: list[ToolResult] = []
        for content in body["contents"]:
            for part in content["parts"]:
                if "functionResponse" in part:
                    response = part["functionResponse"]
                    results.append(ToolResult(f"call_{len(results)}", _output(response.get("response"))))
                elif "text" in part and content.get("role") != "model":
                    said.append(("user", part["text"]))
        tools = body.get("tools") or []
        rest = {key: value for key, value in body.items() if key in ("systemInstruction", "generationConfig")}
        prompt = ModelRequest(body["contents"], [*tools, rest])
        limit = (body.get("generationConfig") or {}).get("maxOutputTokens")
        stream = found[2] == "streamGenerateContent"
        return Asked(found[1], stream, limit, bool(tools), said, results, prompt)

    def limited(self, body: Json, max_tokens: int) -> Json:
        return {**body, "generationConfig": {**(body.get("generationConfig") or {}), "maxOutputTokens": max_tokens}}

    def said(self, body: bytes, *, stream: bool) -> Said:
        return reading(lambda: _said([*server_events(body)] if stream else [json_object(body)]))

    def refusal(self, status: int, text: str, *, stream: bool) -> Answer:  # noqa: ARG002
        return Answer.of_json(status, _error(status, text))

    def late_refusal(self, text: str) -> bytes:
        return f"data: {json.dumps(_error(400, text))}\n\n".encode()


def _error(status: int, text: str) -> Json:
    return {"error": {"code": status, "message": text, "status": "INVALID_ARGUMENT"}}


def _text(parts: Sequence[Json]) -> str:
    return "\n".join(part["text"] for part in parts if "text" in part)


def _output(response: Any) -> str:
    if isinstance(response, dict) and len(response) == 1 and isinstance(only := next(iter(response.values())), str):
        return only
    return json.dumps(response)


def _said(chunks: Sequence[Json]) -> Said:
    spoken, thought, calls = "", "", []
    finish = ""
    usage: Json = {}
    for chunk in chunks:
        if "error" in chunk:
            raise Broken(json.dumps(chunk), int(chunk["error"].get("code") or 500))
        usage = chunk.get("usageMetadata") or usage
        if blocked := (chunk.get("promptFeedback") or {}).get("blockReason"):
            finish = blocked
        for candidate in (chunk.get("candidates") or [])[:1]:
            finish = candidate.get("finishReason") or finish
            for part in (candidate.get("content") or {}).get("parts") or []:
                if "functionCall" in part:
                    call = part["functionCall"]
                    calls.append(ToolCall(call.get("id") or "", call["name"], json.dumps(call.get("args") or {})))
                elif part.get("thought"):
                    thought += part.get("text") or ""
                else:
                    spoken += part.get("text") or ""
    if not finish:
        raise Broken("the stream ended before its end")
    filtered = "content_filter" if finish in FILTERS else "tool_calls" if calls else "stop"
    stop = "length" if finish == "MAX_TOKENS" else filtered
    return Said(spoken, calls, stop, size_of(spoken, thought, *(call.arguments for call in calls)), _tokens(usage))


def _tokens(usage: Json) -> Tokens | None:
    """Prompt tokens are counted with what came from the cache, thoughts apart from the reply."""
    if not usage.get("promptTokenCount"):
        return None
    prompt = usage["promptTokenCount"] + (usage.get("toolUsePromptTokenCount") or 0)
    completion = (usage.get("candidatesTokenCount") or 0) + (usage.get("thoughtsTokenCount") or 0)
    return Tokens(prompt, completion, usage.get("cachedContentTokenCount") or 0)

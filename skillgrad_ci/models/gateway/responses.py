"""OpenAI's responses (https://platform.openai.com/docs/api-reference/responses): `POST /v1/responses`."""

import json
from typing import Any

from skillgrad_ci.method.ports import ModelRequest, ToolCall
from skillgrad_ci.models.gateway.dialect import (
    EVENTS,
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

STATUS = {"rate_limit_exceeded": 429, "insufficient_quota": 429, "context_length_exceeded": 400, "invalid_prompt": 400}
STOPS = {"max_output_tokens": "length", "content_filter": "content_filter"}


class Responses:
    """The dialect of Codex."""

    name = "responses"
    ping = b": waiting\n\n"

    def asked(self, path: str, body: Json) -> Asked | None:
        if path != "/v1/responses":
            return None
        given = body["input"]
        items = [{"role": "user", "content": given}] if isinstance(given, str) else given
        said = [("system", body.get("instructions") or "")]
        results = []
        for item in items:
            if str(item.get("type", "")).endswith("_output"):
                results.append(ToolResult(item["call_id"], _output(item.get("output"))))
            elif item.get("role") in ("system", "developer", "user"):
                said.append((item["role"], texts(item.get("content"))))
        tools = body.get("tools") or []
        rest = {key: value for key, value in body.items() if key in ("instructions", "text", "tool_choice")}
        prompt = ModelRequest([_unnamed(item) for item in items], [*tools, rest])
        limit = body.get("max_output_tokens")
        return Asked(body["model"], bool(body.get("stream")), limit, bool(tools), said, results, prompt)

    def limited(self, body: Json, max_tokens: int) -> Json:
        return {**body, "max_output_tokens": max_tokens}

    def said(self, body: bytes, *, stream: bool) -> Said:
        return reading(lambda: _said(_assembled(body) if stream else json_object(body)))

    def refusal(self, status: int, text: str, *, stream: bool) -> Answer:
        """In a stream: the one failure after which Codex asks no more. Any status has it ask six times."""
        if stream:
            return Answer(200, EVENTS, self.late_refusal(text))
        return Answer.of_json(status, {"error": {"message": text, "type": "insufficient_quota"}})

    def late_refusal(self, text: str) -> bytes:
        error = {"code": "insufficient_quota", "message": text}
        failed = {"id": "resp_refused", "object": "response", "status": "failed", "error": error, "output": []}
        event = {"type": "response.failed", "sequence_number": 0, "response": failed}
        return f"event: response.failed\ndata: {json.dumps(event)}\n\n".encode()


def _unnamed(item: Json) -> Json:
    """Without the id that the agent gave it, which no model reads; one that stands for an item is what it says."""
    return item if item.get("type") == "item_reference" else {key: item[key] for key in item if key != "id"}


def _output(value: Any) -> str:
    return value if isinstance(value, str) else texts(value) or json.dumps(value)


def _assembled(body: bytes) -> Json:
    """The response that the last event holds, with its items, which some servers send apart only."""
    items = []
    for event in server_events(body):
        match event.get("type"):
            case "response.output_item.done":
                items.append(event["item"])
            case "response.completed" | "response.incomplete" | "response.failed":
                response = event["response"]
                return {**response, "output": response.get("output") or items}
            case "error":
                raise Broken(json.dumps(event), STATUS.get(event.get("code") or "", 500))
    raise Broken("the stream ended before its end")


def _said(response: Json) -> Said:
    if response.get("status") == "failed":
        error = response.get("error") or {}
        raise Broken(json.dumps({"error": error}), STATUS.get(error.get("code") or "", 500))
    calls, spoken, thought = [], [], []
    for item in response["output"]:
        kind = item["type"]
        if kind == "message":
            spoken.append("".join(part.get("text") or part.get("refusal") or "" for part in item["content"]))
        elif kind in ("function_call", "custom_tool_call"):
            calls.append(ToolCall(item["call_id"], item["name"], item.get("arguments") or item.get("input") or ""))
        elif kind == "local_shell_call":
            calls.append(ToolCall(item["call_id"], "local_shell", json.dumps(item["action"])))
        elif kind == "reasoning":
            thought.append(texts(item.get("summary")) + texts(item.get("content")))
    text = "\n".join(spoken)
    reason = (response.get("incomplete_details") or {}).get("reason")
    stop = STOPS.get(reason or "", "tool_calls" if calls else "stop")
    size = size_of(text, *thought, *(call.arguments for call in calls))
    return Said(text, calls, stop, size, _tokens(response.get("usage") or {}))


def _tokens(usage: Json) -> Tokens | None:
    """Input is counted with what came from the cache, output with reasoning."""
    if not usage.get("input_tokens") or usage.get("output_tokens") is None:
        return None
    cached = (usage.get("input_tokens_details") or {}).get("cached_tokens") or 0
    return Tokens(usage["input_tokens"], usage["output_tokens"], cached)

"""A rehearsal script without litellm's registry: as a `ports.Model`, and as answers of the scripted server."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from skillgrad_ci.method.evidence import Usage
from skillgrad_ci.method.ports import ModelReply, ModelRequest, ToolCall
from skillgrad_ci.models.rehearsal.register import respond
from skillgrad_ci.models.rehearsal.script import Script
from tests.support.scripted_answers import Call, Reply


@dataclass
class Rehearsed:
    """Keeps every request that it answered, in the OpenAI form, in `asked`."""

    script: Script
    name: str = "rehearsed"
    asked: list[dict[str, Any]] = field(default_factory=list)

    def bound(self, request: ModelRequest) -> Usage:
        return Usage(1, 200_000, 0, request.max_tokens, 1.0)

    def complete(self, request: ModelRequest) -> ModelReply:
        body: dict[str, Any] = {"model": self.name, "messages": request.joined}
        if request.tools:
            body["tools"] = [dict(tool) for tool in request.tools]
        if request.schema:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": request.schema.__name__}}
        self.asked.append(body)
        answer = respond(self.script, body)
        message, usage = answer["choices"][0]["message"], answer["usage"]
        calls = [
            ToolCall(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in message.get("tool_calls", ())
        ]
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        taken = Usage(1, usage["prompt_tokens"], cached, usage["completion_tokens"], 0.0)
        return ModelReply(message["content"] or "", calls, answer["choices"][0]["finish_reason"], taken)


def served(script: Script) -> Callable[[dict[str, Any]], Reply]:
    """The script as `scripted_server.serve` wants it."""

    def answer(request: dict[str, Any]) -> Reply:
        body = respond(script, request)
        message, usage = body["choices"][0]["message"], body["usage"]
        functions = [(call["id"], call["function"]) for call in message.get("tool_calls", ())]
        return Reply(
            text=message["content"] or "",
            calls=[Call(function["name"], function["arguments"], id) for id, function in functions],
            prompt_tokens=usage["prompt_tokens"],
            cached_tokens=usage["prompt_tokens_details"]["cached_tokens"],
            completion_tokens=usage["completion_tokens"],
        )

    return answer

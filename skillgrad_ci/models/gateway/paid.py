"""A reply as the journal keeps it, and what a call is known by: what it says, not who says it.

Agents put ids of their session, their turn and their installation beside a conversation. They are no part of
`Asked.prompt`, which is what a model reads.
"""

from collections.abc import Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from skillgrad_ci.method.evidence import Usage
from skillgrad_ci.method.ports import ToolCall
from skillgrad_ci.models.gateway.dialect import Answer, Call
from skillgrad_ci.models.replies import Said


def content_of(call: Call) -> list[Any]:
    """What decides a call's reply, as JSON."""
    asked = call.asked
    settings = [call.path, asked.model, asked.stream, asked.max_tokens]
    return [*settings, list(asked.prompt.messages), list(asked.prompt.tools)]


def kept(said: Said, answer: Answer, usage: Usage) -> dict[str, Any]:
    """A good reply, as JSON."""
    words = {"text": said.text, "calls": [asdict(call) for call in said.calls], "stop": said.stop}
    body = answer.body.decode("utf-8", "replace")
    return {"said": words, "content_type": answer.content_type, "body": body, "usage": asdict(usage)}


def replayed(known: Mapping[str, Any]) -> tuple[Said, Answer, Usage]:
    """A reply that `kept` made."""
    words = known["said"]
    said = Said(words["text"], [ToolCall(**call) for call in words["calls"]], words["stop"], 0, None)
    return said, Answer(HTTPStatus.OK, known["content_type"], known["body"].encode()), Usage(**known["usage"])

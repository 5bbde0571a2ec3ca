"""What the replies of every dialect have in common: server-sent events, ids and arguments."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from skillgrad_ci.method.ports import ModelRequest, ToolCall
from skillgrad_ci.models.replies import Said

Event = tuple[str, Mapping[str, Any]]  # its name ('' where the dialect names none), and what it holds


def as_object(arguments: str) -> Mapping[str, Any]:
    """A call's arguments; what is not a JSON object is in one, so that the tool can say what is wrong."""
    try:
        value = json.loads(arguments or "{}")
    except ValueError:
        value = arguments
    return value if isinstance(value, Mapping) else {"arguments": value}


def stream_of(events: Sequence[Event], *, done: bool) -> bytes:
    """`done`: whether the dialect says the end of a stream by a line of its own."""
    rows = [f"event: {name}\n" * bool(name) + f"data: {json.dumps(event)}\n\n" for name, event in events]
    return ("".join(rows) + "data: [DONE]\n\n" * done).encode()


def with_ids(said: Said, request: ModelRequest) -> Said:
    """Ids of calls that the conversation does not have yet: some servers count from 0 in every reply."""
    known = {call.get("id") for message in request.messages for call in message.get("tool_calls") or []}
    calls = [call if call.id not in known else ToolCall(_fresh(), call.name, call.arguments) for call in said.calls]
    return replace(said, calls=calls)


def _fresh() -> str:
    return f"call_{uuid4().hex[:24]}"

"""What a response of litellm's says, whatever shape a provider gave it."""

from dataclasses import dataclass
from typing import Any

from skillgrad_ci.document.json_text import mend
from skillgrad_ci.method.ports import ToolCall
from skillgrad_ci.models.prices import Tokens

STOPS = {"length": "length", "content_filter": "content_filter"}


@dataclass(frozen=True)
class Said:
    """A reply's text, tool calls and stop; `size` is the UTF-8 bytes of all that the model wrote.

    `tokens` is the provider's own count; None where it gave none, or one that cannot be true.
    """

    text: str
    calls: list[ToolCall]
    stop: str
    size: int
    tokens: Tokens | None


def read_response(response: Any) -> Said:
    """Read litellm's response, which has at least one choice."""
    choice = response.choices[0]
    text, calls = mend(choice.message.content or ""), _tool_calls(choice.message)
    stop = STOPS.get(choice.finish_reason, "tool_calls" if calls else "stop")
    thought = getattr(choice.message, "reasoning_content", None) or ""
    size = sum(len(part.encode("utf-8", "replace")) for part in [text, thought, *(call.arguments for call in calls)])
    return Said(text, calls, stop, size, _tokens(getattr(response, "usage", None), size))


def _tool_calls(message: Any) -> list[ToolCall]:
    """The reply's tool calls, each with an id of its own, whatever ids the provider gave."""
    calls: dict[str, ToolCall] = {}
    for position, call in enumerate(message.tool_calls or ()):
        given = call.id if call.id and call.id not in calls else f"call_{position}_{call.id or ''}"
        calls[given] = ToolCall(given, mend(call.function.name or ""), mend(call.function.arguments or ""))
    return list(calls.values())


def _tokens(usage: Any, size: int) -> Tokens | None:
    """litellm fills in zeros where the provider said nothing; no real prompt has none."""
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    if prompt <= 0 or completion < 0 or (size and not completion):
        return None
    details = getattr(usage, "prompt_tokens_details", None)
    cached, written = (max(0, _count(details, name)) for name in ("cached_tokens", "cache_creation_tokens"))
    return Tokens(prompt, completion, cached, written)


def _count(holder: Any, name: str) -> int:
    return int(getattr(holder, name, None) or 0)

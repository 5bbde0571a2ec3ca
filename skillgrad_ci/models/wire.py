"""What replies look like on the wire, and what of them is passed on.

OpenAI's chat completions and Anthropic's messages are validated field by field; what we do not use is
left out. Other providers' replies are JSON objects whose token counts are checked; litellm translates
them, and `replies` reads the translation. Shapes of older or looser providers are put into today's form
here: `function_call`, arguments that are an object, content in parts, a refusal without content.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, model_validator

from skillgrad_ci.document import json_text

MOST_TOKENS = 1_000_000_000  # of one call: a count beyond it is not a count
PARALLEL = "multi_tool_use.parallel"  # a tool of several calls that models of OpenAI's make up now and then
ANSWERS = {"choices", "content", "candidates", "output"}  # what a reply holds that is not an error
STATUS = {  # of errors that come with HTTP 200
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "insufficient_quota": 429,
    "overloaded_error": 529,
    "server_error": 500,
    "api_error": 500,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "context_length_exceeded": 400,
    "invalid_request_error": 400,
}


class BadShape(ValueError):
    """A reply in none of the shapes that are let in: where, and what is wrong."""


def _text(value: Any) -> Any:
    """Content in parts (`[{"type": "text", "text": …}]`) as one text."""
    if isinstance(value, list):
        parts = [part.get("text") if isinstance(part, dict) else part for part in value]
        return "".join(part for part in parts if isinstance(part, str))
    return value


def _arguments(value: Any) -> str:
    """A tool call's arguments as JSON text. Broken JSON stays as it is: the model is told so."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return json.dumps(value)
    text = json_text.mend(json_text.tame(value))
    try:
        json.loads(text)
        return json.dumps(json_text.loads(text)) if json_text.has_half(text) else text
    except ValueError:
        return str(text)


def _usage(value: Any) -> Any:
    """Token counts as they can be true: whole, not negative, not absurd. Others are left out, as if not given."""
    if isinstance(value, dict):
        counts = {key: _usage(item) for key, item in value.items()}
        nested = {key for key, count in counts.items() if isinstance(count, dict) and key.endswith("_tokens")}
        return {key: count for key, count in counts.items() if count not in (None, {}) and key not in nested}
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS
    return value if count else None


def _input(value: Any) -> Any:
    return value if isinstance(value, dict) else {"arguments": value}


def _name(value: Any) -> Any:
    """A name or an id; what is not text stands for none."""
    return value if isinstance(value, str) else None


Text = Annotated[str | None, BeforeValidator(_text)]
Name = Annotated[str | None, BeforeValidator(_name)]
Counts = Annotated[dict[str, Any] | None, BeforeValidator(_usage)]


class _Use(BaseModel):
    recipient_name: str
    parameters: Any


class _Uses(BaseModel):
    """The arguments of `PARALLEL`."""

    tool_uses: list[_Use]


class _Function(BaseModel):
    name: Name = None
    arguments: Annotated[str, BeforeValidator(_arguments)] = ""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        """litellm unpacks `PARALLEL` and fails at one that is not whole; by another name, the model is told of it."""
        if self.name == PARALLEL:
            try:
                _Uses.model_validate_json(self.arguments)
            except ValidationError:
                self.name = PARALLEL.replace(".", "_")
        return self


class _Call(BaseModel):
    id: Name = None
    function: _Function


class _Message(BaseModel):
    content: Text = None
    tool_calls: list[_Call] | None = None
    reasoning_content: Text = None
    refusal: Text = None
    function_call: _Function | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: Name = None


class _Completion(BaseModel):
    """OpenAI's chat completion, as far as we read it."""

    choices: list[_Choice] = Field(min_length=1)
    usage: Counts = None
    service_tier: Name = None  # litellm's reading of Groq's replies fails without it


class _Block(BaseModel, extra="allow"):
    type: str
    text: Text = None
    id: Name = None
    name: Name = None
    input: Annotated[dict[str, Any], BeforeValidator(_input)] = Field(default_factory=dict)


class _Answer(BaseModel):
    """Anthropic's message, as far as we read it."""

    content: list[_Block]
    stop_reason: Name = None
    usage: Counts = None


def error_in(value: Any) -> tuple[int | None, str] | None:
    """The status, if it can be told, and the words of an error that came as if it were a reply."""
    if not isinstance(value, dict) or not value.get("error") or ANSWERS & {name for name in value if value[name]}:
        return None
    error = value["error"] if isinstance(value["error"], dict) else {"message": value["error"]}
    said = [str(error[name]) for name in ("code", "type", "status", "message") if error.get(name)]
    numbers = [int(word) for word in said if word.isdecimal() and len(word) == 3 and 400 <= int(word) < 600]
    known = [STATUS[word.lower()] for word in said if word.lower() in STATUS]
    return next(iter([*numbers, *known]), None), ": ".join(said)


def checked(value: Any, path: str) -> Any:
    """A reply's JSON with nothing in it that was not looked at. `path` is where it was asked for. Raises BadShape."""
    if not isinstance(value, dict):
        raise BadShape(f"a JSON object is expected, not {type(value).__name__}")
    try:
        if path.endswith("/chat/completions"):
            return _completion(value)
        if path.endswith("/messages") or value.get("type") == "message":
            return _answer(value)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadShape(f"{'.'.join(map(str, first['loc'])) or 'reply'}: {first['msg']}") from None
    return {key: _usage(item) or {} if key in {"usage", "usageMetadata"} else item for key, item in value.items()}


def _completion(value: Mapping[str, Any]) -> dict[str, Any]:
    choices = value.get("choices")
    reply = _Completion.model_validate({**value, "choices": choices[:1] if isinstance(choices, list) else choices})
    said, finish = reply.choices[0].message, reply.choices[0].finish_reason
    calls = said.tool_calls or []
    if said.function_call is not None and not calls:
        calls, finish = [_Call(function=said.function_call)], "tool_calls"
    content = said.content
    if said.refusal and not content and not calls:
        content, finish = said.refusal, "content_filter"
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if calls:
        message["tool_calls"] = [{"type": "function", **call.model_dump(exclude_none=True)} for call in calls]
    if said.reasoning_content:
        message["reasoning_content"] = said.reasoning_content
    choice = {"index": 0, "message": message, "finish_reason": finish}
    whole = {"id": "reply", "object": "chat.completion", "created": 0, "model": "", "choices": [choice]}
    whole["service_tier"] = reply.service_tier
    return whole if reply.usage is None else {**whole, "usage": reply.usage}


def _answer(value: Mapping[str, Any]) -> dict[str, Any]:
    reply = _Answer.model_validate(value)
    content = [block.model_dump(exclude_none=True, exclude_unset=True) for block in reply.content]
    whole = {"id": "reply", "type": "message", "role": "assistant", "model": "", "content": content}
    return {**whole, "stop_reason": reply.stop_reason, "usage": reply.usage or {}}

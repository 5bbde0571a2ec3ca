"""How a structured reply is asked for, by what the provider understands: a schema goes out once.

OpenAI's strict mode wants every property required, no further ones, and knows only some keywords
(https://platform.openai.com/docs/guides/structured-outputs#supported-schemas). The reply is validated
against the full model anyway, so what strict mode does not know is left out here.
"""

import json
from typing import Any

from pydantic import BaseModel

_UNKNOWN_TO_STRICT = {"default", "title", "examples", "minLength", "maxLength", "uniqueItems", "discriminator"}


def response_format(reply: type[BaseModel]) -> dict[str, Any]:
    """The `response_format` that asks for a JSON object which fits `reply`."""
    schema = _closed(reply.model_json_schema())
    return {
        "type": "json_schema",
        "json_schema": {"name": reply.__name__, "schema": schema, "strict": _is_strict(schema)},
    }


def in_words(reply: type[BaseModel]) -> str:
    """The same request as text, for a provider that takes no schema."""
    schema = json.dumps(reply.model_json_schema(), separators=(",", ":"))
    return f"Reply with one JSON object that fits this schema, and nothing else:\n{schema}"


def _closed(schema: Any) -> Any:
    """The schema with each object's properties all required and no others allowed."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    names = schema.get("properties")
    closed = {
        key: {name: _closed(value[name]) for name in value} if key in {"properties", "$defs"} else _closed(value)
        for key, value in schema.items()
        if key not in _UNKNOWN_TO_STRICT
    }
    if isinstance(names, dict):
        closed |= {"required": list(names), "additionalProperties": False}
    return closed


def _is_strict(schema: Any) -> bool:
    """Whether strict mode can express it: an object of any keys (a mapping) cannot be."""
    if isinstance(schema, list):
        return all(map(_is_strict, schema))
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return False
    return all(map(_is_strict, schema.values()))

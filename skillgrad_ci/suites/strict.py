"""The models that suites' files are checked against: nothing is coerced, misspelt keys name their neighbour."""

import difflib
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, model_validator
from pydantic_core import PydanticCustomError


class Strict(BaseModel):
    """Base of what stands in a suite's file: nothing is coerced, an unknown key names its neighbour."""

    model_config = {"extra": "forbid", "strict": True, "frozen": True, "populate_by_name": True, "allow_inf_nan": False}
    tolerant: ClassVar[bool] = False

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, value: Any) -> Any:
        if isinstance(value, dict):
            if cls.tolerant:
                value = {key: one for key, one in value.items() if one is not None}
            known = [info.alias or name for name, info in cls.model_fields.items()]
            for key in value:
                if key not in known and (not cls.tolerant or _close(str(key), known, 0.75)):
                    context = {"key": str(key), "hint": nearest(str(key), known)}
                    raise PydanticCustomError("unknown_key", "unknown key; {hint}", context)
        return value


class Foreign(Strict):
    """What stands in a file of another tool: keys of its own are left alone, misspelt ones are not.

    A field that is null (an empty `files:`) is one left out.
    """

    model_config = {"extra": "ignore"}
    tolerant: ClassVar[bool] = True


def nearest(word: str, known: Sequence[str]) -> str:
    """The likeliest of `known` for a misspelt `word`, as the end of an error's sentence."""
    close = _close(word, known, 0.6)
    return f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"


def _close(word: str, known: Sequence[str], cutoff: float) -> list[str]:
    return difflib.get_close_matches(word, known, n=1, cutoff=cutoff)

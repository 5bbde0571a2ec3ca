"""JSON from outside, made safe before anything else reads it.

Three kinds of JSON that the standard allows, or that parsers let pass, end a program later on: brackets
so deep that a parser runs out of stack, numbers of thousands of digits (Python refuses to read more than
4,300), and halves of surrogate pairs (`"\\ud800"`), which no file and no request can hold as UTF-8. Models
write all three. What is too deep or too long becomes `{"not read": why}`; a half becomes U+FFFD.
"""

import json
import math
import re
from typing import Any

DEPTH = 64  # brackets in brackets that are read
NUMBER = 64  # characters of a number that is read
HALF = re.compile("[\ud800-\udfff]")
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]|-?[0-9][0-9.eE+-]*', re.DOTALL)
_SLASHED_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def tame(text: str) -> str:
    """The same JSON text, with `{"not read": why}` for what is nested too deep and for numbers too long."""
    parts, kept, level, deep = [], 0, 0, 0
    for token in _TOKEN.finditer(text):
        first, start, end = text[token.start()], token.start(), token.end()
        said = ""
        if first in "[{":
            level += 1
            deep = start if level == DEPTH + 1 else deep
        elif first in "]}":
            if level == DEPTH + 1:
                start, said = deep, f"nested deeper than {DEPTH} levels"
            level -= 1
        elif first != '"' and end - start > NUMBER and level <= DEPTH:
            said = f"a number of {end - start} characters"
        if said:
            parts += [text[kept:start], json.dumps({"not read": said})]
            kept = end
    if level > DEPTH:  # never closed: it is not JSON, and nobody has to find that out by recursion
        parts, kept = [*parts, text[kept:deep]], len(text)
    return "".join([*parts, text[kept:]])


def loads(text: str) -> Any:
    """The value of a JSON text of any making. Raises ValueError where it is not JSON."""
    value = json.loads(tame(text), parse_constant=lambda _: None, parse_float=_finite)
    return mend(value) if has_half(text) else value


def has_half(text: str) -> bool:
    """Whether half a surrogate pair may be in a JSON text, written out or as an escape."""
    return bool(_SLASHED_HALF.search(text) or HALF.search(text))


def mend(value: Any) -> Any:
    """A JSON value whose every text, keys too, can be written as UTF-8."""
    if isinstance(value, str):
        return HALF.sub("\ufffd", value)
    if isinstance(value, dict):
        return {mend(key): mend(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [mend(item) for item in value]
    return value


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None

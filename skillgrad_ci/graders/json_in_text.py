"""The JSON value that a text gives: all of it, a fenced block, or one in its prose; and how values compare."""

import json
import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from skillgrad_ci.graders.result_files import Unusable

MAX_STARTS = 500  # places of a text from which a value is tried to be read


def json_of(text: str) -> Any:
    """The whole text, else its last block of code that is JSON, else the last object or list in its prose.

    Raises Unusable where there is none, or where an object has a key twice: which one counts is nobody's to say.
    """
    for candidate in [text, *reversed(list(_blocks(text)))]:
        try:
            return json.loads(candidate, object_pairs_hook=_unique)
        except (ValueError, RecursionError):
            continue
    values = list(_in_prose(text))
    if not values:
        raise Unusable(f"no JSON value: {text.strip()[:200]!r}")
    return values[-1]


def _blocks(text: str) -> Iterator[str]:
    """The fenced and indented blocks of a Markdown text, in a list or with `~~~` as well."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["normalize", "block"])
    for token in parser.parse(text):
        if token.type in ("fence", "code_block"):
            yield token.content


def _in_prose(text: str) -> Iterator[Any]:
    """The objects and lists that are in a text, outermost ones."""
    decoder = json.JSONDecoder(object_pairs_hook=_unique)
    at = 0
    for _ in range(MAX_STARTS):
        starts = [start for start in (text.find("{", at), text.find("[", at)) if start >= 0]
        if not starts:
            return
        try:
            value, at = decoder.raw_decode(text, min(starts))
            yield value
        except (ValueError, RecursionError):
            at = min(starts) + 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise Unusable(f"the key {twice!r} stands twice in one object; write it once")
    return fields


def at_path(value: Any, path: str) -> Any:
    """The value at `items.0.name`; a key may hold dots. Raises Unusable where the path leads nowhere."""
    steps = path.split(".") if path else []
    while steps:
        keys = [".".join(steps[:length]) for length in range(len(steps), 0, -1)]
        key = next((key for key in keys if isinstance(value, dict) and key in value), None)
        if key is not None:
            value, steps = value[key], steps[key.count(".") + 1 :]
        elif isinstance(value, list) and steps[0].isdecimal() and int(steps[0]) < len(value):
            value, steps = value[int(steps[0])], steps[1:]
        else:
            raise Unusable(f"the JSON has nothing at {path!r} (no {steps[0]!r})")
    return value


def same(a: Any, b: Any, tolerance: float = 0.0) -> bool:
    """JSON equality: 1 equals 1.0, true does not equal 1, the order of keys does not count.

    Two numbers may be `tolerance` apart, its edge included.
    """
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key], tolerance) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y, tolerance) for x, y in zip(a, b, strict=True))
    if tolerance and isinstance(a, int | float) and isinstance(b, int | float):
        return abs(Decimal(repr(a)) - Decimal(repr(b))) <= Decimal(repr(tolerance))
    if isinstance(a, str) and isinstance(b, str):
        return _composed(a) == _composed(b)
    return bool(a == b)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text).replace("\u00a0", " ").replace("\u202f", " ")

"""Secrets that were given to the process never reach what it writes.

What a secret is stands here alone (`secrets_in`). Known values are replaced, not patterns guessed: a
key's value is known exactly, and a pattern would also eat digests and cell contents. A value is known
in other dress too: in other cases, cut in pieces, quoted for an address, JSON or HTML, in hex or base64.
"""

import base64
import json
import re
import string
from collections.abc import Iterable, Iterator, Mapping
from heapq import merge
from html import escape
from io import StringIO
from typing import Any
from urllib.parse import quote, unquote

MASK = "***"
SHORTEST = 8  # characters; masking shorter values ("true", "main") would only garble the text
GAP = 16  # characters that may stand between two of a secret that was cut in pieces
SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|\bPAT|_PAT)(_|$)", re.IGNORECASE)
_BETWEEN = r"[\x00-/:-@\[-`{-\x7f]"  # what `_SQUEEZE` takes away, told so that it compiles in no time
IN_ADDRESS = re.compile(r"://([^\s/:@]*):([^\s/]+)@")  # the name and password of https://name:password@host
_SQUEEZE = {code: None for code in range(128) if not chr(code).isalnum()} | {
    ord(upper): upper.lower() for upper in string.ascii_uppercase
}


def secrets_in(environ: Mapping[str, str]) -> list[str]:
    """Every secret of an environment: values of variables whose names say so, and passwords inside addresses.

    A password too short to be replaced wherever it stands is replaced with the name before it.
    """
    found = [value for name, value in environ.items() if SECRET_NAME.search(name)]
    for name, password in (pair for value in environ.values() for pair in IN_ADDRESS.findall(value)):
        found += {password, unquote(password)} if len(password) >= SHORTEST else {f"{name}:{password}@"}
    return [secret for secret in found if len(secret.strip()) >= SHORTEST]


class Redactor:
    """Replaces secrets, and their other forms, by `***`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {part.strip() for secret in secrets for part in (secret, *secret.splitlines())}
        forms = {form for secret in known if len(secret) >= SHORTEST for form in _forms(secret)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        squeezed = {form.translate(_SQUEEZE) for form in forms}
        self._squeezed = sorted(form for form in squeezed if len(form) >= SHORTEST)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Redactor":
        """Of every secret in `environ`."""
        return cls(secrets_in(environ))

    def __call__(self, text: str) -> str:
        if self._pattern is None:
            return text
        while (cleaned := _without(text, self._found(text))) is not text:
            text = cleaned  # what stood on both sides of a secret may be another one
        return text

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        """Where secrets stand, in order. A text has up to tens of megabytes: this keeps no list of its letters."""
        assert self._pattern is not None
        squeezed = text.translate(_SQUEEZE)
        patterns = [self._pattern, *(_in_pieces(form) for form in self._squeezed if form in squeezed)]
        del squeezed
        return merge(*(_places(pattern, text) for pattern in patterns))

    def clean(self, value: Any) -> Any:
        """A JSON value with every string in it redacted, keys too."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {self(str(key)): self.clean(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.clean(item) for item in value]
        return value


def _forms(secret: str) -> set[str]:
    """A secret as other programs write it. Other cases and separators need no form: `_SQUEEZE` takes them away."""
    data = secret.encode("utf-8", "replace")
    forms = {secret, quote(secret, safe="", errors="replace"), escape(secret), data.hex(), *_base64(data)}
    forms |= {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    forms |= {"".join(f"{mark}{byte:02x}" for byte in data) for mark in (r"\x", "0x")}
    return forms | {"".join(rf"\u{ord(character):04x}" for character in secret)}


def _base64(data: bytes) -> Iterator[str]:
    """The data alone, and what is in base64 whatever was written before and after it, as `Bearer ` or `name:`."""
    yield base64.b64encode(data).decode().rstrip("=")
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data).decode().rstrip("=")
        shared = (before + len(data)) % 3 != 0  # the last character holds bits of what follows
        yield encoded[(0, 2, 3)[before] : len(encoded) - shared]


def _in_pieces(form: str) -> re.Pattern[str]:
    """A squeezed form wherever its letters stand, in either case, with at most GAP other characters between two."""
    letters = (f"[{one}{one.upper()}]" if one in string.ascii_lowercase else re.escape(one) for one in form)
    return re.compile(f"{_BETWEEN}{{0,{GAP}}}".join(letters))


def _places(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    """Where it matches, in order, also where a match begins inside another."""
    found = pattern.search(text)
    while found:
        yield found.span()
        found = pattern.search(text, found.start() + 1)


def _without(text: str, places: Iterable[tuple[int, int]]) -> str:
    """The text with MASK for what stands at these places, which come in order and may overlap."""
    cleaned, kept = StringIO(), 0
    for start, end in places:
        if start >= kept:
            cleaned.write(text[kept:start])
            cleaned.write(MASK)
        kept = max(kept, end)
    if not kept:
        return text
    cleaned.write(text[kept:])
    return cleaned.getvalue()

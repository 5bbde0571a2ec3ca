"""Secrets that were given to the process never reach what it writes.

Known values are replaced, not patterns guessed: a key's value is known exactly, and a pattern
would also eat digests and cell contents.
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

MASK = "***"
SHORTEST = 8  # characters; masking shorter values ("true", "main") would only garble the text
SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|\bPAT|_PAT)(_|$)", re.IGNORECASE)
IN_ADDRESS = re.compile(r"://[^\s/:@]*:([^\s/@]+)@")  # the password of https://name:password@host


class Redactor:
    """Replaces secrets, and their base64, URL-quoted and JSON forms, by `***`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {part.strip() for secret in secrets for part in (secret, *secret.splitlines())}
        forms = {form for secret in known if len(secret) >= SHORTEST for form in _forms(secret)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Redactor":
        """Of every variable whose name says that it holds a secret, and of passwords in addresses."""
        named = [value for name, value in environ.items() if SECRET_NAME.search(name)]
        in_addresses = [password for value in environ.values() for password in IN_ADDRESS.findall(value)]
        return cls([*named, *in_addresses])

    def __call__(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern else text

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
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    quoted = {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    return {secret, quote(secret, safe=""), encoded, *quoted}

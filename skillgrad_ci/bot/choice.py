"""Which configured skill an issue asks for.

The issue's text is untrusted: it can name a skill of the configured list and do nothing else. A name
counts by exact match of a whole field or word; where that leaves several, the issue's author is asked.
"""

import re
from collections.abc import Mapping

from skillgrad_ci.github.text import inbound

FORM = re.compile(r"^#{2,4}[ \t]+skills?[ \t]*$", re.IGNORECASE)  # GitHub's issue forms: a heading per field
LINE = re.compile(r"^[ \t]*(?:[-*][ \t]+)?\**skill\**[ \t]*:\**[ \t]*(?P<name>\S.*)", re.IGNORECASE)


def choose(title: str, body: str, skills: Mapping[str, str]) -> list[str]:
    """The names of the skills asked for; `skills` maps a configured name to its path.

    A form field or a line `skill: NAME` wins; the title is read only where the body names none.
    """
    body = inbound(body)
    named = [name for text in _fields(body) for name in _names(text, skills)]
    if not named:
        words = [inbound(title).strip(), *re.split(r"[\s:,;]+", inbound(title))]
        named = [name for word in words for name in _names(word, skills)]
    return list(dict.fromkeys(named))


def _fields(body: str) -> list[str]:
    found, lines = [], body.splitlines()
    for number, line in enumerate(lines):
        if FORM.match(line):
            found.append(next((after for after in lines[number + 1 :] if after.strip()), ""))
        elif match := LINE.match(line):
            found.append(match["name"])
    return found


def _names(text: str, skills: Mapping[str, str]) -> list[str]:
    """Names and paths in a field, which may list several: each must match exactly."""
    wanted = {part.strip().strip("`'\"").removeprefix("./").rstrip("/") for part in [text, *text.split(",")]}
    return [name for name, path in skills.items() if name in wanted or (path or ".") in wanted]

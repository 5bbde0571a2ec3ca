"""Flags: what a patch adds that a reviewer should see by name.

They help a person look, and are not a wall: a command can be written so that no pattern knows it. The
wall is the sandbox.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from skillgrad_ci.skill.skill import Skill

_URL = re.compile(r"(?:(?:https?|ftps?|ssh|git|file)://|data:\w+/\w+[;,])[^\s)>\]\"'`]+", re.IGNORECASE)
_COMMANDS = {
    "downloads": (
        r"\b(?:curl|wget|aria2c|Invoke-WebRequest|iwr)\b",
        r"\b(?:pip3?|uv|pipx|npm|pnpm|yarn|apt|apt-get|brew|gem|cargo|go|conda|dnf|yum|apk)\s+(?:-\S+\s+)*"
        r"(?:i|install|add|get|pip)\b",
        r"\b(?:npx|uvx)\s|\bgit\s+clone\b|\bdocker\s+(?:pull|run)\b",
        r"\burl(?:open|retrieve)\b|\b(?:requests|httpx)\.\w+\(|\bfetch\(",
    ),
    "deletes": (
        r"\brm\s+(?:-\w+|[/~$*\"'.])|\b(?:rmdir|shred|mkfs\S*|unlink)\s|\brmtree\b|\bos\.(?:remove|unlink)\b",
        r"\s-delete\b|\bgit\s+(?:clean|reset\s+--hard)\b|\bdd\s+\S*of=|\btruncate\s+-",
    ),
    "changes permissions": (r"\b(?:chmod|chown|chgrp|sudo|doas|setfacl|icacls|setuid)\b",),
    "runs hidden code": (
        r"\beval\b\s*[(\"'$`]|\bexec\s*\(|\bsource\s+<\(|\bpickle\.loads?\b",
        r"\bbase64\s+(?:-d|--decode)\b|\bb64decode\b|\|\s*(?:sudo\s+)?(?:(?:ba|z|da)?sh|python3?|perl|node)\b",
    ),
    "sends or publishes": (
        r"\bgit\s+push\b|\b(?:npm|cargo|uv|poetry)\s+publish\b|\btwine\s+upload\b|\bgh\s+\w+\s+create\b",
        r"\b(?:scp|rsync|ssh|sftp|nc|ncat|telnet)\s+\S",
    ),
    "stays behind": (
        r"\b(?:crontab|nohup|systemctl|launchctl|setsid)\b|\.(?:bashrc|zshrc|profile)\b|\bauthorized_keys\b",
    ),
    "reads secrets": (
        r"\bprintenv\b|\bos\.environ\b|(?<!\w)\.(?:env|netrc|ssh|aws|npmrc|pypirc)\b|\bid_rsa\b",
        r"(?-i:\b[A-Z]+_(?:API_KEY|TOKEN|SECRET)\b)",
    ),
}
_PATTERNS = {kind: re.compile("|".join(patterns), re.IGNORECASE) for kind, patterns in _COMMANDS.items()}


@dataclass(frozen=True)
class Flag:
    """Something to look at: what kind of thing it is, and the added line it is in (from 1)."""

    kind: str
    file: str
    line: int
    text: str


def flags(before: Skill, after: Skill) -> list[Flag]:
    """Addresses that stood nowhere in the skill before, and commands of note, in added lines."""
    known = " ".join(_text(content) for content in before.files.values())
    found = []
    for file, number, line in added_lines(before, after):
        if any(address.rstrip(".,;:") not in known for address in _URL.findall(line)):
            found.append(Flag("a new address", file, number, line.strip()))
        found += [Flag(kind, file, number, line.strip()) for kind, seen in _PATTERNS.items() if seen.search(line)]
    return found


def added_lines(before: Skill, after: Skill) -> Iterator[tuple[str, int, str]]:
    """File, line number (from 1) and text of each line that stood nowhere in the same file before."""
    for name in sorted(after.files):
        if after.files[name] != before.files.get(name):
            old = set(_text(before.files.get(name, b"")).split("\n"))
            for number, line in enumerate(_text(after.files[name]).split("\n"), 1):
                if line not in old:
                    yield name, number, line


def _text(content: bytes) -> str:
    return content.decode("utf-8", errors="replace").replace("\r\n", "\n")

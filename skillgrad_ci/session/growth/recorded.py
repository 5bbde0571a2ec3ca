"""Recorded sessions of agents, read tolerantly: Claude Code's and Codex's logs, ATIF, and our own trajectories.

Their formats are internal to those programs and change: an unknown line is passed over, and no file fails for a line.
What a session shows is kept in one form, a list of moments, each with its line in the file.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Row = Mapping[str, Any]
Rows = Sequence[tuple[int, Row]]  # a file's JSON objects, each with its line
Kind = Literal["request", "correction", "rejected", "interrupted", "said", "tool"]


@dataclass(frozen=True)
class Moment:
    """Something that happened, on a line of the file. A correction is what a person said after the first request."""

    line: int
    kind: Kind
    text: str


@dataclass
class Recording:
    """One session: who recorded it, its moments, the skills that were really activated, and text files it wrote.

    `headless`: started by a program and not by a person; `inner`: a sub-agent's. `digest` names the session
    without telling its id, its folder or its branch.
    """

    agent: str
    digest: str = ""
    moments: list[Moment] = field(default_factory=list)
    skills: set[str] = field(default_factory=set)
    files: dict[str, str] = field(default_factory=dict)
    headless: bool = False
    inner: bool = False

    def asked(self, line: int, text: str) -> None:
        """A person's words: the first are the request."""
        text = text.strip()
        if text and not any(
            moment.text == text and moment.kind in ("request", "correction") for moment in self.moments
        ):
            first = not any(moment.kind == "request" for moment in self.moments)
            self.moments.append(Moment(line, "request" if first else "correction", text))

    def happened(self, line: int, kind: Kind, text: str) -> None:
        if text.strip():
            self.moments.append(Moment(line, kind, text.strip()))

    def wrote(self, path: object, content: object) -> None:
        if isinstance(path, str) and isinstance(content, str):
            self.files[path.replace("\\", "/").rpartition("/")[2]] = content

    @property
    def has_request(self) -> bool:
        return any(moment.kind == "request" for moment in self.moments)


Reader = Callable[[Rows, Recording], None]


def files_below(path: Path) -> list[Path]:
    """The logs at `path`. Sub-agents of Claude Code have files of their own, and are not sessions of a user."""
    if path.is_file():
        return [path]
    found = [*path.rglob("*.jsonl"), *path.rglob("*.atif.json"), *path.rglob("trajectory.json")]
    return sorted(file for file in found if "subagents" not in file.parts and not file.name.startswith("agent-"))


def text_in(content: object) -> str:
    """The text of a message: a string, or blocks of which some are text."""
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    kinds = ("text", "input_text", "output_text", None)
    texts = [block.get("text") for block in blocks if isinstance(block, dict) and block.get("type") in kinds]
    return "\n".join(text for text in texts if isinstance(text, str))

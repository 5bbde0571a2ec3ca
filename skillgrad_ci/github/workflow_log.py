"""The runner's side of the log: groups, annotations, masks, outputs, the job summary.

A line that starts with `::` is a command to the runner. While models and tasks are at work commands are
switched off, by a token that nobody can guess, and each of ours switches them on for itself alone.
"""

import re
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # colours, cursors
SUMMARY_BYTES = 1_000_000  # GitHub refuses a step's summary above 1 MiB


@dataclass
class WorkflowLog:
    """Writes to the step's log and to the runner's files. `redact` takes secrets out of all but masks. Thread-safe."""

    stream: TextIO
    output_file: Path | None = None
    summary_file: Path | None = None
    redact: Callable[[str], str] = str
    outputs: dict[str, str] = field(default_factory=dict)
    _summary: int = 0
    _token: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, line: str) -> None:
        """A line; whatever it quotes cannot start a command, for a line has one start."""
        text = " ".join(self.redact(line).splitlines()).replace("##[", "## [")  # that one counts anywhere in a line
        text = CONTROL.sub("�", text)
        self._write(f"| {text}" if text.lstrip().startswith("::") else text)

    @contextmanager
    def inert(self) -> Iterator[None]:
        """Inside, no line is a command but those of this object: models, tasks and libraries may print."""
        self._token = secrets.token_hex(16)
        self._write(f"::stop-commands::{self._token}")
        try:
            yield
        finally:
            self._write(f"::{self._token}::")
            self._token = ""

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        self._command(f"::group::{_data(title)}")
        try:
            yield
        finally:
            self._command("::endgroup::")

    def annotate(self, level: str, message: str, *, file: str = "", line: int | None = None) -> None:
        """`level` is `notice`, `warning` or `error`; `file` is relative to the repository."""
        place = [f"file={_property(file)}"] if file else []
        place += [f"line={line}"] if file and line else []
        self._command(f"::{level}{' ' if place else ''}{','.join(place)}::{_data(self.redact(message))}")

    def mask(self, secret: str) -> None:
        """The runner replaces the value in every later line. Only a runner does: the line holds the value in clear."""
        for line in filter(None, map(str.strip, secret.splitlines())):
            self._command(f"::add-mask::{_data(line)}")

    def output(self, name: str, value: str) -> None:
        """Set an output of the action; a random delimiter keeps a value from setting another."""
        self.outputs[name] = value
        if self.output_file is not None:
            end = f"end-{secrets.token_hex(16)}"
            with self.output_file.open("a", encoding="utf-8", errors="replace") as file:
                file.write(f"{name}<<{end}\n{self.redact(value)}\n{end}\n")

    def summary(self, markdown: str) -> None:
        """Add to the job's summary page, as far as it has room."""
        content = self.redact(f"{markdown}\n\n").encode(errors="replace")
        if self.summary_file is None or self._summary + len(content) > SUMMARY_BYTES:
            return
        self._summary += len(content)
        with self.summary_file.open("ab") as file:
            file.write(content)

    def _command(self, command: str) -> None:
        """A command of ours, also where commands are switched off."""
        if self._token:
            command = f"::{self._token}::\n{command}\n::stop-commands::{self._token}"
        self._write(command)

    def _write(self, text: str) -> None:
        with self._lock:
            self.stream.write(f"{text}\n".encode(errors="replace").decode())  # half a character stops no run
            self.stream.flush()


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")

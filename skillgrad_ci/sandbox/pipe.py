"""A program that runs in a sandbox while we talk to it."""

import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from skillgrad_ci.document.inert_text import one_line, without_escapes

KEPT = 2_000  # bytes of the end of its standard error


@dataclass(frozen=True)
class ProgramPipe:
    """`ports.Pipe` over a process; `errors` is the file that its standard error goes to."""

    process: "subprocess.Popen[bytes]"
    errors: IO[bytes]

    @property
    def stdin(self) -> IO[bytes]:
        assert self.process.stdin is not None
        return self.process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def said(self) -> str:
        self.errors.seek(0, 2)
        self.errors.seek(max(0, self.errors.tell() - KEPT))
        text = without_escapes(self.errors.read(KEPT).decode("utf-8", "replace"))
        return one_line(text)[-300:] or "it said nothing"


def end(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process and close its pipes, whatever state they are in."""
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError, ValueError):  # what it was still to be told goes nowhere
                stream.close()

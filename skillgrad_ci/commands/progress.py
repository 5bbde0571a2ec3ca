"""What a person sees while a run works: a live view on a terminal, plain lines elsewhere.

Texts of models and tasks are data: control characters are taken out, and a line of theirs always
stands behind a mark, so that it is neither a terminal's escape nor a runner's command.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from skillgrad_ci.secrets import Redactor

if TYPE_CHECKING:
    from rich.console import Console

    from skillgrad_ci.method.ports import Observer

UNSAFE = re.compile(r"[^\S\n ]|[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
SIGNS = {"passed": "✓", "failed": "✗", "unmeasured": "?"}


def safe(text: object) -> str:
    """Text without control and direction characters; line feeds stay."""
    return UNSAFE.sub(" ", str(text))


def describe(event: str, facts: dict[str, Any], verbose: bool = False) -> str | None:
    """An event as text to show, without secrets, or None for one that is not worth a line."""
    facts = Redactor.from_environment(os.environ).clean(facts)
    tell = _TELL.get(event)
    if tell is not None:
        return safe(tell(facts)).replace("\n", " ")  # one line: the next would stand without its mark
    if event == "reply" and verbose:
        body = "\n".join(f"  | {line}" for line in safe(facts["text"]).split("\n"))
        return f"{facts['role']} replies:\n{body}"
    return None


def _execution(facts: dict[str, Any]) -> str:
    said = "" if facts["outcome"] == "passed" else ": " + " ".join(str(facts.get("feedback", "")).split())[:160]
    trial = f" (trial {facts['trial'] + 1})" if facts.get("trial") else ""
    return f"  {SIGNS.get(facts['outcome'], '?')} {facts['task']}{trial} {facts['outcome']}{said}"


_TELL: dict[str, Callable[[dict[str, Any]], str]] = {
    "note": lambda facts: facts["text"],
    "estimate": lambda facts: f"estimate: {facts['text']}",
    "measure": lambda facts: f"{facts['name']}: {facts['executions']} executions",
    "batch": lambda facts: f"iteration {facts['number']}: {', '.join(facts['tasks'])}",
    "iteration": lambda facts: f"iteration {facts['number']}: {facts['verdict']}",
    "dropped": lambda facts: (
        f"dropped ({facts.get('task') or 'iteration ' + str(facts.get('iteration'))}): {facts['why']}"
    ),
    "execution": _execution,
}


class Lines:
    """Plain lines, each with the minutes and seconds since the start. Thread-safe."""

    def __init__(self, stream: TextIO, verbose: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._verbose, self._clock = stream, verbose, clock
        self._started = clock()
        self._lock = threading.Lock()

    def __call__(self, event: str, **facts: Any) -> None:
        text = describe(event, facts, self._verbose)
        if text is not None:
            minutes, seconds = divmod(int(self._clock() - self._started), 60)
            with self._lock:
                self._stream.write(f"{minutes:3}:{seconds:02} {text}\n")
                self._stream.flush()


class Live:
    """The same lines above a bar of the measurement at hand."""

    def __init__(self, console: "Console", verbose: bool = False) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._verbose = verbose
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[counts]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("starting", total=None, counts="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()

    def __call__(self, event: str, **facts: Any) -> None:
        text = describe(event, facts, self._verbose)
        with self._lock:
            if text is not None:
                self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
            if event in ("measure", "batch"):
                name = facts["name"] if event == "measure" else f"iteration {facts['number']}"
                self._counts = {}
                self._progress.reset(
                    self._task, description=name, total=facts.get("executions") or len(facts["tasks"]), counts=""
                )
            elif event == "execution":
                self._counts[facts["outcome"]] = self._counts.get(facts["outcome"], 0) + 1
                counts = ", ".join(f"{number} {outcome}" for outcome, number in self._counts.items())
                self._progress.update(self._task, advance=1, counts=counts)


@contextmanager
def showing(stream: TextIO, verbose: bool = False) -> "Iterator[Observer]":
    """The view that fits `stream`."""
    if not stream.isatty():
        yield Lines(stream, verbose)
        return
    from rich.console import Console

    with Live(Console(file=stream), verbose) as live:
        yield live

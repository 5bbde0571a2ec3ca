"""What a person sees while a run works: a live view on a terminal, plain lines elsewhere.

Texts of models and tasks are data: control characters are taken out, and a line of theirs always
stands behind a mark, so that it is neither a terminal's escape nor a runner's command.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO, assert_never

from skillgrad_ci.document.inert_text import one_line, terminal_safe
from skillgrad_ci.method.events import (
    BatchBegun,
    Dropped,
    Estimated,
    Event,
    Executed,
    IterationDone,
    Measuring,
    Noted,
    Replied,
    Starting,
)
from skillgrad_ci.method.evidence import Outcome
from skillgrad_ci.secrets import Redactor

if TYPE_CHECKING:
    from rich.console import Console

    from skillgrad_ci.method.ports import Observer

SIGNS = {Outcome.PASSED: "✓", Outcome.FAILED: "✗", Outcome.UNMEASURED: "?"}


def describe(event: Event, verbose: bool = False) -> str | None:
    """An event as text to show, without secrets, or None for one that is not worth a line."""
    redact = Redactor.from_environment(os.environ)
    if isinstance(event, Replied):
        body = "\n".join(f"  | {line}" for line in terminal_safe(redact(event.text)).split("\n"))
        return f"{terminal_safe(redact(event.role))} replies:\n{body}" if verbose else None
    return terminal_safe(_line(event, redact)).replace("\n", " ")  # one line: the next would stand without its mark


def _line(event: Event, redact: Redactor) -> str:
    match event:
        case Noted(text):
            return redact(text)
        case Starting(stage):
            return redact(f"starting: {stage}")
        case Estimated(text):
            return redact(f"estimate: {text}")
        case Measuring(name, number, at_most):
            return redact(f"{name}: {'at most ' if at_most else ''}{number} executions")
        case BatchBegun(number, tasks):
            return redact(f"iteration {number}: {', '.join(tasks)}")
        case IterationDone(number, verdict):
            return redact(f"iteration {number}: {verdict}")
        case Dropped(what, why):
            return redact(f"dropped ({what}): {why}")
        case Executed():
            trial = f" (trial {event.trial + 1})" if event.trial else ""
            said = one_line(redact(event.feedback), 160)  # redacted first: half a secret is not known
            why = f": {said}" if event.outcome is not Outcome.PASSED else ""
            return f"  {SIGNS[event.outcome]} {redact(event.task)}{trial} {event.outcome}{why}"
        case Replied():
            raise AssertionError("a reply has more than one line")
    assert_never(event)


class Lines:
    """Plain lines, each with the minutes and seconds since the start. Thread-safe."""

    def __init__(self, stream: TextIO, verbose: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._verbose, self._clock = stream, verbose, clock
        self._started = clock()
        self._lock = threading.Lock()

    def __call__(self, event: Event, /) -> None:
        text = describe(event, self._verbose)
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
        self._counts: dict[Outcome, int] = {}
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

    def __call__(self, event: Event, /) -> None:
        text = describe(event, self._verbose)
        with self._lock:
            if text is not None:
                self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
            match event:
                case Measuring(name, number):
                    self._begin(name, number)
                case BatchBegun(number, tasks):
                    self._begin(f"iteration {number}", len(tasks))
                case Executed():
                    self._counts[event.outcome] = self._counts.get(event.outcome, 0) + 1
                    counts = ", ".join(f"{number} {outcome}" for outcome, number in self._counts.items())
                    self._progress.update(self._task, advance=1, counts=counts)

    def _begin(self, name: str, executions: int) -> None:
        self._counts = {}
        self._progress.reset(self._task, description=name, total=executions, counts="")


@contextmanager
def showing(stream: TextIO, verbose: bool = False) -> "Iterator[Observer]":
    """The view that fits `stream`."""
    if not stream.isatty():
        lines = Lines(stream, verbose)
        lines(Starting("reading skill and suite"))
        yield lines
        return
    from rich.console import Console

    with Live(Console(file=stream), verbose) as live:
        yield live

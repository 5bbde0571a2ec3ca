"""What a person sees while a run works: a live view on a terminal, plain lines elsewhere.

Texts of models and tasks are data: control characters are taken out, and a line of theirs always
stands behind a mark, so that it is neither a terminal's escape nor a runner's command.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, TextIO, assert_never

from skillgrad_ci.document.inert_text import one_line, terminal_safe
from skillgrad_ci.method.events import (
    BatchBegun,
    Dropped,
    Estimated,
    Event,
    Executed,
    Executing,
    IterationDone,
    Measuring,
    Noted,
    Replied,
    SpentSoFar,
    Starting,
)
from skillgrad_ci.method.evidence import Outcome
from skillgrad_ci.secrets import Redactor

if TYPE_CHECKING:
    from rich.console import Console

    from skillgrad_ci.method.ports import Observer

SHOWN = 3  # tasks in flight that the live view names
SIGNS = {Outcome.PASSED: "✓", Outcome.FAILED: "✗", Outcome.UNMEASURED: "?"}


def describe(event: Event, verbose: bool = False) -> str | None:
    """An event as text to show, without secrets, or None for one that is not worth a line."""
    redact = Redactor.from_environment(os.environ)
    if isinstance(event, Replied):
        body = "\n".join(f"  | {line}" for line in terminal_safe(redact(event.text)).split("\n"))
        return f"{terminal_safe(redact(event.role))} replies:\n{body}" if verbose else None
    line = _line(event, redact)
    return (
        None if line is None else terminal_safe(line).replace("\n", " ")
    )  # one line: the next would stand without its mark


def _line(event: Event, redact: Redactor) -> str | None:
    match event:
        case Noted(text):
            return redact(text)
        case Starting(stage):
            return redact(f"starting: {stage}")
        case Estimated(text):
            return redact(f"estimate: {text}")
        case Executing() | SpentSoFar():
            return None
        case Measuring(name, number, at_most):
            return redact(f"{name}: {'at most ' if at_most else ''}{number} executions")
        case BatchBegun(number, tasks, _, reused):
            known = f"; known already and not executed again: {', '.join(reused)}" if reused else ""
            return redact(f"iteration {number}: {', '.join(tasks)}{known}")
        case IterationDone(number, verdict):
            return f"iteration {number}: {one_line(redact(verdict), 160)}"
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


@dataclass
class RunState:
    """What the live view knows of a run: its measurement at hand, what is in flight, what is spent, its pace.

    The pace is that of executions that were begun in this process: what is taken over comes at once.
    """

    clock: Callable[[], float]
    counts: dict[Outcome, int] = field(default_factory=dict)
    running: dict[tuple[str, str, int], None] = field(default_factory=dict)
    spent: str = ""
    planned: int = 0
    executed: int = 0
    done: int = 0  # of those that were begun here
    first: float | None = None

    def learn(self, event: Event) -> None:
        match event:
            case Estimated(_, executions):
                self.planned = executions
            case Measuring() | BatchBegun():
                self.counts = {}
            case Executing(iteration, task, trial):
                self.first = self.clock() if self.first is None else self.first
                self.running[iteration, task, trial] = None
            case Executed():
                self.counts[event.outcome] = self.counts.get(event.outcome, 0) + 1
                self.executed += 1
                key = (event.iteration, event.task, event.trial)
                if key in self.running:
                    del self.running[key]
                    self.done += 1
            case SpentSoFar(text):
                self.spent = text

    @property
    def told(self) -> str:
        """The outcomes of the measurement at hand, and the accuracy so far."""
        measured = self.counts.get(Outcome.PASSED, 0) + self.counts.get(Outcome.FAILED, 0)
        share = f" ({self.counts.get(Outcome.PASSED, 0) / measured:.0%})" if measured else ""
        return ", ".join(f"{number} {outcome}" for outcome, number in self.counts.items()) + share

    @property
    def left(self) -> str:
        """The most time that the rest takes, at the pace so far."""
        rest = self.planned - self.executed
        if self.first is None or not self.done or rest <= 0:
            return ""
        minutes = (self.clock() - self.first) / self.done * rest / 60
        return f"at most {minutes:.0f} min left" if minutes >= 1 else "less than a minute left"

    @property
    def line(self) -> str:
        """What is in flight, what is spent, how long it takes."""
        names = [task for _, task, _ in self.running]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        running = f"running {', '.join(names[:SHOWN])}{more}" if names else ""
        return " · ".join(filter(None, [self.spent, self.left, running]))


class Live:
    """The same lines above two of the measurement at hand: a bar, then money, time and what is in flight."""

    def __init__(self, console: "Console", verbose: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Group
        from rich.live import Live as RichLive
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.text import Text

        self._verbose, self._console = verbose, console
        self._lock = threading.Lock()
        self._standing = RunState(clock)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[counts]}", markup=False),
            TimeElapsedColumn(),
        )
        self._task = self._progress.add_task("starting", total=None, counts="")
        self._below = Text(style="dim", no_wrap=True, overflow="ellipsis")
        self._live = RichLive(Group(self._progress, self._below), console=console, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    def __call__(self, event: Event, /) -> None:
        text = describe(event, self._verbose)
        with self._lock:
            if (
                text is not None
            ):  # a task and an iteration have a row, as wide as the terminal; a sentence is broken between words
                row = isinstance(event, Executed | IterationDone)
                cut: Literal["ellipsis", "fold"] = "ellipsis" if row else "fold"
                self._console.print(text, markup=False, highlight=False, no_wrap=row, overflow=cut)
            self._standing.learn(event)
            match event:
                case Measuring(name, number):
                    self._begin(name, number)
                case BatchBegun(number, tasks, at_most, reused):
                    of = f" of {at_most}" if number <= at_most else ""
                    self._begin(f"iteration {number}{of}", len(tasks) - len(reused))
                case Executed():
                    self._progress.update(self._task, advance=1, counts=self._standing.told)
            self._below.plain = terminal_safe(Redactor.from_environment(os.environ)(self._standing.line))

    def _begin(self, name: str, executions: int) -> None:
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

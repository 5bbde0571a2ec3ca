"""Watch one running command: its output, its time, its disk, within limits; and end it from any thread.

Output is held in bounded memory, as plain text. Terminal escapes and control characters are taken out here, for they
change what a person sees of a log or a report. Lines that look like workflow commands (`::set-output`) stay: to a
terminal and to a model they are text, and the one writer that speaks to a workflow's log neutralises them there.
"""

import os
import selectors
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Protocol

from skillgrad_ci.document.inert_text import without_escapes
from skillgrad_ci.errors import Cancelled, EnvironmentFailure
from skillgrad_ci.method.ports import CommandResult

MIB = 1 << 20
GIB = 1 << 30
TICK = 0.1  # seconds between looks at the clock
DISK_TICK = 0.5  # seconds between looks at the folder
MAX_COMMAND = 128 * 1024  # bytes of one argument and its end (the kernel's MAX_ARG_STRLEN)
GRACE = 10.0  # seconds that a killed command has to be gone
AGAIN = "look whether this machine has memory, processes and disk left, then start the run again"


@dataclass(frozen=True)
class Limits:
    """Bounds of a sandbox. Sizes are in bytes; the time limit comes with each command.

    `output` is what an agent gets to see of a command's output, head and tail; a command that writes
    more than `flood` is stopped. `disk` bounds the work folder (and a quarter of it `/tmp`), `files` its
    entries; `free` is what must stay free on the file system that holds it, because an open file without
    a name is in no folder. `path` is the bytes of a path below the work folder: what is longer than the kernel's
    4,096 for a whole one can be neither listed, nor counted, nor read by a grader.
    """

    memory: int = 2 * GIB
    processes: int = 128
    output: int = 30_000
    flood: int = 256 * MIB
    disk: int = 1 * GIB
    files: int = 20_000
    depth: int = 64
    path: int = 1_024
    free: int = 256 * MIB


class Excerpt:
    """The head and the tail of a byte stream; never holds more than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self.total = 0
        self._head_size = limit - limit // 2
        self._tail_size = limit // 2
        self._head = bytearray()
        self._tail = bytearray()

    def feed(self, chunk: bytes) -> None:
        self.total += len(chunk)
        room = self._head_size - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:]
        del self._tail[: max(0, len(self._tail) - self._tail_size)]

    @property
    def cut(self) -> int:
        """How many bytes from the middle are gone."""
        return self.total - len(self._head) - len(self._tail)

    def text(self) -> str:
        """Plain text: invalid UTF-8 replaced, the cut said in the middle. What comes after it begins no line."""
        if not self.cut:
            return without_escapes(bytes(self._head + self._tail).decode("utf-8", "replace"))
        head, tail = (without_escapes(bytes(part).decode("utf-8", "replace")) for part in (self._head, self._tail))
        return f"{head}\n[{self.cut:,} bytes of output cut here]\n…{tail}"


class Child(Protocol):
    """A started command. `wait` returns its exit code once it, and all it started, is gone."""

    @property
    def stdout(self) -> IO[bytes]: ...

    def kill(self) -> None: ...

    def wait(self) -> int: ...


class Children:
    """The running commands of one sandbox. After `kill_all` nothing is started any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: set[Callable[[], None]] = set()
        self._stopped = False

    def check(self) -> None:
        """Raises Cancelled once `kill_all` was called."""
        if self._stopped:
            raise Cancelled("interrupted: no further command is started")

    @contextmanager
    def killable(self, kill: Callable[[], None]) -> Iterator[None]:
        """Inside, `kill_all` calls `kill` (from its own thread, maybe twice); then Cancelled is raised."""
        with self._lock:
            self._live.add(kill)
        try:
            if self._stopped:
                kill()
            yield
        except EnvironmentFailure:
            self.check()
            raise
        finally:
            with self._lock:
                self._live.discard(kill)
        self.check()

    def kill_all(self) -> None:
        self._stopped = True
        with self._lock:
            live = list(self._live)
        for kill in live:
            kill()


def no_command(command: str) -> CommandResult | None:
    """What to say of a text that no shell can be given, None for one that it can."""
    if "\0" not in command and len(command.encode("utf-8", "surrogatepass")) < MAX_COMMAND:
        return None
    return CommandResult(f"[not run: a command is text of less than {MAX_COMMAND:,} bytes]", None)


class _Waiter(threading.Thread):
    """Waits for a child. A daemon: a child that cannot be ended must not hold the program."""

    def __init__(self, child: Child) -> None:
        super().__init__(daemon=True)
        self.child = child
        self.code: int | None = None
        self.failure: EnvironmentFailure | None = None

    def run(self) -> None:
        try:
            self.code = self.child.wait()
        except EnvironmentFailure as failure:
            self.failure = failure


def supervise(child: Child, timeout: float, limits: Limits, excess: Callable[[], str]) -> CommandResult:
    """Read a command's output until it ends or passes a limit.

    `timeout` is in seconds; `excess()` says what limit the folder has passed ('' for none). Raises
    EnvironmentFailure for a command that cannot be ended.
    """
    excerpt = Excerpt(limits.output)
    waiter = _Waiter(child)
    waiter.start()
    started = time.monotonic()
    stopped = _pump(child, excerpt, waiter, started + timeout, limits, excess)
    if stopped:
        child.kill()
        _drain(child.stdout, waiter)
    waiter.join(GRACE)
    if waiter.is_alive():
        raise EnvironmentFailure("sandbox: a command could not be ended; look at the machine's process list")
    if waiter.failure:
        raise waiter.failure
    text = excerpt.text()
    if not stopped:
        return CommandResult(text, waiter.code)
    late = stopped == "time"
    reason = f"stopped after {timeout:g} s, its time limit" if late else f"stopped: {stopped}"
    return CommandResult(f"{text}\n[{reason}]".lstrip("\n"), None, timed_out=late)


def _pump(
    child: Child,
    excerpt: Excerpt,
    waiter: threading.Thread,
    deadline: float,
    limits: Limits,
    excess: Callable[[], str],
) -> str:
    """Feed the excerpt. Returns why the command must be stopped, or '' when it has ended."""
    next_look = time.monotonic() + DISK_TICK
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while True:
            over = not waiter.is_alive()  # asked before the read: what it wrote is in the pipe by now
            if selector.get_map() and selector.select(0 if over else TICK):
                chunk = os.read(child.stdout.fileno(), 1 << 16)
                excerpt.feed(chunk)
                if not chunk:
                    selector.unregister(child.stdout)
            elif over:
                return excess()
            elif not selector.get_map():
                waiter.join(TICK)
            if excerpt.total > limits.flood:
                return f"it wrote more than {limits.flood // MIB} MiB of output"
            now = time.monotonic()
            if now >= deadline:
                return "" if over else "time"
            if now >= next_look:
                if reason := excess():
                    return reason
                next_look = time.monotonic() + DISK_TICK


def _drain(stream: IO[bytes], waiter: threading.Thread) -> None:
    """Throw away what a killed command has still in its pipe: a client that cannot write cannot end."""
    deadline = time.monotonic() + GRACE
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while waiter.is_alive() and time.monotonic() < deadline:
            if selector.select(TICK) and not os.read(stream.fileno(), 1 << 16):
                return

"""Reads workbooks in processes of their own, kept warm: bounded in time and memory, and closed to the world."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO, Any, cast

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.graders.xlsx.positions import Area
from skillgrad_ci.graders.xlsx.values import Value
from skillgrad_ci.graders.xlsx.worker import read_frame, write_frame

SECONDS = 60.0  # for one workbook; the benchmark's slowest takes about 1
MAX_BYTES = 50_000_000  # of a workbook's file; the benchmark's largest has 845 KB
Place = tuple[str, int, int]  # sheet, row, column


class Unreadable(Exception):
    """The workbook cannot be read within the limits; the message says why."""


class _Lost(Exception):
    """The worker ended without an answer and without being stopped."""


@dataclass(frozen=True)
class Cells:
    """What a workbook holds in `areas`.

    `values` are compared and `texts` shown; an empty cell is in neither. `calculated` are the cells whose
    value a formula gives. `missing` are sheets that the workbook lacks.
    """

    areas: tuple[Area, ...]
    values: Mapping[Place, Value]
    texts: Mapping[Place, str]
    calculated: frozenset[Place] = frozenset()
    missing: tuple[str, ...] = ()


@dataclass
class Reader:
    """A pool of workers: one for every thread that reads at the same time. Thread-safe.

    Reading raises EnvironmentFailure where no process can be started.
    """

    seconds: float = SECONDS
    _idle: list["_Worker"] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def at(self, data: bytes, position: str, default: str | None = None) -> Cells:
        """The cells at an answer position, read on this workbook's own sheets. Raises Unreadable."""
        return self._read(data, {"position": position, "default": default})

    def within(self, data: bytes, areas: tuple[Area, ...]) -> Cells:
        """The cells in `areas`. Raises Unreadable."""
        return self._read(data, {"areas": [[a.sheet, a.left, a.top, a.right, a.bottom] for a in areas]})

    def close(self) -> None:
        with self._lock:
            workers, self._idle = self._idle, []
        for worker in workers:
            worker.end()

    def _read(self, data: bytes, request: Mapping[str, Any]) -> Cells:
        """One more try where a worker is lost: the machine may have run out of memory."""
        for _ in range(2):
            with suppress(_Lost), self._worker() as worker:
                return _cells(worker.ask({**request, "size": len(data)}, data, self.seconds))
        raise Unreadable("it ends the process that reads it")

    @contextmanager
    def _worker(self) -> Iterator["_Worker"]:
        """An idle worker or a new one."""
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        worker = worker or _Worker()
        try:
            yield worker
        except Unreadable:
            raise
        except BaseException:
            worker.end()
            raise
        finally:
            with self._lock:
                self._idle += [] if worker.ended else [worker]


class _Worker:
    """One reading process. It ends with this one: its standard input is closed then.

    Raises EnvironmentFailure where it cannot be started.
    """

    def __init__(self) -> None:
        self.ended = False
        try:
            self._start()
            ready = read_frame(cast(IO[bytes], self._process.stdout))
        except OSError as error:
            raise EnvironmentFailure(
                f"no process to read workbooks in can be started ({error}); start the run again"
            ) from None
        if ready is None:
            self.end()
            raise EnvironmentFailure("the process to read workbooks in ends at its start; is openpyxl installed?")

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from skillgrad_ci.graders.xlsx.worker import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENPYXL_LXML": "False"},
            start_new_session=True,
        )

    def ask(self, request: Mapping[str, Any], data: bytes, seconds: float) -> Any:
        """The reply to a request. Raises Unreadable, also when it takes too long, or _Lost."""
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(seconds, stop)
        timer.start()
        try:
            write_frame(cast(IO[bytes], self._process.stdin), request, data)
            reply = read_frame(cast(IO[bytes], self._process.stdout))
        except (OSError, json.JSONDecodeError):
            reply = None
        finally:
            timer.cancel()
        if late.is_set():
            self.end()
            raise Unreadable(f"reading it took longer than {seconds:g} s")
        if reply is None:
            raise _Lost
        if "error" in reply:
            if reply.get("exhausted"):
                self.end()
            raise Unreadable(reply["error"])
        return reply

    def end(self) -> None:
        self.ended = True
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # what was not written stays in its buffer
                cast(IO[bytes], stream).close()


def _cells(reply: Mapping[str, Any]) -> Cells:
    values: dict[Place, Value] = {}
    texts: dict[Place, str] = {}
    calculated: set[Place] = set()
    missing: list[str] = []
    for name, sheet in reply["sheets"].items():
        if sheet is None:
            missing.append(name)
            continue
        for row, column, value, text in sheet["cells"]:
            values[name, row, column] = tuple(value) if isinstance(value, list) else value
            texts[name, row, column] = text
        calculated |= {(name, row, column) for row, column in sheet["calculated"]}
    areas = tuple(Area(*area) for area in reply["areas"])
    return Cells(areas, values, texts, frozenset(calculated), tuple(missing))

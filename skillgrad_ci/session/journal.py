"""The journal: every paid-for result is on disk, flushed, before it is used.

`journal.jsonl` is append-only. A line is one JSON record, `{"sum", "key", "kind", "time", "elapsed",
"value"}`, where `sum` is the SHA-256 of the record without it and `elapsed` the seconds that the run took
so far, in all its processes. Killed at any moment, at most the last line is torn: it is dropped, told of
and counted, as is a last line that was damaged in another way. Records whose newline was damaged are
found by their sums. Anything else that does not read stops the run, for a person must know of it.
"""

import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.json_text import has_half, mend
from skillgrad_ci.secrets import Redactor

NAME = "journal.jsonl"
START = b'{"sum": "'  # of a record


@dataclass
class NoJournal:
    """`ports.Journal` of work that leaves no run folder: kept as long as the work lasts."""

    _records: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def recall(self, key: str) -> Mapping[str, Any] | None:
        return self._records.get(key)

    def record(self, key: str, kind: str, value: Mapping[str, Any]) -> None:  # noqa: ARG002  # the port has it
        self._records[key] = value


class FileJournal:
    """The journal of one run folder, for one process and any number of its threads.

    What `recall` gives right after `record` equals what it gives after a restart: redacted, and
    through JSON. So whoever uses a recorded value takes it from `recall`, and a resumed run sees
    the same text as the one before it.

    `damage` says in words what could not be read, and `dropped` counts the records that were lost by it.
    `earlier` is the seconds that earlier processes of this run took.
    """

    def __init__(
        self, folder: Path, redactor: Redactor | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Raises UserError where another process holds the folder or the journal is damaged."""
        self.path = folder / NAME
        self._redactor = redactor or Redactor()
        self._clock, self._started = clock, clock()
        self.damage: Sequence[str] = ()
        self.dropped = 0
        self.earlier = 0.0
        self._guard = threading.Lock()
        self._lock = FileLock(folder / "journal.lock")
        self._made = [path for path in (folder, *folder.parents) if not path.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise UserError(f"{folder}: another process runs here; wait for it, or choose another --out") from None
        except OSError as error:
            raise UserError(f"{folder}: cannot be written ({error.strerror}); choose another --out") from None
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
                self._records, self._end = self._replay()
            except BaseException:
                os.close(self._file)
                raise
        except BaseException:
            self._lock.release()
            raise
        self.replayed = frozenset(self._records)

    def recall(self, key: str) -> Mapping[str, Any] | None:
        with self._guard:
            return self._records.get(key)

    def record(self, key: str, kind: str, value: Mapping[str, Any]) -> None:
        """Keep a result. Raises EnvironmentFailure where it could not be put on disk."""
        elapsed = round(self.earlier + self._clock() - self._started, 3)
        facts = {"key": key, "kind": kind, "time": datetime.now(UTC).isoformat(), "elapsed": elapsed}
        content = json.dumps({**facts, "value": mend(self._redactor.clean(value))})
        with self._guard:
            self._append(_line(content))
            self._records[key] = json.loads(content)["value"]

    def close(self) -> None:
        """Give the folder back; closing twice does nothing. Where nothing was written down, nothing is left."""
        with self._guard:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1
                if not self._end:
                    self._leave_nothing()
                self._lock.release()

    def _leave_nothing(self) -> None:
        """Take away what was made for this journal, as far as nobody else put something there."""
        self.path.unlink(missing_ok=True)
        Path(self._lock.lock_file).unlink(missing_ok=True)
        with suppress(OSError):
            for folder in self._made:
                folder.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _append(self, line: bytes) -> None:
        try:
            written = os.write(self._file, line)
            while written < len(line):
                written += os.write(self._file, line[written:])
            os.fsync(self._file)
        except OSError as error:  # a full disk: no half line may stay before the next one
            if self._file >= 0:
                os.ftruncate(self._file, self._end)
            raise EnvironmentFailure(f"{self.path}: cannot be written ({error.strerror}); free the disk") from None
        self._end += len(line)

    def _replay(self) -> tuple[dict[str, Mapping[str, Any]], int]:
        """All whole records by key, and where the file ends once what does not read is cut off its end."""
        content = self.path.read_bytes()
        lines = content.splitlines(keepends=True)
        records: dict[str, Mapping[str, Any]] = {}
        damage: list[str] = []
        begins = end = 0
        for number, line in enumerate(lines, 1):
            pieces = _pieces(line)
            lost = sum(record is None for _, record in pieces)
            if lost and number < len(lines):
                raise UserError(
                    f"{self.path}:{number}: this record is damaged; delete the line to repeat its work, or the folder"
                )
            if lost or len(pieces) > 1:
                damage.append(f"{NAME}:{number}: {_told(len(pieces) - lost, lost)}")
            for piece, record in pieces:
                begins += len(piece)
                if record is not None:
                    records[record["key"]] = record["value"]
                    self.earlier = max(self.earlier, record.get("elapsed", 0.0))
                    end = begins
            self.dropped += lost
        self.damage = damage
        return records, self._end_at(end, content)

    def _end_at(self, end: int, content: bytes) -> int:
        """Cut off what does not read, and leave the file's end where a new line can begin."""
        if end < len(content):
            os.ftruncate(self._file, end)
        if end and not content[:end].endswith(b"\n"):
            end += os.write(self._file, b"\n")
        os.fsync(self._file)
        return end


def _told(kept: int, lost: int) -> str:
    """What a person reads of a line that is not one whole record."""
    parts = [f"{kept} records stood on one line and are kept"] if kept > 1 else []
    parts += (
        [f"{lost} records at its end were torn or damaged and are dropped; their work is done again"] if lost else []
    )
    return "; ".join(parts)


def _pieces(line: bytes) -> list[tuple[bytes, dict[str, Any] | None]]:
    """A line's records: one, or several where the newline between them was damaged; None for what is no record."""
    whole = _parse(line)
    if whole is not None:
        return [(line, whole)]
    starts = [0, *(found.start() for found in re.finditer(re.escape(START), line) if found.start())]
    return [(piece, _parse(piece)) for piece in (line[a:b] for a, b in pairwise([*starts, len(line)]))]


def _line(content: str) -> bytes:
    checksum = sha256(content.encode()).hexdigest()
    return f'{{"sum": "{checksum}", {content[1:]}\n'.encode()


def _parse(line: bytes) -> dict[str, Any] | None:
    """The record of a line, or None where it is not what `_line` wrote. Its newline may be missing, or another byte."""
    line = line.rstrip(b"\n")
    for text in (line, line[:-1]):
        head, separator, rest = text.partition(b'", ')
        if separator and head == START + sha256(b"{" + rest).hexdigest().encode():
            record: dict[str, Any] = json.loads(b"{" + rest)
            # Older versions kept halves of surrogate pairs, which nothing that is written later can hold.
            return mend(record) if has_half(rest.decode("utf-8", "replace")) else record
    return None

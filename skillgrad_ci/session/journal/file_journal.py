"""The journal: every paid-for result is on disk, flushed, before it is used.

`journal.jsonl` is append-only. A line is one JSON record, `{"sum", "key", "kind", "time", "elapsed",
"value"}`, where `sum` is the SHA-256 of the record without it and `elapsed` the seconds that the run took
so far, in all its processes. Killed at any moment, at most the last line is torn: it is dropped, told of
and counted, as is a last line that was damaged in another way. Records whose newline was damaged are
found by their sums. Anything else that does not read stops the run, for a person must know of it.

A long run's records do not fit into memory: their places in the file are kept, and a value is read when it is
recalled. Several runs can share one journal, each as a `JournalPart` of it.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from skillgrad_ci.document.json_text import mend
from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.journal.records import Record, line_of, parse_line, pieces_of, told

NAME = "journal.jsonl"
LOCK = "journal.lock"  # held by the process that runs in the folder
END = "end"  # key and kind of the record of how a run last ended
PART = ": "  # is in a key after the name of the part that it belongs to; a content address has none
EVIDENCE = TypeAdapter(Evidence)  # its fields, by their names, are what a journal keeps of an execution

Place = tuple[int, int]  # where a record's bytes begin in the file, and how many they are


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
        self.folder, self.path = folder, folder / NAME
        self._redactor = redactor or Redactor()
        self._clock, self._started = clock, clock()
        self.damage: Sequence[str] = ()
        self.dropped = 0
        self.earlier = 0.0
        self._kinds: dict[str, list[str]] = {}
        self._recent: set[str] = set()  # the keys of what was written since the run last came to an end
        self.spans: dict[str, tuple[float, float]] = {}  # by part, the seconds of its first and its last record
        self._records: dict[str, Place] = {}
        self._guard = threading.Lock()
        self._lock = FileLock(folder / LOCK)
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
                self._end = self._replay()
            except BaseException:
                os.close(self._file)
                raise
        except BaseException:
            self._lock.release()
            raise
        self.replayed = frozenset(self._records)

    def stale(self, key: str) -> bool:
        """Whether a record is older than the last end of this run."""
        return key not in self._recent

    def replayed_of(self, kind: str) -> list[str]:
        """The keys of this kind that the journal held when it was opened."""
        return list(dict.fromkeys(self._kinds.get(kind, ())))

    def records(self) -> Iterator[Record]:
        """All records that were there when it was opened, in their order, also those that later ones replaced."""
        with self.path.open("rb") as file:
            for line in file:
                yield from (record for _, record in pieces_of(line) if record is not None)

    def recall(self, key: str) -> Mapping[str, Any] | None:
        """The value of a record. Raises EnvironmentFailure where the file was changed under this process."""
        with self._guard:
            found = self._records.get(key)
            if found is None:
                return None
            record = parse_line(self._read(*found))
        if record is None:
            raise EnvironmentFailure(f"{self.path}: was changed while it is in use; start the run again")
        return record.value

    def _read(self, begins: int, length: int) -> bytes:
        try:
            if self._file >= 0:  # also where the folder was moved since
                return os.pread(self._file, length, begins)
            with self.path.open("rb") as file:
                file.seek(begins)
                return file.read(length)
        except OSError as error:
            raise EnvironmentFailure(f"{self.path}: cannot be read ({error.strerror}); start the run again") from None

    @property
    def elapsed(self) -> float:
        """The seconds that this run took up to now: earlier processes, and this one from its start on."""
        return self.earlier + self._clock() - self._started

    def record(self, key: str, kind: str, value: Mapping[str, Any]) -> None:
        """Keep a result. Raises EnvironmentFailure where it could not be put on disk."""
        facts = {"key": key, "kind": kind, "time": datetime.now(UTC).isoformat(), "elapsed": round(self.elapsed, 3)}
        content = json.dumps({**facts, "value": mend(self._redactor.clean(value))})
        with self._guard:
            begins, line = self._end, line_of(content)
            self._append(line)
            self._recent.add(key)
            self._records[key] = (begins, len(line))

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

    def _replay(self) -> int:
        """Know all whole records; where the file ends once what does not read is cut off its end."""
        damage: list[str] = []
        begins = end = number = lost = 0
        well = True  # whether a new line can begin at `end`
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if lost:
                    raise UserError(
                        f"{self.path}:{number - 1}: this record is damaged; "
                        "delete the line to repeat its work, or the folder"
                    )
                pieces = pieces_of(line)
                lost = sum(record is None for _, record in pieces)
                if lost or len(pieces) > 1:
                    damage.append(f"{NAME}:{number}: {told(len(pieces) - lost, lost)}")
                for piece, record in pieces:
                    if record is not None:
                        self._know(record, (begins, len(piece)))
                        end, well = begins + len(piece), piece.endswith(b"\n")
                    begins += len(piece)
        self.damage, self.dropped = damage, lost
        if end < begins:
            os.ftruncate(self._file, end)
        if not well:
            end += os.write(self._file, b"\n")
        os.fsync(self._file)
        return end

    def _know(self, record: Record, place: Place) -> None:
        self._records[record.key] = place
        self._kinds.setdefault(record.kind, []).append(record.key)
        if record.kind == END:
            self._recent.clear()
        self._recent.add(record.key)
        self.earlier = max(self.earlier, record.elapsed)
        part = record.key.partition(PART)[0] if PART in record.key else ""
        self.spans[part] = (self.spans.get(part, (record.elapsed,))[0], record.elapsed)

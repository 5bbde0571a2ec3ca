"""One journal of those that several machines wrote: a union by content address.

A key with two values is an error: two machines did the same work, and nobody can say whose result counts. Records of
work that was in flight (a model's reply within an execution or for a judge) only spare a call; where two machines
have different ones they are left out, and the call is made again if something still needs it. A journal
that goes on from an earlier copy of itself is not a second value: what it replaced, it replaced knowingly.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.session.journal.file_journal import NAME, FileJournal
from skillgrad_ci.session.journal.records import Record, moved

IN_FLIGHT = {"call", "turn", "end"}  # kinds that a run can do without
EXECUTION = "execution"


@dataclass
class _Told:
    """What one journal tells: the content addresses of each key's values, the last one being in force."""

    journal: FileJournal
    first: str = ""
    values: dict[str, list[bytes]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)

    @classmethod
    def by(cls, journal: FileJournal) -> "_Told":
        told = cls(journal)
        for record in journal.records():
            told.first = told.first or record.time
            told.values.setdefault(record.key, []).append(record.said)
            told.kinds[record.key] = record.kind
        return told

    @property
    def order(self) -> tuple[str, list[bytes]]:
        """So that the union is the same in whatever order the journals are named."""
        return self.first, [said for values in self.values.values() for said in values]


def merge_journals(folders: Sequence[Path], target: Path) -> int:
    """Make `target`'s journal the union of the journals in `folders` and of its own; how many records it holds.

    Its seconds are those of all machines together. Raises UserError where two journals contradict each other,
    where one is in use or damaged; `target` is then as it was.
    """
    own = [target] if (target / NAME).is_file() and (target / NAME).stat().st_size else []
    with ExitStack() as stack:
        opened = {path.resolve(): path for path in [*own, *folders]}
        told = [_Told.by(stack.enter_context(FileJournal(path))) for path in opened.values()]
        told.sort(key=lambda one: one.order)
        return _write(target, _union(told, _in_force(told)))


def _in_force(told: Sequence[_Told]) -> Mapping[str, bytes | None]:
    """The value of every key; None for work in flight that is left out."""
    found: dict[str, bytes | None] = {}
    for key in dict.fromkeys(key for one in told for key in one.values):
        having = [one for one in told if key in one.values]
        last = {one.values[key][-1] for one in having}
        newest = [one.values[key][-1] for one in having if last <= set(one.values[key])]
        if len(set(newest)) != 1 and having[0].kinds[key] not in IN_FLIGHT:
            raise UserError(_contradiction(key, having))
        found[key] = newest[0] if len(set(newest)) == 1 else None
    return found


def _contradiction(key: str, having: Sequence[_Told]) -> str:
    first = having[0]
    other = next(one for one in having if one.values[key][-1] != first.values[key][-1])
    where = f"{first.journal.path.parent} and {other.journal.path.parent}"
    if first.kinds[key] != EXECUTION:
        return f"{where}: they do not belong to one run, for their {first.kinds[key]} differs; merge them apart"
    evidence = (first.journal.recall(key) or {}).get("evidence", {})
    what = f"task {evidence.get('task_id')}, trial {evidence.get('trial', 0)}"
    return f"{where}: each has its own result of one execution ({what}); the work was done twice: leave one folder out"


def _union(told: Sequence[_Told], in_force: Mapping[str, bytes | None]) -> Iterator[bytes]:
    """The lines of the union, each record once, what is in force after what it replaced.

    A record takes the seconds since the one before it along. Those of records that are left out go to the next one.
    """
    seen: set[bytes] = set()
    settled: set[str] = set()
    waiting: Record | None = None  # the last line holds the seconds of all
    elapsed = since = 0.0
    for one in told:
        before = 0.0
        for record in one.journal.records():
            if record.identity not in seen:
                seen.add(record.identity)
                elapsed += max(0.0, record.elapsed - before)
                holds = in_force[record.key] == record.said
                if holds or (in_force[record.key] is not None and record.key not in settled):
                    if waiting is not None:
                        yield moved(waiting, round(since, 3))
                    settled |= {record.key} if holds else set()
                    waiting, since = record, elapsed
            before = record.elapsed
    if waiting is not None:
        yield moved(waiting, round(elapsed, 3))


def _write(target: Path, lines: Iterator[bytes]) -> int:
    """The journal of a folder, whole or not at all."""
    partial = target / f".{NAME}.{os.getpid()}"
    try:
        target.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            number = sum(file.write(line) > 0 for line in lines)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target / NAME)
        return number
    except OSError as error:
        raise EnvironmentFailure(f"{target}: cannot be written ({error.strerror}); choose another --out") from None
    finally:
        with suppress(OSError):  # where it could not be made, it cannot be taken away either
            partial.unlink(missing_ok=True)

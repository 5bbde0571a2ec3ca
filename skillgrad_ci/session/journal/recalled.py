"""An execution's evidence out of the journal, without its events: these are read each time that they are looked at.

The events are nearly all of it, and few look at them: ten thousand executions would not fit into memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, overload

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.ports import Journal
from skillgrad_ci.session.journal.file_journal import EVIDENCE

Event = Mapping[str, Any]


class RecalledEvents(Sequence[Event]):
    """A trajectory's events, by the key of their record. It is equal to any sequence of the same events."""

    def __init__(self, journal: Journal, key: str) -> None:
        self._journal, self._key = journal, key

    @overload
    def __getitem__(self, index: int) -> Event: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Event]: ...

    def __getitem__(self, index: int | slice) -> Event | Sequence[Event]:
        return self._read()[index]

    def __iter__(self) -> Iterator[Event]:
        return iter(self._read())

    def __len__(self) -> int:
        return self._count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __repr__(self) -> str:
        return repr(list(self))

    @cached_property
    def _count(self) -> int:
        return len(self._read())

    def _read(self) -> Sequence[Event]:
        events: Sequence[Event] = _record(self._journal, self._key)["trajectory"]["events"]
        return events


def recall_evidence(journal: Journal, key: str) -> Evidence:
    """Raises EnvironmentFailure where the journal does not hold it."""
    evidence = EVIDENCE.validate_python(_record(journal, key))
    events = RecalledEvents(journal, key)
    return replace(evidence, trajectory=replace(evidence.trajectory, events=events))


def _record(journal: Journal, key: str) -> Mapping[str, Any]:
    known = journal.recall(key)
    if known is None:
        raise EnvironmentFailure("the journal lost a record that it had just written; look at the disk")
    evidence: Mapping[str, Any] = known["evidence"]
    return evidence

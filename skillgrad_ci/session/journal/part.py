"""Several runs in one journal: what one of them records is its own, what it builds on is recalled, not paid again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from skillgrad_ci.session.journal.file_journal import PART, FileJournal


@dataclass(frozen=True)
class JournalPart:
    """One of the runs that share a journal, used as a run's own journal is. `name` is the part's own in the journal.

    It recalls its own records and those of `below`, which it builds on and never writes.
    """

    whole: FileJournal
    name: str
    below: "JournalPart | None" = None
    within: str | None = None  # the folder's name below the whole's, where it is not the part's own; "" is the whole's
    damage: Sequence[str] = ()  # whoever opened the whole tells of it

    @property
    def folder(self) -> Path:
        """The part's run folder."""
        return self.whole.folder / (self.name if self.within is None else self.within)

    @property
    def path(self) -> Path:
        return self.whole.path

    @property
    def elapsed(self) -> float:
        """The seconds from this part's first record to its last, in the processes before this one."""
        first, last = self.whole.spans.get(self.name, (0.0, 0.0))
        return last - first

    @cached_property
    def replayed(self) -> frozenset[str]:
        own = self.name + PART
        return frozenset(key.removeprefix(own) for key in self.whole.replayed if key.startswith(own))

    def stale(self, key: str) -> bool:
        """Whether a record is older than the last end of one of the runs."""
        return self.whole.stale(self.name + PART + key)

    def replayed_of(self, kind: str) -> list[str]:
        """The part's own keys of this kind that the journal held when it was opened."""
        own = self.name + PART
        return [key.removeprefix(own) for key in self.whole.replayed_of(kind) if key.startswith(own)]

    def recall(self, key: str) -> Mapping[str, Any] | None:
        known = self.whole.recall(self.name + PART + key)
        return self.below.recall(key) if known is None and self.below is not None else known

    def record(self, key: str, kind: str, value: Mapping[str, Any]) -> None:
        self.whole.record(self.name + PART + key, kind, value)


RunJournal = FileJournal | JournalPart

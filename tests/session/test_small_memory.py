"""What a run holds of its executions does not grow with what agents did: bytes, counted by the allocator."""

import gc
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.method.evidence import Evidence, Outcome, Trajectory
from skillgrad_ci.session.journal.file_journal import EVIDENCE, FileJournal
from skillgrad_ci.session.journal.recalled import recall_evidence

NUMBER = 200
KEYS = [f"{number:064}" for number in range(NUMBER)]
T = TypeVar("T")


def executed(number: int, size: int) -> Evidence:
    result = {"kind": "tool_result", "id": "1", "tool": "shell", "output": f"{number} " + "x" * size, "exit_code": 0}
    said = {"kind": "message", "role": "assistant", "text": f"Task {number} is done."}
    seen = Trajectory([result, said], "Done.")
    made = Evidence(f"task-{number}", "d" * 64, Outcome.FAILED, 0.0, "wrong", seen)
    return EVIDENCE.validate_json(EVIDENCE.dump_json(made))  # with lists, as JSON gives them back


def journal_of(folder: Path, size: int) -> Path:
    with FileJournal(folder) as journal:
        for number, key in enumerate(KEYS):
            journal.record(key, "execution", {"evidence": EVIDENCE.dump_python(executed(number, size))})
    return folder


def held(make: Callable[[], T]) -> tuple[T, int]:
    """What `make` gives, and how many bytes it holds on to."""
    gc.collect()
    tracemalloc.start()
    try:
        made = make()
        gc.collect()
        return made, tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [200, 20_000])
def test_an_open_journal_holds_places_and_no_values(tmp_path: Path, size: int) -> None:
    folder = journal_of(tmp_path / "run", size)
    journal, taken = held(lambda: FileJournal(folder))
    journal.close()
    assert taken < NUMBER * 600


def test_recalled_evidence_is_what_was_recorded_and_holds_no_events(tmp_path: Path) -> None:
    with FileJournal(journal_of(tmp_path / "run", 20_000)) as journal:
        rows, taken = held(lambda: [recall_evidence(journal, key) for key in KEYS])
        assert rows == [executed(number, 20_000) for number in range(NUMBER)]
    assert taken < NUMBER * 3_000
    assert rows[7].trajectory.events[1]["text"] == "Task 7 is done."  # also when the journal is closed


def test_what_is_not_there_is_no_evidence(tmp_path: Path) -> None:
    with FileJournal(tmp_path / "run") as journal:
        journal.record("other", "spent", {"spent": {}})
        with pytest.raises(EnvironmentFailure, match="the journal lost a record"):
            recall_evidence(journal, "missing")


def test_events_are_a_sequence(tmp_path: Path) -> None:
    with FileJournal(journal_of(tmp_path / "run", 10)) as journal:
        events: Any = recall_evidence(journal, KEYS[0]).trajectory.events
        given = executed(0, 10).trajectory.events
        assert (len(events), list(events), events[-1], events[:1]) == (2, list(given), given[-1], given[:1])
        assert events == given
        assert events != given[:1]
        assert events

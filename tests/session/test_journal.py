"""The journal: what was recorded is there after any death, and damage is never passed over."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.method.budget import Ledger
from skillgrad_ci.method.evidence import Evidence, ModelCall, Outcome, Trajectory, Usage
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.journal.file_journal import EVIDENCE, FileJournal
from skillgrad_ci.session.journal.records import line_of

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
records = st.dictionaries(st.text(), st.dictionaries(st.text(), json_values, max_size=3), max_size=5)


def fill(folder: Path, values: dict[str, Any]) -> Path:
    with FileJournal(folder) as journal:
        for key, value in values.items():
            journal.record(key, "execution", value)
    return folder / "journal.jsonl"


def replay(folder: Path, keys: Any) -> dict[str, Any]:
    with FileJournal(folder) as journal:
        return {key: journal.recall(key) for key in keys if journal.recall(key) is not None}


@given(values=records)
@settings(max_examples=30)
def test_a_restart_recalls_what_was_recorded(tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]) -> None:
    folder = tmp_path_factory.mktemp("run")
    fill(folder, values)
    assert replay(folder, values) == values


@given(values=records.filter(bool), data=st.data())
@settings(max_examples=60)
def test_cut_anywhere_it_keeps_every_whole_line(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("run")
    path = fill(folder, values)
    content = path.read_bytes()
    cut = data.draw(st.integers(0, 10_000)) % (len(content) + 1)  # its length is not the same in every run
    path.write_bytes(content[:cut])
    whole = content[:cut].count(b"\n")
    kept = replay(folder, values)
    assert list(kept.items())[:whole] == list(values.items())[:whole]
    assert len(kept) <= whole + 1
    fill(folder, {"later": {"n": 1}})  # what is appended after a torn line is not glued to it
    assert replay(folder, ["later"]) == {"later": {"n": 1}}


def test_a_damaged_earlier_line_is_named(tmp_path: Path) -> None:
    path = fill(tmp_path, {"a": {"n": 1}, "b": {"n": 2}, "c": {"n": 3}})
    path.write_text(path.read_text().replace('"n": 2', '"n": 9'))
    with pytest.raises(UserError, match=r"journal\.jsonl:2: .*damaged"):
        FileJournal(tmp_path)
    path.write_text("".join(line for line in path.read_text().splitlines(True) if '"n": 9' not in line))
    assert replay(tmp_path, "abc") == {"a": {"n": 1}, "c": {"n": 3}}  # the error gave the folder back


THREE = {"a": {"n": 1}, "b": {"n": 2}, "c": {"n": 3}}


def test_a_damaged_last_line_is_told_and_counted(tmp_path: Path) -> None:
    path = fill(tmp_path, THREE)
    path.write_text(path.read_text().replace('"n": 3', '"n": 9'))
    with FileJournal(tmp_path) as journal:
        assert journal.dropped == 1
        (told,) = journal.damage
        assert told.startswith("journal.jsonl:3: the record at its end was torn or damaged and is dropped")
        assert (journal.recall("b"), journal.recall("c")) == ({"n": 2}, None)
    with FileJournal(tmp_path) as journal:
        assert (journal.dropped, list(journal.damage)) == (0, []), "it was cut off"


@pytest.mark.parametrize("newline", [b"", b" ", b"}", b"\x8a", b"\r"])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_damaged_newline_loses_no_record(tmp_path: Path, newline: bytes, which: int) -> None:
    path = fill(tmp_path, THREE)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"".join(line + (newline if at == which else b"\n") for at, line in enumerate(lines)))
    for _ in range(2):
        assert replay(tmp_path, "abc") == THREE
    fill(tmp_path, {"d": {"n": 4}})
    with FileJournal(tmp_path) as journal:
        assert [journal.recall(key) for key in "abcd"] == [{"n": n} for n in (1, 2, 3, 4)]
        assert journal.dropped == 0
        assert len(journal.damage) == (1 if which < 2 else 0)


def test_of_two_records_on_the_last_line_the_whole_one_is_kept(tmp_path: Path) -> None:
    path = fill(tmp_path, THREE)
    first, second, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second.rstrip(b"\n") + b"?" + third[:-9])
    with FileJournal(tmp_path) as journal:
        assert (journal.dropped, journal.recall("b"), journal.recall("c")) == (1, {"n": 2}, None)
    assert replay(tmp_path, "abc") == {"a": {"n": 1}, "b": {"n": 2}}


@given(values=records.filter(bool), data=st.data())
@settings(max_examples=60)
def test_any_damage_is_an_error_or_is_told(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("run")
    path = fill(folder, values)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, 10_000)) % len(content)  # its length is not the same in every run
    content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        journal = FileJournal(folder)
    except UserError:
        return
    with journal:
        kept = {key: journal.recall(key) for key in values if journal.recall(key) is not None}
    assert all(values[key] == value for key, value in kept.items())
    assert len(kept) + journal.dropped >= len(values)
    assert bool(journal.damage) >= bool(journal.dropped)


def test_a_journal_of_an_older_version_that_holds_half_an_emoji_opens_again(tmp_path: Path) -> None:
    old = json.dumps({"key": "k", "kind": "execution", "time": "", "value": {"\ud800": ["a\udc00", "\U0001f600"]}})
    (tmp_path / "journal.jsonl").write_bytes(line_of(old))
    assert replay(tmp_path, "k") == {"k": {"\ufffd": ["a\ufffd", "\U0001f600"]}}
    with FileJournal(tmp_path) as journal:
        journal.record("new", "call", {"text": "half \ud83d"})
        assert journal.recall("new") == {"text": "half \ufffd"}
    assert replay(tmp_path, ["new"]) == {"new": {"text": "half \ufffd"}}


def test_the_time_that_a_run_took_is_kept_over_its_processes(tmp_path: Path) -> None:
    now = [1000.0]
    for process in range(3):
        with FileJournal(tmp_path, clock=lambda: now[0]) as journal:
            assert journal.earlier == 60.0 * process
            now[0] += 40
            ledger = Ledger(clock=lambda: now[0])  # it comes after a start of 40 seconds, which counts as well
            ledger.resume(journal, journal.replayed, journal.elapsed)
            assert ledger.minutes == pytest.approx((60 * process + 40) / 60)
            now[0] += 20
            journal.record(f"k{process}", "call", {})
        now[0] = 5.0 * process  # each process has a clock of its own, and the time between them does not count


def test_large_records_are_read_when_they_are_recalled(tmp_path: Path) -> None:
    big = {"text": "x" * 3_000, "half": "\ufffd"}
    fill(tmp_path, {"a": big, "b": {"n": 1}})
    with FileJournal(tmp_path) as journal:
        assert not [key for key, held in journal._records.items() if "xxx" in str(held)]
        journal.record("c", "call", big)
        assert [journal.recall(key) for key in "abc"] == [big, {"n": 1}, big]
        assert (journal.replayed_of("execution"), journal.replayed_of("call")) == (["a", "b"], [])
        journal.path.write_bytes(journal.path.read_bytes().replace(b"xxx", b"yyy"))
        with pytest.raises(EnvironmentFailure, match="changed while it is in use"):
            journal.recall("a")
        assert journal.recall("b") == {"n": 1}


def test_a_folder_that_is_taken_away_under_a_run_is_said(tmp_path: Path) -> None:
    """Once it is closed, the file is opened anew for each record."""
    fill(tmp_path / "run", {"a": {"n": 1}})
    with FileJournal(tmp_path / "run") as journal:
        pass
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    with pytest.raises(EnvironmentFailure, match=r"run/journal\.jsonl: cannot be read \(No such .*\); start the run"):
        journal.recall("a")


def test_a_folder_is_for_one_journal_at_a_time(tmp_path: Path) -> None:
    with FileJournal(tmp_path), pytest.raises(UserError, match="another process runs here; wait for it, or choose"):
        FileJournal(tmp_path)
    FileJournal(tmp_path).close()


def test_a_second_process_stops_at_once(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from skillgrad_ci.session.journal.file_journal import FileJournal;"
        "FileJournal(Path(sys.argv[1]))"
    )
    with FileJournal(tmp_path):
        second = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, timeout=30)
    assert "another process runs here" in second.stderr
    subprocess.run([sys.executable, "-c", program, tmp_path], check=True, timeout=30)


def test_a_killed_process_leaves_a_whole_journal_and_no_lock(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from skillgrad_ci.session.journal.file_journal import FileJournal\n"
        "journal = FileJournal(Path(sys.argv[1]))\n"
        "for n in range(5): journal.record(str(n), 'execution', {'n': n})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, tmp_path], timeout=30).returncode == -9
    assert replay(tmp_path, "01234") == {str(n): {"n": n} for n in range(5)}


def test_many_threads_write_whole_lines(tmp_path: Path) -> None:
    with FileJournal(tmp_path) as journal, ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: journal.record(str(n), "call", {"text": "x" * 5000}), range(100)))
    assert len([json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]) == 100


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    """A limit on file size stands for the full disk: the write is cut short, then refused."""
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from skillgrad_ci.errors import EnvironmentFailure\n"
        "from skillgrad_ci.session.journal.file_journal import FileJournal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "journal = FileJournal(Path(sys.argv[1]))\n"
        "journal.record('a', 'call', {'n': 1})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))\n"
        "try: journal.record('b', 'call', {'text': 'x' * 2000})\n"
        "except EnvironmentFailure as error: print(error)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "journal.record('c', 'call', {'n': 3})\n"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, timeout=30)
    assert "cannot be written" in done.stdout, done.stderr
    assert replay(tmp_path, "abc") == {"a": {"n": 1}, "c": {"n": 3}}


def test_what_is_recalled_now_is_what_is_recalled_after_a_restart(tmp_path: Path) -> None:
    secret = "sk-0123456789"
    with FileJournal(tmp_path, Redactor([secret])) as journal:
        journal.record("k", "call", {"text": f"key {secret}", "pair": (1, 2)})
        now = journal.recall("k")
    assert now == replay(tmp_path, "k")["k"] == {"text": "key ***", "pair": [1, 2]}
    assert secret not in (tmp_path / "journal.jsonl").read_text()


def test_a_folder_that_cannot_be_written_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="--out"):
        FileJournal(tmp_path / "file" / "run")


def test_where_nothing_was_written_down_nothing_is_left(tmp_path: Path) -> None:
    FileJournal(tmp_path / "runs" / "skill" / "run").close()
    assert list(tmp_path.iterdir()) == []
    mine = tmp_path / "mine"
    mine.mkdir()
    FileJournal(mine).close()
    assert list(mine.iterdir()) == []  # a folder that was there stays


def test_closed_it_refuses_and_closes_twice(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    journal.close()
    journal.close()
    with pytest.raises(EnvironmentFailure):
        journal.record("k", "call", {})


events = st.lists(st.dictionaries(st.text(), st.text() | st.none() | st.integers(), max_size=3), max_size=3)
names = st.lists(st.text(), max_size=3)
usages = st.builds(Usage, st.integers(0), st.integers(0), st.integers(0), st.integers(0), st.none() | st.floats(0, 10))
calls = st.lists(st.builds(ModelCall, st.integers(0), usages), max_size=2)
trajectories = st.builds(
    Trajectory, events, st.text(), st.integers(0), st.booleans(), names, st.text(), usages, names, calls
)
graded = st.builds(
    Evidence, st.text(), st.text(), st.sampled_from(Outcome), st.floats(0, 1), st.text(), trajectories, st.floats(0, 9)
)


@given(graded)
def test_evidence_survives_the_journal(evidence: Evidence) -> None:
    assert EVIDENCE.validate_python(json.loads(json.dumps(EVIDENCE.dump_python(evidence)))) == evidence


# A line that version 0.1 wrote: a run that was begun with it is resumed, and pays for nothing twice.
OLD = (
    '{"sum": "d61da95655466f728463c719478d28d4fa0eac679996bbf88b48a48170de550b", "key": "k", "kind": "execution", '
    '"time": "2026-11-28T05:03:42.467045+00:00", "elapsed": 0.019, "value": {"evidence": {"task_id": "sum", '
    '"skill_digest": "1f", "outcome": "failed", "score": 0.5, "feedback": "B2 is 3", "trajectory": {"events": '
    '[{"kind": "message", "role": "user", "text": "Add."}, {"kind": "tool_call", "id": "c1", "tool": "bash", '
    '"arguments": {"command": "ls"}}, {"kind": "tool_result", "id": "c1", "tool": "bash", "output": "", '
    '"exit_code": null}], "answer": "done", "turns": 2, "activated": true, "references_read": ["references/a.md"], '
    '"stopped": "answered", "usage": {"calls": 2, "prompt_tokens": 310, "cached_tokens": 64, "completion_tokens": 20, '
    '"usd": null}, "others_activated": ["csv"]}, "seconds": 1.25, "trial": 1, "versions": "tool loop 3; sandbox 1"}}}\n'
)


def test_evidence_of_an_older_journal_reads_and_is_written_in_the_same_words(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text(OLD)
    old = replay(tmp_path, ["k"])["k"]["evidence"]
    call: dict[str, Any] = {"kind": "tool_call", "id": "c1", "tool": "bash", "arguments": {"command": "ls"}}
    result = {"kind": "tool_result", "id": "c1", "tool": "bash", "output": "", "exit_code": None}
    events: list[dict[str, Any]] = [{"kind": "message", "role": "user", "text": "Add."}, call, result]
    usage = Usage(2, 310, 64, 20, None)
    trajectory = Trajectory(events, "done", 2, True, ["references/a.md"], "answered", usage, ["csv"])
    evidence = Evidence("sum", "1f", Outcome.FAILED, 0.5, "B2 is 3", trajectory, 1.25, 1, "tool loop 3; sandbox 1")
    assert EVIDENCE.validate_python(old) == evidence
    old["trajectory"]["model_calls"] = []  # came later
    assert json.dumps(EVIDENCE.dump_python(evidence)) == json.dumps(old)

"""An execution that was cut goes on where it was: no reply is paid for twice, and none is used in another world."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.executors.tool_loop import ToolLoop
from skillgrad_ci.executors.turns import _same
from skillgrad_ci.method.evidence import Trajectory
from skillgrad_ci.method.prompting import load_prompt
from skillgrad_ci.method.task import GraderSpec, Task
from skillgrad_ci.sandbox.no_sandbox import NoSandbox
from skillgrad_ci.session.journal.file_journal import FileJournal
from skillgrad_ci.session.rollout import workspace
from tests.support.scripted_answers import Answer, Call, Reply, error
from tests.support.scripted_server import ScriptedServer, model_of, serve

TASK = Task("t", "Work.", [GraderSpec("text")])
FATAL = error(400, "cut here")


def shell(*commands: str) -> Reply:
    return Reply(calls=[Call("shell", {"command": command}) for command in commands])


def execute(folder: Path, answers: Sequence[Answer], key: str = "k") -> tuple[Trajectory, ScriptedServer, str]:
    """One execution in a process of its own; its trajectory, what the provider was asked, the work folder's listing."""
    with (
        FileJournal(folder) as journal,
        serve(answers) as server,
        workspace(TASK, []) as folders,
        NoSandbox().open(folders) as session,
    ):
        loop = ToolLoop(model_of(server, retries=0), load_prompt("execute")).resuming(journal, key)
        trajectory = loop.execute(TASK, None, session)
        files = {path.name: path.read_text() for path in folders.work.iterdir()}
        return trajectory, server, repr(sorted(files.items()))


STEPS = [
    shell("echo one > a; ls"),
    shell("echo two >> a", "cat a"),
    Reply("thinking", stop="length"),
    shell("date +%H:%M:%S.%N", "nonsense"),
    shell("cp a b; cat b"),
    Reply("done"),
]


@pytest.mark.parametrize("cut", range(len(STEPS)))
def test_cut_at_any_turn_it_ends_as_if_never_cut_and_pays_for_each_turn_once(cut: int, tmp_path: Path) -> None:
    whole, reference, files = execute(tmp_path / "whole", [*STEPS])
    with pytest.raises(EnvironmentFailure, match="cut here"):
        execute(tmp_path / "cut", [*STEPS[:cut], FATAL, FATAL])  # what an envelope is refused is asked once more
    again, server, files_again = execute(tmp_path / "cut", STEPS[cut:])
    assert len(server.requests) == len(STEPS) - cut
    assert files_again == files
    assert (again.answer, again.turns, again.stopped) == (whole.answer, whole.turns, whole.stopped)
    assert again.usage.calls == whole.usage.calls
    mine, theirs = (sent.requests[-1]["messages"] for sent in (server, reference))
    assert [message["role"] for message in mine] == [message["role"] for message in theirs]


def test_what_was_shown_of_a_clock_is_shown_again(tmp_path: Path) -> None:
    clock = shell('date +%s.%N; echo "took $(date +%N | cut -c1-3) ms"')
    with pytest.raises(EnvironmentFailure):
        execute(tmp_path, [clock, shell("ls"), FATAL])
    with FileJournal(tmp_path) as journal:
        (shown,) = [
            ran["output"]
            for key in journal.replayed
            for ran in (journal.recall(key) or {})["ran"]
            if "took" in ran["output"]
        ]
    again, server, _ = execute(tmp_path, [Reply("done")])
    assert again.events[3]["output"] == shown
    assert len(server.requests) == 1


def test_a_command_that_now_does_another_thing_is_shown_and_the_model_asked_anew(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    count = shell(f"echo x >> {outside}; wc -l < {outside}")
    with pytest.raises(EnvironmentFailure):
        execute(tmp_path / "run", [shell("echo 1"), count, shell("echo stale"), FATAL])
    again, server, _ = execute(tmp_path / "run", [shell("echo fresh"), Reply("done")])
    outputs = [event["output"] for event in again.events if event["kind"] == "tool_result"]
    assert outputs == ["1\n", "2\n", "fresh\n"]
    assert len(server.requests) == 2, "what was paid for in the same world is not asked again"
    third, server, _ = execute(tmp_path / "run", [Reply("changed again")])
    assert third.answer == "changed again"
    assert [event["output"] for event in third.events if event["kind"] == "tool_result"] == ["1\n", "3\n"]


def test_turns_belong_to_one_execution(tmp_path: Path) -> None:
    for key in ("k", "another trial"):
        _, server, _ = execute(tmp_path, [shell("ls"), Reply("done")], key)
        assert len(server.requests) == 2
    _, server, _ = execute(tmp_path, [], "k")
    assert server.requests == []


def ended(output: str, code: int | None = 0, timed_out: bool = False) -> dict[str, Any]:
    return {"output": output, "exit_code": code, "timed_out": timed_out}


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("-rw-r--r-- 1 me me 12 Nov 28 03:07 a", "-rw-r--r-- 1 me me 12 Nov 29 14:55 a"),
        ("2026-11-28T03:07:40.123Z start", "2026-11-29T00:00:00.9Z start"),
        ("3 passed in 0.03s", "3 passed in 1.2s"),
        ("<object at 0x7f3a90b1c2d0>", "<object at 0x7fffdeadbeef>"),
        ("1795831660.12", "1795839999"),
    ],
)
def test_readings_of_a_clock_are_no_difference(before: str, now: str) -> None:
    assert _same(ended(before), ended(now))


@given(st.text(max_size=20), st.text(max_size=20))
def test_other_words_codes_and_limits_are(one: str, other: str) -> None:
    assert _same(ended(one), ended(one))
    assert not _same(ended(one, 0), ended(one, 1))
    assert not _same(ended(one, None), ended(one, None, timed_out=True))
    letters = [text.translate(dict.fromkeys(range(ord("0"), ord("9") + 1))) for text in (one, other)]
    assert letters[0] == letters[1] or not _same(ended(f"{letters[0]} total 5"), ended(f"{letters[1]} total 7"))
    assert not _same(ended("total = 5"), ended("total = 7"))

"""Cells are forks of one process that knows nothing of a run."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.method.ports import Workspace
from skillgrad_ci.sandbox import nursery, sandlock_sandbox
from skillgrad_ci.sandbox.sandlock_sandbox import SandlockSandbox

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sandlock needs Linux")


def outcome(folder: Path, command: str = "echo $$; cat ../note/text; ls -a /tmp") -> str:
    """A command in a cell of its own, with a folder beside it that only this cell is told of."""
    for name in ("work", "note"):
        (folder / name).mkdir(parents=True)
    (folder / "note/text").write_text(folder.name)
    with SandlockSandbox().open(Workspace(folder / "work", {"note": folder / "note"})) as session:
        return session.run(command, timeout=60).output


def test_several_cells_take_one_interpreter_and_each_begins_anew(tmp_path: Path) -> None:
    first = outcome(tmp_path / "one", "touch /tmp/left; cat ../note/text")
    process = nursery._nurseries[os.getpid()]._process
    second = outcome(tmp_path / "two", "ls /tmp; cat ../note/text; ls ../../one")
    assert nursery._nurseries[os.getpid()]._process is process
    assert first == "one"
    assert "two" in second
    assert "left" not in second
    assert "No such file" in second


def test_the_nursery_has_no_variable_of_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nursery, "_nurseries", {})
    monkeypatch.setenv("A_SECRET", "planted-secret-0451")
    assert outcome(tmp_path / "one", "cat ../note/text") == "one"
    made = nursery._nurseries[os.getpid()]
    assert b"planted-secret-0451" not in Path(f"/proc/{made._process.pid}/environ").read_bytes()
    made.close()


def test_a_lost_nursery_is_made_anew(tmp_path: Path) -> None:
    assert outcome(tmp_path / "one", "cat ../note/text") == "one"
    os.kill(nursery._nurseries[os.getpid()]._process.pid, signal.SIGKILL)
    assert outcome(tmp_path / "two", "cat ../note/text") == "two"


@pytest.mark.parametrize(("python", "said"), [("/bin/false", ""), ("/nowhere/python3", "No such file")])
def test_where_the_interpreter_is_gone_no_cell_can_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python: str, said: str
) -> None:
    """As when a system's Python is replaced under a running program."""
    monkeypatch.setattr(nursery, "_nurseries", {})
    monkeypatch.setattr(sys, "executable", python)
    with pytest.raises(
        EnvironmentFailure, match=f"no process for a sandbox can be started here .*{said}.*, then start"
    ):
        outcome(tmp_path)
    assert nursery.processes() == []


def test_a_cell_is_gone_after_its_session(tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert outcome(tmp_path / name, "sleep 1000 & cat ../note/text") == name
    pid = nursery._nurseries[os.getpid()]._process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    ended = [child for child in children if "State:\tZ" in Path(f"/proc/{child}/status").read_text()]
    assert children == ended  # they are taken away at the next cell's start
    assert len(children) <= 1


def test_a_cell_that_dies_at_its_birth_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what it prints last, for it has no other way: here it is told nothing of its limits."""
    settings = sandlock_sandbox._settings

    def without_limits(*arguments: Any, **named: Any) -> dict[str, Any]:
        return {name: value for name, value in settings(*arguments, **named).items() if name != "limits"}

    monkeypatch.setattr(sandlock_sandbox, "_settings", without_limits)
    with pytest.raises(EnvironmentFailure, match=r"no name spaces of its own here \(KeyError: 'limits'\)") as caught:
        outcome(tmp_path)
    assert "\n" not in str(caught.value)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def sockets_of(pid: int) -> set[str]:
    """The sockets that a process holds, by their numbers in the kernel."""
    held = {str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir()}
    return {name for name in held if name.startswith("socket:")}


def test_a_cell_has_a_session_of_its_own_and_no_way_to_ask_for_cells(tmp_path: Path) -> None:
    """A Ctrl-C in the terminal is for the program alone, and a door that a cell held would open for what breaks out."""
    (tmp_path / "work").mkdir()
    with SandlockSandbox().open(Workspace(tmp_path / "work", {})):
        [nursery_pid] = nursery.processes()
        outer = children_of(nursery_pid)[-1]
        cell = [outer, *children_of(outer)]
        assert len(cell) == 2
        assert os.getsid(nursery_pid) == nursery_pid
        assert {os.getsid(process) for process in cell} == {outer}
        door = sockets_of(nursery_pid)
        assert door
        assert not any(door & sockets_of(process) for process in cell)


def test_a_fork_of_the_program_has_a_nursery_of_its_own(tmp_path: Path) -> None:
    """Two that asked at one door would get each other's cells."""
    outcome(tmp_path / "one")
    [ours] = nursery.processes()
    if (child := os.fork()) == 0:
        try:
            made = nursery._nursery()
            own = made.pid != ours
            made.close() if own else None
            os._exit(0 if own else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert nursery.processes() == [ours]

"""What is said where the machine takes a sandbox away, or leaves it nothing to start a command with."""

import os
import resource
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.method.ports import Workspace
from skillgrad_ci.sandbox import nursery
from skillgrad_ci.sandbox.no_sandbox import NoCommands, NoSandbox
from skillgrad_ci.sandbox.sandlock_sandbox import SandlockSandbox, SandlockSession

linux = pytest.mark.skipif(sys.platform != "linux", reason="sandlock needs Linux")


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandlockSession]:
    """Of a nursery of its own, so that its cell is the only child there."""
    monkeypatch.setattr(nursery, "_nurseries", {})
    (tmp_path / "work").mkdir()
    with SandlockSandbox().open(Workspace(tmp_path / "work")) as opened:
        yield opened
    nursery._nurseries[os.getpid()].close()


def child(pid: int) -> int:
    (only,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(only)


@linux
def test_a_cell_that_was_killed_is_an_outage(session: SandlockSession) -> None:
    session.cell.kill()
    assert session.cell._process.ended(60)
    with pytest.raises(EnvironmentFailure, match="sandlock: the sandbox has ended; look whether"):
        session.run("echo hi", timeout=30)


@linux
def test_a_cell_that_is_killed_with_a_command_in_it_is_an_outage(session: SandlockSession) -> None:
    begun = session.work / "begun"

    def kill() -> None:
        while not begun.exists():
            time.sleep(0.01)
        session.cell.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(EnvironmentFailure, match="the sandbox has ended with a command in it; look whether"):
        session.run("touch begun; sleep 600", timeout=600)
    killer.join()


@linux
def test_where_a_cell_can_start_nothing_more_that_is_an_outage(session: SandlockSession) -> None:
    """Here it may open no further file."""
    first = child(child(nursery.processes()[0]))
    resource.prlimit(first, resource.RLIMIT_NOFILE, (3, 3))
    with pytest.raises(EnvironmentFailure, match=r"sandlock cannot start a command here \(.*\); look whether"):
        session.run("echo hi", timeout=30)


def test_a_program_that_is_not_there_is_an_outage(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    with (
        NoSandbox().open(Workspace(tmp_path / "work")) as session,
        pytest.raises(EnvironmentFailure, match=r"no-such-agent cannot be started \(No such .*\); install"),
        session.pipe(["no-such-agent", "acp"], {}),
    ):
        pass


def test_an_agent_without_tools_runs_no_command(tmp_path: Path) -> None:
    with (
        NoCommands().open(Workspace(tmp_path)) as session,
        pytest.raises(EnvironmentFailure, match=r"no command is run here, .*; take the agent loop"),
    ):
        session.run("echo hi", timeout=30)

"""What processes hold together is counted from outside of them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from skillgrad_ci.method.ports import Workspace
from skillgrad_ci.sandbox.memory import held
from skillgrad_ci.sandbox.sandlock_sandbox import SandlockSandbox
from skillgrad_ci.sandbox.supervise import MIB

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sandlock needs Linux")

# The first process has a child, which has 64 MiB; its two children share them with it.
FAMILY = """
import os, sys, threading
def share():
    held = bytearray(os.urandom(1 << 20)) * 64
    for _ in range(2):
        if not os.fork():
            sys.stdin.read()
            os._exit(0)
    print("ready", flush=True)
    sys.stdin.read()
if not os.fork():
    thread = threading.Thread(target=share)  # a child of a thread is a child too
    thread.start()
    thread.join()
    os._exit(0)
os.wait()
"""


@pytest.fixture
def family() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
    process.wait()


def test_what_processes_share_counts_once(family: int) -> None:
    assert 64 * MIB < held(family, enough=0) < 100 * MIB


def test_what_is_sure_to_be_enough_is_told_roughly(family: int) -> None:
    assert held(family, enough=1 << 40) > 3 * 64 * MIB


def test_a_process_that_is_gone_holds_nothing() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
        assert held(process.pid, enough=0) == 0


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can become another user")
def test_a_process_that_lets_nobody_look_into_it_is_counted_all_the_same() -> None:
    """Nor does a program look into another user's: here both have become one that may not."""
    if (measuring := os.fork()) == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        (ready, tell), (over, end) = os.pipe(), os.pipe()
        if os.fork() == 0:
            os.close(end)
            kept = bytearray(os.urandom(1 << 20)) * 64
            os.write(tell, b"x")
            os.read(over, 1)  # until the one that measures has ended
            os._exit(len(kept) & 1)
        os.read(ready, 1)
        os._exit(0 if held(os.getpid(), enough=0) > 64 * MIB else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(measuring, 0)[1]) == 0


def test_where_memory_runs_out_commands_go_before_the_program(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    with SandlockSandbox().open(Workspace(tmp_path / "work")) as session:
        said = session.run("echo 0 > /proc/self/oom_score_adj; cat /proc/self/oom_score_adj", timeout=30).output
    assert said.splitlines()[-1] == "1000"

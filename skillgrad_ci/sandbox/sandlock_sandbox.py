"""Commands confined on a Linux host: by name spaces of their own, and by the `sandlock` library in them.

Every open session has a `cell`, a process of its own. It can read the system and the interpreter, and write the work
folder and `/tmp`; nothing else of the file system is there, and it can name no network and no process outside. In it
sandlock (Landlock, seccomp and a supervisor) runs each command as a process tree of its own,
bounded in memory and processes. It needs Linux 6.7 or later with Landlock, and user name spaces.
"""

import functools
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.method.ports import CommandResult, Workspace
from skillgrad_ci.sandbox import calls, environment
from skillgrad_ci.sandbox.memory import held
from skillgrad_ci.sandbox.nursery import START, new_cell
from skillgrad_ci.sandbox.supervise import AGAIN, GRACE, MIB, Children, Limits, no_command, supervise
from skillgrad_ci.sandbox.work_folder import DiskUse, excess, sanitize, scarce, usage

# What an older Landlock lacks, by the ABI that brought it (Linux 6.10, 6.12). sandlock then starts only where
# that is allowed; without the rest, which is there from Linux 6.7 on, it does not start.
LATER = {"FS_IOCTL_DEV": 5, "SIGNAL_SCOPE": 6, "ABSTRACT_UNIX_SOCKET_SCOPE": 6}

KILL = b"\0kill"
TMP = "/tmp"  # noqa: S108
SHM = "/dev/shm"  # noqa: S108
GUEST_TMP = "/tmp/guest"  # noqa: S108

# Beside the library's own list. Memory that belongs to a file without a name counts for no process. The
# kernel lets a process change the limits of any other of its user.
DENIED_CALLS = ["memfd_create", "prlimit64", "setrlimit"]

# With `network: true`, still not this machine's own services (an open model proxy has a key to spend;
# UDP stays, for a resolver may be there) and not the clouds' identity services.
DENIED_ADDRESSES = [
    *("tcp://127.0.0.0/8", "tcp://0.0.0.0/8", "tcp://[::1/128]:*", "tcp://[::/128]:*"),
    *("169.254.0.0/16", "168.63.129.16:80,32526", "192.0.0.192", "100.100.100.200"),
    *("[fd00:ec2::254]:*", "[fd20:ce::254]:*"),
]


@dataclass
class SandlockSandbox:
    """Runs commands under sandlock; every command is a process tree of its own."""

    limits: Limits = field(default_factory=Limits)
    children: Children = field(default_factory=Children)

    @functools.cached_property
    def identity(self) -> str:
        import sandlock

        lacking = _lacking()
        return f"sandlock {sandlock.__version__}" + (f" degraded: no {', '.join(lacking)}" if lacking else "")

    def kill_all(self) -> None:
        self.children.kill_all()

    @contextmanager
    def open(self, workspace: Workspace, *, network: bool = False) -> Iterator["SandlockSession"]:
        for name, folder in workspace.readonly.items():
            if folder.resolve() != workspace.work.resolve().parent / name:
                raise ValueError(f"{folder}: a read-only folder lies beside the work folder, as ../{name}")
        self.children.check()
        work = workspace.work.resolve()
        if reason := scarce(work, self.limits):
            raise EnvironmentFailure(f"sandbox: {reason}; make room")
        cell = Cell(_settings(workspace, self.limits, network=network))
        session = SandlockSession(self, work, cell)
        try:
            yield session
        finally:
            cell.close()
            session.removed = sanitize(workspace.work, self.limits)


@dataclass
class SandlockSession:
    """The running of commands in one cell.

    `removed` is known after the close: what was no regular file in the work folder, one line each.
    """

    sandbox: SandlockSandbox
    work: Path
    cell: "Cell"
    removed: list[str] = field(default_factory=list)

    def run(self, command: str, *, timeout: float) -> CommandResult:
        limits, children = self.sandbox.limits, self.sandbox.children
        if refused := no_command(command):
            return refused
        children.check()
        before = usage([self.work])
        with children.killable(self.cell.kill), self.cell.start(command) as output:
            return supervise(_Child(self.cell, output), timeout, limits, lambda: self._passed(before))

    def _passed(self, before: DiskUse) -> str:
        """Which limit the running command has passed, in words; '' for none."""
        limits = self.sandbox.limits
        if held(self.cell.first, limits.memory) > limits.memory:
            return f"its processes took more than {limits.memory // MIB} MiB of memory"
        return excess([self.work], limits, before) or scarce(self.work, limits)


class Cell:
    """A running `cell` and the socket to it. `kill` may be called from any thread, at any time."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with tempfile.TemporaryFile() as said:
            with theirs:
                self._process = new_cell(theirs, said)
            self.channel.settimeout(START)
            reason = self._prepare(settings)
            if reason is not None:
                self.close()
                said.seek(0)
                words = reason or said.read().decode(errors="replace").strip().rpartition("\n")[2]
                raise EnvironmentFailure(f"sandlock: it has no name spaces of its own here ({words}){_hint()}")
        self.channel.settimeout(None)

    def _prepare(self, settings: dict[str, Any]) -> str | None:
        """Send the settings. Returns None, or why the cell is not there ('' where it did not say)."""
        try:
            self.channel.send(json.dumps(settings).encode())
            answer = self.channel.recv(4096)
        except OSError as error:
            return "" if isinstance(error, BrokenPipeError | ConnectionError) else str(error)
        return None if answer == b"\0" else answer.decode(errors="replace")

    @contextmanager
    def start(self, command: str) -> Iterator[IO[bytes]]:
        """Start a command; inside, its output. Raises EnvironmentFailure."""
        words, files = b"", list[int]()
        with suppress(OSError):  # it has ended
            self.channel.send(command.encode("utf-8", "replace"))
            words, files, _, _ = socket.recv_fds(self.channel, 4096, 1)
        if not files and not words:
            raise EnvironmentFailure(f"sandlock: the sandbox has ended; {AGAIN}")
        if not files:
            said = words.decode(errors="replace")
            raise EnvironmentFailure(f"sandlock cannot start a command here ({said}); {AGAIN}")
        with os.fdopen(files[0], "rb", 0) as output:
            yield output

    def stop(self) -> None:
        """Have the running command killed, with all that it started."""
        with suppress(OSError):
            self.channel.send(KILL)

    def code(self) -> int:
        """Wait for the running command's exit code. Raises EnvironmentFailure."""
        try:
            return int(self.channel.recv(16))
        except (OSError, ValueError):
            raise EnvironmentFailure(f"sandlock: the sandbox has ended with a command in it; {AGAIN}") from None

    @property
    def first(self) -> int:
        """The number of the first process of its name space, under which all others are; 0 when it has ended."""
        with suppress(OSError, ValueError):
            outer = self._process.pid
            return int(Path(f"/proc/{outer}/task/{outer}/children").read_text())
        return 0

    def kill(self) -> None:
        self._process.kill()  # its child, the first process of its name space, dies with it: so all do

    def close(self) -> None:
        with suppress(OSError):
            self.channel.shutdown(socket.SHUT_RDWR)
        self.channel.close()
        if not self._process.ended(GRACE):
            self.kill()
            self._process.ended(GRACE)
        self._process.close()


@dataclass
class _Child:
    """A command in a cell as `supervise` sees it. Its `wait` returns when the whole tree is gone."""

    cell: Cell
    stdout: IO[bytes]

    def kill(self) -> None:
        self.cell.stop()

    def wait(self) -> int:
        return self.cell.code()


def _settings(workspace: Workspace, limits: Limits, *, network: bool) -> dict[str, Any]:
    """What a cell is told: the paths that its tree has, and the policies that sandlock holds in it."""
    work = str(workspace.work.resolve())
    folders = {name: str(folder.resolve()) for name, folder in workspace.readonly.items()}
    shown = [folder for name, folder in folders.items() if name not in workspace.private]
    system = environment.readable()
    return {
        "network": network,
        "readable": [path for path in [*system, *folders.values()] if path != "/proc"],  # it has its own
        "writable": [work],
        "temporary": f"size={_temporary(limits)},nr_inodes={limits.files}",
        "limits": _resources(limits),
        "filter": calls.command_filter(network=network).hex(),
        "policy": _policy(limits, work, [*system, *folders.values()], [TMP, SHM], network=network),
        "guests": _policy(limits, work, [*system, *shown], [GUEST_TMP], network=network) if workspace.private else None,
    }


def _policy(limits: Limits, work: str, readable: list[str], temporary: list[str], *, network: bool) -> dict[str, Any]:
    import sandlock

    return {
        "fs_readable": readable,
        "fs_writable": [*environment.writable(), work, *temporary],
        "clean_env": True,
        "env": {**environment.interpreter(), **environment.variables(work, temporary[0])},
        "cwd": work,
        "max_memory": limits.memory,
        "max_processes": limits.processes,
        "extra_deny_syscalls": DENIED_CALLS,
        "net_deny": DENIED_ADDRESSES if network else [],
        "allow_degraded": [int(sandlock.Protection[name]) for name in _lacking()],
    }


def _temporary(limits: Limits) -> int:
    """Bytes of `/tmp`, which is memory that counts for no process."""
    return min(limits.disk, limits.memory) // 4


def _resources(limits: Limits) -> dict[str, int]:
    """Hard limits of every process. An open file without a name is in no folder that could be watched."""
    return {"RLIMIT_FSIZE": limits.disk, "RLIMIT_CORE": 0}


def _hint() -> str:
    """What to do where a distribution keeps user name spaces from ordinary users."""
    switch = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
    with suppress(OSError):
        if switch.read_text().strip() == "1":
            return "; sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 allows them"
    return ""


def _lacking() -> list[str]:
    """The protections that this kernel's Landlock does not have."""
    import sandlock

    return [name for name, abi in LATER.items() if sandlock.landlock_abi_version() < abi]

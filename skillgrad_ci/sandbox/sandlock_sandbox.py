"""Commands confined by the `sandlock` library: Landlock, seccomp and a supervisor in this process.

For Linux hosts with Landlock (Linux 6.7 and later). The system and the interpreter can be read, the
work folder and a scratch folder can be written, nothing else of the file system is there; processes
outside cannot be seen, signalled or traced.
"""

import functools
import os
import resource
import signal
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.method.ports import CommandResult, Workspace
from skillgrad_ci.sandbox import environment
from skillgrad_ci.sandbox.limits import Limits
from skillgrad_ci.sandbox.supervise import Children, no_command, supervise
from skillgrad_ci.sandbox.work_folder import discard, excess, sanitize, scarce, usage

if TYPE_CHECKING:
    import sandlock


# What an older Landlock lacks, by the ABI that brought it (Linux 6.10, 6.12). sandlock then starts only where
# that is allowed; without the rest, which is there from Linux 6.7 on, it does not start.
LATER = {"FS_IOCTL_DEV": 5, "SIGNAL_SCOPE": 6, "ABSTRACT_UNIX_SOCKET_SCOPE": 6}
NOBODY = 65534

SHELL = ["bash", "-c", 'exec bash -c "$1" 2>&1', "bash"]

# Beside the library's own list. Memory that belongs to a file without a name counts for no process. The
# kernel lets a process change the limits of any other of its user, this program's too.
DENIED_CALLS = ["memfd_create", "prlimit64", "setrlimit"]

# With `network: true`, still not this machine's own services (an open model proxy has a key to spend;
# UDP stays, for a resolver may be there) and not the clouds' identity services.
DENIED_ADDRESSES = [
    *("tcp://127.0.0.0/8", "tcp://0.0.0.0/8", "tcp://[::1/128]:*", "tcp://[::/128]:*"),
    *("169.254.0.0/16", "168.63.129.16:80,32526"),
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
        root = workspace.work.resolve().parent
        if reason := scarce(root, self.limits):
            raise EnvironmentFailure(f"sandbox: {reason}; make room")
        scratch = Path(tempfile.mkdtemp(prefix=".tmp-", dir=root))
        session = SandlockSession(self, workspace, scratch, network)
        try:
            yield session
        finally:
            discard(scratch)
            session.removed = sanitize(workspace.work, self.limits)


@dataclass
class SandlockSession:
    """One workspace's policy, and the running of a command under it.

    `removed` is known after the close: what was no regular file in the work folder, one line each.
    """

    sandbox: SandlockSandbox
    workspace: Workspace
    scratch: Path
    network: bool
    removed: list[str] = field(default_factory=list)

    def run(self, command: str, *, timeout: float) -> CommandResult:
        limits, children = self.sandbox.limits, self.sandbox.children
        if refused := no_command(command):
            return refused
        children.check()
        folders = [self.workspace.work, self.scratch]
        before = usage(folders)
        process = self._start(command)
        try:
            with children.killable(process.kill):
                return supervise(
                    _Child(process),
                    timeout,
                    limits,
                    lambda: excess(folders, limits, before) or scarce(self.scratch.parent, limits),
                )
        finally:
            process.__exit__(None, None, None)

    def _start(self, command: str) -> "sandlock.Process":
        from sandlock import StdioMode

        try:
            with _file_size(self.sandbox.limits.disk):
                return self._policy().popen(
                    [*SHELL, command], stdin=StdioMode.NULL, stdout=StdioMode.PIPED, stderr=StdioMode.NULL
                )
        except (RuntimeError, OSError) as error:
            raise EnvironmentFailure(f"sandlock cannot start a command here ({error})") from error

    def _policy(self) -> "sandlock.Sandbox":
        import sandlock

        work, limits = self.workspace.work.resolve(), self.sandbox.limits
        root = os.geteuid() == 0  # root would keep its capabilities: another user in a name space has none
        return sandlock.Sandbox(
            fs_readable=[*environment.readable(), *(str(f.resolve()) for f in self.workspace.readonly.values())],
            fs_writable=[*environment.writable(), str(work), str(self.scratch)],
            clean_env=True,
            env={**environment.interpreter(), **environment.variables(str(work), str(self.scratch))},
            cwd=str(work),
            max_memory=limits.memory,
            max_processes=limits.processes,
            extra_deny_syscalls=DENIED_CALLS,
            net_deny=DENIED_ADDRESSES if self.network else [],
            uid=NOBODY if root else None,
            gid=NOBODY if root else None,
            allow_degraded=[sandlock.Protection[name] for name in _lacking()],
        )


def _lacking() -> list[str]:
    """The protections that this kernel's Landlock does not have."""
    import sandlock

    return [name for name, abi in LATER.items() if sandlock.landlock_abi_version() < abi]


_limiting = threading.Lock()


@contextmanager
def _file_size(limit: int) -> Iterator[None]:
    """What starts inside can make no file above `limit` bytes, and no core file.

    An open file without a name is in no folder that could be watched, and sandlock has no such limit: the
    child inherits it from this process, which has it (soft) for the moment of the start.
    """
    with _limiting:
        size, core = resource.getrlimit(resource.RLIMIT_FSIZE), resource.getrlimit(resource.RLIMIT_CORE)
        bounded = limit if size[1] == resource.RLIM_INFINITY else min(limit, size[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (bounded, size[1]))
        resource.setrlimit(resource.RLIMIT_CORE, (0, core[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, size)
            resource.setrlimit(resource.RLIMIT_CORE, core)


@dataclass
class _Child:
    """A sandlock process as `supervise` sees it. Its `wait` returns when the whole tree is gone."""

    process: "sandlock.Process"

    @property
    def stdout(self) -> IO[bytes]:
        stream: IO[bytes] = self.process.stdout
        return stream

    def kill(self) -> None:
        self.process.kill()

    def wait(self) -> int:
        result = self.process.wait()
        if result.exit_code < 0:  # by a signal that is not always told: most often SIGKILL, for its memory
            return 128 + (result.signal if result.signal > 0 else signal.SIGKILL)
        return int(result.exit_code)


# `gid` does take effect (tried); the library's warning says that it does not.
warnings.filterwarnings("ignore", message="Policy field 'gid'")

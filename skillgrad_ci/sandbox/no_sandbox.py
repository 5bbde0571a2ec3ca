"""No sandbox: plain commands, for a person who asks for it because the machine is one already; or none at all.

Of plain commands only the environment is clean, and time and output are bounded. It shows in every report.
An agent without tools runs no command, and needs no sandbox.
"""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.method.ports import CommandResult, Session, Workspace
from skillgrad_ci.sandbox import environment
from skillgrad_ci.sandbox.pipe import ProgramPipe, end
from skillgrad_ci.sandbox.supervise import Children, Limits, no_command, supervise
from skillgrad_ci.sandbox.work_folder import discard, excess, sanitize, usage


@dataclass
class NoSandbox:
    """Runs commands as this process's user, with its rights."""

    limits: Limits = field(default_factory=Limits)
    children: Children = field(default_factory=Children)
    identity: str = "none (not sandboxed)"

    def kill_all(self) -> None:
        self.children.kill_all()

    @contextmanager
    def open(self, workspace: Workspace, *, network: bool = False) -> Iterator["PlainSession"]:  # noqa: ARG002
        self.children.check()
        scratch = Path(tempfile.mkdtemp(prefix=".tmp-", dir=workspace.work.resolve().parent))
        session = PlainSession(self, workspace.work.resolve(), scratch)
        try:
            yield session
        finally:
            discard(scratch)
            session.removed = sanitize(workspace.work, self.limits)


@dataclass
class PlainSession:
    """Commands in one work folder."""

    sandbox: NoSandbox
    work: Path
    scratch: Path
    removed: list[str] = field(default_factory=list)

    def run(self, command: str, *, timeout: float) -> CommandResult:
        limits, children = self.sandbox.limits, self.sandbox.children
        if refused := no_command(command):
            return refused
        children.check()
        folders = [self.work, self.scratch]
        before = usage(folders)
        try:
            child = _Child(["bash", "-c", command], self.work, self.scratch)
        except OSError as error:  # its folder is gone, say
            return CommandResult(f"[not run: {error}]", None)
        with children.killable(child.kill):
            return supervise(child, timeout, limits, lambda: excess(folders, limits, before))

    @contextmanager
    def pipe(self, command: Sequence[str], env: Mapping[str, str]) -> Iterator[ProgramPipe]:
        """`ports.PipingSession`'s. What moved to another session survives, as with `run`."""
        self.sandbox.children.check()
        known = {**environment.interpreter(), **environment.variables(str(self.work), str(self.scratch)), **env}
        with tempfile.TemporaryFile() as errors:
            try:
                process = subprocess.Popen(  # noqa: S603
                    command, cwd=self.work, env=known, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                    start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                raise EnvironmentFailure(f"{command[0]} cannot be started ({error.strerror}); install it") from None

            def kill() -> None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

            with self.sandbox.children.killable(kill):
                try:
                    yield ProgramPipe(process, errors)
                finally:
                    kill()
                    end(process)


class _Child:
    """A process group. What moved to another session survives: that takes a sandbox."""

    def __init__(self, command: list[str], work: Path, scratch: Path) -> None:
        env = {**environment.interpreter(), **environment.variables(str(work), str(scratch))}
        self._process = subprocess.Popen(  # noqa: S603
            command,
            cwd=work,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self.stdout: IO[bytes] = self._process.stdout

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def wait(self) -> int:
        code = self._process.wait()
        self.kill()
        return code if code >= 0 else 128 - code


class NoCommands:
    """`ports.Sandbox` that opens at once and runs no command."""

    identity = "not needed"

    @contextmanager
    def open(self, workspace: Workspace, *, network: bool = False) -> Iterator[Session]:  # noqa: ARG002
        yield _Closed()

    def kill_all(self) -> None:
        """Nothing runs here."""


class _Closed:
    def run(self, command: str, *, timeout: float) -> CommandResult:  # noqa: ARG002
        raise EnvironmentFailure("no command is run here, for the agent has no tools; take the agent loop")

"""Commands in a container of their own: where the program is itself in one, or not on Linux.

Files travel as tar streams, for a path of this container is not one of the host's. Commands run as
another user, without capabilities, network or a writable root, in memory file systems of bounded size.
"""

import errno
import os
import posixpath
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import IO

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.method.ports import CommandResult, Workspace
from skillgrad_ci.sandbox import environment
from skillgrad_ci.sandbox.archive import TooMuch, pack, unpack
from skillgrad_ci.sandbox.container import (
    ROOT,
    SCRATCH,
    START,
    TASK,
    USER,
    Container,
    Layout,
    fetched,
    own_image,
)
from skillgrad_ci.sandbox.pipe import ProgramPipe, end
from skillgrad_ci.sandbox.supervise import AGAIN, Children, Limits, no_command, supervise
from skillgrad_ci.sandbox.task_image import TaskImages
from skillgrad_ci.sandbox.work_folder import discard

OURS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE}  # no command's doing
LOCALE = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}  # an image may have set others

# Kills what the command left behind, so that Docker need not wait for it.
SHELL = [
    "sh",
    "-c",
    "exec 2>&1; shell=$(command -v bash || echo sh); "
    '"$shell" -c "$1"; code=$?; kill -9 -1 2>/dev/null; exit $code',
    "sh",
]  # fmt: skip


@dataclass
class DockerSandbox:
    """Opens a container per task. `image` None: the image that this program itself runs in.

    `install` is a shell line that installs an agent in the image of a task that brings its own, where it is worked on;
    it is graded in the image as it was.
    """

    limits: Limits = field(default_factory=Limits)
    image: str | None = None
    children: Children = field(default_factory=Children)
    install: str = ""

    @cached_property
    def image_id(self) -> str:
        """Content address of the image, fetched once if it is not here. Raises EnvironmentFailure."""
        if self.image is None:
            return own_image()
        return fetched(self.image)

    @property
    def identity(self) -> str:
        return f"docker {self.image_id.removeprefix('sha256:')[:12]}"

    def kill_all(self) -> None:
        self.children.kill_all()

    @cached_property
    def images(self) -> TaskImages:
        return TaskImages(self.limits, self.install)

    def _container(self, workspace: Workspace, network: bool) -> Container:
        """Our own image's, or the task's, in the work folder that its image names."""
        wanted = workspace.environment
        if wanted is None:
            return Container(self.image_id, self.limits, network=network)
        work = self.images.workdir(wanted)
        limits = replace(self.limits, memory=wanted.memory) if wanted.memory else self.limits
        layout = Layout(work, [_beside(name, work) for name in workspace.readonly], (SCRATCH, "/logs"))
        cpus = min(wanted.cpus, os.cpu_count() or 1) if wanted.cpus else None  # Docker refuses more than there are
        image = self.images.for_work(wanted) if workspace.fresh else self.images.image(wanted)
        return Container(image, limits, network=network, layout=layout, cpus=cpus)

    def _lay_out(self, container: Container, workspace: Workspace) -> None:
        if workspace.environment is None:
            copy_in(container, dict(workspace.readonly), TASK, ROOT)
        else:
            for name, folder in workspace.readonly.items():
                copy_in(container, {".": folder}, _beside(name, container.layout.work), ROOT)
            if workspace.fresh:
                copy_in(container, {".": self.images.contents(workspace.environment)}, container.layout.work, USER)
        copy_in(container, {".": workspace.work}, container.layout.work, USER)

    @contextmanager
    def open(self, workspace: Workspace, *, network: bool = False) -> Iterator["DockerSession"]:
        self.children.check()
        container = self._container(workspace, network)
        try:
            with self.children.killable(container.remove):
                self._lay_out(container, workspace)
                session = DockerSession(self, container)
                yield session
                self.children.check()
                session.removed = copy_out(container, workspace.work, self.limits)
        finally:
            container.close()


@dataclass
class DockerSession:
    """Commands in one container. `removed` is known after the close, one line for each file left out."""

    sandbox: DockerSandbox
    container: Container
    removed: list[str] = field(default_factory=list)

    def run(self, command: str, *, timeout: float) -> CommandResult:
        if refused := no_command(command):
            return refused
        self.sandbox.children.check()
        with tempfile.TemporaryFile() as errors:
            process = self.container.start([*SHELL, command], env=self._variables, errors=errors)
            with process, self.sandbox.children.killable(process.kill):
                try:
                    result = supervise(_Child(process, self.container), timeout, self.sandbox.limits, lambda: "")
                finally:
                    process.kill()  # a client that still waits for Docker must not hold us
            errors.seek(0)
            if said := errors.read(2000).decode(errors="replace").strip():
                raise EnvironmentFailure(f"docker exec: {said.splitlines()[-1]}; {AGAIN}")
            return result

    @property
    def _variables(self) -> dict[str, str]:
        return environment.variables(self.container.layout.work, SCRATCH) | LOCALE

    @contextmanager
    def pipe(self, command: Sequence[str], env: Mapping[str, str]) -> Iterator[ProgramPipe]:
        """`ports.PipingSession`'s. On leaving, every process of the container but its first is gone."""
        self.sandbox.children.check()
        with tempfile.TemporaryFile() as errors:
            process = self.container.start(command, env=self._variables | dict(env), stdin=True, errors=errors)
            with self.sandbox.children.killable(process.kill):
                try:
                    yield ProgramPipe(process, errors)
                finally:
                    end(process)
                    self.container.kill_commands()


@dataclass
class _Child:
    """A `docker exec` as `supervise` sees it. Its `wait` returns when nothing else runs inside."""

    process: "subprocess.Popen[bytes]"
    container: Container

    @property
    def stdout(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def kill(self) -> None:
        self.container.send()

    def wait(self) -> int:
        code = self.process.wait()
        self.container.kill_commands()
        return code


def _beside(name: str, work: str) -> str:
    """Where a read-only folder is in a task's own container: beside the work folder, or at its absolute path."""
    return posixpath.join(posixpath.dirname(work), name)


def copy_in(container: Container, folders: dict[str, Path], target: str, user: str) -> None:
    """Stream folders of this machine into the container. Raises EnvironmentFailure."""
    with _tar(container, ["tar", "-xof", "-", "-C", target], user, stdin=True) as process:
        assert process.stdin is not None
        pack(folders, process.stdin)
        process.stdin.close()


def copy_out(container: Container, work: Path, limits: Limits) -> list[str]:
    """Replace `work` by what the container holds. Returns what was left out, one line each.

    What cannot be had because of what the commands did (too much of it) leaves an empty folder;
    a container that is gone raises EnvironmentFailure.
    """
    container.kill_commands()
    with tempfile.TemporaryDirectory(prefix=".result-", dir=work.parent) as folder:
        fresh = Path(folder) / "work"
        fresh.mkdir()
        try:
            with _tar(container, ["sh", "-c", "chmod -R u+rwX . 2>/dev/null; exec tar -cf - ."], USER) as process:
                assert process.stdout is not None
                dropped = unpack(process.stdout, fresh, limits)
        except (TooMuch, tarfile.TarError, OSError, EnvironmentFailure) as error:
            if isinstance(error, OSError) and error.errno in OURS:
                raise EnvironmentFailure(f"{work}: the result cannot be written ({error.strerror}); {AGAIN}") from error
            container.kill_commands()  # an outage of Docker ends here
            discard(fresh)
            fresh.mkdir()
            dropped = [f"everything: {error}"]
        discard(work)
        fresh.rename(work)
    return dropped


@contextmanager
def _tar(
    container: Container, command: list[str], user: str, *, stdin: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """A tar running inside; leaving checks that it ended well. It has START seconds."""
    with tempfile.TemporaryFile() as errors:
        try:
            with container.start(command, user=user, stdin=stdin, errors=errors) as process:
                alarm = threading.Timer(START, process.kill)
                alarm.start()
                try:
                    yield process
                    process.wait()
                finally:
                    alarm.cancel()
                    process.kill()
        except BrokenPipeError:
            pass  # it ended early: its code says so
        if process.returncode:
            errors.seek(0)
            said = errors.read(2000).decode(errors="replace").strip() or f"exit code {process.returncode}"
            raise EnvironmentFailure(f"docker: copying files failed ({said.splitlines()[-1]}); {AGAIN}")

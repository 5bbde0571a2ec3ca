"""The images of containers that tasks bring along: fetched or built once, and what they hold in their work folder."""

import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.method.task import Environment
from skillgrad_ci.sandbox.agent_image import agent_image
from skillgrad_ci.sandbox.archive import TooMuch, unpack
from skillgrad_ci.sandbox.build_output import why
from skillgrad_ci.sandbox.container import client_environment, docker, fetched
from skillgrad_ci.sandbox.supervise import Limits

NAME = "skillgrad-task"
COPY = 300.0  # seconds to read what an image holds
T = TypeVar("T")


@dataclass
class TaskImages:
    """Thread-safe; what it reads of images is gone with it. `install` is the shell line that installs an agent."""

    limits: Limits
    install: str = ""
    tell: Callable[[str], None] = field(default=lambda _: None, repr=False)
    _known: dict[tuple[str, Environment], object] = field(default_factory=dict)
    _locks: dict[Environment, threading.RLock] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _folders: list[tempfile.TemporaryDirectory[str]] = field(default_factory=list)

    def image(self, environment: Environment) -> str:
        """The content address of its image. Raises EnvironmentFailure where it cannot be had."""
        return self._once("image", environment, _image)

    def for_work(self, environment: Environment) -> str:
        """The image that a task is worked on in: its own, with the agent in it where there is one to install.

        Raises UserError where it cannot be installed there.
        """
        return self._once("agent", environment, self._installed) if self.install else self.image(environment)

    def _installed(self, environment: Environment) -> str:
        """Only what has a name can be built on."""
        address = self.image(environment)
        name = f"{NAME}:{address.removeprefix('sha256:')[:16]}"
        docker(["tag", address, name])
        return agent_image(name, self.install, self.tell)

    def workdir(self, environment: Environment) -> str:
        """Where work is done in it. Raises UserError where neither the task nor the image says."""
        return self._once("workdir", environment, self._workdir)

    def contents(self, environment: Environment) -> Path:
        """A folder of this machine with what the image holds in the work folder: files and folders, no links."""
        return self._once("contents", environment, self._contents)

    def _once(self, what: str, environment: Environment, make: Callable[[Environment], T]) -> T:
        with self._lock:
            lock = self._locks.setdefault(environment, threading.RLock())
        with lock:
            if (what, environment) not in self._known:
                self._known[what, environment] = make(environment)
            return self._known[what, environment]  # type: ignore[return-value]

    def _workdir(self, environment: Environment) -> str:
        named = environment.workdir or docker(
            ["image", "inspect", "--format", "{{.Config.WorkingDir}}", self.image(environment)]
        )
        if named in ("", "/"):
            whose = environment.image or environment.build
            raise UserError(f"{whose}: the image names no work folder; say WORKDIR in it, or workdir in task.toml")
        return named.rstrip("/")

    def _contents(self, environment: Environment) -> Path:
        kept = tempfile.TemporaryDirectory(prefix="skillgrad-image-", ignore_cleanup_errors=True)
        self._folders.append(kept)
        folder = Path(kept.name).resolve()
        container = docker(["create", "--pull", "never", "--network", "none", self.image(environment), "true"])
        try:
            self._copy(container, self.workdir(environment), folder)
        finally:
            docker(["rm", "--force", container])
        return folder

    def _copy(self, container: str, source: str, folder: Path) -> None:
        with subprocess.Popen(  # noqa: S603
            ["docker", "cp", f"{container}:{source}/.", "-"],  # noqa: S607
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=client_environment(),
        ) as process:  # fmt: skip
            alarm = threading.Timer(COPY, process.kill)
            alarm.start()
            try:
                assert process.stdout is not None
                unpack(process.stdout, folder, self.limits)
            except (TooMuch, OSError) as error:
                process.kill()
                raise EnvironmentFailure(
                    f"docker: what the image holds in {source} is too much ({error}); make the image's folder smaller"
                ) from None
            finally:
                alarm.cancel()


def _image(environment: Environment) -> str:
    if environment.build is not None:
        command = ["build", "--quiet", "--label", "skillgrad-ci=environment", str(environment.build)]
        try:
            return docker(command, timeout=environment.build_timeout, why=why).splitlines()[-1]
        except EnvironmentFailure as failure:
            raise EnvironmentFailure(
                f"{environment.build}: its image cannot be built ({failure}); mend its Dockerfile, or build again"
            ) from None
    return fetched(environment.image)


def prepare(environments: Iterable[Environment], images: TaskImages) -> str:
    """Fetch or build every image before anything is spent; returns the first one's content address."""
    found = [(images.image(each), images.workdir(each), images.for_work(each)) for each in dict.fromkeys(environments)]
    return found[0][0]

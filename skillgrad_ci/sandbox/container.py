"""One container, driven by the `docker` command line; and that command line, one command at a time (`docker`).

Its first process is a shell loop of ours that holds the container open. When this program ends, whatever ended it, the
loop's standard input closes: so the loop ends too, and the daemon removes the container. Each line sent to the loop
kills every other process in the container at once. No fork bomb can outrun that, and it needs no new process. The loop
runs as root with one capability, KILL. Commands run as another user with none, so they cannot trace the loop or answer
in its place.
"""

import os
import re
import secrets
import selectors
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.sandbox.supervise import AGAIN, Limits

PULL = 900.0  # seconds to fetch an image
USER = "65534:65534"
ROOT = "0:0"
TASK = "/task"
WORK = "/task/work"
SCRATCH = "/tmp"  # noqa: S108
ANSWER = 10.0  # seconds for the loop to answer
NAMED_BY_DOCKER = {"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"}  # mounted from a folder named by an id
NOT_INSTALLED = "docker is not installed; install Docker, or take another sandbox"
# No other image helps then: what Docker's program says, in its older and newer versions.
_NO_DAEMON = re.compile(
    r"cannot connect to the docker daemon|failed to connect to the docker api|"
    r"permission denied while trying to connect|error during connect",
    re.IGNORECASE,
)
START = 60.0  # seconds for Docker to start a container, and to copy a folder

# bash waits for orphans; another shell does when it starts a process of its own.
_LOOP = 'while read -r line; do kill -9 -1 2>/dev/null; (:); echo "$line"; done'
_FIRST = ["sh", "-c", 'command -v bash >/dev/null && exec bash -c "$0"; eval "$0"', _LOOP]


@dataclass(frozen=True)
class Layout:
    """The memory file systems of a container, by their place in it.

    Commands start in `work`, which is theirs. Each of `folders` is root's, for what they may only read; each of
    `open` is everybody's.
    """

    work: str = WORK
    folders: Sequence[str] = (TASK,)
    open: Sequence[str] = (SCRATCH,)


def fetched(image: str) -> str:
    """Content address of an image, fetched once if it is not here. Raises EnvironmentFailure."""
    inspect = ["image", "inspect", "--format", "{{.Id}}", image]
    try:
        return docker(inspect)
    except EnvironmentFailure as failure:
        if str(failure) == NOT_INSTALLED:
            raise
        if _NO_DAEMON.search(str(failure)):
            raise EnvironmentFailure(f"{failure}; start Docker, or let this user reach it") from None
    try:
        docker(["pull", "--quiet", image], timeout=PULL)
    except EnvironmentFailure as failure:
        raise EnvironmentFailure(
            f"the image {image} is not here and cannot be fetched: say another with image ({failure})"
        ) from None
    return docker(inspect)


class Container:
    """A running container. Thread-safe; `remove` may be called at any time and more than once."""

    def __init__(
        self, image: str, limits: Limits, *, network: bool, layout: Layout | None = None, cpus: float | None = None
    ) -> None:
        self.layout = layout or Layout()
        self.name = f"skillgrad-{secrets.token_hex(8)}"
        self._lock = threading.Lock()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._loop = subprocess.Popen(  # noqa: S603
                ["docker", "run", *_flags(self.name, image, limits, network, self.layout, cpus)],  # noqa: S607
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=client_environment(),
                bufsize=0,
                start_new_session=True,  # a Ctrl-C in the terminal is for us alone
            )
        except FileNotFoundError as error:
            raise EnvironmentFailure(NOT_INSTALLED) from error
        try:
            self.kill_commands(START)
        except BaseException:
            self.close()
            raise

    def kill_commands(self, timeout: float = ANSWER) -> None:
        """Kill every process but the loop; returns when they are gone. Raises EnvironmentFailure."""
        with self._lock:
            token = secrets.token_hex(8).encode() + b"\n"
            self.send(token)
            seen = b""
            deadline = time.monotonic() + timeout
            assert self._loop.stdout is not None
            with selectors.DefaultSelector() as selector:
                selector.register(self._loop.stdout, selectors.EVENT_READ)
                while not seen.endswith(token):
                    ready = selector.select(max(0.0, deadline - time.monotonic()))
                    chunk = self._loop.stdout.read(4096) if ready else b""
                    if not chunk:
                        raise EnvironmentFailure(f"docker: the container does not answer ({self._said()}); {AGAIN}")
                    seen = (seen + chunk)[-4096:]

    def send(self, line: bytes = b"\n") -> None:
        """Have every process but the loop killed, without waiting."""
        assert self._loop.stdin is not None
        try:
            self._loop.stdin.write(line)
        except (OSError, ValueError) as error:
            raise EnvironmentFailure(f"docker: the container has ended ({self._said()}); {AGAIN}") from error

    def start(
        self, command: Sequence[str], *, user: str = USER, env: Mapping[str, str] | None = None, stdin: bool = False,
        errors: IO[bytes] | int = subprocess.DEVNULL,
    ) -> "subprocess.Popen[bytes]":  # fmt: skip
        """Start a command inside, in the work folder."""
        settings = [part for name, value in (env or {}).items() for part in ("--env", f"{name}={value}")]
        interactive = ["--interactive"] if stdin else []
        place = ["--user", user, "--workdir", self.layout.work]
        return subprocess.Popen(  # noqa: S603
            ["docker", "exec", *interactive, *place, *settings, self.name, *command],  # noqa: S607
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=client_environment(),
            start_new_session=True,
        )

    def remove(self) -> None:
        """End the container and everything in it. From any thread, also twice."""
        with suppress(EnvironmentFailure):  # it is gone, or Docker is: then only the loop is left to end
            docker(["rm", "--force", self.name])
        self._loop.kill()
        self._loop.wait()

    def close(self) -> None:
        """Remove the container and close what belongs to it. For its owner, once."""
        try:
            self.remove()
        finally:
            for stream in (self._loop.stdin, self._loop.stdout, self._errors):
                if stream is not None:
                    stream.close()

    def _said(self) -> str:
        self._errors.seek(0)
        return last_line(self._errors.read(10_000).decode(errors="replace"))


def _flags(name: str, image: str, limits: Limits, network: bool, layout: Layout, cpus: float | None) -> list[str]:
    # Files are memory here: together they stay below its limit, so that it is never the loop that goes.
    disk = min(limits.disk, limits.memory // 2)
    work, rest = (f"size={size},nr_inodes={limits.files}" for size in (disk, disk // 4))
    places = dict.fromkeys(layout.folders, f"{rest},mode=0755,exec")
    places |= {layout.work: f"{work},mode=0700,uid=65534,gid=65534,exec"}
    places |= dict.fromkeys(layout.open, f"{rest},mode=1777,exec")
    return [
        *("--interactive", "--rm", "--name", name, "--hostname", "sandbox", "--label", "skillgrad-ci=sandbox"),
        *("--pull", "never", "--network", "bridge" if network else "none"),
        *("--cap-drop", "ALL", "--cap-add", "KILL", "--security-opt", "no-new-privileges", "--user", ROOT),
        *("--memory", str(limits.memory), "--memory-swap", str(limits.memory), "--pids-limit", str(limits.processes)),
        *(("--cpus", f"{cpus:g}") if cpus else ()),
        *("--ulimit", "core=0", "--ulimit", f"fsize={disk}", "--read-only"),
        *(part for place, settings in places.items() for part in ("--tmpfs", f"{place}:{settings}")),
        *("--entrypoint", _FIRST[0], image, *_FIRST[1:]),
    ]


def docker(
    arguments: Sequence[str], timeout: float = START, text: str = "", why: Callable[[str], str] | None = None
) -> str:
    """Output of one `docker` command, whose standard input is `text`.

    Raises EnvironmentFailure with Docker's own words: its last line, or what `why` finds in all that it printed.
    """
    command = ["docker", *arguments]
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, errors="replace", timeout=timeout, env=client_environment(),
            input=text,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise EnvironmentFailure(NOT_INSTALLED) from error
    except subprocess.TimeoutExpired as error:
        raise EnvironmentFailure(
            f"docker {arguments[0]} took longer than {timeout:g} s; look whether Docker is busy, then start again"
        ) from error
    if done.returncode:
        said = why(f"{done.stdout}\n{done.stderr}") if why else last_line(done.stderr)
        raise EnvironmentFailure(f"docker {arguments[0]}: {said}")
    return done.stdout.strip()


def client_environment() -> dict[str, str]:
    """What the docker program needs of this process's environment, and no more."""
    return {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"} or name.startswith("DOCKER_")}


def last_line(text: str) -> str:
    """What Docker says last that is not a hint on how to use it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("See 'docker", "Run 'docker"))]
    return told[-1].removeprefix("docker: ")[:500] if told else "it said nothing"


def own_image() -> str:
    """The image of the container that this program runs in. Raises EnvironmentFailure outside of one.

    A container that shares another's network (as act starts an action) shows that one's id in its mounts
    and its hostname. So the ids only say that this is a container; which one it is, a file shows.
    """
    mounts = Path("/proc/self/mountinfo")
    mounted = [line.split()[3:5] for line in (mounts.read_text() if mounts.exists() else "").splitlines()]
    ids = [re.search(r"/containers/([0-9a-f]{64})/", source) for source, target in mounted if target in NAMED_BY_DOCKER]
    named = [found[1] for found in ids if found]
    if not named:
        raise EnvironmentFailure("docker: this program is in no container whose image it could use; set image")
    marker = Path(f"/.skillgrad-{secrets.token_hex(8)}")
    try:
        marker.touch()
    except OSError as error:
        raise EnvironmentFailure(
            f"docker: {marker} cannot be made to find this container ({error.strerror}); set image"
        ) from None
    try:
        for container in dict.fromkeys([*named, *docker(["ps", "--quiet", "--no-trunc"]).split()]):
            if _holds(container, marker):
                return docker(["inspect", "--format", "{{.Image}}", container])
    finally:
        marker.unlink(missing_ok=True)
    raise EnvironmentFailure("docker: the daemon does not know the container that this program is in; set image")


def _holds(container: str, file: Path) -> bool:
    try:
        docker(["cp", f"{container}:{file}", "-"])
    except EnvironmentFailure:
        return False
    return True

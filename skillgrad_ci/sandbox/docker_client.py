"""The `docker` program: one command at a time, and which image we are in."""

import os
import re
import secrets
import subprocess
from collections.abc import Sequence
from pathlib import Path

from skillgrad_ci.errors import EnvironmentFailure

NAMED_BY_DOCKER = {"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"}  # mounted from a folder named by an id
START = 60.0  # seconds for Docker to start a container, and to copy a folder


def docker(arguments: Sequence[str], timeout: float = START, text: str = "") -> str:
    """Output of one `docker` command, whose standard input is `text`.

    Raises EnvironmentFailure with Docker's own words.
    """
    command = ["docker", *arguments]
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, errors="replace", timeout=timeout, env=client_environment(),
            input=text,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise EnvironmentFailure("docker is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise EnvironmentFailure(f"docker {arguments[0]} took longer than {timeout:g} s") from error
    if done.returncode:
        raise EnvironmentFailure(f"docker {arguments[0]}: {last_line(done.stderr)}")
    return done.stdout.strip()


def client_environment() -> dict[str, str]:
    """What the docker program needs of this process's environment, and no more."""
    return {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"} or name.startswith("DOCKER_")}


def last_line(text: str) -> str:
    """What Docker says last that is no hint on how to use it."""
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
        for container in dict.fromkeys([*named, *docker(["ps", "--quiet", "--no-trunc"]).split()]):
            if _holds(container, marker):
                return docker(["inspect", "--format", "{{.Image}}", container])
    except OSError as error:
        raise EnvironmentFailure(f"docker: {marker} cannot be made to find this container ({error.strerror})") from None
    finally:
        marker.unlink(missing_ok=True)
    raise EnvironmentFailure("docker: the daemon does not know the container that this program is in; set image")


def _holds(container: str, file: Path) -> bool:
    try:
        docker(["cp", f"{container}:{file}", "-"])
    except EnvironmentFailure:
        return False
    return True

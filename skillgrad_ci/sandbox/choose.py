"""The setting `sandbox: auto | sandlock | docker | none`."""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Protocol

from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.method.ports import Sandbox
from skillgrad_ci.sandbox.selftest import weakness
from skillgrad_ci.sandbox.supervise import Limits

NEEDED = ("chmod", "rm")  # on this machine, whatever runs the commands: work folders are tidied by them
SHELL = "bash"  # on this machine, where the commands run here
KINDS = ("auto", "sandlock", "docker", "none")


class StoppableSandbox(Sandbox, Protocol):
    """A sandbox that ends from any thread: afterwards nothing runs, and `run` raises Cancelled."""

    def kill_all(self) -> None: ...


def choose(
    kind: str = "auto",
    image: str | None = None,
    limits: Limits | None = None,
    tell: Callable[[str], object] = lambda _: None,
    install: str = "",
) -> StoppableSandbox:
    """The sandbox that `kind` asks for, after it has proved itself here.

    `auto` takes the first that does, and tells why not an earlier one; with an `image` that is Docker alone,
    for only a container has the image's tools. `install` is for the images of tasks: the shell line that installs an
    agent there. Raises UserError where none does: nothing is ever run open unless `none` was asked for.
    """
    limits = limits or Limits()
    if kind not in KINDS:
        raise UserError(f"sandbox: {kind!r} is none of {', '.join(KINDS)}; use one of them")
    if image and kind in ("sandlock", "none"):
        raise UserError(f"sandbox: {kind} runs on this machine and has no image; use sandbox: docker, or drop image")
    refuse_missing(NEEDED)
    if kind == "none":
        refuse_missing([SHELL])
        from skillgrad_ci.sandbox.no_sandbox import NoSandbox

        return NoSandbox(limits)
    ways = {"auto": ["docker"] if image else ["sandlock", "docker"]}.get(kind, [kind])
    reasons: list[str] = []
    for way in ways:
        try:
            sandbox = _make(way, image, limits, install)
            reason = weakness(sandbox)
        except (EnvironmentFailure, UserError, ImportError) as error:
            reason = str(error).removeprefix("sandbox: ")
        if not reason:
            if reasons:
                tell(f"sandbox: {way} is used, for {'; '.join(reasons)}")
            return sandbox
        reasons.append(reason if reason.startswith(way) else f"{way}: {reason}")
    raise UserError(
        f"sandbox: no way to run commands safely here ({'; '.join(reasons)}). Use Linux 6.7 or later with "
        "Landlock and user name spaces, or start Docker; or say sandbox: none to run them with your own rights"
    )


def refuse_missing(programs: Sequence[str]) -> None:
    """Raises UserError for programs that PATH does not lead to."""
    if missing := [name for name in programs if shutil.which(name) is None]:
        where = os.environ.get("PATH", "")
        raise UserError(f"sandbox: PATH ({where}) leads to no {' and no '.join(missing)}; add /usr/bin and /bin to it")


def _make(way: str, image: str | None, limits: Limits, install: str) -> StoppableSandbox:
    if way == "docker":
        from skillgrad_ci.sandbox.docker_sandbox import DockerSandbox

        return DockerSandbox(limits, image, install=install)
    if sys.platform != "linux":
        raise EnvironmentFailure("it needs Linux; use docker")
    refuse_missing([SHELL])
    from skillgrad_ci.sandbox.sandlock_sandbox import SandlockSandbox

    return SandlockSandbox(limits)

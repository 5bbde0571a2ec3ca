"""Starts a long-lived program as confined as this machine allows, and ends it with all its children.

sandlock comes first: no network, no file but the system's and its own. Where it cannot be had (inside a
container), Landlock alone guards the files; where neither can (another system), what is left are the memory
limit and an environment without keys. On Linux a seccomp program (`calls`) comes to each of them: a socket is
a Unix one or is none, and modes, owners, times and attributes of files stay as they are.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from skillgrad_ci.graders.xlsx import calls, libreoffice_process

MEMORY = 3 << 30  # bytes of address space for each process; an idle LibreOffice takes 1.2 GiB of it
PROCESSES = 32
NOBODY = 65534
SCOPES_ABI = 6  # Landlock's ABI that scopes signals and abstract sockets (Linux 6.12)


@dataclass(frozen=True)
class Needs:
    """What the program may use."""

    readable: Sequence[str]
    writable: Sequence[str]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Running:
    """`stop` may be called more than once; `how` names the confinement."""

    stop: Callable[[], None]
    how: str


def launch(python: Path, command: Sequence[str], folder: Path, needs: Needs) -> Running:
    """Start `command`, which `python` (a plain one) holds; it works in `folder`, and its output goes to `log` there."""
    running = _in_sandlock([str(python), *_host(folder, "null"), *command], needs)
    if running:
        return running
    paths = json.dumps([needs.readable, needs.writable]) if _has_landlock() else "null"
    stop = _in_a_group([sys.executable, *_host(folder, paths), *command], needs)
    return Running(stop, "limits only" if paths == "null" else "Landlock")


def _host(folder: Path, paths: str) -> list[str]:
    script = folder / "libreoffice_process.py"
    script.write_bytes(Path(libreoffice_process.__file__).read_bytes())
    return [
        str(script),
        str(folder),
        str(MEMORY),
        paths,
        calls.office_filter().hex() if sys.platform == "linux" else "",
    ]


def _in_sandlock(command: Sequence[str], needs: Needs) -> Running | None:
    """None where sandlock cannot be had."""
    try:
        import sandlock
    except (ImportError, OSError):
        return None
    scopes = [sandlock.Protection.SIGNAL_SCOPE, sandlock.Protection.ABSTRACT_UNIX_SOCKET_SCOPE]
    sandbox = sandlock.Sandbox(
        fs_readable=list(needs.readable),
        fs_writable=list(needs.writable),
        clean_env=True,
        env=dict(needs.environment),
        max_processes=PROCESSES,
        no_coredump=True,
        uid=NOBODY if os.geteuid() == 0 else None,  # root would keep its capabilities
        gid=NOBODY if os.geteuid() == 0 else None,
        allow_degraded=scopes if sandlock.landlock_abi_version() < SCOPES_ABI else [],
    )
    null = sandlock.StdioMode.NULL
    try:
        process = sandbox.popen(command, stdin=sandlock.StdioMode.PIPED, stdout=null, stderr=null)
    except (RuntimeError, OSError, sandlock.SandlockError):
        return None

    def stop() -> None:
        with contextlib.suppress(RuntimeError, OSError):
            process.kill()
        process.__exit__(None, None, None)

    return Running(stop, f"sandlock {sandlock.__version__}")


def _has_landlock() -> bool:
    try:
        import sandlock
    except (ImportError, OSError):
        return False
    return bool(sandlock.landlock_abi_version() >= sandlock.min_landlock_abi())


def _in_a_group(command: Sequence[str], needs: Needs) -> Callable[[], None]:
    process = subprocess.Popen(  # noqa: S603 (written here and in server.py)
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(needs.environment),
        start_new_session=True,
    )

    def stop() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        cast(IO[bytes], process.stdin).close()

    return stop


# `gid` does take effect (tried); the library's warning says that it does not.
warnings.filterwarnings("ignore", message="Policy field 'gid'")

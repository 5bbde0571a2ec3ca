"""Finds LibreOffice, and a Python that can talk to it."""

import functools
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from skillgrad_ci.errors import EnvironmentFailure

INSTALL = "install libreoffice-calc and python3-uno (Debian, Ubuntu), or LibreOffice 25.2 from libreoffice.org"
CLEAN = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}  # no key of this process reaches LibreOffice


@dataclass(frozen=True)
class Installation:
    """`program` starts LibreOffice, `python` imports its `uno`, `version` is such as 7.4.7.2."""

    program: Path
    python: Path
    version: str


@functools.cache
def version() -> str:
    """LibreOffice's version, '' where it is not installed."""
    found = _program()
    if not found:
        return ""
    words = _output([found, "--version"]).split()
    return words[1] if len(words) > 1 else ""


@functools.cache
def installation() -> Installation:
    """The LibreOffice of this machine. Raises EnvironmentFailure with what to install."""
    found = _program()
    if not found or not version():
        raise EnvironmentFailure(f"formulas need recalculation and LibreOffice is not installed: {INSTALL}")
    folder = Path(found).resolve().parent
    # The start script forks shells before it starts this, which does restart a new profile.
    program = folder / "oosplash" if (folder / "oosplash").is_file() else Path(found)
    candidates = [
        folder / "python",
        Path("/usr/bin/python3"),
        Path(shutil.which("python3") or ""),
        Path(sys.executable),
    ]
    for python in candidates:
        if os.access(python, os.X_OK) and _output([str(python), "-c", "import uno; print('uno')"]):
            return Installation(program, python, version())
    raise EnvironmentFailure(f"no Python here can import LibreOffice's uno: {INSTALL}")


def _program() -> str | None:
    return shutil.which("soffice") or shutil.which("libreoffice")


def _output(command: list[str]) -> str:
    """What a command printed, '' where it failed. It works at the root: Python imports from the current folder first,
    and there a repository's own `uno.py` may lie.
    """
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=60, check=True, env=CLEAN, cwd="/"
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout

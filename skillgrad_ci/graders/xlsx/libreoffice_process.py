"""Holds LibreOffice for one parent: `python libreoffice_process.py FOLDER MEMORY CONFINE FILTER COMMAND…`.

Takes a memory limit (bytes), confines itself by Landlock where CONFINE is a JSON list of readable and of
writable paths (not `null`), installs FILTER (a seccomp program in hex, of `calls`; it may be empty), and starts COMMAND
in FOLDER with its output in FOLDER/log. As soon as standard input closes, it ends everything it started: however
the parent ends, LibreOffice does not stay behind. When the command ends by itself there will be a file FOLDER/ended.
"""

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

NO_NEW_PRIVS, SECCOMP, FILTER = 38, 22, 2  # <sys/prctl.h>, <linux/seccomp.h>


def main() -> None:
    folder, memory, confine, calls, *command = sys.argv[1:]
    if os.getpid() != os.getpgid(0):
        os.setsid()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # elsewhere an address space cannot be limited
        resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    if paths := json.loads(confine):
        import sandlock

        sandlock.confine(sandlock.Sandbox(fs_readable=paths[0], fs_writable=paths[1]))
    if calls:
        filter_calls(bytes.fromhex(calls))
    if os.fork() == 0:  # a process of its own, for sandlock kills this one alone when the parent is killed
        sys.stdin.buffer.read()
        _end()
    with (Path(folder) / "log").open("wb") as log:
        subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)  # noqa: S603
    (Path(folder) / "ended").write_bytes(b"")  # `touch` would set a time first, and believe that it did
    _end()


def filter_calls(program: bytes) -> None:
    """Hold this process, and all that it starts, to a seccomp program."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))

    libc = ctypes.CDLL(None, use_errno=True)
    given = Program(len(program) // 8, program)
    if libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(SECCOMP, FILTER, ctypes.byref(given), 0, 0):
        raise OSError(ctypes.get_errno(), "the calls of LibreOffice cannot be filtered")


def _end() -> None:
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()

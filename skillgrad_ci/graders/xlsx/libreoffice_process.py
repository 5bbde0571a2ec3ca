"""Holds LibreOffice's server for one parent: `python office_host.py FOLDER MEMORY CONFINE COMMAND…`.

Takes a memory limit (bytes), confines itself by Landlock where CONFINE is a JSON list of readable and of
writable paths (not `null`), and starts COMMAND with its output in FOLDER/log. As soon as standard input
closes, it ends everything it started: however the parent ends, LibreOffice does not stay behind. When the
command ends by itself there will be a file FOLDER/ended.
"""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path


def main() -> None:
    folder, memory, confine, *command = sys.argv[1:]
    if os.getpid() != os.getpgid(0):
        os.setsid()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # elsewhere an address space cannot be limited
        resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    if paths := json.loads(confine):
        import sandlock

        sandlock.confine(sandlock.Sandbox(fs_readable=paths[0], fs_writable=paths[1]))
    if os.fork() == 0:  # a process of its own, for sandlock kills this one alone when the parent is killed
        sys.stdin.buffer.read()
        _end()
    with (Path(folder) / "log").open("wb") as log:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)  # noqa: S603
    (Path(folder) / "ended").touch()
    _end()


def _end() -> None:
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()

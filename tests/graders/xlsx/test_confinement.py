"""What the program that opens agents' workbooks may reach, by the way it is confined."""

import json
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci.graders.xlsx import calls, confinement
from skillgrad_ci.graders.xlsx.confinement import Needs, launch
from skillgrad_ci.graders.xlsx.installation import CLEAN

PROBE = """
import ctypes, json, os, resource, socket, sys
from libreoffice_process import filter_calls
port, outside, door, calls = int(sys.argv[1]), *sys.argv[2:]
if calls:
    filter_calls(bytes.fromhex(calls))
def can(what):
    try:
        what()
    except OSError:
        return False
    return True
streams = [(family, proto) for family in (socket.AF_INET, socket.AF_INET6) for proto in (0, 6, 262)]
def stream(place):
    return socket.socket(streams[place][0], socket.SOCK_STREAM, streams[place][1])
print(json.dumps({
    "file": can(lambda: open(outside).read()),
    "own file": can(lambda: open(os.environ["HOME"] + "/own", "w").close()),
    "connected": [can(lambda: stream(place).connect(("127.0.0.1", port))) for place in range(len(streams))],
    "listened": [can(lambda: stream(place).listen()) for place in range(len(streams))],
    "other": [can(lambda: socket.socket(*kind)) for kind in (
        (16, socket.SOCK_RAW), (2, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 17), (2, socket.SOCK_DGRAM), (40, 1),
        (socket.AF_UNIX, socket.SOCK_DGRAM))],
    "own door": can(lambda: socket.socket(socket.AF_UNIX).bind(os.environ["HOME"] + "/own-door")),
    "door": can(lambda: socket.socket(socket.AF_UNIX).connect(door)),
    "changed": [can(change) for change in (
        lambda: os.chmod(outside, 0o777), lambda: os.utime(outside, (1, 1)),
        lambda: os.setxattr(outside, "user.x", b"x"),
        lambda: os.chmod(os.path.basename(outside), 0o777, dir_fd=os.open(os.path.dirname(outside), os.O_PATH)),
        lambda: os.chown(outside, -1, -1), lambda: ctypes.CDLL(None).syscall(452, -100, outside.encode(), 0o777, 0),
    )],
    "memory": resource.getrlimit(resource.RLIMIT_AS)[0],
    "environment": sorted(os.environ),
}), flush=True)
"""


@contextmanager
def listening(family: int, address: Any) -> Iterator[Any]:
    """A socket that takes every connection; gives its name."""
    with socket.socket(family) as made:
        made.bind(address)
        made.listen()

        def accept() -> None:
            try:
                while True:
                    made.accept()
            except OSError:
                return

        threading.Thread(target=accept, daemon=True).start()
        yield made.getsockname()


@pytest.mark.skipif(sys.platform != "linux", reason="both ways are Linux's")
@pytest.mark.parametrize("connects", [True, False], ids=["who asks", "LibreOffice"])
@pytest.mark.parametrize("way", ["as it is", "Landlock"])
def test_a_confined_program_reaches_its_own_folder_and_no_network(
    way: str, connects: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        """As inside a container."""

    if way == "Landlock":
        monkeypatch.setattr(confinement, "_in_sandlock", refused)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    folder, secret = tmp_path / "own", tmp_path / "secret"
    folder.mkdir()
    secret.write_text("secret")
    secret.chmod(0o600)
    before = secret.stat()
    readable = [path for path in ("/usr", "/lib", "/lib64", "/bin", "/etc", sys.base_prefix) if Path(path).exists()]
    needs = Needs(readable, [str(folder), "/dev/null"], {**CLEAN, "HOME": str(folder), "PYTHONPATH": str(folder)})
    python = Path(sys.executable).resolve()
    with (
        tempfile.TemporaryDirectory() as short,  # a socket's path is
        listening(socket.AF_UNIX, f"{short}/door") as door,
        listening(socket.AF_INET, ("127.0.0.1", 0)) as (_, port),
    ):
        Path(short).chmod(0o755)
        Path(door).chmod(0o777)
        given = [str(port), str(secret), door, "" if connects else calls.no_connection().hex()]
        running = launch(python, [str(python), "-c", PROBE, *given], folder, needs)
        end = time.monotonic() + 60
        while not (folder / "ended").exists() and time.monotonic() < end:
            time.sleep(0.05)
        assert (folder / "ended").exists()
        running.stop()
        running.stop()
    found = json.loads((folder / "log").read_text())
    assert running.how.startswith("sandlock") or running.how in {"Landlock", "limits only"}
    assert found["own file"]
    assert found["own door"]
    assert found["memory"] == confinement.MEMORY
    assert "OPENAI_API_KEY" not in found["environment"]
    assert found["file"] is (running.how == "limits only")
    assert not any(found["connected"] + found["listened"] + found["other"])
    assert found["door"] is (connects and not running.how.startswith("sandlock"))  # which watches over doors itself
    after = secret.stat()
    assert [after.st_mode, after.st_mtime_ns, after.st_ctime_ns] == [
        before.st_mode,
        before.st_mtime_ns,
        before.st_ctime_ns,
    ]
    assert not os.listxattr(secret)

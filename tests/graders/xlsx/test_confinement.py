"""What the program that opens agents' workbooks may reach, by the way it is confined."""

import json
import os
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from skillgrad_ci.graders.xlsx import confinement
from skillgrad_ci.graders.xlsx.confinement import Needs, launch
from skillgrad_ci.graders.xlsx.installation import CLEAN

PROBE = """
import ctypes, json, os, resource, socket, sys
outside = sys.argv[4]
def can(what):
    try:
        what()
    except OSError:
        return False
    return True
host, ours, others = sys.argv[3], int(sys.argv[1]), int(sys.argv[2])
print(json.dumps({
    "file": can(lambda: open(sys.argv[4]).read()),
    "own file": can(lambda: open(os.environ["HOME"] + "/own", "w").close()),
    "other port": can(lambda: socket.create_connection((host, others), 2)),
    "own port": can(lambda: socket.create_connection((host, ours), 2)),
    "mptcp": can(lambda: socket.socket(type=socket.SOCK_STREAM, proto=262).connect((host, others))),
    "listen": can(lambda: socket.socket(type=socket.SOCK_STREAM, proto=262).listen()),
    "ipv6": can(lambda: socket.socket(socket.AF_INET6)),
    "netlink": can(lambda: socket.socket(16, socket.SOCK_RAW)),
    "raw": can(lambda: socket.socket(type=socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, proto=17)),
    "changed": [can(change) for change in (
        lambda: os.chmod(outside, 0o777), lambda: os.utime(outside, (1, 1)),
        lambda: os.setxattr(outside, "user.x", b"x"),
        lambda: os.chmod(os.path.basename(outside), 0o777, dir_fd=os.open(os.path.dirname(outside), os.O_PATH)),
        lambda: os.chown(outside, -1, -1), lambda: ctypes.CDLL(None).syscall(452, -100, outside.encode(), 0o777, 0),
    )],
    "udp": can(lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", (host, others))),
    "memory": resource.getrlimit(resource.RLIMIT_AS)[0],
    "environment": sorted(os.environ),
}), flush=True)
"""


def listen() -> socket.socket:
    made = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        try:
            while True:
                made.accept()
        except OSError:
            return

    threading.Thread(target=accept, daemon=True).start()
    return made


@pytest.mark.skipif(sys.platform != "linux", reason="both ways are Linux's")
@pytest.mark.parametrize("way", ["as it is", "Landlock"])
def test_a_confined_program_reaches_its_own_folder_and_ports(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    with listen() as ours, listen() as others:
        ports = ours.getsockname()[1], others.getsockname()[1]
        needs = Needs(
            readable=[
                path for path in ("/usr", "/lib", "/lib64", "/bin", "/etc", sys.base_prefix) if Path(path).exists()
            ],
            writable=[str(folder), "/dev/null"],
            address="127.0.0.1",
            ports=ports[:1],
            environment={**CLEAN, "HOME": str(folder)},
        )
        python = Path(sys.executable).resolve()
        command = [str(python), "-c", PROBE, *map(str, ports), "127.0.0.1", str(secret)]
        running = launch(python, command, folder, needs)
        end = time.monotonic() + 60
        while not (folder / "ended").exists() and time.monotonic() < end:
            time.sleep(0.05)
        assert (folder / "ended").exists()
        running.stop()
        running.stop()
    found = json.loads((folder / "log").read_text())
    assert found["own file"]
    assert found["own port"]
    assert found["memory"] == confinement.MEMORY
    assert "OPENAI_API_KEY" not in found["environment"]
    assert found["file"] is (running.how == "limits only")
    assert [found[name] for name in ("mptcp", "listen", "ipv6", "netlink", "raw", "udp")] == [False] * 6
    after = secret.stat()
    assert (after.st_mode, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_mode,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )
    assert not os.listxattr(secret)
    if running.how.startswith("sandlock"):
        assert not found["other port"]
    else:
        assert running.how in {"Landlock", "limits only"}

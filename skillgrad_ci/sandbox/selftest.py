"""Does a sandbox hold on this machine? Asked once at the start, before it is trusted."""

import hashlib
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.method.ports import Sandbox, Session, Workspace

TIMEOUT = 20.0  # seconds for one probe
VARIABLE = "SKILLGRAD_SELF_TEST"


def weakness(sandbox: Sandbox) -> str:
    """Why `sandbox` cannot be trusted here, in words; '' when every probe came out right."""
    token = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="skillgrad-self-test-") as name, _ears() as ears, _variable(token):
        root = Path(name).resolve()
        for folder in ("work", "skill"):
            (root / folder).mkdir()
        (root / "skill" / "SKILL.md").write_text("guidance")
        (root / "secret").write_text(token)
        workspace = Workspace(root / "work", {"skill": root / "skill"})
        try:
            with sandbox.open(workspace) as session:
                found = _cannot_work(session) or _can_leave(session, root, token) or _can_connect(session, ears)
        except EnvironmentFailure as error:
            return str(error)
        made = root / "work" / "made"
        return found or ("" if made.is_file() else "a file made in the work folder did not come back")


def _cannot_work(session: Session) -> str:
    python = "if command -v python3 >/dev/null; then python3 -c 'import json'; fi"  # an image may have none
    result = session.run(f"echo made > made && cat made ../skill/SKILL.md && {python}", timeout=TIMEOUT)
    if result.exit_code != 0 or "guidance" not in result.output:
        return f"a plain command failed ({result.output.strip()[-200:] or result.exit_code})"
    return ""


def _can_leave(session: Session, root: Path, token: str) -> str:
    environs = [f"/proc/{os.getpid()}/environ", "/proc/1/environ"]
    probe = (
        f"env; sha256sum {' '.join(environs)}; cat {root}/secret ../secret; "
        f"echo x > {root}/outside; echo x > ../outside; echo x > ../skill/SKILL.md"
    )
    output = session.run(probe, timeout=TIMEOUT).output
    if any(digest in output for digest in _digests(environs)):
        return "a command read this process's environment from /proc"
    if token in output:
        return "a command saw this process's environment, or a file outside its folder"
    if (root / "outside").exists() or (root / "skill" / "SKILL.md").read_text() != "guidance":
        return "a command wrote outside its folder"
    return ""


def _digests(paths: list[str]) -> list[str]:
    """SHA-256 of those files that this process can read: a container's own init is another file."""
    found = []
    for path in paths:
        try:
            found.append(hashlib.sha256(Path(path).read_bytes()).hexdigest())
        except OSError:
            continue
    return found


def _can_connect(session: Session, ears: list[socket.socket]) -> str:
    probes = []
    for ear in ears:
        host, port = ear.getsockname()
        probes.append(f"echo x | timeout 2 bash -c 'cat > /dev/{_way(ear)}/{host}/{port}'")
    session.run("; ".join(probes), timeout=TIMEOUT)
    reached = [_way(ear) for ear in ears if _heard(ear)]
    return f"a command reached the network ({reached[0]})" if reached else ""


def _way(ear: socket.socket) -> str:
    return "tcp" if ear.type == socket.SOCK_STREAM else "udp"


def _heard(ear: socket.socket) -> bool:
    ear.setblocking(False)
    try:
        if ear.type == socket.SOCK_STREAM:
            ear.accept()[0].close()
        else:
            ear.recv(16)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _ears() -> Iterator[list[socket.socket]]:
    """Listening sockets, TCP and UDP: on the loopback address and on this machine's own, if it has one."""
    with ExitStack() as stack:
        ears = []
        for host in {"127.0.0.1", _own_address()}:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                ear = stack.enter_context(socket.socket(socket.AF_INET, kind))
                ear.bind((host, 0))
                if kind == socket.SOCK_STREAM:
                    ear.listen()
                ears.append(ear)
        yield ears


def _own_address() -> str:
    """The address that packets to the outside would carry. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


@contextmanager
def _variable(token: str) -> Iterator[None]:
    """The token in this process's environment, for a command to inherit if it can."""
    os.environ[VARIABLE] = token
    try:
        yield
    finally:
        del os.environ[VARIABLE]

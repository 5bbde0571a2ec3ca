"""Does a sandbox hold on this machine? Asked once at the start, before it is trusted."""

import hashlib
import os
import secrets
import shlex
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.method.ports import Sandbox, Session, Workspace

TIMEOUT = 20.0  # seconds for one probe
VARIABLE = "SKILLGRAD_SELF_TEST"

# Probes in Python, where there is one: calls that no plain command makes.
_PYTHON = "command -v python3 >/dev/null && python3 - <<'PROBE'\n{}\nPROBE"
_CHANGES = """
import os
for file in {}:
    for change in (
        lambda: os.chmod(file, 0o777), lambda: os.utime(file, (1, 1)), lambda: os.setxattr(file, "user.x", b"x"),
        lambda: os.chmod(os.open(file, os.O_RDONLY), 0o777),
        lambda: os.chmod(os.path.basename(file), 0o777, dir_fd=os.open(os.path.dirname(file), os.O_PATH)),
    ):
        try: change()
        except OSError: pass
"""
_CONNECTIONS = """
import os, socket
MPTCP = 262
for family, kind, place in {}:
    for protocol in (0, MPTCP) if kind == 1 and family == 2 else (0,):
        try:
            with socket.socket(family, kind, protocol) as s:
                s.settimeout(2); s.connect(place); s.send(b"x")
        except OSError: pass
print(os.readlink("/proc/self/ns/net"))
for family in (2, 10):
    for kind, protocol in ((1, 0), (1, MPTCP), (2, 0), (3, 1)):
        try: socket.socket(family, kind, protocol); print("opened")
        except OSError: pass
"""


def weakness(sandbox: Sandbox) -> str:
    """Why `sandbox` cannot be trusted here, in words; '' when every probe came out right."""
    token = secrets.token_hex(16)
    with (
        tempfile.TemporaryDirectory(prefix="skillgrad-self-test-") as name,
        tempfile.TemporaryDirectory(prefix="skillgrad-other-") as other,
        _ears(Path(name)) as ears,
        _variable(token),
    ):
        root = Path(name).resolve()
        for folder in ("work", "skill"):
            (root / folder).mkdir()
        (root / "skill" / "SKILL.md").write_text("guidance")
        (root / "secret").write_text(token)
        workspace = Workspace(root / "work", {"skill": root / "skill"})
        try:
            with sandbox.open(workspace) as session:
                found = (
                    _cannot_work(session)
                    or _can_see(session, Path(other))
                    or _can_change(session, [root / "secret", root / "skill", root / "skill" / "SKILL.md", Path(other)])
                    or _can_leave(session, root, token)
                    or _can_connect(session, ears)
                )
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


def _can_change(session: Session, files: list[Path]) -> str:
    """Modes, owners, times, attributes and links: no right to a file's content is asked for any of these."""
    before = [_facts(file) for file in files]
    names = " ".join(shlex.quote(str(file)) for file in files)
    session.run(
        f"for f in {names} ../skill/SKILL.md; do chmod 4777 $f; chown 1:1 $f; touch -c -d @1 $f; ln $f link; "
        f"setfattr -n user.x -v x $f; done; chmod 000 {names}",
        timeout=TIMEOUT,
    )
    session.run(_PYTHON.format(_CHANGES.format([str(file) for file in files])), timeout=TIMEOUT)
    return (
        ""
        if [_facts(file) for file in files] == before
        else "a command changed the rights, times or attributes of a file outside"
    )


def _facts(file: Path) -> tuple[object, ...]:
    found = file.stat()
    attributes = os.listxattr(file) if hasattr(os, "listxattr") else []
    return found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns, found.st_nlink, attributes


def _can_see(session: Session, other: Path) -> str:
    probe = (
        f"ls -a {shlex.quote(str(other.parent))}; stat {shlex.quote(str(other))} >/dev/null && echo there: {other.name}"
    )
    found = session.run(probe, timeout=TIMEOUT).output
    seen = any(other.name in line and "cannot" not in line and "No such" not in line for line in found.splitlines())
    return "a command saw the names of others' temporary files" if seen else ""


def _can_connect(session: Session, ears: list[socket.socket]) -> str:
    inet = [ear for ear in ears if ear.family == socket.AF_INET]
    probes = []
    for ear in inet:
        host, port = ear.getsockname()
        probes.append(f"echo x | timeout 2 bash -c 'cat > /dev/{_way(ear)}/{host}/{port}'")
    session.run("; ".join(probes), timeout=TIMEOUT)
    places = [(int(ear.family), int(ear.type), ear.getsockname()) for ear in ears]
    opened = session.run(_PYTHON.format(_CONNECTIONS.format(places)), timeout=TIMEOUT).output
    reached = [_way(ear) for ear in ears if _heard(ear)]
    if reached:
        return f"a command reached the network or a service ({reached[0]})"
    if _same_network(opened) and "opened" in opened:
        return "a command can open internet sockets"
    return ""


def _same_network(output: str) -> bool:
    """Whether a probe that said its network's name space has this process's."""
    with suppress(OSError):
        return os.readlink("/proc/self/ns/net") in output  # noqa: PTH115
    return False


def _way(ear: socket.socket) -> str:
    if ear.family == socket.AF_UNIX:
        return "a Unix socket"
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
def _ears(folder: Path) -> Iterator[list[socket.socket]]:
    """Listening sockets: Unix ones; TCP and UDP ones on the loopback address and on this machine's own, if any."""
    with ExitStack() as stack:
        ears = []
        for name in [str(folder / "ear"), *([f"\0{folder.name}"] if sys.platform == "linux" else [])]:
            ear = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            ear.bind(name)
            ear.listen()
            ears.append(ear)
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

"""What `$RUN PROGRAM ARGUMENT…` starts in a check: the agent's program, as another party than the check.

It stands alone, for it is laid beside the work folder and run there by whatever Python is in the sandbox. Where
the sandbox has a door, the program runs in a sandbox beside the check's. Elsewhere it gets a Landlock domain of
its own. Either way it reads the system, reads and writes the work folder and a temporary folder, and has nothing
of the check: not its files, its memory, its open files, its command line; nor can it signal or trace it. Its
output goes through this process, so it holds no end of the check's own; where it would be in the check's
output, each line begins with a mark that the program cannot know, and can be no verdict. What it leaves running is
killed.

A file in `$SKILLGRAD_GUESTS` stands while it runs: the grader sees by it that a check died in the meantime.
"""

import ctypes
import json
import os
import platform
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]  # the work folder and what is beside it
WORK = ROOT / "work"
LINUX = sys.platform == "linux"
DOOR = Path(os.environ.get("TMPDIR", "/tmp"), ".door")  # noqa: S108
UNPROTECTED = Path(__file__).with_name("unprotected")  # beside it with `sandbox: none`, which promises nothing
LINE = 1 << 16  # bytes of output handed on at once
MARKED = 4000  # bytes of a marked line: with its mark a pipe takes it whole (PIPE_BUF), in no other line's middle
REFUSED, NOT_FOUND = 125, 127  # as env(1) and timeout(1) end when it is they who fail

# Beside the system: what no program can do without in /proc. Another process's entry would show its command line.
PROC = ("cpuinfo", "meminfo", "stat", "filesystems", "sys/vm/overcommit_memory", "sys/kernel/osrelease")

SYSTEM = ("bin", "dev", "etc", "lib", "lib32", "lib64", "nix", "opt", "sbin", "sys", "usr", "var")

# <linux/landlock.h>: rights by the ABI that brought them; numbers of calls are the same everywhere.
CREATE, ADD, RESTRICT = 444, 445, 446
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
REFER, TRUNCATE, IOCTL = 1 << 13, 1 << 14, 1 << 15
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL
ALL_SCOPES = 3  # abstract sockets, signals
NO_NEW_PRIVS, PDEATHSIG, CHILD_SUBREAPER, SECCOMP = 38, 1, 36, 22
PRLIMIT = {"x86_64": (0xC000003E, 302), "aarch64": (0xC00000B7, 261)}  # of the audit, and of prlimit64

_libc = ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """The kernel's Landlock ABI; 0 where there is none."""
    return max(0, int(_libc.syscall(CREATE, None, 0, 1))) if LINUX else 0


def restrict(temporary: Path) -> None:
    """Put this process into a domain of its own. Raises OSError."""
    version = abi()
    known = (1 << 13) - 1 | (REFER if version >= 2 else 0) | (TRUNCATE if version >= 3 else 0)
    known |= IOCTL if version >= 5 else 0
    wanted = (ctypes.c_uint64 * 3)(known, 0, ALL_SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 8
    rules = _call("create", _libc.syscall(CREATE, wanted, size, 0))
    for path in readable_paths():
        _allow(rules, path, EXECUTE | READ_FILE | READ_DIR)
    for path in (WORK, temporary, *map(Path, ("/dev/null", "/dev/zero", "/dev/full"))):
        _allow(rules, path, known)
    _call("no new privileges", _libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0))
    _call("restrict", _libc.syscall(RESTRICT, rules, 0))
    os.close(rules)


def readable_paths() -> Iterator[Path]:
    """The system and the interpreter, and nothing that holds a folder beside the work folder."""
    try:
        top = list(Path("/").iterdir())
    except OSError:  # a sandbox may not show it
        top = [Path("/", name) for name in SYSTEM]
    hidden = {Path("/proc"), Path("/tmp"), Path("/run"), Path(f"/{ROOT.parts[1]}")}  # noqa: S108
    yield from (path for path in top if path not in hidden)
    for prefix in {Path(sys.prefix), Path(sys.base_prefix)}:
        if prefix not in (ROOT, *ROOT.parents):
            yield prefix
    yield from (Path("/proc", name) for name in (*PROC, str(os.getpid())))


def _allow(rules: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH)
    except OSError:  # not on this system
        return
    allowed = rights if path.is_dir() else rights & FILE_RIGHTS
    rule = allowed.to_bytes(8, sys.byteorder) + place.to_bytes(4, sys.byteorder)
    _libc.syscall(ADD, rules, 1, rule, 0)  # a file of a kind that takes no rule stays refused
    os.close(place)


def _call(what: str, result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


def surroundings(temporary: Path) -> tuple[str, dict[str, str]]:
    """The folder and the environment that the program starts with: the check's, but for what is the check's alone."""
    hidden = {"RUN", "PYTHONPATH", "PYTHONSAFEPATH", "SKILLGRAD_GUESTS", "SKILLGRAD_MARK", "SKILLGRAD_OUTPUT"}
    own = {"HOME": str(WORK), "TMPDIR": str(temporary), "XDG_CACHE_HOME": f"{temporary}/cache"}
    here = Path.cwd()
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return str(here if WORK in (here, *here.parents) else WORK), {**kept, **own}


class InDomain:
    """The program as a child of this process that has restricted itself. Its `wait` returns when nothing is left."""

    def __init__(self, command: list[str], temporary: Path, streams: list[int]) -> None:
        if LINUX:
            _libc.prctl(CHILD_SUBREAPER, 1, 0, 0, 0)
        here, environment = surroundings(temporary)
        self._process = subprocess.Popen(  # noqa: S603
            command,
            stdout=streams[0],
            stderr=streams[1],
            cwd=here,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: confine(temporary),  # this process has one thread yet
        )

    def kill(self) -> None:
        self._process.kill()

    def wait(self) -> int:
        code = self._process.wait()
        end_all()
        return code if code >= 0 else 128 - code


def confine(temporary: Path) -> None:
    if LINUX:
        _libc.prctl(PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if abi():
        restrict(temporary)
        refuse_limits_of_others()


def refuse_limits_of_others() -> None:
    """No `prlimit` on another process: a limit of no processor time would kill the check.

    A seccomp program; calls of another table (i386, x32) fail too. Nothing on an architecture that is not known.
    """
    if platform.machine() not in PRLIMIT:
        return
    audit, number = PRLIMIT[platform.machine()]
    load, equal, at_least, back, allow, refuse = 0x20, 0x15, 0x35, 0x06, 0x7FFF0000, 0x50001  # EPERM
    steps = [
        (load, 0, 0, 4), (equal, 0, 6, audit),
        (load, 0, 0, 0), (at_least, 4, 0, 0x40000000), (equal, 0, 2, number),
        (load, 0, 0, 16), (equal, 0, 1, 0),
        (back, 0, 0, allow), (back, 0, 0, refuse),
    ]  # fmt: skip
    program = b"".join(struct.pack("=HBBI", *step) for step in steps)

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))

    given = Program(len(steps), program)
    _call("seccomp", _libc.prctl(SECCOMP, 2, ctypes.byref(given), 0, 0))


class ThroughDoor:
    """The program in a sandbox of its own. Raises OSError where it cannot be started."""

    def __init__(self, command: list[str], temporary: Path, streams: list[int]) -> None:
        here, environment = surroundings(temporary)
        self._killed = False
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._door.connect(str(DOOR))
        asked = {"command": command, "cwd": here, "env": environment}
        socket.send_fds(self._door, [json.dumps(asked).encode()], [0, *streams])

    def kill(self) -> None:
        self._killed = True
        self._door.shutdown(socket.SHUT_WR)

    def wait(self) -> int:
        answer = self._door.recv(1024)
        if self._killed:
            return 128 + signal.SIGKILL
        if not answer.isdigit():
            raise OSError(answer.decode(errors="replace") or "the sandbox has ended")
        return int(answer)


def relay(end: int, target: int) -> None:
    """Hand output on; into what is or may be the check's own output, with a mark before each line."""
    place, checks = os.fstat(target), os.environ.get("SKILLGRAD_OUTPUT")
    marked = checks == f"{place.st_dev}:{place.st_ino}" if checks else not UNPROTECTED.exists()
    mark = os.environ["SKILLGRAD_MARK"].encode()
    with os.fdopen(end, "rb") as source:
        for chunk in iter(lambda: source.readline(MARKED) if marked else source.read1(LINE), b""):
            # A carriage return would begin a line: the sandbox makes a line's end of it.
            data = mark + chunk.rstrip(b"\r\n").replace(b"\r", b" ") + b"\n" if marked else chunk
            with suppress(OSError):  # nobody reads it: the program may go on
                while data:
                    data = data[os.write(target, data) :]


def end_all() -> None:
    """Kill what the program left behind: it is this process's now. Returns when nothing is left."""
    while True:
        for entry in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError, ValueError, IndexError):
                if int(entry.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                    os.kill(int(entry.parent.name), signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def main() -> int:
    command = sys.argv[1:]
    if not command:
        sys.stderr.write("usage: $RUN PROGRAM ARGUMENT…\n")
        return REFUSED
    if not (DOOR.exists() or abi() or UNPROTECTED.exists()):
        sys.stderr.write("$RUN: this kernel has no Landlock, so the agent's program cannot be kept apart\n")
        return REFUSED
    if not shutil.which(command[0]):
        sys.stderr.write(f"$RUN: {command[0]}: there is no such program\n")
        return NOT_FOUND
    temporary = Path(os.environ["TMPDIR"], "guest")
    temporary.mkdir(exist_ok=True)
    running = Path(os.environ["SKILLGRAD_GUESTS"], str(os.getpid()))
    running.touch()
    try:
        return run(command, temporary)
    except (OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"$RUN: {command[0]} cannot be started ({error})\n")
        return REFUSED
    finally:
        running.unlink()


def run(command: list[str], temporary: Path) -> int:
    pipes = [os.pipe() for _ in range(2)]
    ends = [end for _, end in pipes]
    try:
        program = (ThroughDoor if DOOR.exists() else InDomain)(command, temporary, ends)
    finally:
        for end in ends:
            os.close(end)
    signal.signal(signal.SIGTERM, lambda *_: program.kill())
    relays = [threading.Thread(target=relay, args=(out, target)) for target, (out, _) in enumerate(pipes, 1)]
    for thread in relays:
        thread.start()
    try:
        return program.wait()
    finally:
        for thread in relays:
            thread.join()


if __name__ == "__main__":
    sys.exit(main())

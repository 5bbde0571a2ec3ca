"""The room that sandlock's commands live in: a process of its own, in name spaces of its own.

Run as a script by `nursery`, with a socket for its standard input: it stands alone, without this package, and has
nothing of the program's environment. Each cell is a fork of that script.

A cell builds a file tree in which a command finds the system, its task's folders and an empty `/tmp`, and nothing
else: what is not there cannot be listed, watched, linked or connected to. All but the work folder and `/tmp` is mounted
read-only. So no call, known or still to come, changes a mode, an owner, a time, an attribute or a flag outside of them.
A cell has a network of its own that leads nowhere, and process ids of its own. Nothing here needs root.

The socket keeps message borders (SOCK_SEQPACKET). First come the settings as JSON, answered by "" or by what failed.
Then come commands, one at a time. Each is answered by the pipe that its output comes from, and by its exit code once it
and all it started are gone. `KILL` ends the one that runs, the socket's end ends everything.

If the settings have a policy for guests, a command may ask at `DOOR` for another program to be run under that policy,
in a sandbox beside its own. It sends the program as JSON with three open files for its standard streams, and gets its
exit code. When it hangs up, the guest is killed. No guest outlives the command.
"""

import ctypes
import json
import os
import platform
import resource
import signal
import socket
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import sandlock

KILL = b"\0kill"  # no command holds a NUL
MESSAGE = 256 * 1024  # bytes: above the longest command
DOOR = "/tmp/.door"  # noqa: S108
SHELL = ["bash", "-c"]

LINKS = {"fd": "fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}  # what shells expect in /dev

# From <sched.h>, <sys/mount.h>, <linux/mount.h> and <sys/prctl.h>; numbers of calls that libc has no function for.
NEW_SPACES = 0x10000000 | 0x20000 | 0x20000000 | 0x8000000 | 0x4000000  # user, mount, process ids, IPC, host name
NEW_NETWORK = 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 2, 4, 8, 4096, 16384, 1 << 18, 2
RDONLY, NOSUID, AT_FDCWD, AT_RECURSIVE, MOUNT_SETATTR = 1, 2, -100, 0x8000, 442
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
NO_NEW_PRIVS, SECCOMP, FILTER, PDEATHSIG = 38, 22, 2, 1

_libc = ctypes.CDLL(None, use_errno=True)
_streams = threading.Lock()  # whose own streams are another's for the moment


def enter_name_spaces(channel: socket.socket, *, network: bool) -> None:
    """New name spaces. This process goes on as the first one in them; its user is the only one there."""
    user, group = os.geteuid(), os.getegid()
    _call("unshare", _libc.unshare(NEW_SPACES | (0 if network else NEW_NETWORK)))
    maps = {
        "setgroups": "deny",
        "uid_map": f"{user or 65534} {user} 1",
        "gid_map": f"{group or 65534} {group} 1",
    }
    for name, text in maps.items():
        Path("/proc/self", name).write_text(text)
    if child := os.fork():
        channel.close()  # the child's end of it must be the only one
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)
    Path("/proc/self/oom_score_adj").write_text("1000")  # where memory runs out, commands go before the program
    _call("death signal", _libc.prctl(PDEATHSIG, signal.SIGKILL, 0, 0, 0))


def build_tree(readable: list[str], writable: list[str], temporary: str) -> None:
    """A root of its own: the paths where they were, and `/tmp`, a tmpfs with the options `temporary`.

    Twice the root is changed: first to an empty one, from which both the old tree and the new one can be named.
    """
    _mount("none", "/", flags=MS_REC | MS_PRIVATE)
    _mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=64k")  # noqa: S108
    os.mkdir("/tmp/old")  # noqa: PTH102, S108
    _pivot("/tmp", "/tmp/old")  # noqa: S108
    os.mkdir("/new")  # noqa: PTH102
    _mount("tmpfs", "/new", "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
    os.mkdir("/new/tmp")  # noqa: PTH102
    _mount("tmpfs", "/new/tmp", "tmpfs", MS_NOSUID | MS_NODEV, f"{temporary},mode=1777")
    for path in [*readable, *writable]:
        _bind(path)
    for folder in ("/new/tmp/.shm", "/new/dev/shm"):  # shared memory is a part of what /tmp may hold
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    _mount("/new/tmp/.shm", "/new/dev/shm", flags=MS_BIND)
    for name, place in LINKS.items():
        os.symlink(f"/proc/self/{place}", f"/new/dev/{name}")  # noqa: PTH211
    os.mkdir("/new/proc")  # noqa: PTH102
    _mount("proc", "/new/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    _set_attributes("/new", AT_RECURSIVE, RDONLY | NOSUID)
    for path in ["/tmp", "/dev/shm", *writable]:  # noqa: S108
        _set_attributes(f"/new{path}", 0, 0, RDONLY)
    os.chdir("/new")
    _pivot(".", ".")
    _call("umount", _libc.umount2(b".", MNT_DETACH))
    os.chdir("/")


def _bind(path: str) -> None:
    source, target = Path("/old" + os.path.realpath("/old" + path).removeprefix("/old")), Path("/new" + path)
    if path.startswith("/tmp/"):  # noqa: S108
        _hold("/new/tmp/" + path.split("/")[2])
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    _mount(str(source), str(target), flags=MS_BIND | MS_REC)


def _hold(folder: str) -> None:
    """A file system for what is shown below `/tmp`, so that its parents are read-only too."""
    if not os.path.exists(folder):  # noqa: PTH110
        os.mkdir(folder)  # noqa: PTH102
        _mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,mode=755")


def _pivot(new: str, old: str) -> None:
    _call("pivot_root", _libc.syscall(PIVOT_ROOT[platform.machine()], new.encode(), old.encode()))
    os.chdir("/")


def _mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    texts = [text.encode() or None for text in (source, target, kind)]
    _call(f"mount {target}", _libc.mount(*texts, ctypes.c_ulong(flags), options.encode() or None))


def _set_attributes(path: str, reach: int, add: int, remove: int = 0) -> None:
    given = (ctypes.c_uint64 * 4)(add, remove)
    size = ctypes.sizeof(given)
    _call(f"mount_setattr {path}", _libc.syscall(MOUNT_SETATTR, AT_FDCWD, path.encode(), reach, given, size))


def _call(what: str, result: int) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def filter_calls(program: bytes) -> None:
    """Install a seccomp program (of `calls`) for this process and all that it starts."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))

    given = Program(len(program) // 8, program)
    _call("no new privileges", _libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0))
    _call("seccomp", _libc.prctl(SECCOMP, FILTER, ctypes.byref(given), 0, 0))


def serve_commands(channel: socket.socket, policy: dict[str, Any], guests: "Guests") -> None:
    """Run the commands that come, until the socket ends."""
    process: sandlock.Process | None = None
    while message := channel.recv(MESSAGE):
        if message == KILL:
            if process:
                kill(process)
            continue
        try:
            process, output = start_command(message.decode("utf-8", "replace"), policy)
        except (RuntimeError, OSError) as error:
            channel.send(str(error).encode())
            continue
        socket.send_fds(channel, [b"\0"], [output])
        os.close(output)
        threading.Thread(target=send_exit_code, args=(channel, process, guests), daemon=True).start()


def start_command(command: str, policy: dict[str, Any]) -> tuple["sandlock.Process", int]:
    """The shell, and the end of the one pipe that both its output and its errors go to, in their order."""
    os.chmod(policy["cwd"], 0o700)  # noqa: PTH101 # a command may have taken its rights
    output, writes = os.pipe()
    try:
        with open(os.devnull) as nothing:  # noqa: PTH123
            return start([*SHELL, command], policy, [nothing.fileno(), writes, writes]), output
    except BaseException:
        os.close(output)
        raise
    finally:
        os.close(writes)


def start(command: list[str], policy: dict[str, Any], streams: list[int]) -> "sandlock.Process":
    """The library hands this process's own streams on, so for the moment they are the command's."""
    mode = sandlock.StdioMode.INHERIT
    with _streams:
        ours = [os.dup(number) for number in range(3)]
        try:
            for number, file in enumerate(streams):
                os.dup2(file, number)
            return sandlock.Sandbox(**policy).popen(command, mode, mode, mode)
        finally:
            for number, file in enumerate(ours):
                os.dup2(file, number)
                os.close(file)


def send_exit_code(channel: socket.socket, process: "sandlock.Process", guests: "Guests") -> None:
    code = exit_code(process)
    guests.end()
    with suppress(OSError):
        channel.send(str(code).encode())


def exit_code(process: "sandlock.Process") -> int:
    """Wait for a shell's exit code; a signal is not always told (most often SIGKILL, for its memory)."""
    result = process.wait()
    return result.exit_code if result.exit_code >= 0 else 128 + (result.signal if result.signal > 0 else signal.SIGKILL)


def kill(process: "sandlock.Process") -> None:
    with suppress(RuntimeError, OSError):  # it has just ended
        process.kill()


class Guests:
    """The programs that commands asked for at the door, each under `policy`."""

    def __init__(self, policy: dict[str, Any] | None) -> None:
        self._policy = policy
        self._lock = threading.Lock()
        self._threads: dict[sandlock.Process, threading.Thread] = {}
        if policy:
            door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            door.bind(DOOR)
            door.listen()
            threading.Thread(target=self._admit, args=(door,), daemon=True).start()

    def end(self) -> None:
        with self._lock:
            left = dict(self._threads)
        for process, thread in left.items():
            kill(process)
            thread.join()

    def _admit(self, door: socket.socket) -> None:
        while True:
            client, _ = door.accept()
            client.settimeout(10)
            try:
                message, files, _, _ = socket.recv_fds(client, MESSAGE, 3)
                process = self._start(json.loads(message), files)
            except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
                with suppress(OSError):
                    client.send(str(error)[:200].encode())
                client.close()
                continue
            client.settimeout(None)
            thread = threading.Thread(target=self._answer, args=(client, process), daemon=True)
            with self._lock:
                self._threads[process] = thread
            thread.start()
            threading.Thread(target=self._watch, args=(client, process), daemon=True).start()

    def _start(self, asked: dict[str, Any], files: list[int]) -> "sandlock.Process":
        assert self._policy is not None
        try:
            inside = Path(asked["cwd"]).is_relative_to(self._policy["cwd"])
            changed = {"env": asked["env"], "cwd": asked["cwd"] if inside else self._policy["cwd"]}
            return start(asked["command"], {**self._policy, **changed}, files)
        finally:
            for file in files:
                os.close(file)

    def _answer(self, client: socket.socket, process: "sandlock.Process") -> None:
        code = exit_code(process)
        with self._lock:
            del self._threads[process]
        with suppress(OSError):
            client.send(str(code).encode())
            client.shutdown(socket.SHUT_RDWR)

    def _watch(self, client: socket.socket, process: "sandlock.Process") -> None:
        with client, suppress(OSError):
            client.recv(1)
        kill(process)


def live(channel: socket.socket) -> None:
    """The life of a cell, in a process of its own that nothing else was done in."""
    settings = json.loads(channel.recv(MESSAGE))
    try:
        enter_name_spaces(channel, network=settings["network"])
        build_tree(settings["readable"], settings["writable"], settings["temporary"])
        for name, limit in settings["limits"].items():
            resource.setrlimit(getattr(resource, name), (limit, limit))
        filter_calls(bytes.fromhex(settings["filter"]))
        guests = Guests(settings["guests"])
    except OSError as error:
        channel.send((error.strerror or str(error)).encode())
        return
    channel.send(b"\0")
    serve_commands(channel, settings["policy"], guests)


def main() -> None:
    """The nursery: a cell is a fork of this process, which is not told what the cell is told.

    It has the interpreter and the library loaded, which is most of what a cell takes to start. A request brings the
    cell's socket and a file for its last words, and is answered by a handle of the new process.
    """
    door = socket.socket(fileno=os.dup(0))
    os.dup2(1, 0)
    while True:
        message, files, _, _ = socket.recv_fds(door, 1, 2)
        if not message:
            return
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:  # those that have ended
                pass
        if (child := os.fork()) == 0:
            door.close()
            give_birth(*files)
        handle = os.pidfd_open(child)
        socket.send_fds(door, [b"\0"], [handle])
        for file in [handle, *files]:
            os.close(file)


def give_birth(channel: int, words: int) -> NoReturn:
    """Be a cell from here on; whatever still runs ends with this process."""
    try:
        os.setsid()  # a Ctrl-C in the terminal is for the program alone
        os.dup2(words, 2)
        os.close(words)
        live(socket.socket(fileno=channel))
    except BaseException:  # noqa: BLE001  # the outermost edge of a process
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()

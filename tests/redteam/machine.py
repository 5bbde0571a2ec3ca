"""A machine worth attacking: a runner with secrets, listeners and a victim, and the check for harm.

Every secret is the same canary, so one search tells whether any of them got out.
"""

import hashlib
import os
import resource
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from skillgrad_ci.method.ports import Workspace

KEYS = ("OPENAI_API_KEY", "GITHUB_TOKEN", "INPUT_API_KEY", "ACTIONS_RUNTIME_TOKEN")
COMMAND_FILES = ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
ESCAPED = "GOTAWAY"  # what an attempt prints when it got what it wanted
OPEN_FILES = resource.getrlimit(resource.RLIMIT_NOFILE)


def keys_with_canary() -> dict[str, str]:
    """Variables for the attacked process, set before it starts: /proc shows those it started with."""
    canary = f"canary-{secrets.token_hex(12)}"
    return dict.fromkeys(KEYS, canary)


@dataclass
class Machine:
    """Folders, sockets and processes around one task's workspace."""

    root: Path
    canary: str
    mark: str = field(default_factory=lambda: f"mark-{secrets.token_hex(6)}")
    stack: ExitStack = field(default_factory=ExitStack)
    signals: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.task = self.root / "runs" / "run-1" / "tasks" / "this"
        self._plant()
        self.stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{self.canary}-"))  # its name is a secret too
        self.victim = subprocess.Popen(["sleep", "3600"])
        self.stack.callback(self.victim.wait)
        self.stack.callback(self.victim.kill)
        self.ears = list(self._listen())
        self.open_secret = self.stack.enter_context((self.root / "repo" / ".git" / "config").open())
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT, signal.SIGCONT):
            signal.signal(number, lambda n, _: self.signals.append(n))
        self.before = ""

    def _plant(self) -> None:
        for name in (
            "repo/.git/config",
            "repo/.git/git-credentials-1.config",
            "repo/evals/golden.txt",
            "repo/evals/check.py",
            "runs/run-1/journal.jsonl",
            "runs/run-1/tasks/other/work/answer.txt",
            "home/.netrc",
            "home/.ssh/id_rsa",
            "home/.aws/credentials",
            "temp/credentials.json",
            *(f"runner/{name.lower()}" for name in COMMAND_FILES),
        ):
            file = self.root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{self.canary}\n")
        self.reset()

    def reset(self) -> None:
        """A fresh workspace: input, skill, nothing of the attempt before."""
        subprocess.run(["rm", "-rf", self.task], check=True)
        (self.task / "work").mkdir(parents=True)
        (self.task / "work" / "input.txt").write_text("input\n")
        (self.task / "skill" / "x" / "scripts").mkdir(parents=True)
        (self.task / "skill" / "x" / "SKILL.md").write_text("guidance\n")
        (self.task / "skill" / "x" / "scripts" / "run.sh").write_text("#!/bin/sh\necho ran\n")
        (self.task / "skill" / "x" / "scripts" / "run.sh").chmod(0o755)

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.task / "work", {"skill": self.task / "skill"})

    def _listen(self) -> Iterator[socket.socket]:
        addresses: list[tuple[int, int, object]] = [
            (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            (socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self.mark}"),
            (socket.AF_UNIX, socket.SOCK_DGRAM, f"\0{self.mark}-d"),
            (socket.AF_UNIX, socket.SOCK_STREAM, str(self.root / "docker.sock")),
            (socket.AF_UNIX, socket.SOCK_DGRAM, str(self.root / "log.sock")),
        ]
        for family, kind, address in addresses:
            ear = self.stack.enter_context(socket.socket(family, kind))
            ear.bind(address)  # type: ignore[arg-type]
            if kind == socket.SOCK_STREAM:
                ear.listen()
            ear.setblocking(False)
            yield ear

    def prelude(self) -> str:
        """Shell variables that an attempt may use: an attacker knows where everything is."""
        facts = {
            "ROOT": self.root,
            "REPO": self.root / "repo",
            "RUNS": self.root / "runs",
            "RUNNER": self.root / "runner",
            "PID": os.getpid(),
            "VICTIM": self.victim.pid,
            "SECRET_FD": self.open_secret.fileno(),
            "TCP": self.ears[0].getsockname()[1],
            "UDP": self.ears[1].getsockname()[1],
            "MARK": self.mark,
            "PREFIX": sys.prefix,
            "CANARY": "canary-",
            "NETWORK": os.readlink("/proc/self/ns/net"),  # noqa: PTH115
        }
        return "".join(f"export {name}='{value}'\n" for name, value in facts.items())

    def harm(self, output: str) -> list[str]:
        """What an attempt got or broke, after its session was closed."""
        found = []
        if self.canary in output:
            found.append("a secret is in the output")
        if ESCAPED in output:
            found.append("it says that it got away")
        if "\x1b" in output:
            found.append("a terminal escape is in the output")
        found += self._in_the_result()
        if self.fingerprint() != self.before:
            found.append("files outside its folder changed")
        found += [f"it left a file in {place}" for place in self._places() if os.path.exists(place / self.mark)]  # noqa: PTH110
        if self._heard():
            found.append("a socket outside was reached")
        if resource.getrlimit(resource.RLIMIT_NOFILE) != OPEN_FILES:
            found.append("this process's limits changed")
            resource.setrlimit(resource.RLIMIT_NOFILE, OPEN_FILES)
        if self.victim.poll() is not None:
            found.append("another process was killed")
        if self.signals:
            found.append(f"this process got signals {self.signals}")
        found += [f"process {pid} survived" for pid in self._survivors()]
        return found

    def _in_the_result(self) -> Iterator[str]:
        work = self.task / "work"
        for folder, folders, files in os.walk(work):
            for path in (Path(folder) / name for name in folders + files):
                if path.is_symlink() or not (path.is_file() or path.is_dir()):
                    yield f"the result holds {path.name!r}, which is no regular file"
                elif path.is_file() and self.canary.encode() in path.read_bytes()[: 1 << 20]:
                    yield "a secret is in the result"
                elif path.is_file() and path.stat().st_mode & 0o6000:
                    yield "a set-user-id file is in the result"

    def fingerprint(self) -> str:
        content = hashlib.sha256()
        for path in sorted(self.root.rglob("*")):
            inside = self.task / "work" in [path, *path.parents]
            if not inside and (path.is_file() or path.is_dir()):
                facts = path.stat()
                times = facts.st_mtime_ns if path.is_file() else 0  # a folder's changes as the program works in it
                owned = (facts.st_mode, facts.st_uid, facts.st_gid, facts.st_nlink, times, os.listxattr(path))
                content.update(f"{path}\0{owned}\0".encode() + (path.read_bytes() if path.is_file() else b""))
        return content.hexdigest()

    def _places(self) -> list[Path]:
        names = ("/", "/tmp", "/var/tmp", "/dev/shm", "/usr/local/bin", "/etc", "/etc/cron.d", "/root", "/run")
        here = [Path(sys.prefix) / "bin", *Path(sys.prefix).glob("lib/python*/site-packages"), self.root]
        return [*map(Path, names), *here]

    def _heard(self) -> bool:
        heard = False
        for ear in self.ears:
            try:
                if ear.type == socket.SOCK_STREAM:
                    ear.accept()[0].close()
                else:
                    ear.recv(64)
                heard = True
            except BlockingIOError:
                continue
        return heard

    def _survivors(self) -> list[str]:
        """Processes whose command line carries the mark. (The program's own never does.)"""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if self.mark.encode() in path.read_bytes():
                    found.append(path.parent.name)
            except OSError:
                continue
        return found


@contextmanager
def machine() -> Iterator[Machine]:
    """A machine for this process, which carries the canary in its environment."""
    with tempfile.TemporaryDirectory(prefix="redteam-") as folder:
        built = Machine(Path(folder).resolve(), os.environ[KEYS[0]])
        with built.stack:
            yield built

"""Take one defence of the sandlock way away, to see that the attempts notice."""

import atexit
import os
import shutil
import struct
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sandlock import Protection

from skillgrad_ci.sandbox import environment, nursery
from skillgrad_ci.sandbox import sandlock_sandbox as with_sandlock
from skillgrad_ci.sandbox import supervise as supervision
from skillgrad_ci.sandbox.supervise import supervise


@dataclass(frozen=True)
class Weakness:
    """A defence taken away by `apply`: each of `attempts` must then do harm. `root`: where root runs it."""

    attempts: Sequence[str]
    apply: Callable[[], None]
    root: bool = False


def settings(change: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
    """Every cell is told other settings: `change` gets them, with sandlock's under `policy`."""

    def apply() -> None:
        make = with_sandlock._settings

        def weaker(*arguments: Any, **named: Any) -> dict[str, Any]:
            made = make(*arguments, **named)
            change(made)
            return made

        setattr(with_sandlock, "_settings", weaker)  # noqa: B010

    return apply


def policy(**changes: Any) -> Callable[[], None]:
    return settings(lambda made: made["policy"].update(changes))


def patch(owner: Any, name: str, value: object) -> Callable[[], None]:
    return lambda: setattr(owner, name, value)


def _root(made: dict[str, Any]) -> str:
    """The attacked machine's folder, around the task's."""
    return str(
        next(p for p in Path(made["policy"]["cwd"]).parents if p.name.startswith(("redteam-", "skillgrad-self-test-")))
    )


def _readable(made: dict[str, Any]) -> None:
    made["readable"] = [_root(made), *made["readable"]]
    made["policy"]["fs_readable"] = ["/"]


def _mounted(made: dict[str, Any]) -> None:
    made["writable"] = [_root(made), *made["writable"]]


def _writable(made: dict[str, Any]) -> None:
    _mounted(made)
    made["policy"]["fs_writable"] += [_root(made)]


def _network(made: dict[str, Any]) -> None:
    made.update(network=True, filter=ANYTHING)
    made["policy"]["net_allow"] = ["*:*"]


def _scopes(made: dict[str, Any]) -> None:
    made["network"] = True
    made["policy"].update(disable=[int(scope) for scope in SCOPES], net_allow=["*:*"])


def _shared_tmp(made: dict[str, Any]) -> None:
    made["writable"] = ["/tmp", *made["writable"]]
    atexit.register(shutil.rmtree, "/tmp/.shm", ignore_errors=True)  # what the cell makes there


def _cell(before: str, after: str) -> Callable[[], None]:
    """The cell's program with one part of its text replaced."""

    def apply() -> None:
        text = nursery.CELL.read_text()
        assert before in text
        other = Path(tempfile.mkdtemp()) / "cell.py"
        other.write_text(text.replace(before, after))
        setattr(nursery, "CELL", other)  # noqa: B010

    return apply


def _uncut(child: Any, timeout: float, limits: Any, excess: Any) -> Any:
    return supervise(child, timeout, replace(limits, output=1 << 24), excess)


def each(*changes: Callable[[], None]) -> Callable[[], None]:
    """For what two defences meet, each of them enough."""

    def apply() -> None:
        for change in changes:
            change()

    return apply


unwatched = patch(with_sandlock, "held", lambda *_: 0)
ANYTHING = struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000).hex()  # a filter that allows every call
SCOPES = [Protection.SIGNAL_SCOPE, Protection.ABSTRACT_UNIX_SOCKET_SCOPE]
SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc", "/dev/null", "/dev/zero", "/dev/full", "/proc")
SECRETS = [
    *("git-config", "checkout-credential", "golden-answer", "grader", "other-task", "journal", "home", "runner-files"),
    *("link-out", "names-outside", "locks-outside"),
]
METADATA = ["rights-outside", "times-outside", "attributes-outside", "lock-the-run"]

WEAKNESSES = {
    "clean environment": Weakness(
        ["key-in-environment", "own-proc-environ"],
        patch(environment, "interpreter", lambda: dict(os.environ)),
    ),
    "readable paths": Weakness(SECRETS, settings(_readable)),
    "writable paths": Weakness(["command-files", "skill", "write-through-link"], settings(_writable)),
    "read-only tree": Weakness(METADATA, settings(_mounted)),
    "own temporary folder": Weakness(["names-outside", "shared-memory"], settings(_shared_tmp)),
    "network": Weakness(["tcp", "tcp-other-forms", "udp", "mptcp", "listen", "other-families"], settings(_network)),
    "socket families": Weakness(["mptcp", "listen"], settings(lambda made: made.update(network=True, filter=ANYTHING))),
    "leases": Weakness(["locks-outside"], settings(lambda made: made.update(filter=ANYTHING))),
    "scopes": Weakness(["abstract-socket"], settings(_scopes)),
    "memory": Weakness(["memory", "memory-in-parts"], each(policy(max_memory=None), unwatched)),
    "memory of all": Weakness(["memory-of-copies", "memory-of-a-device"], unwatched),
    "processes": Weakness(["many-processes"], policy(max_processes=None)),
    "denied calls": Weakness(["memory-file", "limits-of-the-first-process"], policy(extra_deny_syscalls=[])),
    "no capabilities": Weakness(["chroot"], _cell("{user or 65534} {user} 1", "0 {user} 1")),
    "etc by list": Weakness(["password-file"], patch(environment, "_SYSTEM", SYSTEM), root=True),
    "file size": Weakness(["sparse-file", "raise-limits"], patch(with_sandlock, "_resources", lambda _: {})),
    "watched folder": Weakness(["many-files"], patch(with_sandlock, "excess", lambda *_: "")),
    "checked result": Weakness(
        ["result-link", "result-pipe", "result-set-user-id"], patch(with_sandlock, "sanitize", lambda *_: [])
    ),
    "plain text": Weakness(["terminal-escapes"], patch(supervision, "without_escapes", lambda text: text)),
    "cut output": Weakness(["output"], patch(with_sandlock, "supervise", _uncut)),
}

"""Take one defence of the sandlock way away, to see that the attempts notice."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sandlock import Protection

from skillgrad_ci.sandbox import environment, output
from skillgrad_ci.sandbox import sandlock_sandbox as with_sandlock
from skillgrad_ci.sandbox.supervise import supervise


@dataclass(frozen=True)
class Weakness:
    """A defence taken away by `apply`: each of `attempts` must then do harm. `root`: where root runs it."""

    attempts: Sequence[str]
    apply: Callable[[], None]
    root: bool = False


def policy(**changes: Any) -> Callable[[], None]:
    """Every policy that the sandlock way makes gets these fields; a function gets the policy."""

    def apply() -> None:
        make = with_sandlock.SandlockSession._policy

        def weaker(session: with_sandlock.SandlockSession) -> Any:
            made = make(session)
            for name, value in changes.items():
                setattr(made, name, value(made) if callable(value) else value)
            return made

        setattr(with_sandlock.SandlockSession, "_policy", weaker)  # noqa: B010

    return apply


def patch(owner: Any, name: str, value: object) -> Callable[[], None]:
    return lambda: setattr(owner, name, value)


def _around_the_task(made: Any) -> list[str]:
    root = next(p for p in Path(made.cwd).parents if p.name.startswith("redteam-"))
    return [*made.fs_writable, str(root)]


def _uncut(child: Any, timeout: float, limits: Any, excess: Any) -> Any:
    return supervise(child, timeout, replace(limits, output=1 << 24), excess)


SCOPES = [Protection.SIGNAL_SCOPE, Protection.ABSTRACT_UNIX_SOCKET_SCOPE]
SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc", "/proc")
SECRETS = ["git-config", "checkout-credential", "golden-answer", "grader", "other-task", "journal", "home", "link-out"]

WEAKNESSES = {
    "clean environment": Weakness(["key-in-environment", "own-proc-environ"], policy(clean_env=False)),
    "readable paths": Weakness(SECRETS, policy(fs_readable=["/"])),
    "writable paths": Weakness(
        ["command-files", "skill", "skill-by-link", "write-through-link", "move-own-folder"],
        policy(fs_writable=_around_the_task),
    ),
    "network": Weakness(["tcp", "tcp-other-forms", "udp"], policy(net_allow=["*:*"])),
    "scopes": Weakness(["abstract-socket", "pidfd-signal"], policy(disable=SCOPES, net_allow=["*:*"])),
    "memory": Weakness(["memory", "memory-in-parts"], policy(max_memory=None)),
    "processes": Weakness(["many-processes"], policy(max_processes=None)),
    "denied calls": Weakness(["memory-file", "limits-of-others"], patch(with_sandlock, "DENIED_CALLS", [])),
    "another user": Weakness(["device"], policy(uid=None, gid=None), root=True),
    "etc by list": Weakness(["password-file"], patch(environment, "_SYSTEM", SYSTEM), root=True),
    "file size": Weakness(["sparse-file", "raise-limits"], patch(with_sandlock, "_file_size", lambda _: nullcontext())),
    "watched folder": Weakness(["many-files"], patch(with_sandlock, "excess", lambda *_: "")),
    "checked result": Weakness(
        ["result-link", "result-pipe", "result-set-user-id"], patch(with_sandlock, "sanitize", lambda *_: [])
    ),
    "plain text": Weakness(["terminal-escapes"], patch(output, "plain", lambda text: text)),
    "cut output": Weakness(["output"], patch(with_sandlock, "supervise", _uncut)),
}

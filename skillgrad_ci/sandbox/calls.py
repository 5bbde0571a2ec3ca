"""The seccomp program of commands: it refuses what sandlock's own program lets through.

Without a network only Unix sockets can be made. (MPTCP is a protocol of its own that Landlock does not know.)
A lease on a file that can be read would let others wait for it. Secret memory belongs to a file without a name: it
stays when nothing maps it, and counts for no process.
"""

import platform
import socket
from errno import ENOSYS, EPERM, EPROTONOSUPPORT

from skillgrad_ci import seccomp
from skillgrad_ci.errors import EnvironmentFailure

F_SETLEASE, F_NOTIFY = 1024, 1026
IPPROTO_MPTCP = 262
MEMFD_SECRET = 447  # on every architecture; the library's list of calls does not know it


def command_filter(*, network: bool) -> bytes:
    """The filter's instructions. Without `network`, only Unix sockets can be made."""
    if not seccomp.machine():
        raise EnvironmentFailure(f"sandlock: the system calls of {platform.machine()} are not known here; use docker")
    allowed = [socket.AF_UNIX, *([socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK] if network else [])]
    number = seccomp.number
    return seccomp.program(
        seccomp.answer([MEMFD_SECRET], ENOSYS),
        seccomp.call(number("socket"), seccomp.families(allowed), seccomp.never(2, [IPPROTO_MPTCP], EPROTONOSUPPORT)),
        seccomp.call(number("socketpair"), seccomp.families([socket.AF_UNIX])),
        seccomp.call(number("fcntl"), seccomp.never(1, [F_SETLEASE, F_NOTIFY], EPERM)),
    )

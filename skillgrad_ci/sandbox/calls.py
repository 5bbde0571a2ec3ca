"""A seccomp program: what sandlock's own does not refuse, decided by a call's number and arguments.

Landlock's rules for a network know TCP alone, and only its bind and connect; so a socket of another family or
protocol must not come into being. (A program that asks is told that this machine has no such family, which
programs know how to take.) A lease on a file that can be read would let others wait for it.
"""

import platform
import socket
import struct
from collections.abc import Sequence

from skillgrad_ci.errors import EnvironmentFailure

# Numbers of the system calls, from the kernel's tables.
_ARCHITECTURES = {
    "x86_64": {"audit": 0xC000003E, "socket": 41, "socketpair": 53, "fcntl": 72},
    "aarch64": {"audit": 0xC00000B7, "socket": 198, "socketpair": 199, "fcntl": 25},
}
F_SETLEASE, F_NOTIFY = 1024, 1026
IPPROTO_MPTCP = 262
EPERM, EAFNOSUPPORT, EPROTONOSUPPORT = 1, 97, 93

# <linux/filter.h>, <linux/seccomp.h>; the offsets into struct seccomp_data are of the low halves.
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENT = 0, 4, 16
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000

Instruction = tuple[int, int, int, int]


def program(*, network: bool) -> bytes:
    """The filter's instructions: without `network`, a socket is a Unix one or is none."""
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise EnvironmentFailure(f"sandlock: {machine} is none of {', '.join(_ARCHITECTURES)}")
    numbers = _ARCHITECTURES[machine]
    families = [socket.AF_UNIX, *([socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK] if network else [])]
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, numbers["audit"]),
        (_RETURN, 0, 0, _KILL),
        *_for_call(
            numbers["socket"], [*_only(0, families, EAFNOSUPPORT), *_never(2, [IPPROTO_MPTCP], EPROTONOSUPPORT)]
        ),
        *_for_call(numbers["socketpair"], _only(0, [socket.AF_UNIX], EAFNOSUPPORT)),
        *_for_call(numbers["fcntl"], _never(1, [F_SETLEASE, F_NOTIFY], EPERM)),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _for_call(number: int, steps: list[Instruction]) -> list[Instruction]:
    """`steps` for the call of that number alone."""
    return [(_LOAD, 0, 0, _NUMBER), (_EQUAL, 0, len(steps), number), *steps]


def _only(argument: int, values: Sequence[int], error: int) -> list[Instruction]:
    """Refuse a call whose argument is none of `values`."""
    count = len(values)
    tests = [(_EQUAL, count - place, 0, int(value)) for place, value in enumerate(values)]
    return [(_LOAD, 0, 0, _ARGUMENT + 8 * argument), *tests, (_RETURN, 0, 0, _ERRNO | error)]


def _never(argument: int, values: Sequence[int], error: int) -> list[Instruction]:
    """Refuse a call whose argument is one of `values`."""
    return [
        (_LOAD, 0, 0, _ARGUMENT + 8 * argument),
        *[step for value in values for step in ((_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ERRNO | error))],
    ]

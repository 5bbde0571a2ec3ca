"""Seccomp programs: what a process may ask of the kernel, decided by a call's number and arguments.

Here is how one is put together; which calls are refused is said where commands (`sandbox/calls.py`) and
LibreOffice (`graders/xlsx/calls.py`) are confined. Landlock's rules for a network know TCP alone, and only its
bind and connect, so both decide at `socket`: a socket of another family or protocol must not come into being.
"""

import platform
import struct
from collections.abc import Sequence
from errno import EAFNOSUPPORT, ENOSYS

# From <linux/audit.h> and the kernel's tables of calls.
_MACHINES = {
    "x86_64": {"audit": 0xC000003E, "connect": 42, "fcntl": 72, "socket": 41, "socketpair": 53},
    "aarch64": {"audit": 0xC00000B7, "connect": 203, "fcntl": 25, "socket": 198, "socketpair": 199},
}
# <linux/filter.h>, <linux/seccomp.h>; the offsets into struct seccomp_data are of the low halves.
_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENT = 0, 4, 16
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_X32 = 0x40000000  # from here on an x86-64 kernel may know the same calls by other numbers

Instruction = tuple[int, int, int, int]


def machine() -> str:
    """The name of this machine's architecture, '' where its numbers are not known here."""
    name = platform.machine()
    return name if name in _MACHINES else ""


def number(call: str) -> int:
    return _MACHINES[machine()][call]


def program(*rules: list[Instruction]) -> bytes:
    """The instructions that allow what no rule decides. Another architecture's calls kill, for they cannot be read."""
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, number("audit")),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _ERRNO | ENOSYS),
        *[step for rule in rules for step in rule],
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def call(number: int, *tests: list[Instruction]) -> list[Instruction]:
    """A rule for one call: `tests` of its arguments, in their order."""
    steps = [step for test in tests for step in test]
    return [(_LOAD, 0, 0, _NUMBER), (_EQUAL, 0, len(steps), number), *steps]


def answer(numbers: Sequence[int], error: int) -> list[Instruction]:
    """A rule for calls that are never made: they fail with `error`, or with 0 seem to have been done."""
    tests = [step for each in numbers for step in ((_EQUAL, 0, 1, each), (_RETURN, 0, 0, _ERRNO | error))]
    return [(_LOAD, 0, 0, _NUMBER), *tests]


def only(argument: int, values: Sequence[int], error: int, mask: int = 0xFFFFFFFF) -> list[Instruction]:
    """Refuse a call whose argument, of which `mask` counts, is none of `values`."""
    count = len(values)
    tests = [(_EQUAL, count - place, 0, int(value)) for place, value in enumerate(values)]
    return [(_LOAD, 0, 0, _ARGUMENT + 8 * argument), (_AND, 0, 0, mask), *tests, (_RETURN, 0, 0, _ERRNO | error)]


def never(argument: int, values: Sequence[int], error: int) -> list[Instruction]:
    """Refuse a call whose argument is one of `values`."""
    tests = [step for value in values for step in ((_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ERRNO | error))]
    return [(_LOAD, 0, 0, _ARGUMENT + 8 * argument), *tests]


def families(allowed: Sequence[int]) -> list[Instruction]:
    """For `socket` and `socketpair`: a program that asks for another family is told that there is none here."""
    return only(0, allowed, EAFNOSUPPORT)

"""A seccomp program for LibreOffice: what neither Landlock nor sandlock's own refuses it.

Landlock's rules for a network know TCP alone, so no other internet protocol and no other family comes into
being. Landlock has no right for modes, owners, times and attributes of files: the calls that change them are
answered as if they had been done, and do nothing. What LibreOffice makes in its own folder needs none of them.
"""

import platform
import socket
import struct
from collections.abc import Sequence

# <linux/audit.h>, <linux/filter.h>, <linux/seccomp.h>; the offsets into struct seccomp_data are of the low halves.
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENT = 0, 4, 16
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_ENOSYS, _EAFNOSUPPORT, _EPROTONOSUPPORT = 38, 97, 93

# From the kernel's tables. chmod, fchmod, chown, fchown, lchown, utime, setxattr (3), removexattr (3), utimes,
# fchownat, futimesat, fchmodat, utimensat; the last four are of newer kernels, with one number everywhere.
_NEWER = [452, 463, 466, 469]  # fchmodat2, setxattrat, removexattrat, file_setattr
_ATTRIBUTES = {
    "x86_64": [90, 91, 92, 93, 94, 132, 188, 189, 190, 197, 198, 199, 235, 260, 261, 268, 280, *_NEWER],
    "aarch64": [52, 53, 54, 55, 5, 6, 7, 14, 15, 16, 88, *_NEWER],
}
_SOCKET = {"x86_64": 41, "aarch64": 198}
_IO_URING_SETUP = 425  # through it every call below could be made unseen
_X32 = 0x40000000  # from here on an x86-64 kernel may know the same calls by other numbers
_TYPE = 0xF  # of a socket's type, the part that is no flag


Instruction = tuple[int, int, int, int]


def program() -> bytes:
    """The filter's instructions; empty on an architecture whose numbers are not known here."""
    machine = platform.machine()
    if machine not in _AUDIT:
        return b""
    stream = [
        *_only(0, [socket.AF_UNIX, socket.AF_INET], _EAFNOSUPPORT),
        *_only(1, [socket.SOCK_STREAM], _EPROTONOSUPPORT, _TYPE),
        *_only(2, [0, socket.IPPROTO_TCP], _EPROTONOSUPPORT),
    ]
    steps: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, _AUDIT[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _ERRNO | _ENOSYS),
        (_EQUAL, 0, 1, _IO_URING_SETUP),
        (_RETURN, 0, 0, _ERRNO | _ENOSYS),
        *[step for number in _ATTRIBUTES[machine] for step in ((_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO))],
        (_EQUAL, 0, len(stream), _SOCKET[machine]),
        *stream,
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _only(argument: int, values: Sequence[int], error: int, mask: int = 0xFFFFFFFF) -> list[Instruction]:
    """Refuse a call whose argument, of which `mask` counts, is none of `values`."""
    count = len(values)
    tests = [(_EQUAL, count - place, 0, int(value)) for place, value in enumerate(values)]
    return [(_LOAD, 0, 0, _ARGUMENT + 8 * argument), (_AND, 0, 0, mask), *tests, (_RETURN, 0, 0, _ERRNO | error)]

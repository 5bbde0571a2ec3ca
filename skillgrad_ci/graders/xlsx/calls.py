"""Seccomp programs for LibreOffice: they refuse what Landlock and sandlock's own program let through.

Sockets are Unix streams: no internet family and no datagram comes into being, so nothing can connect, and nothing
can listen. LibreOffice itself connects to nothing at all: it is asked, and a workbook that takes it over finds no
way to another program's socket. Landlock has no right for modes, owners, times and attributes of files: the calls
that change them are answered as if they had been done, and do nothing. What LibreOffice makes in its own folder
needs none of them.
"""

import socket
from errno import ECONNREFUSED, ENOSYS, EPROTONOSUPPORT

from skillgrad_ci import seccomp

# From the kernel's tables. chmod, fchmod, chown, fchown, lchown, utime, setxattr (3), removexattr (3), utimes,
# fchownat, futimesat, fchmodat, utimensat; the last four are of newer kernels, with one number everywhere.
_NEWER = [452, 463, 466, 469]  # fchmodat2, setxattrat, removexattrat, file_setattr
_ATTRIBUTES = {
    "x86_64": [90, 91, 92, 93, 94, 132, 188, 189, 190, 197, 198, 199, 235, 260, 261, 268, 280, *_NEWER],
    "aarch64": [52, 53, 54, 55, 5, 6, 7, 14, 15, 16, 88, *_NEWER],
}
_IO_URING_SETUP = 425  # through it every call below could be made unseen
_TYPE = 0xF  # of a socket's type, the part that is not a flag


def office_filter() -> bytes:
    """For LibreOffice and who asks it; empty on an architecture whose numbers are not known here."""
    machine = seccomp.machine()
    if not machine:
        return b""
    stream = seccomp.only(1, [socket.SOCK_STREAM], EPROTONOSUPPORT, _TYPE)
    return seccomp.program(
        seccomp.answer([_IO_URING_SETUP], ENOSYS),
        seccomp.answer(_ATTRIBUTES[machine], 0),
        seccomp.call(seccomp.number("socket"), seccomp.families([socket.AF_UNIX]), stream),
    )


def no_connection() -> bytes:
    """For LibreOffice alone, beside `office_filter`; empty where that is."""
    return seccomp.program(seccomp.answer([seccomp.number("connect")], ECONNREFUSED)) if seccomp.machine() else b""

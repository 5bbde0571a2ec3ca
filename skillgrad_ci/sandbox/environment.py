"""What a command sees of this machine: an environment of its own, the system, the interpreter.

Both are lists of what is allowed. Nothing of this process's environment is handed on: the API key and
the token live there.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Of /etc only what programs need to start: the rest holds keys and passwords of the machine.
_ETC = (
    "alternatives debian_version fonts group hosts inputrc java ld.so.cache ld.so.conf ld.so.conf.d libreoffice "
    "localtime locale.alias lsb-release magic magic.mime mime.types nsswitch.conf os-release passwd perl protocols "
    "python3 python3.11 resolv.conf services ssl/certs ssl/openssl.cnf terminfo timezone"
)
_DEVICES = "full null random urandom zero"  # no tty: a terminal could be typed into
_SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/proc", "/sys/devices/system/cpu"),
    *(f"/etc/{name}" for name in _ETC.split()),
    *("/var/cache/fontconfig", "/var/lib/libreoffice", "/nix/store"),
    *(f"/dev/{name}" for name in _DEVICES.split()),
)
_PREFIX = ("bin", "lib", "lib64", "libexec", "share", "include", "pyvenv.cfg")


def variables(home: str, scratch: str) -> dict[str, str]:
    """The environment of a command but its PATH. `scratch` is a temporary folder of its own.

    Text is UTF-8; all else of that locale is as in C, and each part of it that is named costs every program a file.
    """
    return {
        "HOME": home,
        "USER": "agent",
        "LC_CTYPE": "C.UTF-8",
        "TERM": "dumb",
        "TMPDIR": scratch,
        "XDG_CACHE_HOME": f"{scratch}/cache",
        "XDG_CONFIG_HOME": f"{scratch}/config",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def interpreter() -> dict[str, str]:
    """PATH with this interpreter's programs first: its `python3` has the packages that we have.

    An interpreter that finds its own library by LD_LIBRARY_PATH alone (actions/setup-python) keeps that folder.
    """
    found = {"PATH": f"{Path(sys.prefix) / 'bin'}:{SYSTEM_PATH}"}
    library = str(Path(sys.base_prefix) / "lib")
    if library in os.environ.get("LD_LIBRARY_PATH", "").split(":"):
        found["LD_LIBRARY_PATH"] = library
    return found


def readable() -> list[str]:
    """The system's and the interpreter's folders that exist here.

    Of the interpreter's prefix only the parts a virtual environment has: a virtual environment may
    have been made in a repository's own root.
    """
    prefixes = dict.fromkeys(Path(p) for p in (sys.prefix, sys.base_prefix))
    parts = (prefix / part for prefix in prefixes for part in _PREFIX)
    return existing([*(Path(p) for p in _SYSTEM), *parts])


def writable() -> list[str]:
    return existing([Path("/dev/null"), Path("/dev/zero"), Path("/dev/full")])


def existing(paths: Iterable[Path]) -> list[str]:
    return [str(path) for path in paths if path.exists()]

"""What an agent left, read as hostile: bounded, without following links, never assumed to be text."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from skillgrad_ci.method.grader_options import ANSWER
from skillgrad_ci.method.ports import Result

MAX_BYTES = 20_000_000
MAX_LISTED = 1_000


class Unusable(Exception):
    """The output is not there or cannot be graded: the task has failed, and this says why."""


@dataclass(frozen=True)
class Left:
    """A regular file below the work folder: its relative path and size in bytes."""

    name: str
    size: int


def read_bytes(work: Path, name: str, bound: int = MAX_BYTES) -> bytes:
    """The output file `name`. Raises Unusable where it is missing, a link, no file, or above `bound` bytes."""
    with _opened(work, name) as handle:
        size = os.fstat(handle).st_size
        if size > bound:
            raise Unusable(f"{name}: {size:,} bytes, more than the {bound:,} that are graded")
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(bound)


def check_exists(work: Path, name: str) -> None:
    """Raises Unusable where the output file `name` is missing, a link or no file."""
    with _opened(work, name):
        pass


@contextmanager
def _opened(work: Path, name: str) -> Iterator[int]:
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise Unusable(f"{name!r}: not inside the work folder")
    path = work
    for part in parts:
        path = path / part
        if path.is_symlink():
            raise Unusable(f"{name}: a link; the result must be a file of its own")
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise Unusable(f"{name}: this file was not written. The work folder holds {_held(work)}") from None
    except OSError as error:
        raise Unusable(f"{name}: cannot be read ({error.strerror})") from None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Unusable(f"{name}: not a regular file")
        yield handle
    finally:
        os.close(handle)


def read_output(result: Result, output: str) -> str:
    """The last message (`answer`) or a file as UTF-8 text, with `\\n` line ends. Raises Unusable."""
    if output == ANSWER:
        return result.answer.replace("\r\n", "\n")
    try:
        return read_bytes(result.work, output).decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise Unusable(f"{output}: not UTF-8 text (byte {error.start})") from None


def files_of(work: Path) -> Iterator[Left]:
    """All regular files below `work` by name, at most `MAX_LISTED`; links are left out."""
    count = 0
    for root, folders, names in os.walk(work):
        folders.sort()
        for name in sorted(names):
            path = Path(root) / name
            facts = path.lstat()
            if stat.S_ISREG(facts.st_mode):
                yield Left(path.relative_to(work).as_posix(), facts.st_size)
                count += 1
                if count == MAX_LISTED:
                    return


def _held(work: Path) -> str:
    names = [repr(left.name) for left in files_of(work)]
    return ", ".join(names[:10] + (["…"] if len(names) > 10 else [])) or "nothing"

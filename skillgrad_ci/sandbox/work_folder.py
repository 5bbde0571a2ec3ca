"""A folder that model-chosen commands write to: how much it holds, and how it is made safe to read.

Graders and reports read it with the program's own rights, so nothing in it may lead out of it.
"""

import os
import stat
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from skillgrad_ci.sandbox.supervise import MIB, Limits

SLACK = MIB  # bytes: blocks of files that a command has long closed are still being counted


@dataclass(frozen=True)
class DiskUse:
    """What folders hold: bytes, entries, how deep they nest, and the bytes of the longest path in them."""

    size: int = 0
    files: int = 0
    depth: int = 0
    path: int = 0


EMPTY = DiskUse()


def usage(folders: Sequence[Path]) -> DiskUse:
    """What the folders hold together. Safe while commands run."""
    size = files = deepest = longest = 0
    for folder in folders:
        above = len(os.fsencode(folder)) + 1
        for depth, entry in _entries(folder):
            longest = max(longest, len(os.fsencode(entry.path)) - above)
            try:
                facts = entry.stat(follow_symlinks=False)
            except OSError:  # gone since it was listed
                continue
            size += max(facts.st_size, facts.st_blocks * 512)  # a sparse file counts in full
            files += 1
            deepest = max(deepest, depth)
    return DiskUse(size, files, deepest, longest)


def excess(folders: Sequence[Path], limits: Limits, before: DiskUse = EMPTY) -> str:
    """Which limit the folders have passed, in words; '' for none.

    `before` is what they held when a command started: one that does not add to it may run (and tidy up).
    """
    now = usage(folders)
    if now.size > (limits.disk if before.size <= limits.disk else before.size + SLACK):
        return f"its files grew past {limits.disk // MIB} MiB"
    if now.files > max(limits.files, before.files):
        return f"it made more than {limits.files:,} files"
    if now.depth > max(limits.depth, before.depth):
        return f"its folders are nested more than {limits.depth} deep"
    if now.path > max(limits.path, before.path):
        return f"it made paths of more than {limits.path:,} bytes"
    return ""


def scarce(folder: Path, limits: Limits) -> str:
    """That the disk under an existing folder is almost full, in words; '' while it is not."""
    disk = os.statvfs(folder)
    if disk.f_bavail * disk.f_frsize < limits.free:
        return f"less than {limits.free // MIB} MiB is free on the disk of {folder}"
    return ""


def sanitize(work: Path, limits: Limits | None = None) -> list[str]:
    """Leave only regular files and folders in `work`. Returns what was removed, one line each.

    Links, pipes, sockets and devices go, set-user-id bits are cleared. A folder that passes the limits
    is emptied: nothing that size is a result. For use when no command runs any more.
    """
    limits = limits or Limits()
    if work.is_symlink() or not work.is_dir():
        _empty(work)
        return ["everything: the folder itself was replaced"]
    subprocess.run(["chmod", "-R", "u+rwX", "--", work], capture_output=True, check=False)  # noqa: S603, S607
    if reason := excess([work], limits):
        _empty(work)
        return [f"everything: {reason}"]
    removed = []
    for _, entry in _entries(work):
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISREG(mode):
            if mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX):
                Path(entry.path).chmod(mode & 0o777)
        elif not stat.S_ISDIR(mode):
            Path(entry.path).unlink()
            removed.append(f"{Path(entry.path).relative_to(work).as_posix()!r}: {_kind(mode)}")
    return removed


def discard(folder: Path) -> None:
    """Remove a folder whatever is in it (`shutil.rmtree` fails on deep or unreadable folders)."""
    subprocess.run(["chmod", "-R", "u+rwX", "--", folder], capture_output=True, check=False)  # noqa: S603, S607
    subprocess.run(["rm", "-rf", "--", folder], capture_output=True, check=False)  # noqa: S603, S607


def _empty(folder: Path) -> None:
    discard(folder)
    folder.mkdir(parents=True, exist_ok=True)


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    return "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"


def _entries(folder: Path) -> Iterator[tuple[int, "os.DirEntry[str]"]]:
    """Every entry below `folder` with its depth, from 1. Links are not followed."""
    stack = [(1, str(folder))]
    while stack:
        depth, path = stack.pop()
        try:
            with os.scandir(path) as listing:
                entries = list(listing)
        except OSError:  # gone, or made unreadable by its owner: then `Limits.free` still holds
            continue
        for entry in entries:
            yield depth, entry
            if entry.is_dir(follow_symlinks=False):
                stack.append((depth + 1, entry.path))

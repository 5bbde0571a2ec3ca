"""Folders as tar streams, into a container and out of it again.

What comes out was written by model-chosen commands: only regular files and folders are taken, under
names that stay inside, and never more than the limits.
"""

import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from skillgrad_ci.sandbox.supervise import MIB, Limits

CHUNK = 1 << 20


class TooMuch(Exception):
    """The stream holds more than a result may."""


def pack(folders: Mapping[str, Path], stream: IO[bytes]) -> None:
    """Write `folders` (name in the archive → folder here) as tar: files and folders, no links, no owner."""
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for name, folder in folders.items():
            tar.add(folder, arcname=name, filter=_anonymous)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if not (member.isreg() or member.isdir() or member.islnk()):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return member


def unpack(stream: IO[bytes], folder: Path, limits: Limits) -> list[str]:
    """Read a tar stream into the empty `folder`. Returns what was left out, one line each.

    Raises TooMuch past a limit, `tarfile.TarError` or OSError for a stream that is not an archive.
    """
    dropped: list[str] = []
    size = count = 0
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            count += 1
            size += member.size
            _bound(size, count, member.name, limits)
            if reason := _refusal(member, folder):
                dropped.append(f"{PurePosixPath(member.name).as_posix()[:200]!r}: {reason}")
                continue
            target = folder / member.name
            target.parent.mkdir(parents=True, exist_ok=True)
            if member.isdir():
                target.mkdir(exist_ok=True)
            elif member.islnk():
                source = folder / member.linkname
                size += source.stat().st_size
                _bound(size, count, member.name, limits)
                shutil.copyfile(source, target)
            elif content := tar.extractfile(member):
                with target.open("xb") as file:
                    shutil.copyfileobj(content, file, CHUNK)
                target.chmod(0o755 if member.mode & 0o100 else 0o644)
    return dropped


def _bound(size: int, count: int, name: str, limits: Limits) -> None:
    if size > limits.disk:
        raise TooMuch(f"its files grew past {limits.disk // MIB} MiB")
    if count > limits.files:
        raise TooMuch(f"it made more than {limits.files:,} files")
    if len(PurePosixPath(name).parts) > limits.depth:
        raise TooMuch(f"its folders are nested more than {limits.depth} deep")
    if len(name.encode("utf-8", "surrogateescape")) > limits.path:
        raise TooMuch(f"it made paths of more than {limits.path:,} bytes")


def _refusal(member: tarfile.TarInfo, folder: Path) -> str:
    """Why a member is not taken, or ''."""
    if member.issym():
        return "a symbolic link"
    if not (member.isreg() or member.isdir() or member.islnk()) or member.issparse():
        return "no regular file"
    names = [member.name, member.linkname] if member.islnk() else [member.name]
    for name in names:
        if not name or name.startswith("/") or "\0" in name or ".." in PurePosixPath(name).parts:
            return "a name that leads out of the folder"
    target = folder / member.name
    if not member.isdir() and (target.exists() or target == folder):
        return "a second file of that name"
    if member.islnk() and not (folder / member.linkname).is_file():
        return "a link to no file"
    return ""

"""A folder on disk: read whole, written whole, or changed in place without a half-written file.

Every refusal is a UserError that names the file: a person must rename, shrink or move something.
"""

import os
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from skillgrad_ci.errors import UserError
from skillgrad_ci.skill.membership import PARTIAL, Membership

MAX_FILE_BYTES = 5_000_000
MAX_FILES = 2_000
_EXECUTABLE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


@dataclass
class Contents:
    """A folder as it was read, by relative POSIX path.

    `files` are its regular files. A link to one of them is in `links`, with that file's path; a link to a
    file elsewhere in the repository is in `linked`, with that file's bytes. `stray` are links that lead out,
    or nowhere. `executable` names files of all three.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    executable: set[str] = field(default_factory=set)
    links: dict[str, str] = field(default_factory=dict)
    linked: dict[str, bytes] = field(default_factory=dict)
    stray: list[str] = field(default_factory=list)


def read_folder(path: Path, member: Membership) -> Contents:
    """What lies below `path`, as far as `member` says that it is the skill's.

    Devices, files above `MAX_FILE_BYTES`, more than `MAX_FILES` files and names that no patch can carry are refused.
    """
    found = Contents()
    links = []
    for file in _walk(path, member):
        if file.is_symlink():
            links.append(file)
            continue
        name = _name(path, file)
        if len(found.files) == MAX_FILES:
            raise UserError(f"{path}: more than {MAX_FILES:,} files; move what is no part of it elsewhere")
        found.files[name], mode = _read(file)
        if mode & stat.S_IXUSR:
            found.executable.add(name)
    for link in links:
        _follow(path, link, member, found)
    return found


def read_some(path: Path, names: Collection[str]) -> Contents:
    """These files below `path` as they lie there now, whoever they belong to; those that are absent are left out."""
    found = Contents()
    for name in names:
        if os.path.lexists(path / name) and not (path / name).is_dir():
            found.files[name], mode = _read(path / name)
            if mode & stat.S_IXUSR:
                found.executable.add(name)
    return found


def _name(path: Path, file: Path) -> str:
    relative = file.relative_to(path).as_posix()
    if not relative.isprintable() or "\\" in relative:
        raise UserError(f"{path}: the file name {relative!r} cannot stand in a patch; rename it")
    return relative


def _follow(path: Path, link: Path, member: Membership, found: Contents) -> None:
    """Read what a link points to, a file or a folder's files, where it may lead there."""
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):  # nowhere, or in a circle
        found.stray.append(_name(path, link))
        return
    if member.leaves_out(target):
        return
    if not member.lends(target) or link.absolute().is_relative_to(target):
        found.stray.append(_name(path, link))
        return
    pairs = [(link, target)]
    if target.is_dir():
        pairs = [(link / file.relative_to(target), file) for file in _below(target, member)]
    top = path.resolve()
    for at, file in pairs:
        inside = file.relative_to(top).as_posix() if file.is_relative_to(top) else ""
        if inside in found.files:
            found.links[_name(path, at)] = inside
        elif not inside:
            if len(found.files) + len(found.linked) == MAX_FILES:
                raise UserError(f"{path}: more than {MAX_FILES:,} files; move what is no part of it elsewhere")
            found.linked[_name(path, at)], mode = _read(file)
            if mode & stat.S_IXUSR:
                found.executable.add(_name(path, at))


def _below(folder: Path, member: Membership) -> Iterator[Path]:
    """The regular files below a folder elsewhere in the repository."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not (Path(root) / name).is_symlink())
        for name in sorted(names):
            file = Path(root) / name
            if not file.is_symlink() and member.lends(file) and not member.leaves_out(file):
                yield file


def _walk(path: Path, member: Membership) -> Iterator[Path]:
    """The skill's files in a stable order, links to folders among them."""

    def unreadable(error: OSError) -> NoReturn:
        _refuse(Path(error.filename), "read", error)

    for root, folders, names in os.walk(path, onerror=unreadable):
        top = Path(root)
        links = [folder for folder in folders if (top / folder).is_symlink()]
        folders[:] = sorted(folder for folder in folders if folder not in links and member.enters(top / folder))
        yield from (top / name for name in sorted([*names, *links]) if member.holds(top / name))


def _read(file: Path) -> tuple[bytes, int]:
    """A file's bytes and mode."""
    try:
        facts = file.lstat()
        if not stat.S_ISREG(facts.st_mode):
            raise UserError(f"{file}: not a regular file; a skill holds no pipes or devices")
        if facts.st_size > MAX_FILE_BYTES:
            raise UserError(f"{file}: larger than {MAX_FILE_BYTES:,} bytes; move large data out of the skill")
        return file.read_bytes(), facts.st_mode
    except OSError as error:
        _refuse(file, "read", error)


def write(path: Path, files: Mapping[str, bytes], executable: Collection[str]) -> None:
    """Write all `files` below `path`, a new or empty folder."""
    for name, content in files.items():
        file = path / name
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            _set_executable(file, file.stat().st_mode, name in executable)
        except OSError as error:
            _refuse(file, "written", error)


def change(path: Path, files: Mapping[str, bytes], executable: Collection[str], removed: Collection[str]) -> None:
    """Replace or add `files` in order, then remove `removed` and the folders that this empties.

    All new content is on disk before the first file is replaced, so a full disk changes nothing;
    a crash in between leaves each file old or new, never in part.
    """
    staged: list[tuple[Path, Path]] = []
    file = path
    try:
        for name, content in files.items():
            file = path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            staged.append((_stage(file, content, name in executable), file))
        for partial, file in staged:
            partial.replace(file)
        for name in removed:
            file = path / name
            file.unlink(missing_ok=True)
            _remove_empty(file.parent, path)
    except OSError as error:
        _refuse(file, "written", error)
    finally:
        for partial, _ in staged:
            partial.unlink(missing_ok=True)


def write_atomically(file: Path, content: bytes) -> None:
    """Replace one file at once by a whole new one, on disk; its folder is made, its permissions kept."""
    change(file.parent, {file.name: content}, {file.name} if os.access(file, os.X_OK) else (), ())


def _stage(file: Path, content: bytes, executable: bool) -> Path:
    """A flushed file beside `file` with its new content and its old permissions."""
    partial = file.with_name(f"{PARTIAL}{os.getpid()}-{file.name}")
    try:
        with partial.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        _set_executable(partial, (file if file.exists() else partial).stat().st_mode, executable)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    return partial


def _set_executable(file: Path, mode: int, executable: bool) -> None:
    mode = stat.S_IMODE(mode)
    wanted = mode | _EXECUTABLE if executable else mode & ~_EXECUTABLE
    if wanted != stat.S_IMODE(file.stat().st_mode):
        file.chmod(wanted)


def _remove_empty(folder: Path, top: Path) -> None:
    while folder != top and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _refuse(file: Path, what: str, error: OSError) -> NoReturn:
    raise UserError(f"{file}: cannot be {what} ({error.strerror or error}); give this user the right to") from None

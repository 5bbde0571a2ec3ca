"""A folder on disk: read whole, written whole, or changed in place without a half-written file.

Every refusal is a UserError that names the file: a person must rename, shrink or move something.
"""

import os
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from skillgrad_ci.errors import UserError

MAX_FILE_BYTES = 5_000_000
MAX_FILES = 2_000
IGNORED = {".git", "__pycache__", ".DS_Store", "node_modules", ".venv"}
PARTIAL = ".skillgrad-"  # how the name of a file starts while it is being written
_EXECUTABLE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


def read(path: Path, leave_out: Collection[str]) -> tuple[dict[str, bytes], frozenset[str]]:
    """The files below `path` by relative POSIX path, and which of them are executable.

    Left out: names in `IGNORED`, and names in `leave_out` at the top. Links, devices, files above
    `MAX_FILE_BYTES`, more than `MAX_FILES` files and names that no patch can carry are refused.
    """
    files: dict[str, bytes] = {}
    executable = set()
    for file in _walk(path, leave_out):
        relative = file.relative_to(path).as_posix()
        if not relative.isprintable() or "\\" in relative:
            raise UserError(f"{path}: the file name {relative!r} cannot stand in a patch; rename it")
        if len(files) == MAX_FILES:
            raise UserError(f"{path}: more than {MAX_FILES:,} files; move what is no part of it elsewhere")
        files[relative], mode = _read(file)
        if mode & stat.S_IXUSR:
            executable.add(relative)
    return files, frozenset(executable)


def _walk(path: Path, leave_out: Collection[str]) -> Iterator[Path]:
    """The files in a stable order, links to folders among them (to be refused)."""

    def unreadable(error: OSError) -> NoReturn:
        _refuse(Path(error.filename), "read", error)

    for root, folders, names in os.walk(path, onerror=unreadable):
        top = Path(root)
        skipped = {*IGNORED, *leave_out} if top == path else IGNORED
        folders[:] = sorted(folder for folder in folders if folder not in skipped)
        links = [folder for folder in folders if (top / folder).is_symlink()]
        for name in sorted([*names, *links]):
            if name not in IGNORED and not name.startswith(PARTIAL):
                yield top / name


def _read(file: Path) -> tuple[bytes, int]:
    """A file's bytes and mode."""
    try:
        facts = file.lstat()
        if not stat.S_ISREG(facts.st_mode):
            raise UserError(f"{file}: not a regular file; a skill holds no links, pipes or devices")
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
    raise UserError(f"{file}: cannot be {what} ({error.strerror or error})") from None

"""The files that a suite names: inside its folder or repository, and nowhere else."""

import os
import stat
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from skillgrad_ci.document.document import Document, Where
from skillgrad_ci.document.parsing import read_text
from skillgrad_ci.errors import UserError

MAX_FILES = 10_000  # in one folder that a suite names


def executable(files: Mapping[str, Path]) -> list[str]:
    """The names of those files that are executable where they lie: they stay so in the work folder."""
    return [name for name, source in files.items() if source.stat().st_mode & stat.S_IXUSR]


def boundary(folder: Path) -> Path:
    """The repository that `folder` lies in, or the folder itself: nothing outside is read."""
    folder = folder.resolve()
    return next((parent for parent in [folder, *folder.parents] if (parent / ".git").exists()), folder)


def file_with(
    path: Path, names: Sequence[str], suffixes: Collection[str], wanted: Callable[[Any], bool]
) -> Path | None:
    """The file that `path` is, or that it holds under one of `names`, whose content is `wanted`.

    A file that cannot be parsed is passed over.
    """
    for file in [path / name for name in names] if path.is_dir() else [path]:
        if file.suffix in suffixes and file.is_file():
            try:
                if wanted(Document.read(file).value):
                    return file
            except UserError:
                continue
    return None


@dataclass(frozen=True)
class Files:
    """Resolves the paths of one document, relative to `base`; errors name the field's line.

    `named` collects what was found, the document itself first: none of it is a part of a skill.
    """

    document: Document
    base: Path
    named: set[Path] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.named.add(self.document.path)

    def find(self, name: str, where: Where) -> Path:
        """The existing file or folder at `name`. Raises UserError where it is missing or outside."""
        limit = boundary(self.base)
        path = Path(os.path.normpath(self.base.resolve() / name))
        if PurePosixPath(name).is_absolute() or "\0" in name or not path.is_relative_to(limit):
            raise self.document.error(where, f"{name!r} leads out of {limit}; keep files in the suite's repository")
        if not path.exists():
            raise self.document.error(where, f"no such file: {self.base / name}; put it there, or correct its name")
        real = path.resolve()
        if not real.is_relative_to(limit) or ".git" in real.relative_to(limit).parts:
            raise self.document.error(
                where, f"{name!r} is a link out of {limit}; keep files inside the suite's repository"
            )
        self.named.add(path)
        return path

    def find_file(self, name: str, where: Where) -> Path:
        path = self.find(name, where)
        if not path.is_file():
            raise self.document.error(where, f"{name!r} is no file; name one")
        return path

    def text(self, name: str, where: Where) -> str:
        return read_text(self.find_file(name, where))

    def expand(self, target: str, name: str, where: Where) -> dict[str, Path]:
        """`{path in the work folder: file}` for a file, or for all files of a folder."""
        source = self.find(name, where)
        if source.is_file():
            return {target: source}
        found: dict[str, Path] = {}
        for root, folders, names in os.walk(source):
            folders[:] = sorted(folder for folder in folders if folder not in {".git", "__pycache__"})
            for file in sorted(names):
                path = Path(root) / file
                inner = path.relative_to(source).as_posix()
                self.find(os.path.relpath(path, self.base.resolve()), where)
                found[inner if target in {"", "."} else f"{target}/{inner}"] = path
            if len(found) > MAX_FILES:
                raise self.document.error(
                    where, f"{name!r} holds more than {MAX_FILES:,} files; name the ones it needs"
                )
        return found

    def work_name(self, name: str, where: Where) -> str:
        """A relative path in the agent's work folder, normalised. Raises UserError for any other."""
        path = PurePosixPath(name)
        if not name or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or not path.parts:
            raise self.document.error(where, f"{name!r} is no path inside the work folder; write it as data/a.csv")
        return path.as_posix()

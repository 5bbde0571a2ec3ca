"""The repository that a skill lies in: what it tracks, and what it ignores.

Git's own index and ignore files say so, read by dulwich: no program is started, for the action's image
holds no git.
"""

import struct
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from skillgrad_ci.errors import UserError

CONFIGURATION = ".skillgrad.yml"  # lies at the root of a repository that uses the bot


@dataclass(frozen=True)
class Repository:
    """A checkout. Paths are relative to `root`, with `/`."""

    root: Path

    @cached_property
    def _tracked(self) -> tuple[frozenset[str], frozenset[str]]:
        index = _git_folder(self.root) / "index"
        if not index.is_file():
            return frozenset(), frozenset()
        facts = index.stat()
        return _read_index(index, facts.st_mtime_ns, facts.st_size)

    def tracks(self, path: str) -> bool:
        return path in self._tracked[0]

    def tracks_below(self, folder: str) -> bool:
        """Whether any tracked file lies below `folder`."""
        return folder in self._tracked[1]

    def ignores(self, path: str) -> bool:
        """Whether an ignore file of the repository covers a file, or a folder that it lies in."""
        return bool(self._ignored.is_ignored(path))

    @cached_property
    def _ignored(self):  # type: ignore[no-untyped-def]  # a type of dulwich, imported late
        from dulwich.ignore import IgnoreFilter, IgnoreFilterManager

        exclude = _git_folder(self.root) / "info" / "exclude"
        own = [IgnoreFilter.from_path(str(exclude))] if exclude.is_file() else []
        return IgnoreFilterManager(str(self.root), own, ignorecase=False)


def repository_of(path: Path) -> Repository | None:
    """The repository that a folder lies in; None where it lies in none."""
    path = path.resolve()
    root = next((folder for folder in (path, *path.parents) if (folder / ".git").exists()), None)
    return Repository(root) if root else None


def is_root(path: Path) -> bool:
    """Whether a folder is a whole repository: its name is the checkout's, and says nothing."""
    return (path / ".git").exists() or (path / CONFIGURATION).is_file()


def _git_folder(root: Path) -> Path:
    """Where the index lies: `.git`, or in a worktree or a submodule the folder that the file `.git` names."""
    git = root / ".git"
    if git.is_dir():
        return git
    try:
        named = git.read_text("utf-8").removeprefix("gitdir:").strip()
    except (OSError, UnicodeDecodeError):
        return git
    return (root / named).resolve()


@lru_cache(maxsize=16)
def _read_index(index: Path, _changed: int, _size: int) -> tuple[frozenset[str], frozenset[str]]:
    """The tracked files, and every folder above one. The two numbers tell one state of the index from another."""
    from dulwich.errors import ChecksumMismatch
    from dulwich.index import Index, UnsupportedIndexFormat

    refused = (ChecksumMismatch, UnsupportedIndexFormat, struct.error, AssertionError, ValueError, LookupError)
    try:
        files = frozenset(name.decode("utf-8", "surrogateescape") for name in Index(str(index)))
    except (*refused, EOFError, OSError) as error:
        raise UserError(f"{index}: git's index cannot be read ({error}); `git status` says what is wrong") from None
    folders = {""}
    for name in files:
        while "/" in name:
            name = name.rpartition("/")[0]
            if name in folders:
                break
            folders.add(name)
    return files, frozenset(folders)

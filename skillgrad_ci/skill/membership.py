"""Which files of a folder are the skill's.

These never are: the repository's own things (`.git`, the configuration, the memory, run folders), a suite, what git
ignores or does not track, and files that by their name hold keys. There are two exceptions, for somebody who is writing
a skill: if `SKILL.md` is not tracked yet, all files but the ignored ones count; and a file in one of the
specification's folders counts as soon as the tracked `SKILL.md` names it.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from skillgrad_ci.skill.pointers import FOLDERS, mentions
from skillgrad_ci.skill.repository import CONFIGURATION, Repository, is_root, repository_of

IGNORED = {".git", "__pycache__", ".DS_Store", "node_modules", ".venv"}
OURS = {CONFIGURATION, ".skillgrad"}  # the configuration and the memory
JOURNAL = "journal.jsonl"  # a folder that holds one is a run folder
EVALS = "evals"  # where the Agent Skills guide keeps a suite
PARTIAL = ".skillgrad-"  # how the name of a file starts while it is being written
MAIN = "SKILL.md"
# Files that hold keys, tracked or not; one that shows which keys there are (`.env.example`) holds none.
_KEYS = re.compile(
    r"\.env(?:rc|\.(?!(?:\w+\.)?(?:example|sample|template|dist|defaults?)$).*)?|\.netrc|\.pypirc|\.git-credentials"
    r"|id_(?:rsa|dsa|ecdsa|ed25519)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Membership:
    """The rule for one skill's folder `top`. `leave_out` are real paths of files and folders."""

    top: Path
    leave_out: Collection[Path] = ()

    def enters(self, folder: Path) -> bool:
        """Whether files of the skill can lie below a folder."""
        if not self._allows(folder) or (folder / JOURNAL).is_file():
            return False
        if not self._follows_git or self.repository is None:
            return True
        top = folder.relative_to(self.top).parts[0]
        return top in FOLDERS or self.repository.tracks_below(self._in_repository(folder))

    def holds(self, file: Path) -> bool:
        """Whether a file is the skill's."""
        if not self._allows(file):
            return False
        if self.repository is None:
            return True
        name = self._in_repository(file)
        if not self._follows_git:
            return self._is_fresh(name)
        return self.repository.tracks(name) or (self._is_pointed_to(file) and not self.repository.ignores(name))

    def lends(self, target: Path) -> bool:
        """Whether a link of the skill may lead to a real path: to the skill's repository, to what it tracks."""
        if self.repository is None:
            return target.is_relative_to(self.top.resolve())
        root = self.repository.root
        if not target.is_relative_to(root) or ".git" in target.relative_to(root).parts:
            return False
        name = target.relative_to(root).as_posix()
        if not self._follows_git:
            return self._is_fresh(name)
        return self.repository.tracks(name) or self.repository.tracks_below(name)

    def leaves_out(self, target: Path) -> bool:
        """Whether a real path is a suite's, or holds keys that the repository has, wherever a link to it lies."""
        if _KEYS.fullmatch(target.name) and self.lends(target):
            return True
        return target in self._left_out or any(folder in self._left_out for folder in target.parents)

    def allows_way(self, path: Path) -> bool:
        """Whether a path may be entered: no name and no suite speaks against it, or against a folder above it."""
        below = path.relative_to(self.top).parents
        return self._allows(path) and all(self._allows(self.top / folder) for folder in below if folder.parts)

    @cached_property
    def repository(self) -> Repository | None:
        return repository_of(self.top)

    @cached_property
    def _root_skill(self) -> bool:
        return is_root(self.top)

    @cached_property
    def _follows_git(self) -> bool:
        """Whether git says what the skill holds: once its `SKILL.md` is tracked."""
        return self.repository is not None and self.repository.tracks(self._in_repository(self.top / MAIN))

    @cached_property
    def _whole_is_ignored(self) -> bool:
        return self.repository is not None and self.repository.ignores(self._in_repository(self.top / MAIN))

    @cached_property
    def _left_out(self) -> frozenset[Path]:
        return frozenset(path.resolve() for path in self.leave_out)

    def _allows(self, path: Path) -> bool:
        """Whether a path may be taken: its name and the suite do not speak against it."""
        name = path.name
        if name in IGNORED or name.startswith(PARTIAL) or _KEYS.fullmatch(name):
            return False
        if path.parent == self.top and (name == EVALS or name in OURS or (self._root_skill and name.startswith("."))):
            return False
        return not self._left_out or not self.leaves_out(path.parent.resolve() / name)

    def _is_fresh(self, name: str) -> bool:
        """Whether a file counts in a skill that nobody added to git yet."""
        assert self.repository is not None
        return self._whole_is_ignored or not self.repository.ignores(name)

    def _is_pointed_to(self, file: Path) -> bool:
        name = file.relative_to(self.top).as_posix()
        return name.startswith(tuple(f"{folder}/" for folder in FOLDERS)) and mentions(self._main, name)

    @cached_property
    def _main(self) -> str:
        try:
            return (self.top / MAIN).read_text("utf-8", errors="replace")
        except OSError:
            return ""

    def _in_repository(self, path: Path) -> str:
        assert self.repository is not None
        return (self._place / path.relative_to(self.top)).as_posix()

    @cached_property
    def _place(self) -> Path:
        assert self.repository is not None
        return self.top.resolve().relative_to(self.repository.root)

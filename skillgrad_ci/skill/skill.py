"""The parameter: a skill is metadata (H), body (B) and resources (Q).

The format is the Agent Skills specification: a folder with `SKILL.md`, YAML frontmatter between two
lines of `---`, Markdown after it, and any further files.
"""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from skillgrad_ci.errors import UserError
from skillgrad_ci.skill import folder, frontmatter
from skillgrad_ci.skill.membership import EVALS, MAIN, Membership
from skillgrad_ci.skill.repository import is_root

__all__ = ["EVALS", "MAIN", "Skill", "name_of"]
NAMELESS = "skill"  # a skill that is a whole repository and whose frontmatter has no name


@dataclass(frozen=True)
class Skill:
    """An immutable skill. `files` maps a relative POSIX path to bytes, `SKILL.md` among them.

    Links are not files of it, and no edit changes what they are: `links` maps one to the file of the skill that
    it points to, `linked` one to the bytes of a file elsewhere in the repository. `stray` are links that lead
    out, or nowhere.
    """

    folder: str
    files: Mapping[str, bytes]
    executable: frozenset[str] = field(default_factory=frozenset)
    links: Mapping[str, str] = field(default_factory=dict)
    linked: Mapping[str, bytes] = field(default_factory=dict)
    stray: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path, leave_out: Collection[Path] = (), *, stray: bool = False) -> "Skill":
        """Read a skill's folder. Raises UserError for what is not a skill: file, and what to do.

        `leave_out` are the files and folders of its suites: an agent must not see them, and their changes
        are not the skill's. Links that lead out are refused, unless `stray` asks for them to be told.
        """
        if path.is_symlink():
            raise UserError(f"{path}: a link; name the folder that it points to")
        if not path.is_dir():
            raise UserError(f"{path}: not a folder; a skill is a folder with {MAIN}")
        found = folder.read_folder(path, Membership(path, leave_out))
        if found.stray and not stray:
            raise UserError(f"{path / found.stray[0]}: a link that leads out of the repository, or nowhere; remove it")
        if MAIN not in found.files and MAIN not in found.linked and MAIN not in found.links:
            raise UserError(f"{path}: no {MAIN} in it; a skill is a folder with {MAIN}")
        executable = frozenset(found.executable)
        skill = cls(path.resolve().name, found.files, executable, found.links, found.linked, tuple(found.stray))
        _ = skill.metadata  # an unreadable one fails here, before anything is spent
        return replace(skill, folder=_name_at_root(skill)) if is_root(path) else skill

    @cached_property
    def digest(self) -> str:
        """Content address over names, bytes and executable bits, and over what links point to."""
        content = hashlib.sha256()
        files = {**self.files, **self.linked}
        for name in sorted(files):
            content.update(f"{name}\0{name in self.executable}\0{len(files[name])}\0".encode())
            content.update(files[name])
        for name in sorted(self.links):
            content.update(f"{name}\0->\0{self.links[name]}\0".encode())
        return content.hexdigest()

    @cached_property
    def text(self) -> str:
        """`SKILL.md` as text. Raises UserError when it is not UTF-8."""
        return self.read(MAIN)

    @cached_property
    def parts(self) -> frontmatter.Slices:
        """`SKILL.md` cut at its fences."""
        return frontmatter.split(self.text, f"{self.folder}/{MAIN}")

    @property
    def frontmatter(self) -> str:
        return self.parts.fields

    @property
    def body(self) -> str:
        """B: everything after the frontmatter."""
        return self.parts.body

    @cached_property
    def metadata(self) -> Mapping[str, Any]:
        """H as read. Raises UserError where it is not a YAML mapping."""
        return frontmatter.read_fields(self.frontmatter, f"{self.folder}/{MAIN}")

    @property
    def name(self) -> str:
        value = self.metadata.get("name")
        return value if isinstance(value, str) and value else self.folder

    @property
    def description(self) -> str:
        value = self.metadata.get("description")
        return value if isinstance(value, str) else ""

    @property
    def resources(self) -> list[str]:
        """Q: the files beside `SKILL.md` that an agent may see, sorted."""
        names = {*self.files, *self.linked, *self.links}
        return sorted(name for name in names if name != MAIN and not name.startswith(f"{EVALS}/"))

    def read(self, name: str) -> str:
        """One file as text. Raises UserError when it is not UTF-8, KeyError where there is none."""
        try:
            return self.content(name).decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{self.folder}/{name}: not UTF-8 (byte {error.start}); save it as UTF-8") from None

    def content(self, name: str) -> bytes:
        """One file's bytes, of what it points to where it is a link. Raises KeyError where there is none."""
        name = self.links.get(name, name)
        return self.files[name] if name in self.files else self.linked[name]

    def for_agents(self) -> "Skill":
        """The skill as agents may see it: without a suite that lies inside it, and with files for its links."""
        visible = [MAIN, *self.resources]
        files = {
            name: self.content(name) for name in visible if self.links.get(name, name) in {**self.files, **self.linked}
        }
        executable = frozenset(name for name in files if self.links.get(name, name) in self.executable)
        return Skill(self.folder, files, executable)

    def with_file(self, name: str, content: str | None) -> "Skill":
        """A copy with one text file written, or removed (None)."""
        files = {key: value for key, value in self.files.items() if key != name}
        if content is None:
            return replace(self, files=files, executable=self.executable - {name})
        return replace(self, files={**files, name: content.encode("utf-8")})

    def with_description(self, description: str) -> "Skill":
        """A copy whose description is replaced, on one line; every other byte is kept."""
        return self.with_file(MAIN, frontmatter.with_description(self.parts, description, f"{self.folder}/{MAIN}"))

    def write(self, path: Path) -> None:
        """Write the whole skill below `path` (a new or empty folder)."""
        folder.write(path, self.files, self.executable)

    def write_over(self, original: "Skill", path: Path) -> None:
        """Turn the folder `path`, which holds `original`, into this skill.

        Each changed file is replaced at once, resources before the `SKILL.md` that points to them;
        removed files go last; others are not touched. Raises UserError, before anything is written,
        where a person changed one of these files since `original` was read.
        """
        changed = [name for name in self.files if self._differs(name, original)]
        removed = [name for name in original.files if name not in self.files]
        now = folder.read_some(path, [*changed, *removed])
        for name in (*changed, *removed):
            if now.files.get(name) != original.files.get(name) or (name in now.executable) != (
                name in original.executable
            ):
                raise UserError(f"{path / name}: changed during the run; nothing is written, use the patch instead")
        changed.sort(key=lambda name: (name == MAIN, name))
        folder.change(path, {name: self.files[name] for name in changed}, self.executable, removed)

    def _differs(self, name: str, other: "Skill") -> bool:
        return self.files.get(name) != other.files.get(name) or (name in self.executable) != (name in other.executable)


def present(measured: Skill | None, others: Sequence[Skill]) -> list[Skill]:
    """The skills of one execution, each once: the measured one may be among the others."""
    if measured is None:
        return list(others)
    return [measured, *(other for other in others if other.digest != measured.digest)]


def name_of(path: Path) -> str:
    """The name of the skill in a folder: the folder's, and for a whole repository the frontmatter's."""
    if not is_root(path):
        return path.resolve().name
    try:
        main = (path / MAIN).read_text("utf-8")
        return _name_at_root(Skill("", {MAIN: main.encode()}))
    except (OSError, UnicodeDecodeError, UserError):
        return NAMELESS


def _name_at_root(skill: Skill) -> str:
    """The frontmatter's name, as far as it can name a folder; a checkout's folder can have any name."""
    name = skill.metadata.get("name")
    return (re.sub(r"[^\w-]+", "-", name).strip("-") if isinstance(name, str) else "") or NAMELESS

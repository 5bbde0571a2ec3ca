"""The parameter: a skill is metadata (H), body (B) and resources (Q).

The format is the Agent Skills specification: a folder with `SKILL.md`, YAML frontmatter between two
lines of `---`, Markdown after it, and any further files.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from skillgrad_ci.errors import UserError
from skillgrad_ci.skill import folder, frontmatter

MAIN = "SKILL.md"
EVALS = "evals"  # a suite kept inside the skill: not part of the parameter, and no agent may see it


@dataclass(frozen=True)
class Skill:
    """An immutable skill. `files` maps a relative POSIX path to bytes, `SKILL.md` among them."""

    folder: str
    files: Mapping[str, bytes]
    executable: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def load(cls, path: Path) -> "Skill":
        """Read a skill's folder. Raises UserError for what is no skill: file, and what to do.

        A suite in `evals/` is left out: an agent must not see it, and its changes are not the skill's.
        """
        if path.is_symlink():
            raise UserError(f"{path}: a link; name the folder that it points to")
        if not path.is_dir():
            raise UserError(f"{path}: not a folder; a skill is a folder with {MAIN}")
        files, executable = folder.read(path, leave_out={EVALS})
        if MAIN not in files:
            raise UserError(f"{path}: no {MAIN} in it; a skill is a folder with {MAIN}")
        skill = cls(path.resolve().name, files, executable)
        _ = skill.metadata  # an unreadable one fails here, before anything is spent
        return skill

    @cached_property
    def digest(self) -> str:
        """Content address over names, bytes and executable bits."""
        content = hashlib.sha256()
        for name in sorted(self.files):
            content.update(f"{name}\0{name in self.executable}\0{len(self.files[name])}\0".encode())
            content.update(self.files[name])
        return content.hexdigest()

    @cached_property
    def text(self) -> str:
        """`SKILL.md` as text. Raises UserError when it is not UTF-8."""
        return self.read(MAIN)

    @cached_property
    def parts(self) -> frontmatter.Parts:
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
        """H as read. Raises UserError where it is no YAML mapping."""
        return frontmatter.read(self.frontmatter, f"{self.folder}/{MAIN}")

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
        return sorted(name for name in self.files if name != MAIN and not name.startswith(f"{EVALS}/"))

    def read(self, name: str) -> str:
        """One file as text. Raises UserError when it is missing or not UTF-8."""
        try:
            return self.files[name].decode("utf-8")
        except KeyError:
            raise UserError(f"{self.folder}/{name}: no such file in the skill") from None
        except UnicodeDecodeError as error:
            raise UserError(f"{self.folder}/{name}: not UTF-8 (byte {error.start}); save it as UTF-8") from None

    def for_agents(self) -> "Skill":
        """The skill as agents may see it: without a suite that lies inside it."""
        visible = {MAIN, *self.resources}
        files = {name: content for name, content in self.files.items() if name in visible}
        return replace(self, files=files, executable=self.executable & visible)

    def with_file(self, name: str, content: str | None) -> "Skill":
        """A copy with one text file written, or removed (None)."""
        files = {key: value for key, value in self.files.items() if key != name}
        if content is not None:
            files[name] = content.encode("utf-8")
        return replace(self, files=files, executable=self.executable & frozenset(files))

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
        now = Skill.load(path)
        changed = [name for name in self.files if self._differs(name, original)]
        removed = [name for name in original.files if name not in self.files]
        for name in (*changed, *removed):
            if now._differs(name, original):
                raise UserError(f"{path / name}: changed during the run; nothing is written, use the patch instead")
        changed.sort(key=lambda name: (name == MAIN, name))
        folder.change(path, {name: self.files[name] for name in changed}, self.executable, removed)

    def _differs(self, name: str, other: "Skill") -> bool:
        return self.files.get(name) != other.files.get(name) or (name in self.executable) != (name in other.executable)

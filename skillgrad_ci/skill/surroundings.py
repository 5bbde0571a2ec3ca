"""What lies around a skill on disk, for pointers that lead to no file of the skill."""

import os
from collections.abc import Collection
from enum import Enum
from functools import cached_property
from pathlib import Path

from skillgrad_ci.skill.membership import Membership

ABOVE = 3  # folders above a skill that count as its surroundings where there is no repository


class Place(Enum):
    """Where a pointer leads that names no file of the skill."""

    LEFT_OUT = "a file that this program leaves out of the skill"
    UNTRACKED = "a file that git does not track"
    REPOSITORY = "a file beside the skill"
    NOWHERE = "nowhere"


class Surroundings:
    """The folder of a skill and its repository. `leave_out` is what `Skill.load` was given."""

    def __init__(self, top: Path, leave_out: Collection[Path] = ()) -> None:
        self._top = top.resolve()
        self._member = Membership(self._top, leave_out)

    def place_of(self, path: str) -> Place:
        """Where `path` (relative to the skill, perhaps with `..`) leads."""
        target = Path(os.path.normpath(self._top / path))
        try:
            if not target.exists():
                return Place.NOWHERE
        except (OSError, ValueError):  # a name too long, or with a null
            return Place.NOWHERE
        if target.is_relative_to(self._top):
            if self._member.repository is None or self._member.allows_way(target):
                return Place.UNTRACKED if self._member.repository is not None else Place.LEFT_OUT
            return Place.LEFT_OUT
        within = target.is_relative_to(self._root) and ".git" not in target.relative_to(self._root).parts
        return Place.REPOSITORY if within else Place.NOWHERE

    @cached_property
    def _root(self) -> Path:
        if self._member.repository is not None:
            return self._member.repository.root
        return [self._top, *self._top.parents][: ABOVE + 1][-1]

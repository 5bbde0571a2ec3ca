"""How an agent meets skills: names and descriptions first, a body once activated, files when asked for.

Files are looked up in the skills themselves, not on a disk, so no path can lead out of them. What cannot
be given is answered with a text that says why; nothing here raises for what a model asked.
"""

import posixpath
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from skillgrad_ci.method.prompting import cut_middle
from skillgrad_ci.skill.skill import MAIN, Skill

BODY_BOUND = 100_000  # characters of a body that one activation gives; the specification advises 5,000 tokens
_WORD = re.compile(r"[^\s'\"`|;&<>()]+")
_PLACE = re.compile(r"(?:^|/)skills?/([^/]+)(?:/|$)")  # a skill's folder in a word of a command


class SkillTools:
    """The skills that are present in one execution: which were activated, and which of their files were used."""

    def __init__(self, skills: Sequence[Skill], bound: int) -> None:
        """`bound` is how many characters of one file are given at once."""
        self.bound = bound
        self.activated: list[str] = []  # names in the order of their first activation
        self._skills = {skill.name: skill.for_agents() for skill in sorted(skills, key=lambda skill: skill.name)}
        self._used: dict[str, dict[str, None]] = {name: {} for name in self._skills}

    def used(self, name: str) -> list[str]:
        """The resources of a skill that were used, in the order of their first use."""
        return list(self._used[name])

    def catalog(self) -> str:
        """What an agent knows of the skills before it activates one. Their order says nothing: it is by name."""
        rows = (f"- `{name}`: {' '.join(skill.description.split())}" for name, skill in self._skills.items())
        return "\n".join(rows)

    def activate(self, name: str) -> str:
        skill = self._skills.get(name)
        if skill is None:
            return f"There is no skill {name!r}; there is {' and '.join(map(repr, self._skills))}."
        self._note_activated(name)
        body = cut_middle(skill.body.strip(), BODY_BOUND)
        if not skill.resources:
            return body
        listed = "\n".join(f"- {resource}" for resource in skill.resources)
        where = f"Files of this skill (in `{_place(skill)}`, read-only; text also by `read_reference`):"
        return f"{body}\n\n---\n{where}\n{listed}"

    def read(self, path: str) -> str:
        """A file of an activated skill: of the one that the path names, else of the last one that has it."""
        if not self.activated:
            return f"Activate the skill first: activate_skill with name {' or '.join(map(repr, self._skills))}."
        active = [self._skills[name] for name in reversed(self.activated)]
        for skill in active:
            name = posixpath.normpath(path.removeprefix(f"{_place(skill)}/"))
            if name in skill.files:
                return self._text(skill, name)
        has = (f"{skill.name} has no file {path!r}. It has: {_listed(skill)}." for skill in active)
        return "\n".join(has)

    def _text(self, skill: Skill, name: str) -> str:
        try:
            text = skill.files[name].decode("utf-8")
        except UnicodeDecodeError:
            return f"{name} is no text. It lies at {_place(skill)}/{name} for a command that can read it."
        if name != MAIN:
            self._used[skill.name][name] = None
        if len(text) > self.bound:
            text = f"{cut_middle(text, self.bound)}\n(The whole file: {_place(skill)}/{name}, by `shell`.)"
        return text

    def notice(self, command: str) -> None:
        """Take note of the skills' files that a command names, also by a pattern or after a `cd`."""
        for skill in self._skills.values():
            named = list(_named(skill, command))
            if MAIN in named:
                self._note_activated(skill.name)
            self._used[skill.name] |= dict.fromkeys(name for name in named if name != MAIN)

    def _note_activated(self, name: str) -> None:
        if name not in self.activated:
            self.activated.append(name)


def _place(skill: Skill) -> str:
    """Where a skill lies, seen from the work folder."""
    return f"../skill/{skill.name}"


def _listed(skill: Skill) -> str:
    return ", ".join(skill.resources) or "no further files"


def _named(skill: Skill, command: str) -> Iterator[str]:
    """The files of a skill that a command names, if it names the skill's folder."""
    words = [(word, _PLACE.search(word)) for word in _WORD.findall(command)]
    if not any(place and fnmatchcase(skill.name, place[1]) for _, place in words):
        return
    mine = [
        word[place.end() :] if place else word
        for word, place in words
        if place is None or fnmatchcase(skill.name, place[1])
    ]
    for name in skill.files:
        if any(word == name or word.endswith(f"/{name}") or _matches(name, word) for word in mine):
            yield name


def _matches(name: str, word: str) -> bool:
    """Whether a shell pattern that stands for files of a skill's folder covers `name`."""
    return "*" in word and name.count("/") == word.count("/") and fnmatchcase(name, word)

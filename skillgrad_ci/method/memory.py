"""The velocity: the pattern record M_t, and the Markdown in which people read and edit it.

Values are immutable, and their texts single-line. `memory_reader.parse` reads back what `render`
writes: one is the other's inverse.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

PatternKind = Literal["operation", "workflow", "mixed"]
Absorption = Literal["new", "recurring", "unresolved", "absorbed"]
HEADER = "# Pattern memory"
NOTE = "<!-- Kept by SkillGrad CI and read by its next run. Edit it in review: one fact a line, in this form. -->"
THEMES = "# Workflow themes"
REJECTED = "# Rejected edits"


class Stamp(NamedTuple):
    """When something was seen: the run's name and the iteration in it, written `run#iteration`."""

    run: str
    iteration: int

    def __str__(self) -> str:
        return f"{self.run}#{self.iteration}"


@dataclass(frozen=True)
class Remedy:
    """An attempt at a pattern: what was tried or noted, and when. Remedy logs only grow."""

    at: Stamp
    text: str


@dataclass(frozen=True)
class Pattern:
    """A recurring mechanism behind diagnoses. `evidence` are training tasks' ids."""

    slug: str
    kind: PatternKind
    line: str
    anchor: str = ""
    appeared_in: tuple[Stamp, ...] = ()
    evidence: tuple[str, ...] = ()
    absorption: Absorption = "new"
    description: str = ""
    latest_executor_action: str = ""
    remedy_log: tuple[Remedy, ...] = ()


@dataclass(frozen=True)
class Theme:
    """A way of working that successes have in common; `seen` is when, `tasks` in which."""

    slug: str
    line: str
    seen: tuple[Stamp, ...] = ()
    tasks: tuple[str, ...] = ()


@dataclass(frozen=True)
class RejectedEdit:
    """An edit that was refused by the lint, by a measurement or by a reviewer, and why."""

    id: str
    at: Stamp
    summary: str
    patterns: tuple[str, ...]
    by: str
    reason: str


@dataclass(frozen=True)
class PatternMemory:
    """M_t: patterns, workflow themes and rejected edits. `skill` is the skill's name."""

    skill: str = ""
    patterns: tuple[Pattern, ...] = ()
    themes: tuple[Theme, ...] = ()
    rejected: tuple[RejectedEdit, ...] = ()

    def get(self, slug: str) -> Pattern | None:
        return next((pattern for pattern in self.patterns if pattern.slug == slug), None)

    @property
    def slugs(self) -> set[str]:
        return {pattern.slug for pattern in self.patterns}

    def with_pattern(self, pattern: Pattern) -> "PatternMemory":
        """A copy with this pattern in its place, or at the end when it is new."""
        others = tuple(pattern if old.slug == pattern.slug else old for old in self.patterns)
        return replace(self, patterns=others if self.get(pattern.slug) else (*others, pattern))

    def with_rejected(self, edits: Iterable[RejectedEdit]) -> "PatternMemory":
        known = {(edit.at, edit.id) for edit in self.rejected}
        return replace(self, rejected=(*self.rejected, *(e for e in edits if (e.at, e.id) not in known)))

    def render(self) -> str:
        """The whole memory as Markdown."""
        blocks = [f"{HEADER}: {self.skill}", NOTE, *map(_pattern_block, self.patterns)]
        if self.themes:
            blocks += [THEMES, *(_fields(f"## {t.slug}: {t.line}", _theme_fields(t)) for t in self.themes)]
        if self.rejected:
            rejected = (_fields(f"## {e.at} {e.id}: {e.summary}", _rejected_fields(e)) for e in self.rejected)
            blocks += [REJECTED, *rejected]
        return "\n\n".join(blocks) + "\n"

    def for_prompt(self, bound: int = 20_000) -> str:
        """The memory in at most `bound` characters: what is open first, long logs cut to their ends."""
        order = {"unresolved": 0, "recurring": 1, "new": 2, "absorbed": 3}
        patterns = sorted(self.patterns, key=lambda p: order[p.absorption])
        brief = tuple(replace(p, remedy_log=p.remedy_log[-4:], evidence=p.evidence[-8:]) for p in patterns)
        text = ""
        people = [edit for edit in self.rejected if edit.by == "reviewer"]
        others = [edit for edit in self.rejected if edit.by != "reviewer"]
        for rejected in ((*people[-10:], *others[-10:]), (*people[-4:], *others[-1:]), ()):
            for keep in range(len(brief), -1, -max(1, len(brief) // 8)):
                text = replace(self, patterns=brief[:keep], rejected=rejected).render()
                if len(text) <= bound:
                    left = len(brief) - keep
                    return text + (f"\n({left} further patterns are not shown.)\n" if left else "")
        return text[:bound]


def _fields(heading: str, rows: Sequence[tuple[str, str]]) -> str:
    return "\n".join([heading, "", *(f"- {name}: {value}".rstrip() for name, value in rows)])


def _pattern_block(pattern: Pattern) -> str:
    rows = [
        ("anchor", pattern.anchor),
        ("appeared in", ", ".join(map(str, pattern.appeared_in))),
        ("evidence", ", ".join(pattern.evidence)),
        ("absorption", pattern.absorption),
        ("description", pattern.description),
        ("latest executor action", pattern.latest_executor_action),
        *((f"remedy {number}, {remedy.at}", remedy.text) for number, remedy in enumerate(pattern.remedy_log, 1)),
    ]
    return _fields(f"## {pattern.slug} ({pattern.kind}): {pattern.line}", rows)


def _theme_fields(theme: Theme) -> list[tuple[str, str]]:
    return [("seen", ", ".join(map(str, theme.seen))), ("tasks", ", ".join(theme.tasks))]


def _rejected_fields(edit: RejectedEdit) -> list[tuple[str, str]]:
    return [("patterns", ", ".join(edit.patterns)), ("by", edit.by), ("reason", edit.reason)]

"""The velocity: the pattern record M_t, and the Markdown in which people read and edit it.

Values are immutable, and their texts single-line. `memory_file.py` reads back what `render` writes: one is the
other's inverse.
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
INDEX_LINE, INDEX_ANCHOR = 100, 60  # characters of a pattern's line and anchor that the index in a prompt shows


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
    """A recurring mechanism behind diagnoses. `evidence` are training tasks' ids.

    `shows_in` is the kind of input or phase of work in which it shows, `anchor` the place in the skill where its
    guidance stands, or belongs. `observed` is what agents did last when it showed, `executor_action` what an
    agent should do instead, sharpened each time.
    """

    slug: str
    kind: PatternKind
    line: str
    shows_in: str = ""
    anchor: str = ""
    appeared_in: tuple[Stamp, ...] = ()
    evidence: tuple[str, ...] = ()
    absorption: Absorption = "new"
    description: str = ""
    observed: str = ""
    executor_action: str = ""
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
class OverlayEntry:
    """What one task of a batch says: the patterns at work, the signal, what the skill lacks for it, and a change."""

    task: str
    patterns: tuple[str, ...] = ()
    note: str = ""
    gap: str = ""
    change: str = ""


@dataclass(frozen=True)
class Overlay:
    """O_t: an entry for every diagnosed task of this batch, and at most three supported themes."""

    entries: tuple[OverlayEntry, ...] = ()
    themes: tuple[Theme, ...] = ()

    def tasks_of(self, patterns: Sequence[str]) -> tuple[str, ...]:
        """The tasks whose entry names one of `patterns`: an edit's provenance."""
        return tuple(entry.task for entry in self.entries if set(entry.patterns) & set(patterns))

    def render(self) -> str:
        rows = []
        for entry in self.entries:
            told = f"- {entry.task}: {', '.join(entry.patterns) or 'no pattern'}: {entry.note}"
            told += f"\n  - gap: {entry.gap}" if entry.gap else ""
            rows.append(told + (f"\n  - proposed change: {entry.change}" if entry.change else ""))
        rows += [f"- workflow theme {theme.slug}: {theme.line}" for theme in self.themes]
        return "\n".join(rows)


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
    def extent(self) -> str:
        """How much it holds, in words; empty where it holds nothing."""
        sizes = [(len(self.patterns), "pattern"), (len(self.rejected), "rejected edit")]
        return " and ".join(f"{number} {name}{'' if number == 1 else 's'}" for number, name in sizes if number)

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
            blocks += [REJECTED, *map(_rejected_block, self.rejected)]
        return "\n\n".join(blocks) + "\n"

    def for_prompt(self, bound: int = 20_000) -> str:
        """The memory in at most `bound` characters: a line for every pattern, then details of the open ones.

        What more tasks show comes first. So whoever reads it can merge before it adds, however long the
        record is. Where even the lines do not fit, the last ones are counted.
        """
        ranked = sorted(self.patterns, key=lambda pattern: -len(pattern.evidence))
        lines, left = _fitting([_index_line(pattern) for pattern in ranked], bound * 2 // 5)
        detail = _pattern_block if left else _details
        if left:
            lines, left = _fitting([_short_line(pattern) for pattern in ranked], bound * 2 // 5)
        index = "\n".join(["All patterns, by how many tasks show them:", *lines] if lines else ["No pattern yet."])
        index += f"\n({left} further patterns are not shown.)" if left else ""
        people = [edit for edit in self.rejected if edit.by == "reviewer"]
        others = [edit for edit in self.rejected if edit.by != "reviewer"]
        rejected = [_rejected_block(edit) for edit in (*people[::-1][:10], *others[::-1][:10])]
        told, _ = _fitting(rejected, bound // 5)
        themes = _fitting([_fields(f"## {t.slug}: {t.line}", _theme_fields(t)) for t in self.themes], bound // 10)[0]
        closing = [*([THEMES, *themes] if themes else []), *([REJECTED, *told] if told else [])]
        spent = len(index) + sum(len(block) + 2 for block in closing) + len(self.skill) + 100
        open_first = sorted(ranked, key=lambda pattern: pattern.absorption == "absorbed")
        brief = (replace(p, remedy_log=p.remedy_log[-4:], evidence=p.evidence[-8:]) for p in open_first)
        details, untold = _fitting([detail(pattern) for pattern in brief], bound - spent)
        if untold:
            details.append(f"({untold} further patterns stand above with their line alone.)")
        return "\n\n".join([f"{HEADER}: {self.skill}"[:200], index, *details, *closing])[:bound] + "\n"


def _index_line(pattern: Pattern) -> str:
    """One pattern in one line of at most 240 characters."""
    anchor = f" [{pattern.anchor[:INDEX_ANCHOR]}]" if pattern.anchor else ""
    return f"{_short_line(pattern)}{anchor}: {pattern.line[:INDEX_LINE]}"


def _short_line(pattern: Pattern) -> str:
    return f"- {pattern.slug} ({pattern.kind}, {pattern.absorption}, tasks: {len(pattern.evidence)})"


def _fitting(blocks: Sequence[str], bound: int) -> tuple[list[str], int]:
    """The first blocks that fit into `bound` characters together, and how many are left out."""
    kept: list[str] = []
    for block in blocks:
        bound -= len(block) + 2
        if bound < 0:
            break
        kept.append(block)
    return kept, len(blocks) - len(kept)


def _fields(heading: str, rows: Sequence[tuple[str, str]]) -> str:
    return "\n".join([heading, "", *(f"- {name}: {value}".rstrip() for name, value in rows)])


def _details(pattern: Pattern) -> str:
    """A pattern's block without what its line in the index says already: a prompt pays for each word once."""
    anchor = "" if len(pattern.anchor) <= INDEX_ANCHOR else pattern.anchor
    line = "" if len(pattern.line) <= INDEX_LINE else f": {pattern.line}"
    rows = [row for row in _rows(replace(pattern, anchor=anchor)) if row[0] != "absorption" and row[1]]
    return _fields(f"## {pattern.slug} ({pattern.kind}){line}", rows)


def _pattern_block(pattern: Pattern) -> str:
    return _fields(f"## {pattern.slug} ({pattern.kind}): {pattern.line}", _rows(pattern))


def _rows(pattern: Pattern) -> list[tuple[str, str]]:
    return [
        ("shows in", pattern.shows_in),
        ("anchor", pattern.anchor),
        ("appeared in", ", ".join(map(str, pattern.appeared_in))),
        ("evidence", ", ".join(pattern.evidence)),
        ("absorption", pattern.absorption),
        ("description", pattern.description),
        ("observed", pattern.observed),
        ("latest executor action", pattern.executor_action),
        *((f"remedy {number}, {remedy.at}", remedy.text) for number, remedy in enumerate(pattern.remedy_log, 1)),
    ]


def _theme_fields(theme: Theme) -> list[tuple[str, str]]:
    return [("seen", ", ".join(map(str, theme.seen))), ("tasks", ", ".join(theme.tasks))]


def _rejected_block(edit: RejectedEdit) -> str:
    rows = [("patterns", ", ".join(edit.patterns)), ("by", edit.by), ("reason", edit.reason)]
    return _fields(f"## {edit.at} {edit.id}: {edit.summary}", rows)

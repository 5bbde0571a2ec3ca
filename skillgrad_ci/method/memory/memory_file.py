"""Reads the memory file, hand edits included.

A hand edit that breaks the form is refused with file, line and what was expected there, so that
nothing of a person's is overwritten by a program that did not understand it.
"""

import re
from dataclasses import dataclass, field
from typing import NoReturn, get_args

from skillgrad_ci.errors import UserError
from skillgrad_ci.method.memory import (
    HEADER,
    NOTE,
    REJECTED,
    THEMES,
    Absorption,
    Pattern,
    PatternKind,
    PatternMemory,
    RejectedEdit,
    Remedy,
    Stamp,
    Theme,
)

_FORMS = {
    HEADER: (re.compile(r"## ([a-z0-9-]+) \((\w+)\):(?: (.*))?"), "## slug (operation | workflow | mixed): line"),
    THEMES: (re.compile(r"## ([a-z0-9-]+):(?: (.*))?"), "## slug: line"),
    REJECTED: (re.compile(r"## (\S+#\d{1,9}) (\S+):(?: (.*))?"), "## run#iteration EDIT: summary"),
}
_FIELD = re.compile(r"- ([^:]+):(?: (.*))?")
_REMEDY = re.compile(r"remedy \d+, (\S+#\d{1,9})")
_STAMP = re.compile(r"(\S+)#(\d{1,9})")
_FIELDS = {
    HEADER: {
        "shows in",
        "anchor",
        "appeared in",
        "evidence",
        "absorption",
        "description",
        "observed",
        "latest executor action",
    },
    THEMES: {"seen", "tasks"},
    REJECTED: {"patterns", "by", "reason"},
}


@dataclass
class _Entry:
    """One entry as it is in the file: its heading's parts, its line, and its fields in order."""

    where: str
    line: int
    parts: tuple[str, ...]
    fields: dict[str, tuple[int, str]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        return self.fields.get(name, (self.line, ""))[1]

    def items(self, name: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.text(name).split(",") if part.strip())

    def stamps(self, name: str) -> tuple[Stamp, ...]:
        line = self.fields.get(name, (self.line, ""))[0]
        return tuple(_stamp(item, self.where, line) for item in self.items(name))


def parse_memory(text: str, where: str = "momentum.md") -> PatternMemory:
    """The memory in `text`; `where` names the file in errors. Raises UserError."""
    lines = text.replace("\r\n", "\n").split("\n")
    if not lines[0].startswith(f"{HEADER}: "):
        _refuse(where, 1, f"a first line '{HEADER}: SKILL'")
    sections = _entries(lines, where)
    patterns = tuple(_pattern(entry) for entry in sections[HEADER])
    themes = tuple(
        Theme(entry.parts[0], entry.parts[1], entry.stamps("seen"), entry.items("tasks")) for entry in sections[THEMES]
    )
    rejected = tuple(_rejected(entry) for entry in sections[REJECTED])
    return PatternMemory(lines[0].removeprefix(f"{HEADER}: "), patterns, themes, rejected)


def _entries(lines: list[str], where: str) -> dict[str, list[_Entry]]:
    sections: dict[str, list[_Entry]] = {name: [] for name in _FORMS}
    section = HEADER
    for number, line in enumerate(lines[1:], 2):
        if not line.strip() or line == NOTE:
            continue
        if line in (THEMES, REJECTED):
            section = line
            continue
        form, shape = _FORMS[section]
        if line.startswith("#"):
            heading = form.fullmatch(line) or _refuse(where, number, f"a heading '{shape}'")
            parts = tuple(part or "" for part in heading.groups())
            if section != REJECTED and any(entry.parts[0] == parts[0] for entry in sections[section]):
                _refuse(where, number, f"{parts[0]!r} only once")
            sections[section].append(_Entry(where, number, parts))
            continue
        row = _FIELD.fullmatch(line) or _refuse(where, number, "a line '- field: value'")
        if not sections[section]:
            _refuse(where, number, f"a heading '{shape}' above it")
        if row[1] not in _FIELDS[section] and not (section == HEADER and _REMEDY.fullmatch(row[1])):
            _refuse(where, number, f"one of the fields {', '.join(sorted(_FIELDS[section]))}")
        if row[1] in sections[section][-1].fields:
            _refuse(where, number, f"the field {row[1]!r} only once in an entry")
        sections[section][-1].fields[row[1]] = (number, row[2] or "")
    return sections


def _pattern(entry: _Entry) -> Pattern:
    slug, kind, line = entry.parts
    absorption = entry.text("absorption")
    if kind not in get_args(PatternKind):
        _refuse(entry.where, entry.line, f"one of the kinds {', '.join(get_args(PatternKind))}")
    if absorption not in get_args(Absorption):
        number = entry.fields.get("absorption", (entry.line, ""))[0]
        _refuse(entry.where, number, f"'- absorption:' with one of {', '.join(get_args(Absorption))}")
    remedies = [
        Remedy(_stamp(match[1], entry.where, number), text)
        for name, (number, text) in entry.fields.items()
        if (match := _REMEDY.fullmatch(name))
    ]
    return Pattern(
        slug=slug,
        kind=kind,  # type: ignore[arg-type]  # checked against the literal above
        line=line,
        shows_in=entry.text("shows in"),
        anchor=entry.text("anchor"),
        appeared_in=entry.stamps("appeared in"),
        evidence=entry.items("evidence"),
        absorption=absorption,  # type: ignore[arg-type]
        description=entry.text("description"),
        observed=entry.text("observed"),
        executor_action=entry.text("latest executor action"),
        remedy_log=tuple(remedies),
    )


def _rejected(entry: _Entry) -> RejectedEdit:
    stamp, edit, summary = entry.parts
    at = _stamp(stamp, entry.where, entry.line)
    return RejectedEdit(edit, at, summary, entry.items("patterns"), entry.text("by"), entry.text("reason"))


def _stamp(text: str, where: str, line: int) -> Stamp:
    match = _STAMP.fullmatch(text) or _refuse(where, line, "a stamp 'run#iteration'")
    return Stamp(match[1], int(match[2]))


def _refuse(where: str, line: int, expected: str) -> NoReturn:
    raise UserError(f"{where}:{line}: expected {expected}; mend the line, nothing was overwritten")

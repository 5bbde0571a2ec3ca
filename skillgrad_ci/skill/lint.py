"""What is wrong with a skill, layer by layer. The rules are listed in `docs/lint.md`.

Errors break the Agent Skills specification or the skill itself; warnings cost its users something.
A patch may not add an error, so an imperfect skill of somebody else can still be improved.
Messages of errors carry no counts: by rule, file and message a finding is known again after an edit.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from skillgrad_ci.document.inert_text import one_line
from skillgrad_ci.skill.lint_files import CODE_SUFFIXES, TEXT_SUFFIXES, lint_files, unreached
from skillgrad_ci.skill.lint_metadata import lint_metadata
from skillgrad_ci.skill.markdown import outline
from skillgrad_ci.skill.pointers import FOLDERS
from skillgrad_ci.skill.rules import RULES, Finding, Severity, finding
from skillgrad_ci.skill.skill import MAIN, Skill
from skillgrad_ci.skill.surroundings import Surroundings

__all__ = [
    "CODE_SUFFIXES", "NOT_TO_BE_ADDED", "RULES", "TEXT_SUFFIXES", "Finding", "Severity",
    "estimate_tokens", "finding", "lint", "new_errors",
]  # fmt: skip
MAX_BODY_LINES = 500
MAX_BODY_TOKENS = 5_000
NOT_TO_BE_ADDED = {"B004", "B005", "Q002", "Q003", "Q004"}  # warnings that a patch may not add, as if they were errors


def lint(skill: Skill, around: Surroundings | None = None, hosts: Sequence[str] = ()) -> list[Finding]:
    """All findings, by file and line. Raises UserError for a `SKILL.md` that cannot be read at all.

    Without `around` a pointer out of the skill leads nowhere.
    """
    found = [
        *lint_metadata(skill, hosts), *_body(skill), *lint_files(skill, around), *unreached(skill, ("references",))
    ]  # fmt: skip
    return sorted(found, key=lambda f: (f.file != MAIN, f.file, f.line, f.rule))


def new_errors(before: Skill, after: Skill) -> list[Finding]:
    """What `after` has and `before` has not: errors, and the warnings that a patch may not add.

    Files under `scripts/` and `assets/` count as unreached here too, if they are new or were reached.
    """
    old = Counter(item.identity for item in [*lint(before), *unreached(before, FOLDERS[1:])])
    added = []
    for item in [*lint(after), *unreached(after, FOLDERS[1:])]:
        old[item.identity] -= 1
        if old[item.identity] < 0 and (item.severity == "error" or item.rule in NOT_TO_BE_ADDED):
            added.append(item)
    return added


def estimate_tokens(text: str) -> int:
    """About how many tokens a text has: a quarter of its UTF-8 bytes."""
    return -(-len(text.encode()) // 4)


def _body(skill: Skill) -> Iterator[Finding]:
    """B: always loaded, so its size is everybody's cost."""
    first = skill.parts.body_line
    structure = outline(skill.body)
    if len(structure.lines) > MAX_BODY_LINES:
        message = f"the body has {len(structure.lines)} lines, more than {MAX_BODY_LINES}; move details to references/"
        yield finding("B001", MAIN, first, message)
    if (tokens := estimate_tokens(skill.body)) > MAX_BODY_TOKENS:
        message = f"the body has about {tokens} tokens, more than {MAX_BODY_TOKENS}; move details to references/"
        yield finding("B002", MAIN, first, message)
    if not skill.body.strip():
        yield finding("B004", MAIN, first, "the body is empty; it holds the guidance that an agent reads")
    seen: set[str] = set()
    for section in structure.sections:
        heading = one_line(section.heading.casefold())
        if heading in seen:
            yield finding(
                "B003", MAIN, first + section.start, f"the heading {section.heading!r} stands twice; merge them"
            )
        seen.add(heading)

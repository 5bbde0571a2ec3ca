"""Guidance that may teach the test and not the work: what a reviewer should look at in accepted edits.

A gate invites it. A line can win on these tasks and help with no other, if it speaks of the grader, of how results are
compared, of the very files that are graded, or in a task's own words. None of it is wrong by itself (a skill about
tests speaks of tests). So lines are flagged and not refused, and what the skill said before is free.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from skillgrad_ci.method.leaks.shared_words import PlacedWords
from skillgrad_ci.method.task import Task
from skillgrad_ci.skill.review_flags import Flag, added_lines
from skillgrad_ci.skill.skill import Skill

GRADER = "speaks of the grader"
COMPARED = "speaks of how results are compared"
OUTPUT = "names what is graded"
WORDING = "repeats a task's wording"
KINDS = (GRADER, COMPARED, OUTPUT, WORDING)
RUN = 8  # words in a row: shorter runs of an instruction are the trade's own words
MIN_NAME = 6  # characters of a file's name that is nobody's by chance
_PATTERNS = {
    GRADER: re.compile(
        r"\b(?:auto-?)?grad(?:er|ers|ing|ed)\b|\b(?:test|eval(?:uation)?|scoring)[ -](?:harness|script|suite)\b"
        r"|\bchecker\b|\brubrics?\b|\bgolden(?:s| (?:file|answer|workbook)s?)\b|\bheld-?out\b|\bbenchmarks?\b"
        r"|\bpass(?:es)? the (?:test|check|eval\w*)s?\b|\bexpected (?:answer|output)s?\b",
        re.IGNORECASE,
    ),
    COMPARED: re.compile(
        r"\bexact(?:ly)?[ -]match\w*|\bstring[ -](?:match|comparison)\w*|\bcase[ -](?:in)?sensitiv\w*"
        r"|\btrailing (?:new ?lines?|white ?space|spaces?)\b|\bcell[ -]by[ -]cell\b|\bverbatim\b",
        re.IGNORECASE,
    ),
}


def gaming(before: Skill, after: Skill, tasks: Sequence[Task]) -> list[Flag]:
    """A flag for each added line and kind, in the order of the lines. `tasks` are those that taught."""
    known = "\n".join(content.decode("utf-8", errors="replace") for content in before.files.values())
    outputs = {name for task in tasks for path in task.outputs if (name := PurePosixPath(path).name) not in known}
    said = [PlacedWords(_folded(task.instruction)) for task in tasks if not task.probe]
    free = PlacedWords(_folded(known))
    found = []
    for file, number, line in added_lines(before, after):
        kinds = [*_spoken(line, known), *_outputs(line, outputs), *_wording(line, said, free)]
        found += [Flag(kind, file, number, line.strip()) for kind in kinds]
    return found


def _spoken(line: str, known: str) -> Iterator[str]:
    for kind, pattern in _PATTERNS.items():
        if any(match[0].casefold() not in known.casefold() for match in pattern.finditer(line)):
            yield kind


def _outputs(line: str, outputs: set[str]) -> Iterator[str]:
    if any(len(name) >= MIN_NAME and re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", line) for name in outputs):
        yield OUTPUT


def _wording(line: str, said: Sequence[PlacedWords], free: PlacedWords) -> Iterator[str]:
    own = PlacedWords(_folded(line)).grams(RUN).keys() - free.grams(RUN).keys()
    if any(own & instruction.grams(RUN).keys() for instruction in said):
        yield WORDING


def _folded(text: str) -> str:
    return re.sub(r"[*`\\]", "", text).casefold()

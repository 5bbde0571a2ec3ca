"""The rules that a skill is held to, and a finding: where one of them is broken."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]
RULES: dict[str, tuple[Severity, str]] = {
    "H000": ("error", "the skill cannot be read at all; the message says what to mend"),
    "H001": ("error", "`name` is missing, or not 1–64 of a-z, 0-9 and single inner hyphens"),
    "H002": ("error", "`name` differs from the skill's folder"),
    "H003": ("error", "`description` is missing, no text, or longer than 1,024 characters"),
    "H004": ("warning", "`description` has more than 50 words: every agent pays for it in every session"),
    "H005": ("error", "a field that neither the specification nor a host of the skill knows"),
    "H006": ("error", "`license` is not a text"),
    "H007": ("error", "`compatibility` is not a text of 1–500 characters"),
    "H008": ("error", "`metadata` does not map text to text"),
    "H009": ("error", "`allowed-tools` is not a text of names separated by spaces"),
    "H010": ("warning", "`name` has lowercase letters of other alphabets: some hosts take a-z alone"),
    "H011": ("warning", "a value without quotes that YAML reads as a number, a date, or true or false"),
    "H012": ("error", "a limit of a host of the skill is broken"),
    "B001": ("warning", "the body has more than 500 lines"),
    "B002": ("warning", "the body has more than about 5,000 tokens"),
    "B003": ("warning", "a heading stands twice"),
    "B004": ("warning", "the body is empty"),
    "B005": ("warning", "a code block or comment is never closed and swallows what follows"),
    "Q001": ("error", "a pointer to a file that is nowhere"),
    "Q002": ("warning", "a file under `references/` that the body does not point to"),
    "Q003": ("warning", "a file under `references/` that lies deeper than one level"),
    "Q004": ("warning", "a text file (by its name) that is not UTF-8 text"),
    "Q005": ("warning", "a pointer out of the skill: it works only where the whole repository is installed"),
    "Q006": ("warning", "a pointer to a file that git does not track: it will not be installed"),
    "Q007": ("error", "a link of the file system that leads out of the repository, or nowhere"),
    "L001": ("error", "an added line names a training task"),
    "L002": ("error", "an added line names a training task's input file"),
    "L003": ("error", "an added line holds a training task's expected answer"),
    "L004": ("error", "an added line repeats a training task's grader"),
    "L005": ("warning", "an added line comes near a training task's grader"),
}


@dataclass(frozen=True)
class Finding:
    """One finding: `line` counts from 1 in `file` (a path inside the skill)."""

    rule: str
    severity: Severity
    file: str
    line: int
    message: str

    @property
    def identity(self) -> tuple[str, str, str]:
        """What stays the same when an edit moves the finding to another line."""
        return self.rule, self.file, self.message


def finding(rule: str, file: str, line: int, message: str) -> Finding:
    """A finding with its rule's severity."""
    return Finding(rule, RULES[rule][0], file, line, message)

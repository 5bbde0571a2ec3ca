"""`/skillgrad …` in a comment: what reviewers can ask of the bot on its pull request, and on one that it measured."""

import re
from dataclasses import dataclass

from skillgrad_ci.document.inert_text import inbound

HELP = """\
| command | does |
| --- | --- |
| `/skillgrad drop E3 E5 because …` | takes these edits out of this branch, measures again, and remembers your reason |
| `/skillgrad explain E3` | shows the diagnoses and the pattern behind edit E3 |
| `/skillgrad measure` | measures base and branch again, with three times as many executions |
| `/skillgrad rebase` | puts the same edits on the newest commit of the default branch; free of charge |
| `/skillgrad rerun` | optimizes again from the newest commit, and updates this pull request |
| `/skillgrad ignore because …` | closes this pull request, and remembers your reason |
| `/skillgrad pause` | lets schedules leave this skill alone until somebody asks for a run |
| `/skillgrad apply` | on another's pull request that I measured: opens the edits that help it, into its branch |
| `/skillgrad help` | shows this table |
"""
LINE = re.compile(r"^/skillgrad(?:[ \t]+(?P<verb>\S+)(?:[ \t]+(?P<rest>.*))?)?[ \t]*$")
EDIT = re.compile(r"[Ee][1-9][0-9]{0,3}")
BECAUSE = re.compile(r"^because\b[ \t:,]*", re.IGNORECASE)
PLAIN = {"help", "measure", "rebase", "rerun", "pause", "apply"}
BOXES = {"rebase": "rebase this branch on the newest commit", "rerun": "optimize again from there"}
REASON = 500  # characters
FENCE = re.compile(r" {0,3}(?P<fence>`{3,}(?!.*`)|~{3,})(?P<rest>.*)")


@dataclass(frozen=True)
class Command:
    """A parsed command. `problem` says what is wrong with it, where something is."""

    verb: str
    edits: tuple[str, ...] = ()
    reason: str = ""
    problem: str = ""


def box(verb: str) -> str:
    """What stands behind the box that does a command's work."""
    return f"<!-- skillgrad-ci:{verb} -->"


def parse_command(text: str) -> Command | None:
    """The command of a comment: its first line that starts with `/skillgrad`, outside quotes, code and hidden text."""
    fence = ""
    for line in inbound(text).splitlines():
        if mark := FENCE.match(line):
            fence = _fence_after(fence, mark["fence"], mark["rest"])
        if not fence and (match := LINE.match(line)):
            return _command(match["verb"] or "help", (match["rest"] or "").strip())
    return None


def _fence_after(open_: str, found: str, rest: str) -> str:
    """The fence that is open after this one: only as long a one of its kind, with nothing after it, closes it."""
    if not open_:
        return found
    return "" if found.startswith(open_) and not rest.strip() else open_


def _command(verb: str, rest: str) -> Command:
    if verb in PLAIN:
        return Command(verb)
    if verb == "ignore":
        return Command(verb, reason=BECAUSE.sub("", rest)[:REASON])
    if verb not in {"drop", "explain"}:
        return Command("help", problem=f"there is no command {verb!r:.40}")
    edits, reason = _edits(rest)
    if not edits or (verb == "explain" and len(edits) > 1):
        return Command("help", problem=f"{verb} needs the id of an edit, like E3")
    return Command(verb, edits, reason[:REASON] if verb == "drop" else "")


def _edits(rest: str) -> tuple[tuple[str, ...], str]:
    """The ids that a text begins with, divided by spaces, commas or "and", and the reason after them."""
    found: list[str] = []
    while match := re.match(rf"(?:and[ \t]+)?({EDIT.pattern})(?![\w-])[ \t,]*", rest):
        found.append(match[1].upper())
        rest = rest[match.end() :]
    return tuple(dict.fromkeys(found)), BECAUSE.sub("", rest).strip()

"""`/skillgrad …` in a comment: what reviewers can ask of the bot on its pull request."""

import re
from dataclasses import dataclass

from skillgrad_ci.github.text import inbound

HELP = """\
| command | does |
| --- | --- |
| `/skillgrad drop E3 because …` | takes edit E3 out of this branch, measures again, and remembers your reason |
| `/skillgrad explain E3` | shows the diagnoses and the pattern behind edit E3 |
| `/skillgrad help` | shows this table |
"""
LINE = re.compile(r"^/skillgrad(?:[ \t]+(?P<verb>\S+)(?:[ \t]+(?P<edit>\S+)(?P<rest>.*))?)?[ \t]*$")
FENCE = re.compile(r" {0,3}(?P<fence>`{3,}(?!.*`)|~{3,})(?P<rest>.*)")


@dataclass(frozen=True)
class Command:
    """A parsed command. `problem` says what is wrong with it, where something is."""

    verb: str
    edit: str = ""
    reason: str = ""
    problem: str = ""


def parse(text: str) -> Command | None:
    """The command of a comment: its first line that starts with `/skillgrad`, outside quotes, code and hidden text."""
    fence = ""
    for line in inbound(text).splitlines():
        if mark := FENCE.match(line):
            fence = _fence_after(fence, mark["fence"], mark["rest"])
        if not fence and (match := LINE.match(line)):
            return _command(match["verb"] or "help", match["edit"] or "", (match["rest"] or "").strip())
    return None


def _fence_after(open_: str, found: str, rest: str) -> str:
    """The fence that is open after this one: only as long a one of its kind, with nothing after it, closes it."""
    if not open_:
        return found
    return "" if found.startswith(open_) and not rest.strip() else open_


def _command(verb: str, edit: str, reason: str) -> Command:
    if verb == "help":
        return Command("help")
    if verb not in {"drop", "explain"}:
        return Command("help", problem=f"there is no command {verb!r:.40}")
    if not re.fullmatch(r"[Ee][1-9][0-9]{0,3}", edit):
        return Command("help", problem=f"{verb} needs the id of an edit, like E3")
    return Command(verb, edit.upper(), reason[:500] if verb == "drop" else "")

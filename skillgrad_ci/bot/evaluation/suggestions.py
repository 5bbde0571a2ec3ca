"""Offered edits as GitHub's suggestions: blocks on lines of the diff that a reviewer commits with one press.

GitHub takes a comment on lines that its diff shows, and refuses the whole review for one that is elsewhere. So each
changed block of lines is suggested only where the diff shows all the lines that it replaces, in one hunk.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from skillgrad_ci.bot.decide import Evaluate
from skillgrad_ci.bot.evaluation.offer import Offered
from skillgrad_ci.bot.pull_request.branch import steps
from skillgrad_ci.document.inert_text import fence
from skillgrad_ci.github.client import Api
from skillgrad_ci.github.comments import marker

MOST = 20  # suggestions of one review: more than people press one by one
LONGEST = 4_000  # characters of one

Hunks = Sequence[range]


@dataclass(frozen=True)
class Block:
    """Lines `first` to `last` of a file, from 1, and what is to stand in their place.

    `gone` and `new` are what changes: an insertion is written together with the line beside it.
    """

    first: int
    last: int
    lines: Sequence[str]
    gone: Sequence[str]
    new: Sequence[str]

    def comment(self, path: str, edits: Sequence[str]) -> dict[str, Any]:
        body = f"{marker('suggestion')}\n{', '.join(edits)}\n{_suggestion(self.lines)}"
        several = {"start_line": self.first, "start_side": "RIGHT"} if self.first < self.last else {}
        return {"path": path, "body": body, "line": self.last, "side": "RIGHT", **several}


def suggest(api: Api, decision: Evaluate, name: str, path: str, offered: Offered) -> int:
    """One review with all that fits, once for a head; gives the number of suggestions."""
    purpose = f"suggest-{name}-{decision.head}"
    pull = api.get(f"/pulls/{decision.pull}")
    if pull["head"]["sha"] != decision.head or _reviewed(api, decision.pull, purpose):
        return 0
    known = _standing(api, decision.pull)
    found = [
        comment
        for comment in _comments(path, offered, hunks_of(api, decision.pull))
        if (comment["path"], comment["body"]) not in known and len(comment["body"]) <= LONGEST
    ][:MOST]
    if found:
        assert offered.offer is not None
        text = (
            f"{marker(purpose)}\nLines of the edits of #{offered.offer.number}. All of them together were measured on "
            f"this commit: {offered.offer.figures}; one alone was not."
        )
        review: dict[str, Any] = {"commit_id": decision.head, "event": "COMMENT", "body": text}
        review["comments"] = found
        made = f"/pulls/{decision.pull}/reviews"
        api.write("POST", made, review, done=lambda: _reviewed(api, decision.pull, purpose))
    return len(found)


def hunks_of(api: Api, pull: int) -> Mapping[str, Hunks]:
    """By file, the lines of the head that the diff shows, a range for each hunk."""
    found: dict[str, Hunks] = {}
    for row in api.pages(f"/pulls/{pull}/files"):
        try:
            patch = PatchSet(f"--- a/x\n+++ b/x\n{row.get('patch') or ''}\n")
        except UnidiffParseError:
            continue
        hunks = [hunk for file in patch for hunk in file]
        found[row["filename"]] = [range(hunk.target_start, hunk.target_start + hunk.target_length) for hunk in hunks]
    return found


def _comments(path: str, offered: Offered, shown: Mapping[str, Hunks]) -> Iterator[dict[str, Any]]:
    """All that fits, file by file. GitHub does not say which line ends it writes, so files with `\\r` are left out."""
    for file, new in sorted(offered.after.files.items()):
        place, old = f"{path}/{file}" if path else file, offered.before.files.get(file, b"")
        if place not in shown or old == new or b"\r" in old + new:
            continue
        try:
            for block in blocks(_lines(old), _lines(new), shown[place]):
                edits = _edits(offered, file, block)
                if edits:
                    yield block.comment(place, edits)
        except UnicodeDecodeError:
            continue


def blocks(before: Sequence[str], after: Sequence[str], hunks: Hunks) -> Iterator[Block]:
    """The changed blocks of a file whose place the diff shows. No two are on one line, so that any may be pressed."""
    for i1, i2, j1, j2 in _changes(before, after):
        gone, new = before[i1:i2], after[j1:j2]
        places = [Block(i1 + 1, i2, new, gone, new)] if gone else []
        if not gone and i1 > 0:
            places.append(Block(i1, i1, [before[i1 - 1], *new], gone, new))
        if not gone and i1 < len(before):
            places.append(Block(i1 + 1, i1 + 1, [*new, before[i1]], gone, new))
        fits = [place for place in places if any(place.first in hunk and place.last in hunk for hunk in hunks)]
        yield from fits[:1]


def _changes(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """What differs, as lines from and to; two changes with one line between them are one."""
    found: list[tuple[int, int, int, int]] = []
    for op, i1, i2, j1, j2 in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if op == "equal":
            continue
        if found and i1 - found[-1][1] <= 1:
            i1, j1 = found[-1][0], found[-1][2]
            found.pop()
        found.append((i1, i2, j1, j2))
    return found


def _edits(offered: Offered, file: str, block: Block) -> list[str]:
    """The edits that a block comes from: those that write a line of it, or take one away."""
    names = []
    for edit, before, after in steps(offered.before, offered.edits):
        was, now = (set(_lines(skill.files.get(file, b""))) for skill in (before, after))
        if (now - was).intersection(block.new) or (was - now).intersection(block.gone):
            names.append(edit.id)
    return names


def _lines(content: bytes) -> list[str]:
    """As GitHub counts them: by line feeds alone."""
    return content.decode("utf-8").removesuffix("\n").split("\n") if content else []


def _suggestion(lines: Sequence[str]) -> str:
    """A fence that no line closes; no line at all takes the old ones out."""
    text = "\n".join(lines)
    if not lines:
        return "```suggestion\n```"
    ticks = fence(text).split("\n", 1)[0]
    return f"{ticks}suggestion\n{text}\n{ticks}"


def _reviewed(api: Api, pull: int, purpose: str) -> Mapping[str, Any] | None:
    for row in api.pages(f"/pulls/{pull}/reviews"):
        mine = (row.get("user") or {}).get("login") == api.login
        if mine and str(row.get("body") or "").startswith(marker(purpose)):
            return row
    return None


def _standing(api: Api, pull: int) -> set[tuple[str, str]]:
    """What was suggested for an earlier head and still stands on the diff: path and text."""
    rows = api.pages(f"/pulls/{pull}/comments")
    mine = (row for row in rows if (row.get("user") or {}).get("login") == api.login and row.get("line"))
    return {(str(row["path"]), str(row["body"])) for row in mine}

"""What a judge is shown of a result: fenced, bounded, and searchable for its quotes."""

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from skillgrad_ci.document.inert_text import fence
from skillgrad_ci.graders.result_files import Unusable, files_of, read_bytes
from skillgrad_ci.method.evidence import Trajectory
from skillgrad_ci.method.grader_options import JudgeOptions
from skillgrad_ci.method.ports import Result, Shown
from skillgrad_ci.method.prompting import cut_middle
from skillgrad_ci.method.task import Task, digest_of
from skillgrad_ci.method.trajectory import render_trajectory

ANSWER_BOUND = 20_000  # characters
FILE_BOUND = 20_000
FILES_BOUND = 60_000  # characters of all files together
MAX_FILES = 40
READ_BOUND = 5_000_000  # bytes: a larger file is named, not shown
OPENING = 200  # characters by which a result is told from others
MIN_QUOTE = 4  # letters and digits
CONTROL = 12  # digits of a text that stands nowhere
GIVEN = {"activate_skill", "read_reference"}  # tools whose output the agent did not bring about
_MARKS = re.compile("[\"'`*_“”‘’„«»]")
_DASHES = re.compile("[\u2010-\u2015\u2212]")
_FURNITURE = re.compile(r"^[ \t]*(?:[-+*•◦▪>#]+|\d+[.)]|\[[ x]\])(?:[ \t]+|$)(?:\[[ x]\][ \t]+)?", re.MULTILINE)
_LONE_DASH = re.compile(r"(?<!\S)[-=:+.…]+(?!\S)|-{2,}")
_BREAK = "\0"


def absent_text(shown: str, *seed: object) -> str:
    """A text that stands nowhere in what a judge is shown: to ask for it is to ask for what is false."""
    token = digest_of([*seed])
    while token[:CONTROL] in shown:
        token = digest_of([token])
    return token[:CONTROL]


@dataclass(frozen=True)
class Exhibit(Shown):
    """The result as a judge is shown it; its `words` are what the agent wrote and ran.

    Two things are not evidence: our own words (headings, "(none)", notes on what was cut), and what the agent was given
    to read.
    """

    @classmethod
    def of(cls, options: JudgeOptions, task: Task, result: Result) -> "Exhibit":
        parts = [f"### The agent's last message\n\n{fence(cut_middle(result.answer, ANSWER_BOUND) or '(none)')}"]
        written = [result.answer]
        for shown, content in _files(options, task, result.work):
            parts.append(shown)
            written.append(content)
            if is_short(bare := content.partition("\n")[2]):
                written.append(bare)  # a file of three characters can be proved by all that is in it
        if options.transcript:
            parts.append(f"### What the agent did\n\n{render_trajectory(result.trajectory)}")
            written += _did(result.trajectory)
        return cls("\n\n".join(parts), _BREAK.join(map(_words, written)))

    @property
    def opening(self) -> str:
        """What the agent wrote first, as it tells a result from others."""
        return next(filter(None, self.words.split(_BREAK)), "")[:OPENING]

    @property
    def kept(self) -> Shown:
        """As much of it as is worth keeping: of very long words the beginning and the end."""
        return Shown(self.text, cut_middle(self.words, ANSWER_BOUND + FILES_BOUND))

    def holds(self, quote: str) -> bool:
        """Whether `quote` is words of the result; case, white space, marks and Markdown's furniture aside.

        A quote of fewer than four letters and digits counts only as a whole text or file: one letter proves nothing.
        """
        wanted = _words(quote)
        if is_short(quote):
            return any(map(str.isalnum, wanted)) and wanted in self.words.split(_BREAK)
        return re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", self.words) is not None


def is_short(quote: str) -> bool:
    """Whether a quote is too short to prove anything of a longer text."""
    return sum(character.isalnum() for character in _words(quote)) < MIN_QUOTE


def _words(text: str) -> str:
    """The text's words alone: bars of cells, bullets, headings, rules and dashes between words are furniture."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("|", " ")
    plain = _MARKS.sub("", _FURNITURE.sub(" ", _DASHES.sub("-", plain)))
    return " ".join(_LONE_DASH.sub(" ", plain).split())


def _did(trajectory: Trajectory) -> Iterator[str]:
    """What the agent said and ran, and what its commands printed; not what it was given to read."""
    for event in trajectory.events:
        if event["kind"] == "tool_call":
            arguments = event["arguments"]
            yield from map(str, arguments.values()) if isinstance(arguments, dict) else [str(arguments)]
        elif event["kind"] == "tool_result" and event.get("tool") not in GIVEN:
            yield str(event.get("output", ""))
        elif event.get("role") == "assistant":
            yield str(event.get("text", ""))


def _files(options: JudgeOptions, task: Task, work: Path) -> Iterator[tuple[str, str]]:
    """The named outputs, else all files that are new or changed: as they are shown, and what is in each."""
    names = list(options.outputs) or [left.name for left in files_of(work) if _is_new(left.name, task, work)]
    room = FILES_BOUND
    for number, name in enumerate(names[:MAX_FILES], 1):
        title = f"### File {number}\n\n{fence('name: ' + json.dumps(name))}"
        try:
            content = read_bytes(work, name, READ_BOUND).decode("utf-8-sig")
        except Unusable as problem:
            yield f"{title}\n\nNot shown:\n{fence(str(problem))}", ""
            continue
        except UnicodeDecodeError:
            yield f"{title}\n\nNot shown: no text.", name
            continue
        shown = cut_middle(content, min(FILE_BOUND, max(room, 0)))
        room -= len(shown)
        yield f"{title}\n\n{fence(shown or '(empty)')}", f"{name}\n{content}"
    if len(names) > MAX_FILES:
        yield f"{len(names) - MAX_FILES} further files are not shown.", ""
    if not names:
        yield "The agent left no new or changed file.", ""


def _is_new(name: str, task: Task, work: Path) -> bool:
    source = task.files.get(name)
    try:
        return source is None or source.read_bytes() != read_bytes(work, name)
    except Unusable:
        return True

"""What a judge is shown of a result: fenced, bounded, and searchable for its quotes."""

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from skillgrad_ci.graders.result_files import Unusable, files_of, read_bytes
from skillgrad_ci.method.grader_options import JudgeOptions
from skillgrad_ci.method.ports import Result
from skillgrad_ci.method.prompting import cut_middle, fence
from skillgrad_ci.method.task import Task
from skillgrad_ci.method.trajectory import render_trajectory

ANSWER_BOUND = 20_000  # characters
FILE_BOUND = 20_000
FILES_BOUND = 60_000  # characters of all files together
MAX_FILES = 40
READ_BOUND = 5_000_000  # bytes: a larger file is named, not shown
_MARKS = re.compile("[\"'`*_“”‘’„«»]")


@dataclass(frozen=True)
class Exhibit:
    """The result as `text` for the prompt; `words` is what quotes are looked up in."""

    text: str
    words: str

    @classmethod
    def of(cls, options: JudgeOptions, task: Task, result: Result) -> "Exhibit":
        parts = [f"### The agent's last message\n\n{fence(cut_middle(result.answer, ANSWER_BOUND) or '(none)')}"]
        parts += _files(options, task, result.work)
        if options.transcript:
            parts.append(f"### What the agent did\n\n{render_trajectory(result.trajectory)}")
        text = "\n\n".join(parts)
        return cls(text, _words("\n\n".join(part.partition("\n")[2] or part for part in parts)))  # no headings

    def holds(self, quote: str) -> bool:
        """Whether `quote` stands in the result; case, white space and quotation or emphasis marks aside."""
        wanted = _words(quote)
        return bool(wanted) and wanted in self.words


def _words(text: str) -> str:
    return " ".join(_MARKS.sub("", unicodedata.normalize("NFKC", text).casefold()).split())


def _files(options: JudgeOptions, task: Task, work: Path) -> Iterator[str]:
    """The named outputs, else all files that are new or changed."""
    names = list(options.outputs) or [left.name for left in files_of(work) if _is_new(left.name, task, work)]
    room = FILES_BOUND
    for number, name in enumerate(names[:MAX_FILES], 1):
        title = f"### File {number}\n\n{fence('name: ' + json.dumps(name))}"
        try:
            content = read_bytes(work, name, READ_BOUND).decode("utf-8-sig")
        except Unusable as problem:
            yield f"{title}\n\nNot shown:\n{fence(str(problem))}"
            continue
        except UnicodeDecodeError:
            yield f"{title}\n\nNot shown: no text."
            continue
        shown = cut_middle(content, min(FILE_BOUND, max(room, 0)))
        room -= len(shown)
        yield f"{title}\n\n{fence(shown or '(empty)')}"
    if len(names) > MAX_FILES:
        yield f"{len(names) - MAX_FILES} further files are not shown."
    if not names:
        yield "The agent left no new or changed file."


def _is_new(name: str, task: Task, work: Path) -> bool:
    source = task.files.get(name)
    try:
        return source is None or source.read_bytes() != read_bytes(work, name)
    except Unusable:
        return True

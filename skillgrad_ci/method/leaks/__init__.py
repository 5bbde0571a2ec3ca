"""Leaks: what would make a skill right on one training task and on no other.

A training task's id, the name of its input file, its expected answer, or what its graders say, in an added line.
`grader_words.py` says what a task's graders say, `shared_words.py` finds runs of their words in an added text.
`gaming.py` names what may teach the test and not the work.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import cached_property, lru_cache
from pathlib import PurePosixPath

from skillgrad_ci.document.inert_text import one_line
from skillgrad_ci.method.leaks.grader_words import Words, words_of
from skillgrad_ci.method.leaks.shared_words import PlacedWords, shared_run
from skillgrad_ci.method.task import Task
from skillgrad_ci.skill.lint import Finding, finding
from skillgrad_ci.skill.review_flags import added_lines
from skillgrad_ci.skill.skill import Skill

MIN_CHARACTERS = 6  # shorter strings are in ordinary guidance by chance
_SPACELESS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"  # scripts without word spaces
_WORD = rf"[^\W{_SPACELESS}]"
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:[,'_ ]\d{3})+|\d+)(?:\.\d+)?(?!\w)")
_MIDNIGHT = re.compile(r"(?<=\d)[ t]00:00(:00(\.0+)?)?\Z")


def leaks(before: Skill, after: Skill, tasks: Sequence[Task]) -> list[Finding]:
    """What added lines repeat of training tasks, each reported once, at its first place.

    Names and answers count from six characters on, statements and programs as runs of words. Nothing counts that the
    task's own instruction holds, or the skill before. Letter case, white space, emphasis and the way a number is
    written hide nothing. Only L005 is a warning: it comes near.
    """
    lines = list(added_lines(before, after))
    if not lines:
        return []
    added, starts = _joined(lines)
    words = PlacedWords(added.text, starts)
    known = _Known(before)
    found: dict[tuple[str, str], Finding] = {}

    def at(rule: str, said: str, offset: int, message: str) -> None:
        file, line, _ = lines[max(index for index, start in enumerate(starts) if start <= offset)]
        found.setdefault((rule, said), finding(rule, file, line, message))

    for task in tasks:
        instruction = _normal("" if task.probe else task.instruction)
        texts = list(words_of(task))
        for rule, what, secret in _secrets(task, texts):
            offset = added.find(secret)
            if offset is None or (rule, secret) in found or _text_of(instruction).find(secret) is not None:
                continue
            if known.text.find(secret) is None:
                message = f"{secret!r} is {what} of a training task; say what holds for any such task instead"
                at(rule, secret, offset, message)
        for text in texts:
            if text.kind == "answer":
                continue
            run = shared_run(text, words, [PlacedWords(instruction), known.tokens])
            if run is not None:
                rule = "L005" if run.near else "L004"
                verb = "comes near" if run.near else "repeats"
                at(rule, run.words, run.offset, f"{run.words!r} {verb} {text.what} of a training task; say what holds "
                   "for any such task instead")  # fmt: skip
    return _told_once(found.values())


def _told_once(found: Collection[Finding]) -> list[Finding]:
    """The findings in the order of their places; a line that copies is not said to come near as well."""
    copied = {(item.file, item.line) for item in found if item.severity == "error"}
    kept = [item for item in found if item.severity == "error" or (item.file, item.line) not in copied]
    return sorted(kept, key=lambda item: (item.file, item.line, item.rule))


class _Known:
    """The skill before, as text and as words; made when it is first asked for."""

    def __init__(self, skill: Skill) -> None:
        self._skill = skill

    @cached_property
    def text(self) -> "_Text":
        return _Text("\0".join(map(_normal, _texts(self._skill))))

    @cached_property
    def tokens(self) -> PlacedWords:
        return PlacedWords(self.text.text)


def _texts(skill: Skill) -> Iterator[str]:
    return (content.decode("utf-8", errors="replace") for content in skill.files.values())


def _secrets(task: Task, texts: Sequence[Words]) -> Iterator[tuple[str, str, str]]:
    """Rule, its name, and string (normalised) of all that must not be learned by heart."""
    candidates = [("L001", "the id", task.id)]
    for name, source in task.files.items():
        for file in (PurePosixPath(name), source):
            candidates.append(("L002", "an input file", file.name))
            if re.search(r"\d", file.stem):  # a bare word such as `orders` is nobody's; `orders_17` is
                candidates.append(("L002", "an input file", file.stem))
    candidates += [("L003", "an expected answer", answer) for answer in task.expected]
    for one in texts:
        if one.kind == "answer":
            candidates.append(("L003" if one.what == "an expected answer" else "L004", one.what, one.text))
    for rule, what, text in candidates:
        secret = _MIDNIGHT.sub("", _normal(text))
        if len(secret) >= MIN_CHARACTERS:
            yield rule, what, secret


def _joined(lines: Sequence[tuple[str, int, str]]) -> tuple["_Text", list[int]]:
    """The lines as one text, so that an answer that runs over lines is found, and where each starts in it."""
    text, starts, last = "", [], ("", 0)
    for file, number, line in lines:
        text += " " if last == (file, number - 1) else " \0 "
        starts.append(len(text))
        text += _normal(line)
        last = (file, number)
    return _Text(text), starts


@lru_cache(maxsize=1024)
def _text_of(text: str) -> "_Text":
    return _Text(text)


class _Text:
    """A normalised text in which strings and numbers are looked for."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.numbers: list[tuple[int, Decimal]] = []
        for match in _NUMBER.finditer(text):
            if len(match[0]) >= MIN_CHARACTERS:
                value = _decimal(match[0])
                percent = text[match.end() : match.end() + 1] == "%"
                self.numbers += [(match.start(), value), *([(match.start(), value / 100)] if percent else [])]

    def find(self, secret: str) -> int | None:
        """The first place of `secret` as a whole (in no longer word or number), or as a number written otherwise."""
        if secret in self.text:
            left = rf"(?<!{_WORD})" if re.match(_WORD, secret) else ""
            left += r"(?<!\d[.,])" if secret[0].isdigit() else ""
            right = rf"(?!{_WORD})" if re.match(_WORD, secret[-1]) else ""
            right += r"(?![.,]\d)" if secret[-1].isdigit() else ""
            if match := re.search(left + re.escape(secret) + right, self.text):
                return match.start()
        if number := _NUMBER.fullmatch(secret.strip(" $€£¥%")):
            value = _decimal(number[0])
            return next((start for start, written in self.numbers if _same(written, value)), None)
        return None


def _same(written: Decimal, value: Decimal) -> bool:
    """Whether a number of the text is the answer: with either sign, or rounded to six digits or more."""
    written, value = written.copy_abs(), value.copy_abs()
    if written == value:
        return True
    _, digits, places = written.as_tuple()
    if not MIN_CHARACTERS <= len(digits) < len(value.as_tuple().digits) or not isinstance(places, int) or places >= 0:
        return False
    return (
        value.quantize(Decimal(1).scaleb(places), ROUND_HALF_UP, Context(prec=len(value.as_tuple().digits))) == written
    )


def _decimal(text: str) -> Decimal:
    return Decimal(re.sub(r"[,'_ ]", "", text))


def _normal(text: str) -> str:
    """Compatibility forms, letter case, emphasis and white space folded."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return one_line(re.sub(r"[*`\\]", "", folded))

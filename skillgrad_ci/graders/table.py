"""`table`: WikiTableQuestions' denotation matching, by the rules of its official evaluator 1.0.2.

Two places differ from a plain reading of the rules: Python 3 reads `1_0` as a number and the
official evaluator, in Python 2, does not; and a list on several lines is read as well as one on
tabs, for an agent's message has lines.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from skillgrad_ci.graders.result_files import Unusable, read_output
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.grader_options import TableOptions
from skillgrad_ci.method.ports import Result
from skillgrad_ci.method.task import GraderSpec, Task

CLOSE = 1e-6  # numbers this near are equal
MAX_CHARACTERS = 20_000  # of an answer: the longest target of the data has a few hundred

_QUOTES = re.compile("[‘’´`]")
_DOUBLE_QUOTES = re.compile("[“”]")
_DASHES = re.compile("[‐‑‒–—−]")
_CITATIONS = re.compile(r"((?<!^)\[[^\]]*\]|\[\d+\]|[•♦†‡*#+])*$")
_DETAILS = re.compile(r"(?<!^)( \([^)]*\))*$")
_QUOTED = re.compile(r'^"([^"]*)"$')


@dataclass(frozen=True)
class Value:
    """A number, a date (year, month, day; -1 where unknown) or, with neither, a string."""

    normalized: str
    number: int | float | None = None
    date: tuple[int, int, int] | None = None

    @property
    def key(self) -> tuple[str, object]:
        """What makes two values of one list the same."""
        if self.number is not None:
            return ("number", self.number)
        return ("date", self.date) if self.date is not None else ("string", self.normalized)

    def matches(self, other: "Value") -> bool:
        if self.normalized == other.normalized:
            return True
        if self.number is not None and other.number is not None:
            return self.number == other.number or _near(self.number, other.number)
        return self.date is not None and self.date == other.date


def normalize(text: str) -> str:
    """The string that two values share when they are written alike."""
    text = "".join(c for c in unicodedata.normalize("NFKD", text) if unicodedata.category(c) != "Mn")
    text = _DASHES.sub("-", _DOUBLE_QUOTES.sub('"', _QUOTES.sub("'", text)))
    before = None
    while text != before:
        before = text
        text = _CITATIONS.sub("", text.strip())
        text = _DETAILS.sub("", text.strip())
        text = _QUOTED.sub(r"\1", text.strip())
    return re.sub(r"\s+", " ", text.removesuffix(".")).lower().strip()


def value(original: str, canonical: str | None = None) -> Value:
    """The value of `original`; its kind is read from the `canonical` form where there is one."""
    text = canonical or original
    number = _number(text)
    if number is not None:
        return Value(normalize(original), number=_whole(number))
    date = _date(text)
    if date is None:
        return Value(normalize(original))
    if date[1] == date[2] == -1:
        return Value(normalize(original), number=date[0])
    return Value(normalize(original), date=date)


def _number(text: str) -> int | float | None:
    if "_" in text:
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _whole(number: int | float) -> int | float:
    """A float near a whole number is cut to an integer, as the evaluator does it."""
    return int(number) if isinstance(number, int) or abs(number - round(number)) < CLOSE else number


def _near(a: int | float, b: int | float) -> bool:
    try:
        return abs(a - b) < CLOSE
    except OverflowError:  # an integer beyond every float
        return False


def _date(text: str) -> tuple[int, int, int] | None:
    parts = text.lower().split("-")
    if len(parts) != 3 or "_" in text:
        return None
    try:
        year = -1 if parts[0] in {"xx", "xxxx"} else int(parts[0])
        month, day = (-1 if part == "xx" else int(part) for part in parts[1:])
    except ValueError:
        return None
    known = not year == month == day == -1
    return (year, month, day) if known and (month == -1 or 1 <= month <= 12) and (day == -1 or 1 <= day <= 31) else None


def value_set(originals: Sequence[str], canonical: Sequence[str] | None = None) -> list[Value]:
    """The set of values of a list, in the order in which they first stand there."""
    forms = canonical if canonical is not None else [None] * len(originals)
    distinct: dict[tuple[str, object], Value] = {}
    for original, form in zip(originals, forms, strict=True):
        one = value(original, form)
        distinct.setdefault(one.key, one)
    return list(distinct.values())


def right(targets: Sequence[Value], predictions: Sequence[Value]) -> bool:
    """As many values, and each target matched by one of the predictions."""
    return len(targets) == len(predictions) and all(any(t.matches(p) for p in predictions) for t in targets)


def predicted(message: str) -> list[str]:
    """The values of an answer: split at tabs, or at line ends where it has no tab."""
    message = message.strip("\n")
    return message.split("\t") if "\t" in message else [line for line in message.split("\n") if line.strip()] or [""]


class TableGrader:
    """Grades the last message, or a text file."""

    identity = "table/1 (WikiTableQuestions 1.0.2)"

    def grade(self, spec: GraderSpec, task: Task, result: Result) -> Grade:  # noqa: ARG002 (a Grader's form)
        options = TableOptions.model_validate(spec.options)
        try:
            message = read_output(result, options.output)
        except Unusable as problem:
            return Grade(Outcome.FAILED, 0.0, str(problem))
        if len(message) > MAX_CHARACTERS:
            return Grade(Outcome.FAILED, 0.0, f"the answer has {len(message):,} characters; it should be values alone")
        answers = predicted(message)
        if right(value_set(options.targets, options.canonical), value_set(answers)):
            return Grade(Outcome.PASSED, 1.0, "the values are right")
        given = ", ".join(repr(text[:200]) for text in answers[:10])
        wanted = ", ".join(repr(text) for text in options.targets[:10])
        return Grade(Outcome.FAILED, 0.0, f"{len(answers)} values: {given}; expected {len(options.targets)}: {wanted}")

"""Runs of words that an added text shares with a grader's, beyond what everybody may say."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from skillgrad_ci.method.leaks.grader_words import Words

# Words in a row that repeat a text, and that come near it. Code repeats itself more than prose does.
REPEATS = {"statement": 6, "program": 10}
NEAR = {"statement": 4, "program": 7}
MIN_WORDS, MIN_CHARACTERS = 2, 10  # a shorter statement is in ordinary guidance by chance
SHARE = 0.7  # of a statement's own words in one added line: the same in another order
MIN_OWN = 4
_SPACELESS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
_TOKEN = re.compile(rf"[{_SPACELESS}]|[^\W{_SPACELESS}]+|\0")
_EMPTY = re.compile(
    r"(?:an?|and|are|as|at|be|by|for|from|has|have|if|in|into|is|it|its|must|no|not|of|on|or|should|that|the|their|"
    r"them|then|this|to|was|were|when|which|will|with|all|any|each|every|one|two|than|so|do|does|can|use|using|file|"
    r"output|answer|result|value|values|only|exactly|contains|includes|correct|correctly)"
)
Gram = tuple[str, ...]


class PlacedWords:
    """The words of a normalised text, with their places. Each line of it starts at one of `starts`."""

    def __init__(self, text: str, starts: Sequence[int] = ()) -> None:
        self.found = _tokens(text)
        self._starts = starts

    @property
    def lines(self) -> Iterator[list[tuple[str, int]]]:
        """The words line by line."""
        ends = [*self._starts[1:], None]
        for start, end in zip(self._starts, ends, strict=True):
            yield [(word, at) for word, at in self.found if at >= start and (end is None or at < end)]

    @cached_property
    def words(self) -> list[str]:
        return [word for word, _ in self.found]

    def grams(self, size: int) -> dict[Gram, int]:
        """Each run of `size` words, with the position of its first word."""
        if size not in self._grams:
            grams: dict[Gram, int] = {}
            for position, gram in _runs(self.words, size):
                grams.setdefault(gram, position)
            self._grams[size] = grams
        return self._grams[size]

    @cached_property
    def _grams(self) -> dict[int, dict[Gram, int]]:
        return {}


@dataclass(frozen=True)
class SharedRun:
    """Shared words and where they are in the added text; `near`: they come near the text, and do not repeat it."""

    words: str
    offset: int
    near: bool


def shared_run(text: Words, added: PlacedWords, free: Sequence[PlacedWords]) -> SharedRun | None:
    """What `added` shares with a grader's text and none of `free` says; None where that is nothing of note."""
    statement = [word for word, _ in _tokens(_folded(text.text))]
    if len(statement) < MIN_WORDS or sum(map(len, statement)) < MIN_CHARACTERS:
        return None
    # Scripts without word spaces: a character is about half a word.
    factor = 2 if sum(len(word) == 1 for word in statement) > len(statement) / 2 else 1
    size = REPEATS[text.kind] * factor
    size = min(size, len(statement)) if text.kind == "statement" else size
    found = _first(statement, size, added, free)
    if found is not None:
        return _run(found, size, added, near=False)
    size = NEAR[text.kind] * factor
    found = _first(statement, size, added, free) if size < len(statement) else None
    if found is not None and _says_something(added.words[found : found + size]):
        return _run(found, size, added, near=True)
    return _reordered(statement, added, free) if text.kind == "statement" else None


def _first(statement: Sequence[str], size: int, added: PlacedWords, free: Sequence[PlacedWords]) -> int | None:
    there = added.grams(size)
    for _, gram in _runs(statement, size):
        if gram in there and not any(gram in one.grams(size) for one in free):
            return there[gram]
    return None


def _says_something(words: Sequence[str]) -> bool:
    return sum(_EMPTY.fullmatch(word) is None for word in words) >= 2


def _reordered(statement: Sequence[str], added: PlacedWords, free: Sequence[PlacedWords]) -> SharedRun | None:
    """A line that holds most of a statement's own words, in whatever order."""
    known = {word for one in free for word in one.words}
    own = {word for word in statement if len(word) > 2 and not _EMPTY.fullmatch(word)} - known
    if len(own) < MIN_OWN:
        return None
    for line in added.lines:
        shared = [(word, at) for word, at in line if word in own]
        if len({word for word, _ in shared}) >= SHARE * len(own):
            return SharedRun(" … ".join(dict.fromkeys(word for word, _ in shared)), shared[0][1], near=True)
    return None


def _run(position: int, size: int, added: PlacedWords, *, near: bool) -> SharedRun:
    return SharedRun(" ".join(added.words[position : position + size]), added.found[position][1], near)


def _runs(words: Sequence[str], size: int) -> list[tuple[int, Gram]]:
    """Each run of `size` words that no break parts, and the position of its first word."""
    runs = [(start, tuple(words[start : start + size])) for start in range(len(words) - size + 1)]
    return [(start, run) for start, run in runs if "\0" not in run]


@lru_cache(maxsize=4096)
def _tokens(text: str) -> list[tuple[str, int]]:
    return [(match[0], match.start()) for match in _TOKEN.finditer(text)]


@lru_cache(maxsize=4096)
def _folded(text: str) -> str:
    return re.sub(r"[*`\\]", "", text).casefold()

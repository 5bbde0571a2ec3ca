"""The structure of a Markdown text: its lines, its sections, its code.

CommonMark's own parser says what is a heading, so a `#` in a code block, a list or a quotation does not make one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it.token import Token

_MARK = re.compile(r"^ {0,3}(?:(`{3,}|~{3,})([^\r\n]*)|(<!--)[^\r\n]*)$|^[^\r\n]*-->[^\r\n]*$", re.MULTILINE)
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")


@dataclass(frozen=True)
class Section:
    """A heading (its Markdown source and level 1 to 6) and what stands under it, deeper headings included.

    Line indices from 0: the heading starts at `start`, the text under it at `inside`, and the next
    heading of the same or a higher level, or the text's end, is at `end`.
    """

    heading: str
    level: int
    start: int
    inside: int
    end: int


@dataclass(frozen=True)
class Outline:
    """`lines` keep their line ends. `code` and `lists` are the lines of code blocks and lists, as half-open ranges.
    `breaks` are the lines of thematic breaks (`---`).

    `unclosed` is the line of a fence or comment that is never closed and so swallows all that follows.
    """

    lines: Sequence[str]
    sections: Sequence[Section]
    code: Sequence[range]
    lists: Sequence[range]
    breaks: Sequence[int]
    unclosed: int | None

    def is_code(self, line: int) -> bool:
        return any(line in block for block in self.code)

    def before_break(self, end: int) -> int:
        """`end`, or the line of a thematic break that is the last thing above it: a break parts off what follows."""
        last = self.last_text(end)
        return last if last in self.breaks else end

    def ends_in_list(self, end: int) -> bool:
        last = self.last_text(end)
        return any(last in block for block in self.lists)

    def last_text(self, end: int) -> int:
        """The last line above `end` that is not blank; -1 where all are."""
        return next((number for number in range(end - 1, -1, -1) if self.lines[number].strip()), -1)

    def line_at(self, offset: int) -> int:
        """The index of the line that holds the character at `offset`."""
        for index, line in enumerate(self.lines):
            offset -= len(line)
            if offset < 0:
                return index
        return len(self.lines)

    def offset_of(self, line: int) -> int:
        """The offset of a line's first character."""
        return sum(map(len, self.lines[:line]))


@lru_cache(maxsize=64)
def outline(text: str) -> Outline:
    """Parse Markdown without frontmatter."""
    from markdown_it import MarkdownIt  # a tenth of a second that `--help` need not wait for

    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["normalize", "block"])
    lines = _LINE.findall(text)
    tokens = parser.parse(text)
    starts: list[tuple[str, int, int, int]] = []
    code, lists, breaks = list[range](), list[range](), list[int]()
    unclosed = None
    for index, token in enumerate(tokens):
        if token.map is None:
            continue
        first, last = token.map
        if token.type == "heading_open" and token.level == 0:
            starts.append((tokens[index + 1].content.strip(), int(token.tag[1]), first, last))
        elif token.type in ("fence", "code_block"):
            code.append(range(first, last))
        elif token.type in ("bullet_list_open", "ordered_list_open") and token.level == 0:
            lists.append(range(first, last))
        elif token.type == "hr" and token.level == 0:
            breaks.append(first)
        if unclosed is None and _is_unclosed(token, lines):
            unclosed = first
    sections = []
    for index, (heading, level, first, inside) in enumerate(starts):
        ends = (other[2] for other in starts[index + 1 :] if other[1] <= level)
        sections.append(Section(heading, level, first, inside, next(ends, len(lines))))
    return Outline(tuple(lines), tuple(sections), tuple(code), tuple(lists), tuple(breaks), unclosed)


def may_be_unclosed(text: str) -> bool:
    """Whether a fence or comment may run to the end: a look at the lines, a hundred times faster than the parser.

    It says no only where every fence that opens is closed by one of its kind and every comment ends; what looks like
    one inside the other does not count.
    """
    opened, commented = "", False
    for match in _MARK.finditer(text):
        fence, info = match[1], (match[2] or "").strip()
        if commented or (match[3] and not opened):
            commented = "-->" not in match[0]
        elif fence and not opened:
            opened = "" if fence[0] == "`" and "`" in info else fence
        elif fence and fence[0] == opened[0] and len(fence) >= len(opened) and not info:
            opened = ""
    return bool(opened) or commented


def _is_unclosed(token: "Token", lines: Sequence[str]) -> bool:
    """Whether a fence or an HTML comment at the top level runs to the end of the text unclosed."""
    if token.level or token.map is None or token.map[1] < len(lines):
        return False
    if token.type == "html_block":
        return token.content.startswith("<!--") and "-->" not in token.content
    last = lines[token.map[1] - 1].strip()
    closed = token.map[1] - token.map[0] > 1 and last.startswith(token.markup) and not last.strip(token.markup[:1])
    return token.type == "fence" and not closed

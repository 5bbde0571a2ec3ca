"""How one file of a skill points to another: by its path, as in ``Read `references/x.md` when …``.

A path counts that starts with one of the specification's folders, or that is a link's relative
target. A link is relative to its own file, as everywhere; where nothing lies there, to the skill. Patterns
such as `references/<topic>.md` and paths inside addresses of the web are none.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from skillgrad_ci.skill.markdown import outline

FOLDERS = ("references", "scripts", "assets")
_PATH = re.compile(rf"(?<![\w/.:@\\-])(?:\./)?((?:{'|'.join(FOLDERS)})/\w[\w.+/-]*+)(?![<*{{$\[])")
_LINK = re.compile(r"\]\(\s*<?([^()<>\s]+)")
_IN_A_NAME, _GOES_ON = re.compile(r"[\w.-]"), re.compile(r"[\w-]|\.\w")  # before and behind a file's name
_TICKS = re.compile(r"`+")
_ELSEWHERE = re.compile(r"[a-zA-Z][\w+.-]*:|/")
_HOST = re.compile(r"(?:www\.|[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|io|dev|ai|app|edu|gov)(?:/|\Z))", re.IGNORECASE)
_PLACEHOLDER = re.compile(
    r"[{}$*\[\]…]|\.\.\.|%[A-Z_]+%|(?:^|/)(?:path/to|foo|bar|baz|xxx+|your[-_]\w+|some[-_]\w+|file[-_]?name)\b",
    re.IGNORECASE,
)
_PROSE = re.compile(rf"(?:{'|'.join(FOLDERS)})(?:/(?:{'|'.join(FOLDERS)}|etc|and|or))+\.?")


@dataclass(frozen=True)
class Pointer:
    """A pointer on a line (from 0) of a text.

    `candidates` are what it may mean, relative to the skill's folder, the likeliest first; `path` is what to call it.
    """

    candidates: tuple[str, ...]
    line: int
    is_link: bool
    in_code: bool = False  # in a code block, where a path may also be an example or a command's

    @property
    def path(self) -> str:
        return self.candidates[0]

    @property
    def is_placeholder(self) -> bool:
        """Whether it stands for other paths, or is prose: `{baseDir}/x.md`, `scripts/assets`, a name without suffix."""
        if _PLACEHOLDER.search(self.path) or _PROSE.fullmatch(self.path):
            return True
        return not self.is_link and "." not in posixpath.basename(self.path)


def pointers(text: str, folder: str = "") -> Iterator[Pointer]:
    """The pointers of a Markdown text in `folder`, each once a line; of code blocks only paths."""
    structure = outline(text)
    for pointer in found(text, folder):
        in_code = structure.is_code(pointer.line)
        if not (in_code and pointer.is_link):
            yield Pointer(pointer.candidates, pointer.line, pointer.is_link, in_code)


@lru_cache(maxsize=8192)
def found(text: str, folder: str = "") -> tuple[Pointer, ...]:
    """All pointers of a text, code or not: without the parser, so that most texts need none."""
    pointers: list[Pointer] = []
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text)) if "/" in text or "](" in text else ():
        here: dict[str, Pointer] = {}
        if any(f"{name}/" in line for name in FOLDERS):
            for match in _PATH.finditer(line):
                path = match[1].rstrip(".-+")
                here.setdefault(path, Pointer(_both(path, posixpath.join(folder, path)), number, False))
        for match in _LINK.finditer(_without_code(line)) if "](" in line else ():
            target = unquote(match[1].partition("#")[0].partition("?")[0])
            if _is_relative(target):
                own = posixpath.normpath(posixpath.join(folder, target))
                here[target.removeprefix("./")] = Pointer(_both(own, posixpath.normpath(target)), number, True)
        pointers += here.values()
    return tuple(pointers)


def _both(first: str, second: str) -> tuple[str, ...]:
    return (first,) if first == second else (first, second)


def _without_code(line: str) -> str:
    """The line without its inline code: from a run of backticks to the next one of the same length."""
    runs = [match.span() for match in _TICKS.finditer(line)]
    kept, at = [], 0
    for index, (start, end) in enumerate(runs):
        close = next((e for s, e in runs[index + 1 :] if e - s == end - start), None)
        if start >= at and close is not None:
            kept.append(line[at:start])
            at = close
    return "".join([*kept, line[at:]])


def _is_relative(target: str) -> bool:
    """Whether a link's target is a file's path."""
    return _ELSEWHERE.match(target) is None and _HOST.match(target) is None and re.search(r"[./]", target) is not None


def mentions(text: str, path: str) -> bool:
    """Whether `text` names `path` anywhere, also behind another folder's name.

    Found by hand, for a pattern for each of a skill's files takes longer to compile than to search.
    """
    at = text.find(path)
    while at >= 0:
        if not _IN_A_NAME.match(text[max(0, at - 1) : at]) and not _GOES_ON.match(text, at + len(path)):
            return True
        at = text.find(path, at + 1)
    return False

"""How one file of a skill points to another: by its path, as in ``Read `references/x.md` when …``.

A path counts that starts with one of the specification's folders, or that is a link's relative
target. Patterns such as `references/<topic>.md` and paths inside addresses of the web are none.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from skillgrad_ci.skill.markdown import outline

FOLDERS = ("references", "scripts", "assets")
_PATH = re.compile(rf"(?<![\w/.:@\\-])(?:\./)?((?:{'|'.join(FOLDERS)})/\w[\w.+/-]*+)(?![<*{{$\[])")
_LINK = re.compile(r"\]\(\s*<?([^()<>\s]+)")
_TICKS = re.compile(r"`+")
_ELSEWHERE = re.compile(rf"[a-zA-Z][\w+.-]*:|/|(?:\./)?(?:{'|'.join(FOLDERS)})/")


@dataclass(frozen=True)
class Pointer:
    """A path relative to the skill's folder, and the line (from 0) on which it stands."""

    path: str
    line: int
    in_code: bool  # in a code block, where a path may also be an example or a command's


def pointers(text: str, folder: str = "") -> Iterator[Pointer]:
    """The pointers of a Markdown text in `folder` (links are relative to it), each once a line."""
    structure = outline(text)
    for number, line in enumerate(structure.lines):
        in_code = structure.is_code(number)
        paths = [match[1].rstrip(".-+") for match in _PATH.finditer(line)]
        if not in_code:
            for match in _LINK.finditer(_without_code(line)):
                target = unquote(match[1].partition("#")[0].partition("?")[0])
                if _is_relative(target):
                    paths.append(posixpath.normpath(posixpath.join(folder, target)))
        for path in dict.fromkeys(paths):
            yield Pointer(path, number, in_code)


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
    """Whether a link's target is a file's path, and none that was found as a path already."""
    return _ELSEWHERE.match(target) is None and re.search(r"[./]", target) is not None


def mentions(text: str, path: str) -> bool:
    """Whether `text` names `path` anywhere, also behind another folder's name."""
    return re.search(rf"(?<![\w.-]){re.escape(path)}(?![\w-]|\.\w)", text) is not None

"""Every message of the program's errors, each with an example that a test really provoked.

The messages are read from the source: each call of an error's class is one, and what it formats is its template. So is
each call of the two functions that put a place in a file before a problem: there the problem is the template.
`messages.yaml` holds an example for each. It is written by a recorder that watches tests:
`make messages TESTS=tests/skill/test_skill.py` adds what these tests provoke, and drops what the source lost.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from skillgrad_ci import errors

PACKAGE = Path(errors.__file__).parent
FILE = Path(__file__).with_name("messages.yaml")
ERRORS = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
PLACED = {"error": 1, "_error": 2}  # the functions that name a place, and where the problem stands in their arguments
LONGEST = 300  # characters of an example


@dataclass(frozen=True)
class Message:
    """A call of an error's class: `template` holds the source of what it formats in braces."""

    error: str
    template: str
    pattern: str
    file: str  # relative to the package
    lines: range

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        return re.compile(self.pattern, re.DOTALL)

    def fits(self, text: str) -> bool:
        return self._regex.fullmatch(text) is not None or text.endswith("…")

    @property
    def key(self) -> str:
        return f"{self.error}: {self.template}"


def messages() -> Iterator[Message]:
    """What the source can raise, in the order of its files."""
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and (said := _said(node)):
                error, (template, pattern) = said
                lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                yield Message(error, template, pattern, file.relative_to(PACKAGE).as_posix(), lines)


def _said(call: ast.Call) -> tuple[str, tuple[str, str]] | None:
    """The error that a call makes, with the message's template and pattern; None where it makes none."""
    name, words = _name(call.func), call.args
    if name in ERRORS and words:
        return name, _formatted(words[0])
    if name in PLACED and len(words) == PLACED[name] + 1:
        template, pattern = _formatted(words[-1])
        return "UserError", (template, f".*{pattern}")
    return None


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def _formatted(text: ast.expr) -> tuple[str, str]:
    """A message's template, and the pattern that its examples fit."""
    match text:
        case ast.Constant(value=str(words)):
            return words, re.escape(words)
        case ast.JoinedStr(values=parts):
            pairs = [_formatted(part.value if isinstance(part, ast.FormattedValue) else part) for part in parts]
            return "".join(template for template, _ in pairs), "".join(pattern for _, pattern in pairs)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            (first, begins), (second, ends) = _formatted(left), _formatted(right)
            return first + second, begins + ends
    return f"{{{ast.unparse(text)}}}", ".*"


def known() -> Mapping[str, str]:
    """The examples by message."""
    return yaml.safe_load(FILE.read_text("utf-8")) if FILE.exists() else {}

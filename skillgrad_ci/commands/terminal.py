"""What a command says at its end, on standard output: text and tables for people, or one JSON document.

Secrets are taken out here, for errors of a provider may quote a key.
"""

import json
import os
import sys
from collections.abc import Sequence
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING, Any

from skillgrad_ci.document.inert_text import printable, terminal_safe
from skillgrad_ci.secrets import Redactor

if TYPE_CHECKING:
    from rich.console import Console

GO_ON = "Start it again to go on: what is measured is not measured twice."
GO_ON_RAISED = "Start it again with a larger budget to go on: what is measured is not measured twice."
MEND = (
    "Mend what the first one says, then start it again: calls that failed, or gave a reply that could not be used, "
    "are made again."
)
GAP = 3  # columns between two of a table's
LAST = 20  # columns that a table's last column, the one with prose, needs at least
WIDTH = 160  # columns where the output is not a terminal and COLUMNS is not set


def say(*lines: object) -> None:
    redact = Redactor.from_environment(os.environ)
    sys.stdout.write("".join(f"{terminal_safe(redact(str(line)))}\n" for line in lines))


def say_text(*lines: str) -> None:
    """Sentences, broken between words where a terminal, or COLUMNS, is narrower; a pipe gets each on one line."""
    redact = Redactor.from_environment(os.environ)
    narrow = sys.stdout.isatty() or "COLUMNS" in os.environ
    width = get_terminal_size((WIDTH, 1)).columns if narrow else sys.maxsize
    for line in lines:
        text = terminal_safe(redact(line))
        indent = " " * (len(text) - len(text.lstrip(" ")))
        sys.stdout.write(
            fill(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False) + "\n"
        )


def say_json(document: Any) -> None:
    """One JSON document, and nothing else beside it."""
    document = Redactor.from_environment(os.environ).clean(document)
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n")


def say_how_to_go_on(command: str, *, cancelled: bool) -> None:
    """How a command that was cut goes on. `command` stands on a line of its own, to be copied."""
    say_text(GO_ON if cancelled else GO_ON_RAISED)
    if cancelled:  # what was spent counts in the next start: the same cap would end it again
        say(f"  {command}")


def say_table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table; texts are shown as they are, on as many lines as they need.

    If a column before the last would break a word (a path, a pattern's name), a row is a line of those columns, and
    the last one's text follows below it.
    """
    from rich.console import Console

    redact = Redactor.from_environment(os.environ)
    cells = [[printable(redact(str(cell))) for cell in row] for row in rows]
    sys.stdout.flush()
    width = get_terminal_size((WIDTH, 1)).columns  # COLUMNS, where it is set, says it for a pipe too
    console = Console(file=sys.stdout, width=width, highlight=False)
    *names, last = zip(headers, *cells, strict=True)
    words = [max(len(word) for cell in column for word in cell.split() or [""]) for column in names]
    if sum(words) + GAP * len(words) + min(LAST, max(map(len, last))) > console.width:
        _say_blocks(console, headers, cells)
    else:
        _say_columns(console, headers, cells)


def _say_columns(console: "Console", headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    *names, last = zip(headers, *rows, strict=True)
    least = [max(len(word) for cell in column for word in cell.split() or [""]) for column in names]
    spare = console.width - sum(least) - GAP * len(least) - min(LAST, max(map(len, last)))
    for header, column, width in zip(headers[:-1], names, least, strict=True):
        more = min(max(map(len, column)) - width, max(spare, 0))  # what is left over goes to the first columns
        spare -= more
        table.add_column(header, overflow="fold", width=width + more)
    table.add_column(headers[-1], overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _say_blocks(console: "Console", headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.padding import Padding
    from rich.text import Text

    for *names, last in [headers, *rows]:
        console.print(Text("  ".join(names)), Padding(Text(last), (0, 0, 0, 4)), soft_wrap=False)

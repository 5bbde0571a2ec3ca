"""What a command says at its end, on standard output: text and tables for people, or one JSON document.

Secrets are taken out here, for errors of a provider may quote a key.
"""

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from skillgrad_ci.commands.progress import safe
from skillgrad_ci.secrets import Redactor

GO_ON = "Start it again to go on: what is measured is not measured twice."
WIDTH = 160  # columns where the output is no terminal


def say(*lines: object) -> None:
    redact = Redactor.from_environment(os.environ)
    sys.stdout.write("".join(f"{safe(redact(str(line)))}\n" for line in lines))


def say_json(document: Any) -> None:
    """One JSON document, and nothing else beside it."""
    document = Redactor.from_environment(os.environ).clean(document)
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n")


def say_table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table; texts are shown as they are, on as many lines as they need."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for header in headers:
        table.add_column(header, overflow="fold")
    redact = Redactor.from_environment(os.environ)
    for row in rows:
        table.add_row(*(Text(" ".join(safe(redact(str(cell))).split())) for cell in row))
    sys.stdout.flush()
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDTH, highlight=False).print(table)

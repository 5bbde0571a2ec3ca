"""A suite that is not read: whose format it is, and the smallest change that makes it readable."""

import json
from pathlib import Path
from typing import Any

from skillgrad_ci.document.document import Document
from skillgrad_ci.document.parsing import read_text
from skillgrad_ci.errors import UserError
from skillgrad_ci.suites.evals_json import rows_in

# The fields of a row by which a format is known, whose it is, and what they would be called here.
KNOWN: tuple[tuple[frozenset[str], str, str], ...] = (
    (frozenset({"input", "ideal"}), "OpenAI Evals", "call input prompt and ideal expected_output"),
    (frozenset({"input", "target"}), "inspect", "call input prompt and target expected_output"),
    (frozenset({"inputs", "outputs"}), "LangSmith", "write inputs as a text called prompt, outputs as expected_output"),
    (frozenset({"question", "ground_truth"}), "Ragas", "call question prompt and ground_truth expected_output"),
    (frozenset({"question", "answer"}), "a question and answer set", "call question prompt and answer expected_output"),
    (frozenset({"instruction", "output"}), "an instruction set", "call output expected_output"),
    (frozenset({"messages"}), "a chat set", "write the last message of the user as prompt, and add assertions"),
)
ADVICE = 'put the rows under "evals" in a JSON file, each with prompt and assertions or expected_output'


def hint(path: Path) -> str:
    """What a person should change; "" where nothing is known of the file."""
    if not path.is_file():
        return ""
    try:
        value, lines = _value(path)
    except (UserError, ValueError):
        return ""
    found = rows_in(value) or ((value["data"], []) if isinstance(value, dict) and _is_rows(value.get("data")) else None)
    rows = [row for row in found[0] if isinstance(row, dict)] if found else []
    if not rows:
        return ""
    fields = set(rows[0])
    whose, change = next(
        ((whose, change) for known, whose, change in KNOWN if known <= fields),
        ("", f"its rows hold {', '.join(sorted(map(str, fields))[:6])}"),
    )
    said = f"this is the format of {whose}, which is not read: {change}" if whose else change
    return f"{said}; {ADVICE}" if lines or not whose or found is None or not found[1] else said


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(row, dict) for row in value)


def _value(path: Path) -> tuple[Any, bool]:
    """The content, and whether it is one JSON value a line."""
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in read_text(path).splitlines() if line.strip()], True
    if path.suffix not in {".json", ".yaml", ".yml"}:
        return None, False
    return Document.read(path).value, False

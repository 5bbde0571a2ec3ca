"""The page `report.html`: one file that loads nothing, made of a report and of what lies in its run folder.

All that a model, a task or a person wrote is data. The template escapes it, the script puts it into the page as text,
and the page's policy lets nothing run but the page's own script, known by its digest.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from skillgrad_ci.errors import UserError
from skillgrad_ci.method.memory import Pattern
from skillgrad_ci.method.memory.memory_file import parse_memory
from skillgrad_ci.report.document import EditFacts, Report
from skillgrad_ci.report.executions import AFTER, BEFORE, Executions, read_executions
from skillgrad_ci.report.templating import environment

ASSETS = ("report.css", "report.js")
MEMORY, PATCH, NOT_KEPT = "momentum.md", "skill.patch", "candidate.patch"
DIFF_BOUND = 4_000  # lines of the skill's diff that the page carries


@dataclass(frozen=True)
class Hunk:
    """One hunk of the skill's diff: its file, its layer, its lines as (mark, text), and the edits that wrote it."""

    file: str
    layer: str
    lines: Sequence[tuple[str, str]]
    edits: Sequence[EditFacts]


def render_page(report: Report, folder: Path, *, served: bool = False) -> str:
    """The page of a run. `served`: executions that the page does not carry may be fetched from where it came from."""
    executions = read_executions(folder, report)
    style, script = style_and_script()
    return environment().get_template("report.html").render(
        report=report,
        columns=executions.columns,
        column_names={column: column_name(column) for column in executions.columns},
        grid=list(_grid(report, executions)),
        data=_data(report, executions, served),
        hunks=list(_hunks(folder, report)),
        patterns=_patterns(folder),
        style=style,
        script=script,
        policy=policy_of(style, script, served=served),
    )  # fmt: skip


def column_name(column: str) -> str:
    """A measurement's name for people."""
    names = {BEFORE: "before", AFTER: "after"}
    kind, _, number = column.rpartition("-")
    return names.get(column) or f"{'validation' if kind else 'iteration'} {number}"


def _grid(report: Report, executions: Executions) -> Iterator[tuple[str, str, str, list[tuple[str, str, str]]]]:
    """Each task's id, split, change and cells: a column, a state, and a word for it."""
    for task in report.tasks:
        old, new = task.baseline, task.final
        change = "" if old is None or new is None or old == new else "fixed" if new > old else "broken"
        cells = executions.cells.get(task.id, {})
        yield task.id, task.split, change, [(name, *_state(cells.get(name, []))) for name in executions.columns]


def _state(cells: Sequence[dict[str, object]]) -> tuple[str, str]:
    if not cells:
        return "none", ""
    if any(cell["stopped"] == "timeout" for cell in cells):
        return "timeout", "ended at the time limit"
    measured = [cell["outcome"] == "passed" for cell in cells if cell["outcome"] != "unmeasured"]
    if not measured:
        return "unmeasured", "unmeasured"
    if all(measured) or not any(measured):
        return ("passed", "passed") if all(measured) else ("failed", "failed")
    return "mixed", f"passed {sum(measured)} of {len(measured)}"


def _data(report: Report, executions: Executions, served: bool) -> str:
    """What the page's script reads, as JSON that cannot end its element."""
    steps = report.model_dump(mode="json", include={"iterations": {"__all__": {"number", "batch", "diagnoses",
        "overlay", "edits"}}})["iterations"]  # fmt: skip
    data = {
        "columns": executions.columns, "names": {name: column_name(name) for name in executions.columns},
        "instructions": executions.instructions, "cells": executions.cells, "iterations": steps, "served": served,
    }  # fmt: skip
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _hunks(folder: Path, report: Report) -> Iterator[Hunk]:
    from unidiff.patch import PatchSet

    name = PATCH if report.kept else NOT_KEPT
    path = folder / name
    text = path.read_text("utf-8", "replace") if path.is_file() else ""
    left = DIFF_BOUND
    for file in PatchSet(text) if text.strip() else ():
        for hunk in file:
            lines = [(line.line_type, line.value.rstrip("\r\n")) for line in hunk]
            added = {text.strip() for mark, text in lines if mark == "+" and text.strip()}
            wrote = [edit for edit in report.accepted if edit.file == file.path and added & _words(edit)]
            if left > 0:
                yield Hunk(file.path, hunk.section_header.strip() or "Q", lines[:left], wrote)
            left -= len(lines)


def _words(edit: EditFacts) -> set[str]:
    content = {line.strip() for line in edit.content.splitlines()}
    return content | {f"description: {edit.content}".strip()} if edit.layer == "H" else content


def _patterns(folder: Path) -> list[Pattern]:
    """The memory's patterns, those first that appeared most."""
    path = folder / MEMORY
    try:
        memory = parse_memory(path.read_text("utf-8"), str(path))
    except (OSError, UserError):  # a page is made of what can be read
        return []
    return sorted(memory.patterns, key=lambda pattern: (-len(pattern.appeared_in), -len(pattern.evidence)))


def style_and_script() -> tuple[str, str]:
    """What every page looks like, and what the report's page does."""
    style, script = (
        (resources.files("skillgrad_ci.report") / "templates" / name).read_text("utf-8") for name in ASSETS
    )
    return style, script


def policy_of(style: str, script: str = "", *, served: bool = False) -> str:
    """A page's content security policy: its own style and script, and nothing from elsewhere."""
    rules = ["default-src 'none'", f"style-src '{_digest(style)}'", "base-uri 'none'"]
    if script:
        rules += [f"script-src '{_digest(script)}'", "form-action 'none'"]
    return "; ".join([*rules, *(["connect-src 'self'"] if served else [])])


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

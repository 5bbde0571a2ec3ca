"""The page `report.html`: one file that loads nothing, made of a report and of what lies in its run folder.

All that a model, a task or a person wrote is data. The template escapes it, the script puts it into the page as text,
and the page's policy lets nothing run but the page's own script, known by its digest.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from skillgrad_ci.config.settings import Settings
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.memory import Pattern
from skillgrad_ci.method.memory.memory_file import parse_memory
from skillgrad_ci.report.document import EditFacts, Report, TaskFacts
from skillgrad_ci.report.executions import AFTER, BEFORE, Executions, read_executions, tasks_of_page
from skillgrad_ci.report.templating import environment, usd

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
    """The page of a run.

    `served`: it lists every task, and executions that it does not carry may be fetched from where it came from.
    """
    tasks = tasks_of_page(report, every=served)
    executions = read_executions(folder, report, tasks)
    style, script = _style_and_script()
    return environment().get_template("report.html").render(
        report=report,
        columns=executions.columns,
        column_names={column: column_name(column) for column in executions.columns},
        grid=list(_grid(tasks, executions)),
        data=_data(report, executions, served),
        hunks=list(_hunks(folder, report)),
        patch=PATCH,
        patterns=_patterns(folder),
        spending=_spending(report),
        chosen=sorted(_chosen(report)),
        style=style,
        script=script,
        policy=_policy(style, script, served=served),
    )  # fmt: skip


@dataclass(frozen=True)
class Spending:
    """What each measurement and iteration took, in the order of the run: (name, [(role, from, width, amount)], total).

    Widths are thousandths of the dearest row. In dollars, or in tokens where a price is unknown.
    """

    roles: Sequence[str]
    rows: Sequence[tuple[str, Sequence[tuple[str, float, float, str]], str]]


def _spending(report: Report) -> Spending:
    known = all(spent.usd is not None for spent in report.cost.by_purpose)
    rows: dict[str, dict[str, float]] = {}
    for spent in report.cost.by_purpose:
        amount = (spent.usd or 0.0) if known else float(spent.prompt_tokens + spent.completion_tokens)
        row = rows.setdefault(column_name(spent.iteration) if spent.iteration else "start", {})
        row[spent.role] = row.get(spent.role, 0.0) + amount
    roles = list(dict.fromkeys(role for row in rows.values() for role in row))
    most = max((sum(row.values()) for row in rows.values()), default=0.0) or 1.0

    def told(amount: float) -> str:
        return usd(amount) if known else f"{amount:,.0f} tokens"

    def bar(row: Mapping[str, float]) -> Iterator[tuple[str, float, float, str]]:
        at = 0.0
        for role in filter(row.__contains__, roles):
            width = 1000 * row[role] / most
            yield role, round(at, 1), round(width, 1), told(row[role])
            at += width

    return Spending(roles, [(name, list(bar(row)), told(sum(row.values()))) for name, row in rows.items()])


def _chosen(report: Report) -> Iterator[tuple[str, str, str]]:
    """The settings that are not what they are without being set."""
    usual = Settings().model_dump(mode="json")
    for name in usual.keys() & report.settings.keys():
        here, without = report.settings[name], usual[name]
        inside = isinstance(here, dict) and isinstance(without, dict)
        pairs = {f"{name}.{key}": (here[key], without.get(key)) for key in here} if inside else {name: (here, without)}
        for full, (value, default) in pairs.items():
            if value != default:
                yield full, json.dumps(value, ensure_ascii=False), json.dumps(default, ensure_ascii=False)


def column_name(column: str) -> str:
    """A measurement's name for people."""
    names, kinds = {BEFORE: "before", AFTER: "after"}, {"": "iteration", "validate": "validation"}
    kind, _, number = column.rpartition("-")
    return names.get(column) or f"{kinds.get(kind, kind)} {number}"


def _grid(
    tasks: Sequence[TaskFacts], executions: Executions
) -> Iterator[tuple[TaskFacts, str, list[tuple[str, str, str]]]]:
    """Each task, its change, and its cells: a column, a state, and a word for it."""
    for task in tasks:
        old, new = task.baseline, task.final
        change = "" if old is None or new is None or old == new else "fixed" if new > old else "broken"
        cells = executions.cells.get(task.id, {})
        yield task, change, [(name, *_state(cells.get(name, []))) for name in executions.columns]


def _state(cells: Sequence[dict[str, object]]) -> tuple[str, str]:
    if not cells:
        return "none", ""
    if any(cell.get("stopped") == "timeout" for cell in cells):
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


def render_plain(template: str, **values: object) -> str:
    """A page that looks as a run's does, and has no script."""
    style, _ = _style_and_script()
    return environment().get_template(template).render(style=style, policy=_policy(style), **values)


def _style_and_script() -> tuple[str, str]:
    """What every page looks like, and what a run's page does."""
    style, script = (
        (resources.files("skillgrad_ci.report") / "templates" / name).read_text("utf-8") for name in ASSETS
    )
    return style, script


def _policy(style: str, script: str = "", *, served: bool = False) -> str:
    """A page's content security policy: its own style and script, and nothing from elsewhere."""
    rules = ["default-src 'none'", f"style-src '{_digest(style)}'", "base-uri 'none'"]
    if script:
        rules += [f"script-src '{_digest(script)}'", "form-action 'none'"]
    return "; ".join([*rules, *(["connect-src 'self'"] if served else [])])


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

"""The files of a run folder that people read, written from its report."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from skillgrad_ci.method.run import Run
from skillgrad_ci.report.diff import skill_patch
from skillgrad_ci.report.document import Report
from skillgrad_ci.report.page import MEMORY, NOT_KEPT, PATCH, render_page
from skillgrad_ci.report.provenance.blame import accepted_by
from skillgrad_ci.report.templating import environment
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.skill.folder import write_atomically

REPORT = "report.json"
EDITS = "edits.json"


def write_run(folder: Path, run: Run, report: Report, redactor: Redactor) -> dict[str, Path]:
    """Write a run's results; gives each by its name. Raises UserError where one cannot be written."""
    contents: dict[str, Callable[[], str]] = {  # made one after the other: with thousands of tasks each is megabytes
        REPORT: lambda: as_json(report),
        EDITS: lambda: as_edits(report),
        "report.md": lambda: as_markdown(report),
        MEMORY: run.memory.render,
        **{f"iterations/{step.number}.md": partial(as_markdown, report, step.number) for step in report.iterations},
    }
    for name, make in contents.items():
        write_atomically(folder / name, redactor(make()).encode())
    patches = {PATCH: run.final}
    if run.final.digest != run.candidate.digest:
        patches[NOT_KEPT] = run.candidate
    for name, skill in patches.items():
        patch = skill_patch(run.initial, skill).decode("utf-8", "surrogateescape")
        write_atomically(folder / name, redactor(patch).encode("utf-8", "surrogateescape"))
    write_atomically(folder / "report.html", redactor(render_page(report, folder)).encode())
    return {name: folder / name for name in (REPORT, "report.md", "report.html", PATCH, MEMORY)}


def as_json(report: Report) -> str:
    return json.dumps(report.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"


def as_edits(report: Report) -> str:
    """Every edit that was proposed, also those that were refused or rejected, with why, and what was measured of it."""
    rows = [
        {
            "iteration": step.number,
            **edit.model_dump(mode="json"),
            "verdict": step.verdict,
            "accepted_by": accepted_by(report, step) if edit.status == "accepted" else "",
        }
        for step in report.iterations
        for edit in step.edits
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"


def as_markdown(report: Report, iteration: int | None = None) -> str:
    """The whole report, or one iteration: its diagnoses, overlay and edits."""
    template = environment().get_template("iteration.md" if iteration else "report.md")
    step = next((step for step in report.iterations if step.number == iteration), None)
    return template.render(report=report, step=step)

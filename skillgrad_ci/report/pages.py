"""The pages of a report, and the files of a run folder.

Texts of models and tasks are data: the HTML page escapes them, the Markdown page takes their markup
away. Neither page loads anything from elsewhere.
"""

import html
import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from skillgrad_ci.method.run import Run
from skillgrad_ci.report.diff import skill_patch
from skillgrad_ci.report.document import Report
from skillgrad_ci.report.headline import percent, points
from skillgrad_ci.report.statistics import wilson
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.skill.folder import write_atomically

if TYPE_CHECKING:
    from jinja2 import Environment

MARKDOWN = re.compile(r"([\\`*_\[\]|~])")
REPORT, PATCH, MEMORY = "report.json", "skill.patch", "momentum.md"
NOT_KEPT = "candidate.patch"  # what was measured and is not kept


def write_run(folder: Path, run: Run, report: Report, redactor: Redactor) -> dict[str, Path]:
    """Write a run's results; gives each by its name. Raises UserError where one cannot be written."""
    contents = {
        REPORT: as_json(report),
        "report.md": as_markdown(report),
        "report.html": as_html(report),
        MEMORY: run.memory.render(),
    }
    contents |= {f"iterations/{step.number}.md": as_markdown(report, step.number) for step in report.iterations}
    for name, text in contents.items():
        write_atomically(folder / name, redactor(text).encode())
    patches = {PATCH: run.final}
    if run.final.digest != run.candidate.digest:
        patches[NOT_KEPT] = run.candidate
    for name, skill in patches.items():
        patch = skill_patch(run.initial, skill).decode("utf-8", "surrogateescape")
        write_atomically(folder / name, redactor(patch).encode("utf-8", "surrogateescape"))
    return {name: folder / name for name in (REPORT, "report.md", "report.html", PATCH, MEMORY)}


def as_json(report: Report) -> str:
    return json.dumps(report.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"


def as_html(report: Report) -> str:
    return _environment().get_template("report.html").render(report=report)


def as_markdown(report: Report, iteration: int | None = None) -> str:
    """The whole report, or one iteration: its diagnoses, overlay and edits."""
    template = _environment().get_template("iteration.md" if iteration else "report.md")
    step = next((step for step in report.iterations if step.number == iteration), None)
    return template.render(report=report, step=step)


def plain(text: object) -> str:
    """Text for Markdown: on one line, its markup and HTML shown instead of followed."""
    return MARKDOWN.sub(r"\\\1", html.escape(" ".join(str(text).split()), quote=False))


def code(text: object) -> str:
    """Text as a code span, whatever backticks it holds."""
    content = " ".join(str(text).split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", content)), default=0))
    pad = " " if content.startswith("`") or content.endswith("`") else ""
    return f"{fence}{pad}{content.replace('|', chr(92) + '|')}{pad}{fence}" if content else ""


def usd(amount: float | None) -> str:
    return "unknown price" if amount is None else f"${amount:.4f}" if amount < 1 else f"${amount:.2f}"


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("skillgrad_ci.report"),
        autoescape=select_autoescape(["html"]),  # Markdown is made safe by `plain` and `code`
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "points": points, "plain": plain, "code": code, "usd": usd}
    environment.globals["wilson"] = wilson
    return environment

"""The files of a comparison that people and programs read: `comparison.json` and `comparison.html`."""

import json
from pathlib import Path

from skillgrad_ci.report.comparison import SettingsCompared
from skillgrad_ci.report.page import render_plain
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.skill.folder import write_atomically

COMPARISON, PAGE = "comparison.json", "comparison.html"


def write_comparison(folder: Path, found: SettingsCompared, redactor: Redactor) -> Path:
    """Write both; gives the page. Raises UserError where one cannot be written."""
    text = json.dumps(found.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
    write_atomically(folder / COMPARISON, redactor(text).encode())
    write_atomically(folder / PAGE, redactor(render(found)).encode())
    return folder / PAGE


def render(found: SettingsCompared) -> str:
    return render_plain("settings.html", found=found)

"""The pull request's text, whatever models wrote and however much of it."""

import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from skillgrad_ci.bot.engine import command_line
from skillgrad_ci.bot.pull_request.page import Around, body, result_text, title
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.config.settings import Models, Settings
from skillgrad_ci.github.text import LIMIT
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.report.document import Report
from skillgrad_ci.report.report import Circumstances, report_of
from tests.support.worlds import SKILL, suite, world

HOSTILE = (
    "@acme/team fixes #1 | closes GH-2 <img src=http://e.example/x> [a](http://e.example) _www.e.example\n```mermaid\n"
    "graph TD; click A href\n```\n<!-- x --> ![i](//e.example) | | \n# Title\n> q\n\u202etxet \U000e0041"
)


@pytest.fixture(scope="module")
def report() -> Report:
    run = optimize(SKILL, suite(24), LoopSettings(iterations=4, accept="final"), PatternMemory(SKILL.name), world())
    settings = Settings(models=Models(executor="p/m", optimizer="p/o"))
    return report_of(run, Circumstances(settings, "skills/s", "evals/s", "synthetic", "skillgrad-ci optimize"))


def hostile(report: Report, edits: int, warnings: int) -> Report:
    """The same run with texts that attack, and that many edits and remarks."""
    step = report.iterations[0]
    texts = {"address": HOSTILE, "content": HOSTILE * 9, "why": HOSTILE * 9, "file": HOSTILE}
    lists = {"patterns": (HOSTILE,) * 40, "tasks": (HOSTILE,) * 40, "status": "accepted"}
    made = [step.edits[0].model_copy(update={"id": f"E{n}", **texts, **lists}) for n in range(1, edits + 1)]
    step = step.model_copy(update={"edits": tuple(made)})
    tasks = [task.model_copy(update={"feedback": HOSTILE * 9}) for task in report.tasks]
    facts = {"iterations": (step, *report.iterations[1:]), "tasks": tuple(tasks), "remarks": (HOSTILE * 3,) * warnings}
    return report.model_copy(update=facts)


def parsed(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(text)


@pytest.mark.parametrize(("edits", "warnings"), [(1, 1), (200, 200)])
def test_no_text_of_models_breaks_the_page_or_its_bound(report: Report, edits: int, warnings: int) -> None:
    attacked = hostile(report, edits, warnings)
    memory = PatternMemory(SKILL.name)
    for text in (body(attacked, memory, Around(issue=7, dropped={"E1": HOSTILE})), result_text(attacked, "", "")):
        assert len(text) <= LIMIT
        tokens = parsed(text)
        inner = [child for token in tokens for child in token.children or []]
        assert not [t for t in tokens if t.type == "html_block" or (t.type == "fence" and "xychart" not in t.content)]
        assert not {child.type for child in inner} & {"html_inline", "link_open", "image"}
        prose = "".join(child.content for child in inner if child.type.startswith("text"))
        assert not re.search(r"@\w|(?<!Asked for in )#\d|\bGH-\d|://|www\.", prose)
        assert "| E2 |" in text or edits == 1


@pytest.mark.parametrize("edits", [1, 200])
def test_every_row_has_as_many_cells_as_its_table(report: Report, edits: int) -> None:
    cells: list[int] = []
    for token in parsed(body(hostile(report, edits, 3), PatternMemory(SKILL.name), Around())):
        if token.type == "table_open":
            width = 0
        elif token.type == "tr_open":
            cells = [0]
        elif token.type in ("td_open", "th_open"):
            cells[0] += 1
        elif token.type == "tr_close":
            width = width or cells[0]
            assert cells[0] == width


def test_a_title_claims_no_figure_that_was_measured_with_other_edits(report: Report) -> None:
    assert "points on heldout tasks" in title(report)
    assert title(report, ["E2", "E3"]) == f"Optimize skill {report.skill}, without E2, E3"


def test_the_tasks_that_decided_are_named(report: Report) -> None:
    text = body(report, PatternMemory(SKILL.name), Around())
    assert f"The {report.chosen_on} tasks decided whether they are proposed." in text
    assert "no agent that edits saw them" in text


def test_a_run_is_repeated_with_what_the_inputs_changed(tmp_path: Path) -> None:
    settings = Settings(models=Models(executor="p/m", optimizer="p/o x"), iterations=2)
    job = SkillRun(tmp_path / "skills/s", tmp_path / "evals/s", settings, tmp_path)
    line = "skillgrad-ci optimize skills/s --model p/m --optimizer-model 'p/o x' --iterations 2"
    assert command_line(job) == line

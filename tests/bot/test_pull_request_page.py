"""The pull request's text, whatever models wrote and however much of it."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from skillgrad_ci.bot.engine import command_line
from skillgrad_ci.bot.pull_request.edit_rows import edit_rows, superseded
from skillgrad_ci.bot.pull_request.page import Around, body, fitted, result_text, title
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.config.settings import Models, Settings
from skillgrad_ci.github.body import LIMIT
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.report.document import Report
from skillgrad_ci.report.page import render_page
from skillgrad_ci.report.pages import as_markdown
from skillgrad_ci.report.report import Circumstances, report_of
from skillgrad_ci.skill.edit import Edit
from skillgrad_ci.skill.skill import MAIN
from tests.support.github_page import BROWSERS, html, measured, picture
from tests.support.worlds import SKILL, suite, world

HOSTILE = (
    "@acme/team fixes #1 | closes GH-2 <img src=http://e.example/x> [a](http://e.example) _www.e.example\n```mermaid\n"
    "graph TD; click A href\n```\n<!-- x --> ![i](//e.example) | | \n# Title\n> q\n\u202etxet \U000e0041"
)


OURS = re.compile(r"(</?details>|<details><summary>[\w ,:$'.]+</summary>)\s*")
INLINE = {"<br>", "<sub>", "</sub>", "<!-- skillgrad-ci:rebase -->", "<!-- skillgrad-ci:rerun -->"}


@pytest.fixture(scope="module")
def report() -> Report:
    run = optimize(SKILL, suite(24), LoopSettings(iterations=4, accept="final"), PatternMemory(SKILL.name), world())
    settings = Settings(models=Models(executor="p/m", optimizer="p/o"))
    return report_of(run, Circumstances(settings, "skills/s", "evals/s", "synthetic", "skillgrad-ci optimize"))


def test_a_line_that_may_teach_the_test_and_not_the_work_is_shown_to_the_reviewer() -> None:
    run = optimize(SKILL, suite(24), LoopSettings(iterations=4, accept="final"), PatternMemory(SKILL.name), world())
    line = "The grader reads the first line verbatim."
    gamed = run.candidate.with_file(MAIN, f"{run.candidate.text}\n{line}\n")
    around = Circumstances(Settings(models=Models(executor="p/m")), "skills/s", "evals/s", "synthetic", "")
    plain, found = (report_of(replace(run, candidate=skill, final=skill), around) for skill in (run.candidate, gamed))
    for shown in (body(found, PatternMemory(SKILL.name), Around()), as_markdown(found)):
        assert line in shown
        kinds = "speaks of the grader, speaks of how results are compared"
        assert f"1 added line may teach the test and not the work ({kinds}): look at them by hand." in shown
    assert "speaks of the grader" not in as_markdown(plain)


@pytest.mark.parametrize(
    ("minutes", "told"),
    [
        (0, "0 seconds"),
        (0.02, "1 second"),
        (0.25, "15 seconds"),
        (1.22, "73 seconds"),
        (2, "2 minutes"),
        (59.7, "60 minutes"),
    ],
)
def test_every_page_says_the_same_of_how_long_a_run_took(
    report: Report, tmp_path: Path, minutes: float, told: str
) -> None:
    took = report.model_copy(update={"minutes": minutes})
    for shown in (body(took, PatternMemory(SKILL.name), Around()), as_markdown(took), render_page(took, tmp_path)):
        assert re.search(rf"\b{told}[.<]", shown)
        assert not re.search(rf"\b{minutes:g} minutes", shown) or minutes == 2


def hostile(report: Report, edits: int, warnings: int) -> Report:
    """The same run with texts that attack, and that many edits and remarks."""
    step = report.iterations[0]
    texts = {"address": HOSTILE, "content": HOSTILE * 9, "why": HOSTILE * 9, "file": HOSTILE}
    lists = {"patterns": (HOSTILE,) * 40, "tasks": (HOSTILE,) * 40, "status": "accepted"}
    made = [step.edits[0].model_copy(update={"id": f"E{n}", **texts, **lists}) for n in range(1, edits + 1)]
    step = step.model_copy(update={"edits": tuple(made)})
    tasks = [
        task.model_copy(update={"feedback": HOSTILE * 9, "prompt": HOSTILE, "said": (HOSTILE,) * 2})
        for task in report.tasks
    ]
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
        assert all(OURS.fullmatch(token.content) for token in tokens if token.type == "html_block")
        assert not [t for t in tokens if t.type == "fence" and "xychart" not in t.content]
        assert {child.content for child in inner if child.type == "html_inline"} <= INLINE
        assert not {child.type for child in inner} & {"link_open", "image"}
        prose = "".join(child.content for child in inner if child.type.startswith("text"))
        assert not re.search(r"@\w|(?<!Asked for in )#\d|\bGH-\d|://|www\.", prose)
        assert "| E2 |" in text or edits == 1


def test_a_task_shows_its_prompt_its_scores_and_the_grader_before_and_after(report: Report) -> None:
    said = ('- failed: It is dated (no date; "Dear all")', '- passed: It is dated (it is; "3 May")')
    told = {"prompt": "Write the letter.", "scores": (0.25, 0.5), "said": said, "baseline": 0.0, "final": 0.0}
    tasks = (report.tasks[0].model_copy(update=told), *report.tasks[1:])
    text = body(report.model_copy(update={"tasks": tasks}), PatternMemory(SKILL.name), Around())
    row = next(line for line in text.splitlines() if line.startswith(f"| `{tasks[0].id}`"))
    for words in ("Write the letter.", "score 0.25", "score 0.50", '"Dear all"', '"3 May"'):
        assert words in row


def test_an_edit_names_its_heading_and_the_batch_that_taught_its_pattern(report: Report) -> None:
    step = report.iterations[0]
    edit = step.edits[0].model_copy(
        update={"tasks": (), "taught_in": "the batch of iteration 1 (task-2)", "target": "file", "under": "Guide"}
    )
    steps = (step.model_copy(update={"edits": (edit,)}), *report.iterations[1:])
    text = body(report.model_copy(update={"iterations": steps}), PatternMemory(SKILL.name), Around())
    row = next(line for line in text.splitlines() if line.startswith(f"| {edit.id} "))
    assert "under `Guide`" in row
    assert row.endswith("| the batch of iteration 1 (task-2) |")


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


def test_the_page_is_as_long_as_its_bound_allows_and_counts_what_it_left_out(report: Report) -> None:
    text = body(hostile(report, 900, 3), PatternMemory(SKILL.name), Around())
    shown_ = len(re.findall(r"^\| E\d+ \| .*<sub>", text, re.MULTILINE))
    assert 0 < shown_ < 900
    standing = sum(edit.status == "accepted" for step in hostile(report, 900, 3).iterations for edit in step.edits)
    assert f"_{standing - shown_} more in the run's report._" in text
    assert len(text) > LIMIT / 2


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(2_000, 9_000))
def test_as_many_rows_as_fit_are_shown(sizes: list[int], limit: int) -> None:
    def page(rows: int) -> str:
        return "\n".join("x" * size for size in sizes[:rows])

    text = fitted(page, limit)
    rows = len(text.splitlines())
    assert len(text) <= limit
    assert rows == len(sizes) or len(page(rows + 1)) > limit


def edit_of(name: str, content: str, **fields: Any) -> Edit:
    return Edit(name, 1, "B", "SKILL.md", **{"op": "append", "target": "file", "content": content} | fields)


def test_an_edit_of_whose_words_nothing_is_left_is_superseded() -> None:
    first, second = edit_of("E1", "Take the first."), edit_of("E2", "Sort by day.")
    third = edit_of("E3", "Take the newest.", op="replace", target="text", address="Take the first.")
    assert superseded(SKILL, [first, second]) == set()
    assert superseded(SKILL, [first, second, third]) == {"E1"}


def test_the_chart_holds_a_number_for_each_iteration(report: Report) -> None:
    text = body(report, PatternMemory(SKILL.name), Around())
    numbers = re.findall(r"  (?:x-axis \"iteration\"|line) \[([\d., ]+)\]", text)
    assert len(numbers) == 2
    assert len({len(row.split(",")) for row in numbers}) == 1


def test_a_short_diff_is_open_and_a_long_one_is_folded(report: Report) -> None:
    few, many = ([edit_of(f"E{n}", f"Line {n}.") for n in range(1, count)] for count in (4, 90))
    short, long = (body(report, PatternMemory(), Around(initial=SKILL, edits=edits)) for edits in (few, many))
    assert "### The skill's diff, by layer\n\n```diff" in short
    assert re.search(r"<summary>The skill's diff, by layer \(\d+ lines added, 0 removed\)", long)


def test_a_title_claims_no_figure_that_was_measured_with_other_edits(report: Report) -> None:
    assert "points on heldout tasks" in title(report)
    assert title(report, ["E2", "E3"]) == f"Optimize skill {report.skill}, without E2, E3"
    rehearsed = report.model_copy(update={"rehearsal": True})
    assert title(rehearsed) == f"Rehearsal: skill {report.skill}, measured with no real model"


def test_a_row_says_how_much_it_shows_and_whose_words_it_replaced(report: Report) -> None:
    step = report.iterations[0]
    first = step.edits[0].model_copy(update={"id": "E1", "content": "- Take the first.\n- Sort.\n\n# More\n- Count."})
    fields = {"id": "E2", "op": "replace", "target": "text", "content": "- Take the newest."}
    of_the_run = first.model_copy(update={**fields, "address": "- Take the first."})
    of_the_base = first.model_copy(update={**fields, "id": "E3", "address": "Do it."})
    edited = step.model_copy(update={"edits": (first, of_the_run, of_the_base)})
    rows, _ = edit_rows(report.model_copy(update={"iterations": (edited,)}), (), (), {})
    assert [row.says for row in rows] == ["Take the first. (and 2 more lines)", *["Take the newest."] * 2]
    assert [row.place for row in rows[1:]] == ["body, instead of what E1 said", "body, instead of `Do it.`"]


def test_the_tasks_that_decided_are_named(report: Report) -> None:
    text = body(report, PatternMemory(SKILL.name), Around())
    assert f"The {report.chosen_on} tasks decided whether they are proposed." in text
    assert "no agent that edits saw them" in text


def test_the_agent_with_its_version_stands_beside_the_models(report: Report) -> None:
    text = body(report.model_copy(update={"agent": "codex/2.6.0"}), PatternMemory(SKILL.name), Around())
    assert "- agent `codex/2.6.0`; models: executor `p/m`" in text


def test_a_run_is_repeated_with_what_the_inputs_changed(tmp_path: Path) -> None:
    settings = Settings(models=Models(executor="p/m", optimizer="p/o x"), iterations=2)
    job = SkillRun(tmp_path / "skills/s", tmp_path / "evals/s", settings, tmp_path)
    line = "skillgrad-ci optimize skills/s --model p/m --optimizer-model 'p/o x' --iterations 2"
    assert command_line(job) == line


def test_files_of_the_diff_stand_apart_and_nothing_but_the_diff_is_shown(report: Report) -> None:
    new = replace(edit_of("E2", "Always look."), file="references/more.md")
    text = body(report, PatternMemory(), Around(initial=SKILL, edits=[edit_of("E1", "Use always alpha."), new]))
    assert "file mode" not in text
    assert "diff --git" not in text
    assert "\n\n--- /dev/null\n+++ b/references/more.md" in text
    assert "```diff\n--- a/SKILL.md" in text


@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="no Chromium: no picture")
@pytest.mark.parametrize("unfolded", [False, True])
def test_no_table_runs_out_of_githubs_width(report: Report, tmp_path: Path, unfolded: bool) -> None:
    """The pictures are left beside the page, in the test's folder."""
    browser = next(filter(shutil.which, BROWSERS))
    edits = [edit_of(f"E{n}", f"Use always {word}.") for n, word in enumerate(("alpha", "beta", "gamma"), 1)]
    text = body(report, PatternMemory(), Around(initial=SKILL, edits=edits))
    page = tmp_path / "pull-request.html"
    page.write_text(html(text, unfolded=unfolded), "utf-8")
    facts = measured(browser, page)
    assert facts["overflow"] == 0
    for scheme in ("light", "dark"):
        picture(browser, page, tmp_path / f"{scheme}.png", facts["height"] + 40, dark=scheme == "dark")
        assert (tmp_path / f"{scheme}.png").stat().st_size > 10_000

"""The page in a real browser: it opens tasks, finds them, runs nothing that a model wrote, and everybody can use it.

With SKILLGRAD_SCREENSHOTS=FOLDER its pictures are kept, for people to look at.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import memory
from skillgrad_ci.config.settings import Settings
from skillgrad_ci.method.acceptance import Verdict
from skillgrad_ci.method.evidence import Evidence, Outcome, Trajectory
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.run import Run, Stop
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.report import executions
from skillgrad_ci.report.document import SpentOn
from skillgrad_ci.report.page import render_page
from skillgrad_ci.report.pages import write_run
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.trajectories.kept import keep_in
from tests.report.test_report import report, run
from tests.support.worlds import SKILL, Oracle

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ATTACK = "</script><script>window.attacked = 1</script><img src=x onerror='window.attacked = 1'>"


def attacked(row: Evidence) -> Evidence:
    """An execution whose every text tries to run a script."""
    events = (
        {"kind": "message", "role": "user", "text": f"Add up. {ATTACK}"},
        {"kind": "tool_call", "id": "1", "tool": "shell", "arguments": {"command": f"echo {ATTACK}"}},
        {"kind": "tool_result", "id": "1", "tool": "shell", "output": ATTACK, "exit_code": 0},
        {"kind": "message", "role": "assistant", "text": f"Done.\u2028\x85 {ATTACK}"},
    )
    feedback = f"Sheet1!B2: expected 3, got 4\n{ATTACK}" if row.outcome is Outcome.FAILED else ""
    return replace(row, trajectory=Trajectory(events, "Done.", 2, stopped="answered"), feedback=feedback)


def written(folder: Path, result: Run | None = None) -> Run:
    """A run folder as a run leaves it."""
    result = result or run()
    keep = keep_in(folder, Redactor([]))
    for name, rows in [("base", result.baseline), ("final", result.measured)]:
        for row in rows:
            keep(name, attacked(row))
    for step in result.iterations:
        for row in step.batch:
            keep(str(step.number), attacked(row))
    write_run(folder, result, report(result), Redactor([]))
    return result


@pytest.fixture(scope="module")
def chromium() -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser: "Browser", path: Path, scheme: str = "light", width: int = 1280) -> tuple["Page", list[str]]:
    """A page, and what its console said of errors."""
    said: list[str] = []
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})  # type: ignore[arg-type]
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path.as_uri())
    return page, said


@pytest.mark.browser
def test_a_task_opens_and_nothing_that_a_model_wrote_runs(chromium: "Browser", tmp_path: Path) -> None:
    result = written(tmp_path)
    page, said = opened(chromium, tmp_path / "report.html")
    taught = result.iterations[0].batch[0].task_id
    page.get_by_role("button", name=taught, exact=True).click()
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_role("heading", name=taught, exact=True).is_visible()
    assert "Add up." in dialog.inner_text()
    assert dialog.get_by_role("cell", name="Sheet1!B2").first.is_visible()
    assert "What iteration 1 learned from it" in dialog.inner_text()
    dialog.locator("summary", has_text="shell").first.click()
    assert ATTACK in dialog.inner_text()
    page.keyboard.press("ArrowRight")
    assert not dialog.get_by_role("heading", name=taught, exact=True).is_visible()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.evaluate("window.attacked") is None
    assert said == []


@pytest.mark.browser
def test_a_task_that_the_page_names_is_a_click_away(chromium: "Browser", tmp_path: Path) -> None:
    found = report(written(tmp_path)).heldout.delta
    assert found is not None
    page, said = opened(chromium, tmp_path / "report.html")
    for task in found.fixed[:2]:
        page.locator("p.soft").get_by_role("link", name=task, exact=True).click()
        assert page.get_by_role("dialog").get_by_role("heading", name=task, exact=True).is_visible()
        page.keyboard.press("Escape")
    assert said == []


@pytest.mark.browser
def test_tasks_are_found_by_words_split_and_outcome(chromium: "Browser", tmp_path: Path) -> None:
    result = written(tmp_path)
    page, said = opened(chromium, tmp_path / "report.html")
    rows = page.locator(".matrix tbody tr:visible")
    assert rows.count() == len(result.suite.tasks)
    page.get_by_label("Search").fill(result.suite.tasks[3].id)
    assert result.suite.tasks[3].id in rows.all_inner_texts()[0]
    assert rows.count() < len(result.suite.tasks)
    page.get_by_label("Search").fill("")
    page.get_by_label("Split").select_option("heldout")
    assert rows.count() == len([task for task in result.suite.tasks if task.split == "heldout"])
    page.get_by_label("Outcome").select_option("fixed")
    delta = report(result).heldout.delta
    assert delta is not None
    assert rows.count() == len(delta.fixed)
    assert said == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(chromium: "Browser", tmp_path: Path, scheme: str, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    written(tmp_path)
    page, said = opened(chromium, tmp_path / "report.html", scheme, width)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for told in ("before", "after", "change"):  # what one looks for needs no scrolling, on a phone either
        box = page.locator(".matrix thead th", has_text=told).bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= width
    for state in ("page", "task"):
        if state == "task":
            page.locator(".matrix .state").first.click()
        found = Axe().run(page).response["violations"]
        assert [
            (rule["id"], rule["nodes"][0]["html"]) for rule in found if rule["impact"] in ("serious", "critical")
        ] == []
        if folder := os.environ.get("SKILLGRAD_SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"report-{state}-{scheme}-{width}.png", full_page=state == "page")
    assert [text for text in said if "Content Security Policy" not in text] == []  # axe itself is kept out in parts


def interrupted() -> Run:
    return replace(run(), measured=(), final=SKILL, stop=Stop.CANCELLED, why="it was interrupted")


def tied() -> Run:
    result = run()
    rows = {row.task_id: row for row in result.baseline}
    return replace(result, measured=[rows[row.task_id] for row in result.measured], final=SKILL, verdict=Verdict.TIE)


def long() -> Run:
    """Forty iterations, and a task that somebody called by more letters than fit a phone."""
    result = run()
    names = {task.id: f"{task.id}{'x' * 60}" for task in result.suite.tasks}
    first = result.iterations[0]
    last = replace(
        first,
        number=40,
        verdict="v" * 200,
        batch=[replace(row, task_id=names[row.task_id]) for row in first.batch],
        diagnoses=[replace(one, task_id=names[one.task_id], label="l" * 99, cause="c" * 99) for one in first.diagnoses],
    )
    return replace(
        result,
        suite=replace(result.suite, tasks=[replace(task, id=names[task.id]) for task in result.suite.tasks]),
        baseline=[replace(row, task_id=names[row.task_id]) for row in result.baseline],
        measured=[replace(row, task_id=names[row.task_id]) for row in result.measured],
        iterations=[*(replace(first, number=number) for number in range(1, 40)), last],
    )


def many() -> Run:
    rows = [memory.executed(number) for number in range(2 * executions.ROWS_BOUND)]
    return Run(SKILL, SKILL, SKILL, memory.suite_of(len(rows)), LoopSettings(), PatternMemory("s"), baseline=rows)


RUNS: dict[str, Callable[[], Run]] = {
    "a gain": run,
    "interrupted": interrupted,
    "a tie": tied,
    "without a patch": lambda: run(agent=Oracle(lambda role, _: role == "patcher")),
    "long": long,
    "more tasks than it lists": many,
}
NEXT = {
    "a gain": "Next: read what changed. To take it, run git apply in the skill's folder with skill.patch,",
    "interrupted": "Next: to go on, start it again: what was paid for is taken from the journal.",
    "a tie": "Next: nothing is to be taken.",
    "without a patch": "No edit was proposed; the run took",
}
CUT = """() => {
  document.querySelectorAll("details").forEach(one => { one.open = true; });
  const scrolls = innerWidth > 640 ? ".matrix *" : ":scope > *"; // of many iterations the grid scrolls
  const outside = (one, box) => one.left < box.left - 1 || one.right > box.right + 1;
  const found = [...document.body.querySelectorAll("*")].filter(one => !one.matches(scrolls) &&
    outside(one.getBoundingClientRect(), { left: 0, right: innerWidth })).map(one => `beside: ${one.outerHTML}`);
  for (const text of document.querySelectorAll("svg text")) {
    const box = text.getBoundingClientRect(), chart = text.closest("svg").getBoundingClientRect();
    if (outside(box, chart) || box.bottom > chart.bottom + 1) found.push(`clipped: ${text.textContent}`);
    if (box.height < 10) found.push(`too small: ${text.textContent}`);
    for (const other of document.querySelectorAll("svg text")) {
      const next = other.getBoundingClientRect();
      if (other !== text && box.left < next.right - 1 && next.left < box.right - 1 && box.top < next.bottom - 4 &&
        next.top < box.bottom - 4) found.push(`on one another: ${text.textContent}, ${other.textContent}`);
    }
  }
  for (const cell of document.querySelectorAll(".cards td")) {
    const heading = cell.closest("table").rows[0].cells[cell.cellIndex].textContent;
    if (cell.dataset.label !== heading) found.push(`unlabelled: ${cell.outerHTML}`);
  }
  return found.map(one => one.slice(0, 200));
}"""


@pytest.mark.browser
@pytest.mark.parametrize("name", RUNS)
def test_nothing_is_cut_at_any_width_and_the_top_says_what_is_next(
    chromium: "Browser", tmp_path: Path, name: str
) -> None:
    written(tmp_path, RUNS[name]())
    for width in (390, 768, 1280):
        page, said = opened(chromium, tmp_path / "report.html", width=width)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate(CUT) == []
        assert NEXT.get(name, "Next: ") in " ".join(page.locator("main").inner_text().split())
        assert said == []
        page.context.close()


def test_a_diff_that_is_not_kept_says_so(tmp_path: Path) -> None:
    for name, result in (("gain", run()), ("tie", tied())):
        written(tmp_path / name, result)
        page = (tmp_path / name / "report.html").read_text()
        assert '<div class="add">' in page
        assert ("this was tried and is not kept" in page) == (name == "tie")


def test_a_task_is_found_whatever_its_id_is_made_of(tmp_path: Path) -> None:
    """Ids of some suites are numbers, or paths: a number alone tells nobody which task it is."""
    result = run()
    names = {task.id: name for task, name in zip(result.suite.tasks, ["1", "käse 1.", "2", "10"], strict=False)}

    def named(rows: Sequence[Evidence]) -> list[Evidence]:
        return [attacked(replace(row, task_id=names.get(row.task_id, row.task_id))) for row in rows]

    keep = keep_in(tmp_path, Redactor([]))
    for row in named(result.baseline):
        keep("base", row)
    tasks = [
        replace(task, id=names.get(task.id, task.id), instruction=f"Sort list {task.id} upwards.")
        for task in result.suite.tasks
    ]
    suite = replace(result.suite, tasks=tasks)
    bare = replace(result, suite=suite, baseline=named(result.baseline), measured=(), iterations=())
    page = render_page(report(bare), tmp_path)
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert set(names.values()) <= set(data["cells"])
    first, second = list(names)[:2]
    assert f'>1</button> <span class="soft">Sort list {first} upwards.</span>' in page
    assert f">{names[second]}</button></th>" in page


def test_the_cost_is_shown_by_role_over_the_run(tmp_path: Path) -> None:
    result = written(tmp_path)
    found = report(result)
    spent = {"prompt_tokens": 60, "cached_tokens": 0, "completion_tokens": 40, "calls": 1}
    rows = [
        SpentOn(**spent, usd=0.25, role=role, iteration=iteration, task="")
        for role, iteration in [("executor", "base"), ("executor", "1"), ("diagnoser", "1"), ("patcher", "1")]
    ]
    page = render_page(found.model_copy(update={"cost": found.cost.model_copy(update={"by_purpose": rows})}), tmp_path)
    assert 'aria-label="executor $0.2500, diagnoser $0.2500, patcher $0.2500"' in page
    assert '<rect class="r0" x="0.0" width="333.3"' in page
    assert '<rect class="r2" x="666.7" width="333.3"' in page
    unpriced = [*rows[:3], rows[3].model_copy(update={"usd": None})]
    page = render_page(
        found.model_copy(update={"cost": found.cost.model_copy(update={"by_purpose": unpriced})}), tmp_path
    )
    assert "executor 100 tokens" in page


def test_the_settings_that_somebody_chose_stand_before_all(tmp_path: Path) -> None:
    result = written(tmp_path)
    settings = Settings(max_turns=7, models={"executor": "openai/x"}).model_dump(mode="json")
    page = render_page(report(result).model_copy(update={"settings": settings}), tmp_path)
    assert '<td class="name">max_turns</td><td class="name">7</td><td class="name">30</td>' in page
    assert '<td class="name">models.executor</td><td class="name">&#34;openai/x&#34;</td>' in page
    assert '<td class="name">concurrency</td>' not in page


def test_a_long_run_makes_a_small_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit is named by its file; what teaches most is carried first."""
    result = written(tmp_path)
    monkeypatch.setattr(executions, "PAGE_BOUND", 4_000)
    page = render_page(report(result), tmp_path)
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    cells = [(task, column, cell) for task, row in data["cells"].items() for column, all in row.items() for cell in all]
    carried = {task for task, _, cell in cells if cell["events"] is not None}
    assert carried <= {row.task_id for step in result.iterations for row in step.batch}
    assert 0 < sum(len(json.dumps(cell["events"])) for _, _, cell in cells if cell["events"]) <= 4_000
    assert all((tmp_path / cell["file"]).is_file() for _, _, cell in cells)
    assert {cell["outcome"] for _, _, cell in cells} == {"passed", "failed"}


def test_instructions_and_feedback_have_a_share_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are short, but a page of thousands of tasks would be made of them."""
    result = written(tmp_path)
    facts = report(result)
    whole = executions.read_executions(tmp_path, facts, facts.tasks)
    monkeypatch.setattr(executions, "WORDS_BOUND", 300)
    found = executions.read_executions(tmp_path, facts, facts.tasks)
    told = [cell.get("feedback", "") for row in found.cells.values() for cells in row.values() for cell in cells]
    assert 0 < sum(map(len, [*told, *found.instructions.values()])) <= 300
    assert found.instructions.items() < whole.instructions.items()
    assert {task: list(row) for task, row in found.cells.items()} == {
        task: list(row) for task, row in whole.cells.items()
    }
    assert {task: _grid_states(row) for task, row in found.cells.items()} == {
        task: _grid_states(row) for task, row in whole.cells.items()
    }


def test_of_thousands_of_tasks_those_that_say_most_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = written(tmp_path)
    facts = report(result)
    taught = {task for step in facts.iterations for task in step.batch}
    monkeypatch.setattr(executions, "ROWS_BOUND", len(taught))
    page, served = (render_page(facts, tmp_path, served=served) for served in (False, True))
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert set(data["cells"]) == taught
    assert page.count("<tr data-text=") == len(taught) < len(facts.tasks) == served.count("<tr data-text=")
    assert f"<p>{len(taught)} of {len(facts.tasks)} tasks are here" in page
    assert "tasks are here" not in served


def _grid_states(row: dict[str, list[dict[str, Any]]]) -> list[str]:
    return [cell["outcome"] for cells in row.values() for cell in cells]

"""A report says what the run was, in one voice, and gives no text of others a way out of its page."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from skillgrad_ci.config.settings import Models, Settings
from skillgrad_ci.method.acceptance import Verdict
from skillgrad_ci.method.evidence import Evidence, Outcome, Usage
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.run import Run
from skillgrad_ci.method.settings import Chosen, LoopSettings
from skillgrad_ci.method.task import Split
from skillgrad_ci.report.document import Report
from skillgrad_ci.report.headline import points
from skillgrad_ci.report.page import render_page
from skillgrad_ci.report.pages import as_json, as_markdown, write_run
from skillgrad_ci.report.power import detectable_change
from skillgrad_ci.report.report import Circumstances, report_of
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.skill.skill import Skill
from tests.support.worlds import SKILL, Oracle, Synthetic, suite, world

NOWHERE = Path("/nonexistent")  # a run folder without files: the page is made of the report alone
AROUND = Circumstances(
    settings=Settings(models=Models(executor="provider/model")),
    skill_path="skills/s",
    suite_path="evals/s",
    sandbox="sandlock 0.9",
    reproduce="skillgrad-ci optimize skills/s --tasks evals/s --model provider/model",
    cost={"executor": Usage(3, 100, 20, 10, 0.5), "patcher": Usage(1, 50, 0, 5, None)},
)


def run(**parts: Any) -> Run:
    config = LoopSettings(iterations=parts.pop("iterations", 4), accept=parts.pop("accept", "final"))
    return optimize(SKILL, parts.pop("tasks", suite(24)), config, PatternMemory("s"), world(**parts))


def report(result: Run | None = None, **around: Any) -> Report:
    return report_of(result or run(), replace(AROUND, **around))


def measured(result: Run, outcome: Outcome) -> Run:
    """The run as if the candidate's every execution had ended so."""
    rows = [replace(row, outcome=outcome) for row in result.measured]
    return replace(result, measured=rows)


def test_the_headline_of_a_shorter_skill_tells_the_tokens_saved() -> None:
    result = run()
    shorter = replace(SKILL, files={"SKILL.md": SKILL.files["SKILL.md"][:-12]})
    config = LoopSettings.model_validate({"optimizer": "shrink"})
    rows = [replace(row, outcome=Outcome.PASSED) for row in result.measured]
    kept = replace(result, settings=config, candidate=shorter, final=shorter, measured=rows)
    before, after = report(kept).tokens
    assert before - after == 3
    assert report(kept).headline.startswith(f"The skill is about 3 tokens shorter ({before} to {after}). ")
    assert "tokens shorter" not in report(result).headline


def test_the_headline_compares_what_was_measured_twice() -> None:
    """Else unmeasured tasks could turn a gain over the same tasks into figures that say the contrary."""
    result = run()
    unseen = [row.task_id for row in result.measured if row.task_id in {t.id for t in result.suite.of(Split.HELDOUT)}]

    def as_if(rows: Sequence[Evidence], passed: set[str], lost: set[str]) -> list[Evidence]:
        outcomes = {True: Outcome.PASSED, False: Outcome.FAILED}
        return [
            replace(row, outcome=Outcome.UNMEASURED if row.task_id in lost else outcomes[row.task_id in passed])
            for row in rows
        ]

    easy, hard = set(unseen[1:]), set(unseen[:1])
    baseline = as_if(result.baseline, easy, set())
    final = as_if(result.measured, hard, easy - set(unseen[-1:]))  # of the easy ones one is measured again, and fails
    said = report(replace(result, baseline=baseline, measured=final)).headline
    assert "50.0% before and after" in said


def test_a_diagnosis_that_could_not_be_had_stands_in_run_and_report_with_its_reason() -> None:
    lost = run(agent=Oracle(lambda role, number: role == "diagnoser" and number <= 5))
    first, second = report(lost).iterations[:2]
    assert first.verdict == "no diagnosis: diagnoser: no reply"
    assert set(first.dropped) == set(first.batch)
    assert len(second.dropped) == 1
    of = len(report(lost).iterations)
    untaught = f"1 of {of} iterations learned nothing: no diagnosis could be had (diagnoser: no reply)."
    assert any(remark.startswith(untaught) for remark in report(lost).remarks)
    assert not any("learned nothing" in remark for remark in report(run()).remarks)
    for step in (first, second):
        page = as_markdown(report(lost), step.number)
        assert all(f"- `{task}`: diagnoser: no reply" in page for task in step.dropped)
    assert render_page(report(lost), NOWHERE).count('<td class="soft">diagnoser: no reply') == 5


def test_each_entry_of_an_overlay_is_a_line_of_its_own_and_a_table_follows_a_blank_line() -> None:
    document = report()
    step = document.iterations[0]
    entries = [
        replace(entry, gap="too weak", change=change) for entry, change in zip(step.overlay, ("", "x"), strict=False)
    ]
    page = as_markdown(document.model_copy(update={"iterations": (step.model_copy(update={"overlay": entries}),)}), 1)
    lines = page.splitlines()
    assert [line.endswith("Gap: too weak") for line in lines if "Gap:" in line] == [True, False]
    assert lines[lines.index(next(line for line in lines if line.startswith("| edit |"))) - 1] == ""


def test_a_task_that_changed_shows_its_prompt_its_scores_and_both_verdicts() -> None:
    result = run()
    judged = '- failed: It is signed (no name; "Yours")\n- passed: It is short (five lines; "Dear all")'
    baseline = [replace(row, score=0.5, feedback=judged) for row in result.baseline]
    document = report(replace(result, baseline=baseline))
    changed = next(task for task in document.tasks if task.final == 1)
    assert changed.prompt == next(task.instruction for task in result.suite.tasks if task.id == changed.id)
    assert changed.scores == (0.5, 1.0)
    assert changed.said[0] == judged
    page = as_markdown(document)
    told = page.split(f"### `{changed.id}`")[1].split("###")[0]
    for words in (changed.prompt, "Score: 0.50 before, 1.00 after", '- failed: It is signed (no name; "Yours")'):
        assert words in told


def test_an_edit_says_under_which_heading_it_stands_and_which_batch_taught_its_pattern() -> None:
    result = run()
    step, later = result.iterations[0], result.iterations[1]
    first = next(one for one in step.edits if one.status == "accepted")
    assert report(result).iterations[0].edits[0].under == "Guide"
    late = replace(first, edit=replace(first.edit, id="E90", tasks=()))
    taught = replace(result, iterations=[step, replace(later, edits=[late]), *result.iterations[2:]])
    edit = report(taught).iterations[1].edits[0]
    number = max(stamp.iteration for stamp in later.memory.get(first.edit.patterns[0]).appeared_in)  # type: ignore[union-attr]
    batch = result.iterations[number - 1].batch
    assert edit.taught_in == f"the batch of iteration {number} ({', '.join(row.task_id for row in batch)})"
    assert f"the batch of iteration {number}" in as_markdown(report(taught), 2)
    page = render_page(report(taught), NOWHERE)
    assert f"taught by {edit.taught_in}" in page
    assert "it stands under “Guide”" in page


def test_report_json_has_the_fields_that_others_rely_on(tmp_path: Path) -> None:
    result = run()
    write_run(tmp_path, result, report(result), Redactor())
    written = json.loads((tmp_path / "report.json").read_text())
    assert {"skill", "optimizer", "models", "rehearsal", "seed", "suite", "heldout", "validation"} <= set(written)
    assert {"iterations", "cost", "stopped"} <= set(written)
    for side in ("baseline", "final"):
        assert set(written["heldout"][side]) == {"passed", "measured", "unmeasured", "accuracy", "timed_out"}
    assert {"change", "interval", "p_value", "fixed", "broken"} <= set(written["heldout"]["delta"])
    step = written["iterations"][0]
    assert {"batch", "failed", "contrastive", "diagnoses", "edits", "verdict"} <= set(step)
    assert {"layer", "file", "op", "patterns", "status", "reason"} <= set(step["edits"][0])
    assert step["diagnoses"][0]["label"]
    assert {key: value for key, value in written["cost"].items() if not key.startswith("by_")} == {
        "usd": None, "calls": 4, "prompt_tokens": 150, "cached_tokens": 20, "completion_tokens": 15,
    }  # fmt: skip
    assert written["cost"]["by_role"]["executor"]["usd"] == 0.5
    assert Report.model_validate(written) == report(result)


def test_the_figures_are_the_runs(tmp_path: Path) -> None:
    result = run()
    document = report(result)
    heldout = [row for row in result.measured if result.suite.tasks[int(row.task_id[5:])].split == "heldout"]
    assert document.heldout.final is not None
    assert document.heldout.final.passed == sum(row.passed for row in heldout) == len(heldout)
    assert document.heldout_looks == 2
    assert document.suite.counts == {"train": 12, "validation": 6, "heldout": 6}
    assert sum(document.suite.counts.values()) == len(document.tasks) == 24


@pytest.mark.parametrize(
    "parts", [{}, {"accept": "always"}, {"iterations": 1}, {"tasks": suite(3)}, {"tasks": suite(7)}]
)
def test_every_end_of_a_run_has_pages(tmp_path: Path, parts: dict[str, Any]) -> None:
    result = run(**parts)
    for version in (result, measured(result, Outcome.UNMEASURED), replace(result, measured=[])):
        document = report(version)
        assert document.headline.endswith(".")
        well_formed(render_page(document, NOWHERE))
        assert document.headline.split(":")[0] in as_markdown(document).replace("\\", "")


def test_a_total_outage_has_pages() -> None:
    document = report(run(rollout=Synthetic(outage=lambda iteration, task: True)))
    assert document.headline.startswith("Not optimized: no task could be measured")
    assert document.heldout.baseline.accuracy is None
    well_formed(render_page(document, NOWHERE))


def test_a_gain_is_stated_with_its_uncertainty() -> None:
    document = report()
    assert document.headline.startswith("Heldout accuracy rose")
    assert "95% interval" in document.headline
    assert document.kept
    assert not any("chosen on these tasks" in remark for remark in document.remarks)


def test_what_is_not_clear_says_what_size_of_change_could_have_been_seen() -> None:
    result = run()
    unseen = next(
        row.task_id for row in result.measured if row.task_id in {t.id for t in result.suite.of(Split.HELDOUT)}
    )
    rows = [
        replace(row, outcome=Outcome.PASSED if row.task_id == unseen else Outcome.FAILED) for row in result.measured
    ]
    told = " ".join(report(replace(result, measured=rows)).remarks)
    assert "(6 paired tasks): one of 92.9 points or more shows on so many in four of five runs." in told
    trials = Settings(models=Models(executor="provider/model"), trials=3)
    assert "one of 89.4 points" in " ".join(report(replace(result, measured=rows), settings=trials).remarks)


def test_where_the_interval_alone_leaves_no_change_out_the_report_says_what_decides() -> None:
    result = run()
    four = {task.id for task in result.suite.of(Split.HELDOUT)[:4]}
    heldout = {task.id for task in result.suite.of(Split.HELDOUT)}

    def only(rows: Sequence[Evidence], outcome: Outcome) -> list[Evidence]:
        return [replace(row, outcome=outcome) for row in rows if row.task_id in four or row.task_id not in heldout]

    document = report(
        replace(result, baseline=only(result.baseline, Outcome.FAILED), measured=only(result.measured, Outcome.PASSED))
    )
    delta = document.heldout.delta
    assert delta is not None
    assert (delta.tasks, delta.interval[0] > 0, delta.p_value, delta.clear) == (4, True, 0.0625, False)
    assert ", though too few tasks differ to rule chance out: +100.0 points" in document.headline
    told = " ".join(document.remarks)
    assert "A change is called clear where interval and p agree, and here they do not." in told
    assert "chance can explain" not in document.headline + told


def test_trials_that_were_chosen_are_told_with_the_gain_that_they_could_have_shown() -> None:
    auto = Settings(models=Models(executor="provider/model")).model_copy(update={"trials": Chosen(3)})
    told = [line for line in report(settings=auto).remarks if "trials: auto" in line]
    assert told == [
        f"Each task was executed 3 times (trials: auto): a gain of {points(detectable_change(6, 0.1 / 3) or 0)[1:]} or "
        "more shows on 6 tasks in four of five runs."
    ]
    assert not any("trials: auto" in line for line in report().remarks)


def test_a_tie_is_never_sold_as_a_gain() -> None:
    result = run()
    tie = replace(
        result, measured=[replace(row, task_id=row.task_id) for row in result.baseline if in_final(result, row)]
    )
    kept = report(tie)
    assert kept.headline.startswith("No measured change")
    dropped = report(replace(tie, final=tie.initial, verdict=Verdict.TIE))
    assert dropped.headline == "No measured change on validation tasks: the original skill is kept."
    assert not dropped.kept
    for document in (kept, dropped):
        assert "rose" not in as_markdown(document)


def in_final(result: Run, row: Evidence) -> bool:
    return row.task_id in {one.task_id for one in result.measured}


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_the_headline_never_claims_more_than_the_interval(data: st.DataObject) -> None:
    result = run(tasks=suite(48), iterations=1)
    outcomes = st.sampled_from(list(Outcome))
    rows = [replace(row, outcome=data.draw(outcomes)) for row in result.measured]
    base = [replace(row, outcome=data.draw(outcomes)) for row in result.baseline]
    document = report(replace(result, measured=rows, baseline=base))
    delta = document.heldout.delta or document.validation.delta
    rose = "accuracy rose" in document.headline
    surely = rose and "chance" not in document.headline
    assert rose == bool(delta and document.kept and delta.change > 0)
    assert surely == bool(rose and delta and delta.interval[0] > 0 and delta.p_value < 0.05)
    lost = any("could not be measured" in remark for remark in document.remarks)
    shown = document.heldout if document.heldout.delta else document.validation
    assert lost == bool(delta and (shown.baseline.unmeasured or (shown.final and shown.final.unmeasured)))


def test_what_was_measured_and_not_kept_can_still_be_looked_at(tmp_path: Path) -> None:
    result = replace(run(), final=SKILL)
    write_run(tmp_path, result, report(result), Redactor())
    assert (tmp_path / "skill.patch").read_bytes() == b""
    assert b"Use always" in (tmp_path / "candidate.patch").read_bytes()


def test_what_chose_the_skill_is_said_where_it_also_reports() -> None:
    """A suite without validation tasks: the end check falls to heldout."""
    tasks = suite(24)
    unsplit = replace(tasks, tasks=[task for task in tasks.tasks if task.split != "validation"])
    document = report(run(tasks=unsplit))
    assert document.chosen_on == "heldout"
    assert any("chosen on these tasks" in remark for remark in document.remarks)


def test_a_rehearsal_and_an_open_sandbox_say_so_everywhere() -> None:
    document = report(settings=Settings(models=Models(executor="rehearsal")), sandbox="none (asked for)")
    assert document.rehearsal
    for page in (as_markdown(document), render_page(document, NOWHERE)):
        assert "says nothing about a real model" in page
        assert "without a sandbox" in page


HOSTILE = '<script>alert(1)</script><img src=x onerror=y>`|[a](http://evil)\n# Title **b** </pre> "q" {{ 7 * 7 }}'


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.attributes: set[str] = set()
        self.links: set[str] = set()
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links |= {value or "" for name, value in attrs if name in ("href", "src")}
        if tag == "script":
            self.scripts.append(dict(attrs).get("type") or "")
        if tag not in ("meta", "br", "input", "line", "circle", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("line", "circle", "rect"):
            assert self.open.pop() == tag


def well_formed(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert not tags.seen & {"img", "iframe", "link", "object", "base", "form"}
    assert tags.scripts == ["application/json", ""]  # the data, and the page's own
    assert all(link.startswith("#") for link in tags.links)
    assert not {name for name in tags.attributes if name.startswith("on")} | tags.attributes & {"src", "style"}
    assert "url(" not in page
    assert "@import" not in page
    return tags


def hostile(result: Run) -> Run:
    """The run with every text of a model or a task replaced by an attack."""
    rows = [replace(row, feedback=HOSTILE, outcome=Outcome.FAILED) for row in result.baseline]
    steps = []
    for step in result.iterations:
        diagnoses = [replace(d, summary=HOSTILE, cause=HOSTILE, quote=HOSTILE, label=HOSTILE) for d in step.diagnoses]
        edits = [
            replace(
                e, reason=HOSTILE, edit=replace(e.edit, why=HOSTILE, content=HOSTILE, address=HOSTILE, file=HOSTILE)
            )
            for e in step.edits
        ]
        steps.append(replace(step, diagnoses=diagnoses, edits=edits, verdict=HOSTILE))
    return replace(result, baseline=rows, iterations=steps, why=HOSTILE)


def test_no_text_of_others_becomes_markup() -> None:
    document = report(hostile(run()), warnings=[HOSTILE], reproduce=HOSTILE)
    page = render_page(document, NOWHERE)
    well_formed(page)
    assert "&lt;script&gt;" in page
    tokens = MarkdownIt("gfm-like", {"linkify": False, "html": True}).parse(as_markdown(document))
    kinds = {child.type for token in tokens for child in [token, *(token.children or [])]}
    assert not kinds & {"html_inline", "html_block", "link_open", "image", "strong_open", "em_open"}
    tables = [token for token in tokens if token.type == "th_open"]
    assert tables


def test_secrets_are_in_no_file_of_a_run_folder(tmp_path: Path) -> None:
    secret = "sk-live-0123456789"
    result = hostile(run())
    skill = Skill("s", {**result.final.files, "references/a.md": f"key {secret}\n".encode()})
    result = replace(result, final=skill, candidate=skill, why=f"{secret} failed")
    write_run(tmp_path, result, report(result), Redactor([secret]))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 6
    assert not [path for path in files if secret in path.read_text()]


def test_the_page_is_small_and_carries_its_chart() -> None:
    page = render_page(report(), NOWHERE)
    assert len(page) < 200_000
    assert "<svg" in page
    assert re.search(r'<g class="heldout"><title>heldout: \d', page)
    assert json.loads(as_json(report()))

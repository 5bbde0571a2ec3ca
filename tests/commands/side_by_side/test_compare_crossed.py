"""`compare --split cross`: optimizers on a suite too small to hold tasks out, over the same folds."""

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci.__main__ import main
from skillgrad_ci.config.settings import Models, Settings
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.run import Run, Stop
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.world.left_out import LEFT_OUT
from skillgrad_ci.report.report import Circumstances, report_of
from skillgrad_ci.session.inputs import Inputs
from skillgrad_ci.session.side_by_side.folds import Cut, Fold
from skillgrad_ci.session.side_by_side.on_folds import row_of
from skillgrad_ci.session.side_by_side.on_shares import Setting
from tests.support import small_repository, worlds
from tests.support.killed import AT_ONCE, essence_of_comparison, killed_after_a_whole_one, provider, start

OPTIMIZERS = "skillgrad,skillopt,shrink"
COMPARE = ("compare", "skills/greeter", "--sandbox", "none", "--split", "cross", "--optimizers", OPTIMIZERS)
TASKS = small_repository.UNSPLIT
MOMENTS = 5


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = small_repository.unsplit(tmp_path / "repository")
    monkeypatch.chdir(root)
    return root


def compared(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    assert main([*COMPARE, "--json", "--out", "out", *words]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document, {row["name"]: row for row in document["settings"]}


def records(kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in Path("out/journal.jsonl").read_text().splitlines()]
    return [record for record in lines if record["kind"] == kind]


def test_settings_learn_without_the_tasks_that_they_are_measured_on_and_all_on_the_same_ones(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document, rows = compared(capsys)
    assert list(rows) == ["none", "rewrite", "skillgrad", "skillopt", "shrink"]
    assert (document["split"], document["tasks"], document["looks"]) == ("left-out", TASKS, 7)
    assert {name: row["measured"]["measured"] for name, row in rows.items()} == dict.fromkeys(rows, TASKS)
    assert {name: row["measured"]["passed"] for name, row in rows.items() if row["measured"]["passed"]} == {
        "skillgrad": TASKS, "skillopt": TASKS,
    }  # fmt: skip
    assert all(claim["change"]["tasks"] == TASKS for row in rows.values() for claim in row["claims"])
    assert (rows["shrink"]["kept"], rows["shrink"]["claims"][0]["change"]["change"]) == (False, 0)
    left_out: dict[str, list[set[str]]] = {name: [] for name in rows if name != "none"}
    for name, number in ((name, number) for name in left_out for number in (1, 2, 3)):
        own = json.loads(Path(f"out/{name}/fold-{number}/report.json").read_text())
        known = {row["id"] for row in own["tasks"]}
        left_out[name].append(tasks_of_all() - known)
        part = f"{name}/fold-{number}: "
        taught = {
            task for record in records("spent") if record["key"].startswith(part)
            if record["value"]["role"] != "executor" for task in (record["value"]["on"]["task"] or "").split(", ")
        }  # fmt: skip
        assert not taught - {""} - known
    assert all(folds == left_out["rewrite"] for folds in left_out.values())
    assert sorted(task for fold in left_out["rewrite"] for task in fold) == sorted(tasks_of_all())


def tasks_of_all() -> set[str]:
    return {task["id"] for task in json.loads(Path("out/none/report.json").read_text())["tasks"]}


def test_the_control_is_executed_afresh_once_and_all_costs_add_up(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*COMPARE, "--json", "--out", "out"]) == 0
    said = capsys.readouterr()
    document, most = (
        json.loads(said.out),
        [int(n) for n in re.findall(r"at most (\d+) executions in 3 folds", said.err)],
    )
    rows = {row["name"]: row for row in document["settings"]}
    assert "estimate:" not in said.err, "of one setting it would be taken for all"
    executed = Counter(record["key"].partition(": ")[0].partition("/fold")[0] for record in records("execution"))
    assert (executed["none"], executed["none/afresh"]) == (TASKS, TASKS)
    assert len(most) == len(rows) - 1
    assert all(
        executed[name] <= number for name, number in zip([name for name in rows if name != "none"], most, strict=True)
    )
    parts = {
        row["key"].partition(": ")[0] for row in records("spent") if row["value"]["on"]["iteration"] == LEFT_OUT[0]
    }
    assert parts == {"none/afresh"}, "no fold executes the initial skill again"
    spent = [record["value"]["spent"] for record in records("spent")]
    assert document["paid"]["calls"] == sum(row["cost"]["calls"] for row in rows.values()) == len(spent)
    assert document["paid"]["prompt_tokens"] == sum(row["prompt_tokens"] for row in spent)
    page = Path("out/comparison.html").read_text()
    for row in rows.values():
        assert f'<a href="{row["folder"]}/report.html">' in page
        assert Path("out", row["folder"], "report.html").is_file()
    assert "an estimate of what such runs gain" in page


def test_each_setting_has_what_the_control_leaves_of_the_budget(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, rows = compared(capsys)
    tokens = {name: row["cost"]["prompt_tokens"] + row["cost"]["completion_tokens"] for name, row in rows.items()}
    cap = tokens["none"] + tokens["skillgrad"] * 2 // 3
    _, rows = compared(capsys, "--out", "capped", "--budget-tokens", str(cap))
    assert rows["skillgrad"]["stopped"] == "budget"
    for row in rows.values():
        own = 0 if row["name"] == "none" else tokens["none"]
        assert own + row["cost"]["prompt_tokens"] + row["cost"]["completion_tokens"] <= cap
    less = tokens["none"] - 1
    assert main([*COMPARE, "--json", "--out", "short", "--budget-tokens", str(less)]) == 3
    assert "the control, executed afresh, is not complete: budget.tokens" in capsys.readouterr().err


def test_killed_at_several_moments_it_ends_as_if_never_killed(tmp_path: Path) -> None:
    repository, out = small_repository.unsplit(tmp_path / "repository", "openai/scripted"), tmp_path / "out"
    with provider(repository / "evals/rehearsal.yaml") as (server, plan):
        requests = killed_after_a_whole_one(repository, COMPARE, (server, plan), tmp_path, MOMENTS)
        process = start(repository, COMPARE, server.url, out)
        process.join(200)
        assert process.exitcode == 0, (tmp_path / "out.log").read_text()
    assert essence_of_comparison(out) == essence_of_comparison(tmp_path / "whole")
    assert requests < plan["number"] <= requests + MOMENTS * AT_ONCE


@pytest.mark.parametrize(
    ("cut", "kept", "seen"),
    [
        (None, True, {"task-0": False, "task-1": True}),
        ((Stop.BUDGET, "why"), False, {"task-0": False}),
    ],
)
def test_a_fold_that_was_cut_counts_in_no_figure_and_its_cost_does(
    cut: Cut | None, kept: bool, seen: dict[str, bool]
) -> None:
    """The first fold's run keeps the initial skill: what the control did there is what it did."""
    tasks = worlds.suite()
    run = optimize(worlds.SKILL, tasks, LoopSettings(iterations=3), PatternMemory("s"), worlds.world())
    same = replace(run, final=run.initial)
    around = Circumstances(Settings(models=Models(executor="p/m")), "skills/s", "evals/s", "synthetic", "")

    def fold(number: int, run: Run, cut: Cut | None = None) -> Fold:
        task = tasks.tasks[number - 1]
        before, after = ([worlds.Synthetic()(skill, task, iteration="x")] for skill in (run.initial, run.candidate))
        before, after = ([], []) if cut else (before, after)
        return Fold(number, run, [task], before, after, report_of(run, around), cut)

    begun = [fold(1, same), fold(2, run, cut)]
    known = [worlds.Synthetic()(worlds.SKILL, task, iteration="x") for task in tasks.tasks[:2]]
    cuts = [(cut[0], f"fold 2: {cut[1]}")] if cut else []
    row = row_of(Setting("s", Inputs.__new__(Inputs)), begun, cuts, known)
    assert {one.task_id: one.passed for one in row.evidence} == seen
    assert row.report.kept == kept
    assert row.report.minutes == sum(one.spent.minutes for one in begun)
    assert (row.report.stopped, row.report.why) == (("budget", "fold 2: why") if cut else (str(run.stop), ""))

"""`split: cross`: all tasks teach what is delivered, and runs that each left a fold out say what that gains."""

import itertools
import json
import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from skillgrad_ci.__main__ import main
from skillgrad_ci.commands.cli import ELSE
from skillgrad_ci.method.memory import Pattern, PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.run import Stop
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.world.left_out import LEFT_OUT
from skillgrad_ci.models.rehearsal.register import respond
from skillgrad_ci.models.rehearsal.script import Script
from skillgrad_ci.session.side_by_side.folds import ends_all
from tests.support import small_repository, worlds
from tests.support.killed import AT_ONCE, essence, killed_after_a_whole_one, provider, start
from tests.support.scripted_answers import Raw, Reply
from tests.support.scripted_server import serve

OPTIMIZE = ("optimize", "skills/greeter", "--sandbox", "none", "--split", "cross")
SCRIPT = "evals/rehearsal.yaml"
MOMENTS = 4
TASKS = small_repository.UNSPLIT
SHORT = 220_000  # tokens: nine tenths of what all of it takes


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = small_repository.unsplit(tmp_path / "repository")
    monkeypatch.chdir(root)
    return root


def records(journal: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal.read_text().splitlines()]


def spent_in(journal: Path, part: str = "") -> list[dict[str, Any]]:
    return [row for row in records(journal) if row["kind"] == "spent" and row["key"].startswith(part)]


def test_every_task_is_left_out_once_and_its_fold_never_learned_from_it(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*OPTIMIZE, "--json", "--out", "out"]) == 0
    said = capsys.readouterr()
    report = json.loads(said.out)
    folds, tasks = report["cross"]["folds"], {row["id"] for row in report["tasks"]}
    left_out = [task for fold in folds for task in fold["tasks"]]
    assert sorted(left_out) == sorted(tasks)
    assert [fold["learned"] for fold in folds] == [TASKS - len(fold["tasks"]) for fold in folds] == [4, 5, 5]
    lines = records(repository / "out/journal.jsonl")
    for fold in folds:
        part = f"fold-{fold['number']}"
        spent = [row["value"] for row in lines if row["kind"] == "spent" and row["key"].startswith(f"{part}: ")]
        taught = {row["on"]["task"] for row in spent if row["role"] == "diagnoser"}
        assert taught
        assert not taught & set(fold["tasks"])
        own = json.loads((repository / f"out/{part}/report.json").read_text())
        assert {row["id"] for row in own["tasks"]} == tasks - set(fold["tasks"])
        memory = (repository / f"out/{part}/momentum.md").read_text()
        assert not any(re.search(rf"{task}\b", memory) for task in fold["tasks"])
        for side in ("before", "after"):  # afresh: the base run's executions chose what is delivered
            folder = repository / f"out/{part}/trajectories/left-out-{side}"
            seen = {path.name.split(".")[0] for path in folder.iterdir()}
            assert seen == set(fold["tasks"])
    assert report["headline"].startswith("Cross-fitted accuracy, an estimate of the procedure, rose from 0.0% to ")
    told = " ".join(report["remarks"])
    assert "3 runs each learned without one fold of the tasks and were measured on it; 3 of them ended with" in told
    assert f"learned from all {TASKS} tasks, and was measured on no task that it did not learn from" in told
    assert "no heldout tasks" not in told


def test_one_budget_one_base_run_and_an_estimate_that_counts_all_of_it(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*OPTIMIZE, "--json", "--out", "out"]) == 0
    said = capsys.readouterr()
    report, lines = json.loads(said.out), records(repository / "out/journal.jsonl")
    executed = Counter(row["key"].split(": ")[0] for row in lines if row["kind"] == "execution")
    assert executed["base"] == TASKS, "no fold executes the initial skill on what the base run did"
    estimates = [int(number) for number in re.findall(r"at most (\d+) executions", said.err)]
    assert len(estimates) == 2
    assert estimates[0] == estimates[1] >= sum(executed.values())
    spent = [row["value"]["spent"] for row in lines if row["kind"] == "spent"]
    assert report["cost"]["calls"] == sum(row["calls"] for row in spent)
    assert report["cost"]["prompt_tokens"] == sum(row["prompt_tokens"] for row in spent)
    purposes = {row["iteration"].split(": ")[0] for row in report["cost"]["by_purpose"]}
    assert {"base", "1", "fold 1", "fold 2", "fold 3"} <= purposes
    assert report["settings"]["budget"] == {"usd": None, "tokens": None, "minutes": None}


def test_killed_at_several_moments_it_ends_as_if_never_killed(tmp_path: Path) -> None:
    repository, out = small_repository.unsplit(tmp_path / "repository", "openai/scripted"), tmp_path / "out"
    with provider(repository / SCRIPT) as (server, plan):
        requests = killed_after_a_whole_one(repository, OPTIMIZE, (server, plan), tmp_path, MOMENTS)
        process = start(repository, OPTIMIZE, server.url, out)
        plan["kill"] = (SimpleNamespace(kill=process.terminate), plan["number"] + requests // 20)  # in the last fold
        process.join(120)
        assert process.exitcode == ELSE, (tmp_path / "out.log").read_text()
        cut = json.loads((out / "report.json").read_text())
        assert (len(cut["cross"]["folds"]), cut["stopped"], cut["kept"]) == (2, "cancelled", True)
        assert "2 of 3 folds are measured, and the estimate is of their tasks alone" in " ".join(cut["remarks"])
        assert cut["why"].startswith("fold 3: ")
        assert cut["cost"]["calls"] == sum(row["value"]["spent"]["calls"] for row in spent_in(out / "journal.jsonl"))
        process = start(repository, OPTIMIZE, server.url, out)
        process.join(120)
        assert process.exitcode == 0, (tmp_path / "out.log").read_text()
        assert essence(out) == essence(tmp_path / "whole")
        assert requests < plan["number"] <= requests + (MOMENTS + 1) * AT_ONCE
        assert (out / "skill.patch").read_text() == (tmp_path / "whole/skill.patch").read_text() != ""


def test_a_budget_that_ends_inside_the_folds_leaves_each_what_its_measurement_takes(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*OPTIMIZE, "--json", "--out", "out", "--budget-tokens", str(SHORT)]) == 3
    report = json.loads(capsys.readouterr().out)
    assert report["kept"]
    assert report["cost"]["prompt_tokens"] + report["cost"]["completion_tokens"] <= SHORT
    folds = report["cross"]["folds"]
    assert (len(folds), report["cross"]["why"]) == (3, "")
    short = [fold for fold in folds if fold["stopped"] == "budget"]
    assert 0 < len(short) < 3
    assert all(fold["comparison"]["delta"]["tasks"] == len(fold["tasks"]) for fold in folds)
    assert f"{len(short)} of these runs ended at their part of the budget" in " ".join(report["remarks"])


def test_a_fold_that_the_cap_cuts_while_it_measures_ends_no_other_and_counts_in_no_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "scripted-key-for-tests")
    monkeypatch.chdir(small_repository.unsplit(tmp_path / "repository", "openai/scripted"))
    script, dear, requests = Script.load(Path(SCRIPT)), set[int](), itertools.count(1)

    def answer(request: dict[str, Any]) -> Raw:
        reply = respond(script, request)
        if next(requests) in dear:  # more than the part of a fold, and less than is left for two
            reply["usage"]["prompt_tokens"] = 6_000_000
        return Raw(body=json.dumps(reply).encode())

    def run(out: str, tokens: int, code: int) -> dict[str, Any]:
        words = ["--api-base", server.url, "--concurrency", "1", "--budget-tokens", str(tokens), "--json"]
        assert main([*OPTIMIZE, *words, "--out", out]) == code
        return dict(json.loads(capsys.readouterr().out))

    with serve(answer) as server:
        whole = run("whole", 10_000_000, 0)
        calls = spent_in(Path("whole/journal.jsonl"))
        assert next(requests) == len(calls) + 1
        measured = (row["key"].startswith("fold-2: ") and row["value"]["on"]["iteration"] in LEFT_OUT for row in calls)
        dear.add(1 + list(measured).index(True))
        requests = itertools.count(1)
        cut = run("out", 10_000_000, 3)
        assert [fold["number"] for fold in cut["cross"]["folds"]] == [1, 3]
        assert cut["kept"]
        assert cut["why"].startswith("fold 2: budget.tokens: the next call could take the run to ")
        assert (
            "2 of 3 folds are measured, and the estimate is of their tasks alone; the others may have come out other"
            in (" ".join(cut["remarks"]))
        )
        whole_folds = sum(len(fold["tasks"]) for fold in cut["cross"]["folds"])
        assert cut["cross"]["comparison"]["delta"]["tasks"] == whole_folds < TASKS
        spent = [row["value"]["spent"] for row in spent_in(Path("out/journal.jsonl"))]
        assert cut["cost"]["prompt_tokens"] == sum(row["prompt_tokens"] for row in spent) > 6_000_000
        raised = run("out", 40_000_000, 0)
        assert len(spent_in(Path("out/journal.jsonl"))) == len(calls)
        assert raised["cross"] == whole["cross"]


@pytest.mark.parametrize(
    ("rollout", "rest"),
    [
        (worlds.Synthetic(outage=lambda iteration, task: iteration != "base"), True),
        (worlds.Synthetic(late=lambda iteration, task: iteration != "base"), False),
    ],
)
def test_an_outage_ends_the_folds_after_it_and_a_clock_does_not(rollout: worlds.Synthetic, rest: bool) -> None:
    run = optimize(
        worlds.SKILL, worlds.suite(), LoopSettings(accept="final"), PatternMemory("s"), worlds.world(rollout)
    )
    assert run.stop is Stop.UNMEASURED
    assert ends_all(run, (run.stop, run.why)) == rest


def test_the_memory_of_earlier_runs_is_for_the_skill_that_is_delivered_alone(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may have learned from any task, so a fold that began with it would know the tasks that it left out."""
    known = PatternMemory("greeter", (Pattern("earlier-lesson", "operation", "what all tasks taught"),))
    path = repository / ".skillgrad/greeter/momentum.md"
    path.parent.mkdir(parents=True)
    path.write_text(known.render())
    assert main([*OPTIMIZE, "--json", "--out", "out"]) == 0
    said = capsys.readouterr()
    assert len(json.loads(said.out)["cross"]["folds"]) == 3
    assert said.err.count("1 pattern from earlier runs") == 1
    memories = {path.parent.name: path.read_text() for path in Path("out").rglob("momentum.md")}
    assert "earlier-lesson" in memories["out"]
    assert not any("earlier-lesson" in memories[f"fold-{number}"] for number in (1, 2, 3))


def test_where_the_initial_skill_stays_no_fold_is_run(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is spent on what cannot be delivered."""
    (repository / SCRIPT).write_text((repository / SCRIPT).read_text().replace("capital letters", "no such words", 1))
    script = yaml.safe_load((repository / SCRIPT).read_text())
    for mechanism in script["mechanisms"].values():
        mechanism["needs"] = [{"layer": "body", "text": "what no edit says"}]
        mechanism.pop("weak", None)
    (repository / SCRIPT).write_text(yaml.safe_dump(script))
    assert main([*OPTIMIZE, "--json", "--out", "out"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["kept"], report["cross"]) == (False, None)
    assert not list((repository / "out").glob("fold-*"))


@pytest.mark.parametrize(
    ("command", "what"), [(OPTIMIZE, "a run"), (("compare", *OPTIMIZE[1:], "--optimizers", "shrink"), "an optimizer")]
)
def test_a_base_run_whose_last_call_takes_all_of_the_budget_leaves_no_run(
    command: tuple[str, ...],
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No call is begun that could pass the cap, but a provider may charge for more than it was asked."""
    monkeypatch.setenv("OPENAI_API_KEY", "scripted-key-for-tests")
    monkeypatch.chdir(small_repository.unsplit(tmp_path / "repository", "openai/scripted"))
    executions = itertools.count(1)

    def answer(request: dict[str, Any]) -> Reply:
        last = "in greeting.txt" in str(request) and next(executions) == TASKS
        return Reply("Done.", prompt_tokens=2_000_000 if last else 100)

    with serve(answer) as server:
        words = ["--api-base", server.url, "--concurrency", "1", "--budget-tokens", "1000000", "--out", "out"]
        assert main([*command, *words]) == 3
    said = f"budget: nothing is left of it for {what}: the base run took all; raise the budget"
    assert said in capsys.readouterr().err
    assert next(executions) == TASKS + 1


@pytest.mark.parametrize("words", [("--optimizer", "skillopt"), ("--optimizer", "evoskill")])
def test_where_each_step_must_win_a_fold_chooses_on_tasks_of_its_own(
    words: tuple[str, ...], repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*OPTIMIZE, *words, "--json", "--out", "out"]) == 0
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert report["suite"]["counts"] == {"train": 5, "validation": 2, "heldout": 0}
    assert report["accept"] == "validate"
    assert report["kept"]
    folds, lines = report["cross"]["folds"], records(repository / "out/journal.jsonl")
    assert sorted(task for fold in folds for task in fold["tasks"]) == sorted(row["id"] for row in report["tasks"])
    for fold in folds:
        part, left_out = f"fold-{fold['number']}", set(fold["tasks"])
        own = {row["id"]: row["split"] for row in json.loads((Path("out") / part / "report.json").read_text())["tasks"]}
        choosing = {task for task, split in own.items() if split == "validation"}
        assert (len(choosing), choosing & left_out, set(own) & left_out) == (2, set(), set())
        for measured in (Path("out") / part / "trajectories").glob("validate-*"):
            assert {path.name.split(".")[0] for path in measured.iterdir()} <= choosing
        spent = [row["value"] for row in lines if row["kind"] == "spent" and row["key"].startswith(f"{part}: ")]
        taught = {task for row in spent if row["role"] != "executor" for task in (row["on"]["task"] or "").split(", ")}
        assert not taught & (left_out | choosing)
    estimates = [int(number) for number in re.findall(r"at most (\d+) executions \(", said.err)]
    assert len(estimates) == 2
    assert min(estimates) >= sum(row["kind"] == "execution" for row in lines)
    told = " ".join(report["remarks"])
    assert f"learned from all {TASKS} tasks, of which 2 chose between its steps" in told


@pytest.mark.parametrize(
    ("words", "extra", "why"),
    [
        ((), {"split": "heldout"}, "1 have a split of their own (greet-ada: heldout); take these out"),
        (("--accept", "validate", "--folds", "2"), {}, "leaves 3 tasks to a run, which needs 4: 2 that teach and 2"),
        (("--folds", "1"), {}, "folds: expected greater than or equal to 2"),
    ],
)
def test_what_cannot_be_crossed_is_refused_before_anything_is_spent(
    words: tuple[str, ...], extra: dict[str, str], why: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(small_repository.unsplit(tmp_path / "repository", extra=extra))
    assert main([*OPTIMIZE, *words, "--out", "out"]) == 2
    assert why in capsys.readouterr().err
    assert not Path("out").exists()


def test_shards_refuse_it(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = repository / ".skillgrad.yml"
    config.write_text(config.read_text() + "split: cross\n")
    assert main(["plan", "skills/greeter", "--shards", "2"]) == 2
    assert "split: cross runs on one machine" in capsys.readouterr().err

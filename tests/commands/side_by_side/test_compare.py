"""`compare`: several optimizers from one base run, each with the same budget, and nothing of it paid twice."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from skillgrad_ci.__main__ import main
from skillgrad_ci.report.shelf import find_runs
from tests.support import small_repository
from tests.support.killed import AT_ONCE, essence_of_comparison, killed_after_a_whole_one, provider, start

SCRIPT = "evals/rehearsal.yaml"
COMPARE = ("compare", "skills/greeter", "--sandbox", "none", "--optimizers", "skillgrad,trace2skill,shrink")
MOMENTS = 6


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = small_repository.make(tmp_path / "repository")
    monkeypatch.chdir(root)
    return root


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def by_name(document: dict[str, Any]) -> dict[str, Any]:
    return {row["name"]: row for row in document["settings"]}


def records(journal: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal.read_text().splitlines()]


def test_settings_start_from_one_base_run_and_are_set_against_both_controls(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*COMPARE, "--json", "--out", "out"]) == 0
    document = printed(capsys)
    rows = by_name(document)
    assert list(rows) == ["none", "rewrite", "skillgrad", "trace2skill", "shrink"]
    assert (document["split"], document["tasks"]) == ("heldout", 8)
    assert [claim["against"] for claim in rows["skillgrad"]["claims"]] == ["none", "rewrite"]
    assert rows["none"]["claims"] == []
    assert (rows["none"]["measured"]["passed"], rows["skillgrad"]["measured"]["passed"]) == (0, 8)
    assert rows["skillgrad"]["claims"][0]["clear"]
    change = rows["skillgrad"]["claims"][0]["change"]
    assert document["looks"] == 7
    assert rows["skillgrad"]["claims"][0]["corrected"] == pytest.approx(7 * change["p_value"])
    assert "Holm" in document["notes"][0]
    executed = Counter(record["key"].partition(": ")[0] for record in records(Path("out/journal.jsonl"))
                       if record["kind"] == "execution")  # fmt: skip
    assert executed["none"] == 24, "the base run"
    assert executed["rewrite"] == 12, "validation and heldout of the rewritten skill, and no base run of its own"
    none = json.loads(Path("out/none/report.json").read_text())
    known = {task["id"]: task["baseline"] for task in none["tasks"]}
    for name in rows:
        for task in json.loads(Path("out", name, "report.json").read_text())["tasks"]:
            assert task["baseline"] in (None, known[task["id"]]), "what a setting did not need of the base run"
    calls = sum(row["cost"]["calls"] for row in rows.values())
    assert calls == document["paid"]["calls"]
    page = Path("out/comparison.html").read_text()
    assert page.count("<circle") == len(rows)
    assert all(f'<a href="{name}/report.html">' in page for name in rows)


def test_every_setting_has_what_a_run_of_its_own_would_have(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The base run counts in each budget: a cap that ends a run of its own ends it in the comparison as well."""
    assert main([*COMPARE, "--json", "--out", "out"]) == 0
    rows = by_name(printed(capsys))
    tokens = {name: row["cost"]["prompt_tokens"] + row["cost"]["completion_tokens"] for name, row in rows.items()}
    cap = tokens["none"] + tokens["skillgrad"] // 2
    assert main([*COMPARE, "--json", "--out", "capped", "--budget-tokens", str(cap)]) == 0
    capped = by_name(printed(capsys))
    assert capped["skillgrad"]["stopped"] == "budget"
    for name in ("rewrite", "skillgrad", "trace2skill", "shrink"):
        row = capped[name]["cost"]
        assert tokens["none"] + row["prompt_tokens"] + row["completion_tokens"] <= cap


def test_a_base_run_over_the_cap_is_no_comparison(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMPARE, "--json", "--out", "out", "--budget-tokens", "30000"]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert "the base run, which every run begins with, is not complete: budget.tokens" in said.err


def test_configurations_are_settings_by_their_files_names(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = Path(".skillgrad.yml").read_text()
    Path("short.yml").write_text(text.replace("iterations: 3", "iterations: 1"))
    Path("gated.yml").write_text(f"{text}accept: validate\n")
    assert main(["compare", "short.yml", "gated.yml", "--sandbox", "none", "--json", "--out", "out"]) == 0
    rows = by_name(printed(capsys))
    assert list(rows) == ["none", "rewrite", "short", "gated"]
    assert (rows["short"]["iterations"], rows["gated"]["accept"]) == (1, "validate")


@pytest.mark.parametrize(
    ("change", "what"),
    [("seed: 7", "seed (0 and 7)"), ("max_turns: 9", "max_turns (30 and 9)"), ("budget: {usd: 3}", "budget (")],
)
def test_settings_that_differ_in_more_than_how_they_optimize_are_refused(
    change: str, what: str, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Path(".skillgrad.yml").read_text()
    Path("one.yml").write_text(text)
    Path("two.yml").write_text(f"{text}{change}\n")
    assert main(["compare", "one.yml", "two.yml", "--out", "out"]) == 2
    assert f"differ in {what}" in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["skills/greeter", "--optimizers", "skillgrad,adam"], "'adam' is none of skillgrad, skillopt"),
        ([".skillgrad.yml", "--optimizers", "skillgrad"], "are said in them"),
        (["skills/greeter", "skills"], "name one skill's folder"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    words: list[str], why: str, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *words]) == 2
    assert why in capsys.readouterr().err


def test_a_suite_without_validation_names_the_optimizers_that_it_can_serve(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = yaml.safe_load(Path("evals/tasks.yaml").read_text())
    suite["tasks"] = [{key: row[key] for key in row if key != "split"} for row in suite["tasks"][:12]]
    Path("evals/tasks.yaml").write_text(yaml.safe_dump(suite))
    assert main(["compare", "skills/greeter", "--sandbox", "none", "--out", "out"]) == 2
    said = capsys.readouterr().err
    assert "skillopt, evoskill, shrink: " in said
    assert "20 tasks or more" in said
    assert "compare those that this suite can serve: rewrite,skillgrad,trace2skill; or all of them by cross-" in said
    assert not Path("out").exists()


def test_killed_at_several_moments_it_ends_as_if_never_killed(tmp_path: Path) -> None:
    repository, out = small_repository.make(tmp_path / "repository", "openai/scripted"), tmp_path / "out"
    with provider(repository / SCRIPT) as (server, plan):
        requests = killed_after_a_whole_one(repository, COMPARE, (server, plan), tmp_path, MOMENTS)
        process = start(repository, COMPARE, server.url, out)
        process.join(120)
        assert process.exitcode == 0, (tmp_path / "out.log").read_text()
        assert essence_of_comparison(out) == essence_of_comparison(tmp_path / "whole")
        assert requests < plan["number"] <= requests + MOMENTS * AT_ONCE
        process = start(repository, COMPARE, server.url, out)
        asked = plan["number"]
        process.join(120)
        assert (process.exitcode, plan["number"]) == (0, asked), "a finished comparison asks for nothing"


def test_the_runs_of_a_comparison_are_listed_and_its_folder_is_none(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["compare", "skills/greeter", "--sandbox", "none", "--optimizers", "shrink", "--json", "--out", "out"])
        == 0
    )
    found = find_runs([Path("out")])
    assert {entry.folder.name for entry in found} == {"none", "rewrite", "shrink"}
    assert all(entry.report for entry in found)

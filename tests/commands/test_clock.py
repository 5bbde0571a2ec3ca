"""Executions that a time limit ends: the commands end with an error, and a next start tries them afresh."""

import json
from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci.__main__ import main
from tests.support.scripted_answers import Call, Reply
from tests.support.scripted_server import serve

TASKS = """\
version: 1
defaults: {timeout: 0.2}
tasks:
  - {id: first, instruction: Say one., grader: {type: text, exact: one}}
  - {id: second, instruction: Say two., grader: {type: text, exact: two}}
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-scripted")
    (tmp_path / "sayer").mkdir()
    (tmp_path / "sayer/SKILL.md").write_text("---\nname: sayer\ndescription: Says things.\n---\n# Sayer\n\nSay it.\n")
    (tmp_path / "evals").mkdir()
    (tmp_path / "evals/tasks.yaml").write_text(TASKS)
    return tmp_path


def run(command: str, *words: str) -> tuple[int, int]:
    """The exit code against a model that sleeps past any limit, and how many executions it was asked for."""
    asked: list[Any] = []

    def answer(request: dict[str, Any]) -> Reply:
        if not request.get("tools"):
            return Reply("ready")
        asked.append(request)
        return Reply(calls=[Call("shell", {"command": "sleep 30"})])

    with serve(answer) as server:
        flags = ["--tasks", "evals", "--model", "openai/local", "--api-base", server.url, "--sandbox", "none"]
        code = main([command, "sayer", *flags, "--budget-tokens", "1000000", *words])
    return code, len(asked)


def test_evaluate_compares_no_arms_that_a_clock_ended(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("evaluate", "--no-skill", "--json") == (1, 4)
    facts = json.loads(capsys.readouterr().out)
    why = "2 of 2 executions before and 2 of 2 after ended at a time limit"
    assert facts["refused"] == {"without skill": why}
    assert facts["delta"] is None
    assert facts["arms"]["with skill"]["timed_out"] == 2
    assert run("evaluate", "--no-skill")[0] == 1
    said = capsys.readouterr().out
    assert f"Not compared with without skill, for a clock is not a verdict: {why}." in said
    assert "Executions that ended at a time limit: 2 of 2 with skill, 2 of 2 without skill." in said


def test_evaluate_of_one_arm_only_counts_them(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("evaluate")[0] == 0
    assert "Executions that ended at a time limit: 2 of 2 with skill." in capsys.readouterr().out


def test_optimize_ends_with_an_error_and_tries_afresh(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert run("optimize", "--out", "out") == (1, 2)
        assert "Not optimized: 2 of 2 executions ended at a time limit" in capsys.readouterr().out

"""The rehearsal optimizes a skill on suites in each format that people have: executor, graders, judge and all."""

import json
from pathlib import Path

import pytest

from skillgrad_ci.__main__ import main
from skillgrad_ci.models.rehearsal.judge import judge_reply
from skillgrad_ci.models.rehearsal.script import JudgeRule, Script
from tests.support import documented, greeter_suites

MECHANISM = {
    "match": "x",
    "with": {"answer": ""},
    "without": {"answer": ""},
    "finding": {"summary": "", "cause": "", "difference": ""},
    "pattern": {"line": "", "anchor": "", "description": ""},
}


@pytest.mark.parametrize("name", greeter_suites.FORMATS)
def test_a_skill_is_optimized_on_it(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = greeter_suites.make(tmp_path / "repository", name)
    monkeypatch.chdir(tmp_path / "repository")
    out = tmp_path / "out"
    words = ["optimize", "skills/greeter", "--tasks", str(suite), "--model", "rehearsal", "--iterations", "3"]
    assert main([*words, "--sandbox", "none", "--out", str(out)]) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["rehearsal"] is True
    assert report["suite"]["format"] == name
    assert report["heldout"]["baseline"]["unmeasured"] == report["heldout"]["final"]["unmeasured"] == 0
    assert report["heldout"]["final"]["passed"] > report["heldout"]["baseline"]["passed"]
    judged = report["cost"]["by_role"]["judge"]["calls"] if name != "native" else 1
    assert judged > 0


def test_a_suite_without_heldout_tasks_is_told_what_it_would_need(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["suite", str(documented.write("agent-skills-evals", tmp_path))]) == 0
    assert "no heldout tasks: no change can be confirmed; 469 heldout tasks show one" in capsys.readouterr().out


def test_the_rehearsed_judge_passes_what_stands_in_the_result_alone() -> None:
    script = Script.model_validate(
        {
            "version": 1,
            "mechanisms": {"x": MECHANISM},
            "judge": [{"statement": "says '(?P<words>[^']+)'", "evidence": "{{words}}"}],
        }
    )
    prompt = (
        "## The task\n\nSay North.\n\n## The result\n\nSouth\n\n## The 3 statements to grade (reading 1)\n\n"
        "1. It says 'South'.\n2. It says 'North'.\n3. It rhymes."
    )
    verdicts = [row["verdict"] for row in judge_reply(script, prompt)["verdicts"]]
    assert verdicts == ["passed", "failed", "failed"]


def test_a_placeholder_without_a_group_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a named group in `statement` for \{\{y\}\}"):
        JudgeRule.model_validate({"statement": "x", "evidence": "{{y}}"})

"""The example of questions: the rehearsal learns it by one chat call a task, and what `make real` checks can fail."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.real_model.figures import table
from benchmarks.real_model.machine import Count
from benchmarks.real_model.runs import Failed, _equal
from skillgrad_ci.__main__ import main
from skillgrad_ci.models.rehearsal.script import Script
from skillgrad_ci.skill.lint import lint
from skillgrad_ci.skill.skill import Skill
from skillgrad_ci.suites import load_suite
from tests.support import small_repository
from tests.support.rehearsed import served
from tests.support.scripted_server import serve

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "labels"
SKILL = EXAMPLE / "skills" / "word-labels"
SUITE = EXAMPLE / "evals" / "word-labels"


def test_the_skill_is_clean_and_every_split_has_every_label() -> None:
    assert lint(Skill.load(SKILL)) == []
    suite = load_suite(SUITE)
    labels = {task.graders[0].options["choice"] for task in suite.tasks}
    for split in {task.split for task in suite.tasks}:
        assert {task.graders[0].options["choice"] for task in suite.tasks if task.split is split} == labels


def test_the_rehearsal_learns_it_through_chat_without_a_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skillgrad_ci.sandbox.choose", None)  # asked for, it would end the run
    assert main(["optimize", str(SKILL), "--model", "rehearsal", "--out", str(tmp_path)]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["agent"], report["sandbox"]) == ("chat/1", "not needed")
    assert any(version.startswith("chat/1 ") for version in report["versions"])
    assert report["kept"]
    assert report["heldout"]["final"]["passed"] > report["heldout"]["baseline"]["passed"]
    for page in ("report.md", "report.html"):
        assert "chat/1" in (tmp_path / page).read_text()
    executed = (tmp_path / "journal.jsonl").read_text().count('"kind": "execution"')
    assert report["cost"]["by_role"]["executor"]["calls"] == executed > 40, "one call an execution"


def test_the_agent_of_a_flag_wins_and_an_unknown_one_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", str(SKILL), "--model", "rehearsal", "--agent"]
    assert main([*words, "loupe"]) == 2
    assert "no agent is named 'loupe'; there are loop, chat, " in capsys.readouterr().err


# Several agents in one command


@pytest.fixture
def half_taught(tmp_path: Path) -> list[str]:
    """`evaluate` of a skill that shows two labels of four, with two agents."""
    root = tmp_path / "labels"
    shutil.copytree(EXAMPLE, root)
    skill = root / "skills" / "word-labels"
    text = (skill / "SKILL.md").read_text()
    (skill / "SKILL.md").write_text(f"{text}\nWord: cat\nLabel: animal\n\nWord: tin\nLabel: metal\n")
    words = ["evaluate", str(skill), "--model", "rehearsal", "--sandbox", "none", "--out", str(tmp_path / "out")]
    return [*words, "--agent", "loop,chat"]


def test_one_skill_over_several_agents_is_one_table(half_taught: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*half_taught, "--no-skill", "--json"]) == 0
    setups = json.loads(capsys.readouterr().out)["setups"]
    assert [setup["agent"] for setup in setups] == ["loop/1", "chat/1"]
    for setup in setups:
        arms = setup["arms"]
        assert (arms["without skill"]["passed"], arms["with skill"]["passed"]) == (0, 20)
        assert arms["with skill"]["interval"] == [pytest.approx(0.352, abs=0.001), pytest.approx(0.648, abs=0.001)]
        assert setup["delta"]["change"] == 0.5
    loop, chat = (setup["arms"]["with skill"] for setup in setups)
    assert chat["turns_per_task"] == 1 < loop["turns_per_task"]
    assert chat["tokens_per_task"] < loop["tokens_per_task"]
    assert main([*half_taught, "--no-skill"]) == 0  # from the journals
    said = capsys.readouterr()
    assert "chat/1" in said.out
    assert "35.2% to 64.8%" in said.out
    assert "This is a rehearsal" in said.out


def test_one_cap_holds_over_all_agents(half_taught: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*half_taught, "--json"]) == 0
    first = json.loads(capsys.readouterr().out)["setups"][0]["cost"]
    cap = first["prompt_tokens"] + first["completion_tokens"] + 12_000  # a chat call may take 8,192 for its reply
    again = [*half_taught[:-3], half_taught[-3] + "-again", *half_taught[-2:], "--budget-tokens", str(cap)]
    assert main([*again, "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert "budget" in document["cut"]
    spent = sum(s["cost"]["prompt_tokens"] + s["cost"]["completion_tokens"] for s in document["setups"])
    assert spent <= cap
    loop, chat = (setup["arms"]["with skill"]["measured"] for setup in document["setups"])
    assert (loop, 0 < chat < 40) == (40, True)


def test_an_agent_that_cannot_do_the_tasks_is_refused_before_another_spends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = small_repository.make(tmp_path / "repository")
    monkeypatch.chdir(root)
    assert main(["evaluate", "skills/greeter", "--agent", "loop,chat", "--sandbox", "none"]) == 2
    assert "agent chat writes no files, and 24 of 24 tasks ask for some" in capsys.readouterr().err
    assert not (root / "runs").exists()


# A finished skill with other models and agents


def test_a_transfer_sets_the_skill_against_none_and_against_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-scripted")
    root = tmp_path / "labels"
    shutil.copytree(EXAMPLE, root)
    skill = root / "skills" / "word-labels"
    text = (skill / "SKILL.md").read_text()
    (skill / "SKILL.md").write_text(f"{text}\nWord: cat\nLabel: animal\n")
    first = tmp_path / "word-labels"
    shutil.copytree(skill, first)
    (skill / "SKILL.md").write_text(f"{text}\nWord: cat\nLabel: animal\n\nWord: tin\nLabel: metal\n")
    (root / ".skillgrad.yml").unlink()
    script = Script.load(SUITE / "rehearsal.yaml")
    with serve(served(script)) as server:
        words = ["transfer", str(skill), "--models", "openai/one,openai/two", "--agents", "chat", "--tasks", str(SUITE)]
        words += [
            "--out",
            str(tmp_path / "out"),
            "--initial",
            str(first),
            "--api-base",
            server.url,
            "--budget-tokens",
            "10000000",
        ]
        assert main([*words, "--json"]) == 0
        heldout = json.loads(capsys.readouterr().out)
        assert main([*words, "--json", "--all"]) == 0
        document = json.loads(capsys.readouterr().out)
        asked = {request["model"] for request in server.requests}
        calls = len(server.requests)
        assert main([*words, "--all"]) == 0  # from the journals
        assert len(server.requests) == calls
    assert asked == {"one", "two"}
    assert [(found["tasks"], found["of"]) for found in (heldout, document)] == [(12, 40), (40, 40)]
    for setup in heldout["setups"]:
        passed = {name: arm["passed"] for name, arm in setup["arms"].items()}
        assert passed == {"without skill": 0, "initial skill": 3, "with skill": 6}
    assert [setup["models"]["executor"] for setup in document["setups"]] == ["openai/one", "openai/two"]
    for setup in document["setups"]:
        passed = {name: arm["passed"] for name, arm in setup["arms"].items()}
        assert passed == {"without skill": 0, "initial skill": 10, "with skill": 20}
        changes = {name: change["change"] for name, change in setup["changes"].items()}
        assert changes == {"without skill": 0.5, "initial skill": 0.25}
        assert setup["arms"]["with skill"]["tokens_per_task"] > setup["arms"]["without skill"]["tokens_per_task"]
    said = capsys.readouterr().out
    assert "initial skill" in said
    assert "+25.0 points" in said


def test_an_empty_name_is_no_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transfer", str(SKILL), "--models", "a,,b"]) == 2
    assert "--models: 'a,,b' has an empty name" in capsys.readouterr().err


# The real model: what `make real` checks


def test_without_its_packages_the_real_run_says_so(tmp_path: Path) -> None:
    nowhere = {**os.environ, "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_NO_CACHE_DIR": "1"}
    nowhere.pop("PIP_FIND_LINKS", None)
    for flags, code in ((["--if-available"], 0), ([], 1)):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.real_model", "--into", str(tmp_path / "environment"), *flags],
            cwd=ROOT, env=nowhere, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout[:20]) == (code, "No real model ran: i"), done.stderr


def test_a_ledger_that_differs_from_the_servers_count_fails() -> None:
    _equal(Count(10, 2), Count(10, 2))
    with pytest.raises(Failed, match="the ledger has 9 and 2"):
        _equal(Count(9, 2), Count(10, 2))


def test_the_table_counts_each_group_by_itself() -> None:
    rows = [{"id": "a", "with skill": 1.0, "without skill": 0.0}, {"id": "b", "with skill": 0.0, "without skill": 0.0}]
    *_, initial, final = table({"tasks": rows}, {"tasks": rows[:1]}, {"all": ["a", "b"], "heldout": ["b"]})
    assert initial.startswith("| with the initial skill | 50.0% (1 of 2; 9.5% to 90.5%) | 0.0% (0 of 1;")
    assert "100.0% (1 of 1;" in final
    assert final.endswith("| — |")

"""What `evaluate` says where nothing could be measured, and of agents side by side."""

import json
from pathlib import Path

import pytest

from skillgrad_ci.__main__ import main
from tests.support import small_repository
from tests.support.scripted_answers import Reply
from tests.support.scripted_server import serve


def test_where_no_reply_could_be_used_the_advice_says_what_starting_again_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-scripted")
    skill = tmp_path / "greeter"
    (skill / "evals").mkdir(parents=True)
    (skill / "SKILL.md").write_text("---\nname: greeter\ndescription: Greets people by name.\n---\n# Greeter\n")
    rows = [{"id": 1, "prompt": "Greet Ada.", "expectations": ["It greets Ada."]}]
    (skill / "evals/evals.json").write_text(json.dumps({"skill_name": "greeter", "evals": rows}))
    words = ["evaluate", "greeter", "--tasks", "greeter", "--sandbox", "none", "--model", "openai/local"]
    with serve(lambda _: Reply("no verdict")) as world:
        for _ in range(2):
            assert main([*words, "--api-base", world.url]) == 1
            said = capsys.readouterr().out
            assert "there is no JSON object in it" in said
            assert "gave a reply that could not be used, are made again" in said


def test_an_agent_whose_model_cannot_be_asked_is_refused_before_another_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = small_repository.make(tmp_path)
    monkeypatch.chdir(root)
    words = [
        "evaluate",
        "skills/greeter",
        "--agent",
        "loop,claude-code",
        "--out",
        str(root / "out"),
        "--sandbox",
        "none",
    ]
    assert main(words) == 2
    assert "it plays the built-in agents alone, not Claude Code" in capsys.readouterr().err
    assert not (root / "out").exists()

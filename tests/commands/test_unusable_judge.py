"""A judge whose replies could not be used is asked again by the next start, and by that alone."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci.__main__ import main
from tests.support.scripted_answers import Reply
from tests.support.scripted_server import serve

TASKS = """\
version: 1
tasks:
  - {id: plain, instruction: Greet., grader: {type: text, contains: moin}}
  - {id: judged, instruction: Greet Ada., grader: {type: judge, assertions: [It greets Ada.], trials: 2}}
"""
ANSWER = "moin Ada, how are you today"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-scripted")
    (tmp_path / "greeter").mkdir()
    (tmp_path / "greeter/SKILL.md").write_text("---\nname: greeter\ndescription: Greets.\n---\n# Greeter\n\nGreet.\n")
    (tmp_path / "evals").mkdir()
    (tmp_path / "evals/tasks.yaml").write_text(TASKS)
    return tmp_path


def verdicts(prompt: str, *, control: bool, quote: str) -> str:
    """A whole reply to the statements; `control`: also the one that is false by construction passes."""
    asked = re.findall(r"^(\d+)\. (.+)$", prompt.rsplit("## The ", 1)[1], re.M)
    given = [
        {"statement": int(number), "evidence": quote, "reason": "so it is",
         "verdict": "passed" if control or "exact text" not in text else "failed"}
        for number, text in asked
    ]  # fmt: skip
    return json.dumps({"verdicts": given})


UNUSABLE: dict[str, Callable[[str], str]] = {
    "no JSON": lambda prompt: "I like it.",
    "too few verdicts": lambda prompt: '{"verdicts": []}',
    "passes the control": lambda prompt: verdicts(prompt, control=True, quote=ANSWER),
    "quotes what is not there": lambda prompt: verdicts(prompt, control=False, quote="a greeting of another sort"),
}


class Provider:
    """A judge of a `kind`, and an agent that greets; counts what they are asked for."""

    def __init__(self, kind: str) -> None:
        self.kind, self.executed, self.judged = kind, 0, 0

    def answer(self, request: dict[str, Any]) -> Reply:
        prompt = str(request["messages"][1]["content"]) if len(request["messages"]) > 1 else ""
        if "statements to grade" in prompt:
            self.judged += 1
            unusable = UNUSABLE.get(self.kind)
            return Reply(unusable(prompt) if unusable else verdicts(prompt, control=False, quote=ANSWER))
        if request.get("tools"):
            self.executed += 1
            return Reply(ANSWER)
        return Reply("ready")

    def start(self, url: str, kind: str) -> tuple[int, int]:
        """How many executions and readings one start asks for."""
        self.kind, self.executed, self.judged = kind, 0, 0
        flags = ["--tasks", "evals", "--model", "openai/local", "--api-base", url, "--sandbox", "none"]
        assert main(["evaluate", "greeter", *flags, "--budget-tokens", "1000000", "--concurrency", "1"]) == 0
        return self.executed, self.judged


@pytest.mark.parametrize(
    ("kind", "first"),  # with a repair, at the first of two readings, at their end
    [("no JSON", 2), ("too few verdicts", 2), ("passes the control", 1), ("quotes what is not there", 2)],
)
def test_a_next_start_asks_again_what_could_not_be_used(
    kind: str, first: int, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    provider = Provider(kind)
    with serve(provider.answer) as server:
        assert provider.start(server.url, kind) == (2, first)
        assert provider.start(server.url, kind) == (0, first)  # no execution is paid again, each reading is asked once
        assert "1 of 1" in capsys.readouterr().out
        assert provider.start(server.url, "good") == (0, 2)
        assert "2 of 2" in capsys.readouterr().out
        assert provider.start(server.url, kind) == (0, 0)  # all is measured
        assert "2 of 2" in capsys.readouterr().out

"""The whole way with real parts: a label, a provider and GitHub over sockets, commands run, a pull request."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci.bot.engine import RealEngine
from skillgrad_ci.models.rehearsal.register import respond
from skillgrad_ci.models.rehearsal.script import Script
from tests.fake_github.hub import MAIN
from tests.support import small_repository
from tests.support.bot_stage import Stage, stage
from tests.support.scripted_answers import Answer, Raw, Reply
from tests.support.scripted_server import serve

GREETER = "heads/skillgrad/greeter"
KEY = "scripted-key-that-stays-home"


def repository(folder: Path, model: str, more: str = "") -> dict[str, bytes]:
    small_repository.make(folder, model)
    config = folder / ".skillgrad.yml"
    config.write_text(config.read_text() + "sandbox: none\nbudget: {tokens: 10000000}\n" + more)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    script: list[Script] = []

    def answer(request: dict[str, Any]) -> Answer:
        if "Reply with the word ready." in str(request["messages"]):
            return Reply("ready")
        return Raw(body=json.dumps(respond(script[0], request)).encode())

    with serve(answer) as provider:
        source = tmp_path / "source"
        source.mkdir()
        files = repository(source, f"openai/scripted, api_base: '{provider.url}'")
        script.append(Script.load(source / "evals/rehearsal.yaml"))
        with stage(tmp_path, files) as made:
            made.make_engine = RealEngine
            yield made


def test_a_label_becomes_a_pull_request_that_applied_is_the_optimized_skill(bot: Stage, tmp_path: Path) -> None:
    issue = bot.github.hub.issue("Greet better", "### Skill\n\ngreeter\n")
    ended = bot.label(issue.number)
    assert ended.code == 0, ended.log
    run = bot.checkout / ended.outputs["report"]
    base, branch = (bot.github.hub.git.files(ref) for ref in (MAIN, GREETER))
    applied = tmp_path / "applied"
    for path, content in base.items():
        (applied / path).parent.mkdir(parents=True, exist_ok=True)
        (applied / path).write_bytes(content)
    patch = ["git", "apply", "--directory=skills/greeter", str(run / "skill.patch")]
    subprocess.run(
        patch, cwd=applied, check=True, env={"GIT_CEILING_DIRECTORIES": str(tmp_path), "PATH": "/usr/bin:/bin"}
    )
    optimized = {p.relative_to(applied).as_posix(): p.read_bytes() for p in applied.rglob("*") if p.is_file()}
    memory = {".skillgrad/greeter/momentum.md": (run / "momentum.md").read_bytes()}
    assert branch == optimized | memory
    report = json.loads((run / "report.json").read_text())
    assert report["kept"]
    assert float(ended.outputs["delta"]) == report["heldout"]["delta"]["change"]

    assert bot.schedule().outputs["status"] == "unchanged"

    number = max(bot.github.hub.pulls)
    edits = [edit for step in report["iterations"] for edit in step["edits"] if edit["status"] == "accepted"]
    stronger = next(edit["id"] for edit in edits if edit["op"] == "replace")
    assert bot.say(number, f"/skillgrad drop {stronger} we shout otherwise").code == 0
    assert b"be loud" in bot.github.hub.git.files(GREETER)["skills/greeter/SKILL.md"]
    assert "we shout otherwise" in bot.github.hub.git.files(GREETER)[".skillgrad/greeter/momentum.md"].decode()

    everything = json.dumps([[asked.path, asked.body] for asked in bot.github.asked]) + ended.log.split("\n", 2)[2]
    assert KEY not in everything
    written = [path.read_bytes() for path in bot.checkout.rglob("*") if path.is_file()]
    assert not any(KEY.encode() in content for content in written)


def test_the_rehearsal_in_a_dry_run_needs_no_key_no_token_and_no_network(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with stage(tmp_path, repository(source, "rehearsal")) as bot:
        bot.make_engine = RealEngine
        ended = bot.schedule(token="", dry_run="true")
        assert (ended.code, ended.outputs["status"]) == (0, "dry_run"), ended.log
        assert bot.github.asked == []
        page = (bot.checkout / ended.outputs["report"] / "pull-request.md").read_text()
        assert "This is a rehearsal" in page
        assert "| E1 |" in page
        assert str(tmp_path) not in page
        assert "--model rehearsal" in page


def test_without_a_key_one_line_names_the_choices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    source = tmp_path / "source"
    source.mkdir()
    with stage(tmp_path, repository(source, "openai/gpt-5.4-mini")) as bot:
        bot.make_engine = RealEngine
        ended = bot.schedule()
        assert ended.code == 2
        (error,) = [line for line in ended.log.splitlines() if line.startswith("::error")]
        assert "OPENAI_API_KEY" in error
        assert bot.github.hub.pulls == {}

"""Foreign agents in a run: where they work, and what is refused before anything is spent."""

from pathlib import Path

import pytest

from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.config.settings import Settings
from skillgrad_ci.errors import UserError
from skillgrad_ci.executors.acp import AcpExecutor
from skillgrad_ci.method.budget import Ledger
from skillgrad_ci.method.task import GraderSpec, Suite, Task
from skillgrad_ci.models.provider import LitellmModel
from skillgrad_ci.session.agents import agent_of, by_subscription, make_executor, place_of, refuse_unfit
from tests.support import small_repository


def job(folder: Path, **settings: object) -> SkillRun:
    root = small_repository.make(folder)
    made = Settings.model_validate({"agent": "claude-code", **settings})
    return SkillRun(root / "skills/greeter", root / "evals", made, root)


def quiet(_: str) -> None:
    pass


def test_a_foreign_agent_is_behind_the_gateway_and_named_with_its_version(tmp_path: Path) -> None:
    model = LitellmModel("anthropic/claude-x", api_key="sk-1234567890")
    made = make_executor(job(tmp_path, max_turns=7), model, Ledger(), [])
    assert isinstance(made, AcpExecutor)
    assert (made.max_turns, made.gateway.model) == (7, "claude-x")
    assert agent_of(made) == f"claude-code/{made.agent.version}"


def test_the_rehearsal_plays_no_foreign_agent(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="plays the built-in agents alone, not Claude Code"):
        make_executor(job(tmp_path), LitellmModel("rehearsal/x"), Ledger(), [])


def test_a_foreign_agent_never_runs_open_unless_a_person_says_so(tmp_path: Path) -> None:
    assert place_of(job(tmp_path / "a", sandbox="none"), quiet) == ("none", None)
    with pytest.raises(UserError, match="in a container of its own; use sandbox: docker"):
        place_of(job(tmp_path / "b", sandbox="sandlock"), quiet)
    assert place_of(job(tmp_path / "c", agent="loop", image="tools:1"), quiet) == ("auto", "tools:1")


def test_chat_activates_no_skill_so_triggers_are_not_measured_with_it(tmp_path: Path) -> None:
    chat = job(tmp_path, agent="chat", trigger="evals/triggers.json")
    with pytest.raises(
        UserError, match="agent: chat is given every skill and activates none, so triggers need another"
    ):
        refuse_unfit(chat, Suite("s", "native", chat.tasks, [Task("t", "Say it.", [GraderSpec("text")])]))


def test_a_login_stands_for_a_key_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claude = {"executor": "anthropic/claude-x"}
    foreign, own = job(tmp_path / "a", models=claude), job(tmp_path / "b", models=claude, agent="loop")
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", "oat-123")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    assert not by_subscription(job(tmp_path / "c", models={"executor": "openai/x"}))
    assert (by_subscription(foreign), by_subscription(own)) == (True, False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-123")
    assert not by_subscription(foreign)

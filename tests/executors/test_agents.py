"""Descriptions of foreign agents: those that are shipped, one's own, and what is wrong with one."""

from pathlib import Path

import pytest
import yaml

from skillgrad_ci.errors import UserError
from skillgrad_ci.executors.agents import SHIPPED, expand, load_agent, shipped

OWN = """
name: mine
title: Mine
version: "1"
install: pip install mine=={{version}}
command: [mine, --acp]
skills: ~/.mine/skills
dialect: chat
environment: {BASE: "{{gateway}}/v1"}
"""


@pytest.mark.parametrize("name", ["claude-code", "codex", "gemini", "opencode", "copilot", "goose"])
def test_a_shipped_agent_has_one_pinned_version_and_is_led_to_the_gateway(name: str) -> None:
    agent = load_agent(name)
    assert agent.name == name
    assert agent.version in agent.installation
    assert "{{" not in agent.installation
    told = yaml.safe_dump(agent.model_dump())
    assert all(f"{{{{{placeholder}}}}}" in told for placeholder in ("gateway", "key", "model"))


def test_all_shipped_agents_are_named() -> None:
    assert shipped() == ["claude-code", "codex", "copilot", "gemini", "goose", "opencode"]
    assert len(list(SHIPPED.iterdir())) == len(shipped())


def test_an_agent_of_ones_own_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(OWN)
    agent = load_agent("mine.yaml", tmp_path)
    assert (agent.name, agent.installation) == ("mine", "pip install mine==1")


def test_identity_changes_with_anything_in_the_description(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(OWN)
    (tmp_path / "two.yaml").write_text(OWN.replace("--acp", "--acp2"))
    one, two = (load_agent(name, tmp_path) for name in ("one.yaml", "two.yaml"))
    assert one.identity != two.identity


def test_what_a_value_holds_is_never_expanded() -> None:
    assert expand("{{model}} at {{gateway}}", {"model": "{{gateway}}", "gateway": "here"}) == "{{gateway}} at here"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (OWN.replace("{{gateway}}", "{{gatway}}"), "unknown placeholder {{gatway}}"),
        (OWN + "colour: red\n", "bad.yaml:10: colour: unknown key"),
        (OWN + "name: other\n", "the key 'name' stands twice"),
        (OWN.replace("skills: ~/.mine/skills", "skills: ~/../etc"), "skills: expected"),
        (OWN.replace("command: [mine, --acp]", "command: []"), "command: is empty"),
        (OWN.replace("chat", "morse"), "dialect: expected"),
        ("name: [", "no valid YAML"),
    ],
)
def test_what_is_wrong_with_a_description_is_said_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        load_agent("bad.yaml", tmp_path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"no agent is named 'claude'; there are loop, chat, claude-code, codex"):
        load_agent("claude")
    with pytest.raises(UserError, match=r"nowhere\.yaml: no such file; name an agent"):
        load_agent("nowhere.yaml")

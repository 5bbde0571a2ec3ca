"""The real Claude Code and Codex in containers without network, and a model that is played for them.

The model activates the skill, reads what the skill points to, and does what it read. Everything else is real:
the programs, the protocol, the gateway, the container, the command line.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from skillgrad_ci.executors.agents import load_agent
from skillgrad_ci.sandbox.agent_image import agent_image
from tests.e2e.test_act import BASE, sh
from tests.support import small_repository
from tests.support.agent_provider import AgentProvider, Answer, Call, Reply
from tests.support.scripted_answers import Script

ON = "skillgrad-agents-base:test"
PLANTED = "planted-key-of-the-parent-0123456789"


@dataclass(frozen=True)
class Moves:
    """How a model speaks to one agent's tools."""

    name: str
    model: str
    base: str  # of the API, below the server's address
    activate: Call
    read: Callable[[str], Call]
    shell: Callable[[str], Call]


def _bash(command: str) -> Call:
    return Call("Bash", {"command": command, "description": "a step"})


def _exec(command: str) -> Call:
    return Call("exec_command", {"cmd": command, "yield_time_ms": 30_000})


CLAUDE = Moves(
    "claude-code", "anthropic/scripted-1", "",
    Call("Skill", {"skill": "greeter"}),
    lambda path: Call("Read", {"file_path": f"/tmp/home/.claude/skills/greeter/{path}"}),
    _bash,
)  # fmt: skip
CODEX = Moves(
    "codex", "openai/scripted-1", "/v1",
    _exec("cat /tmp/home/.agents/skills/greeter/SKILL.md"),
    lambda path: _exec(f"cat /tmp/home/.agents/skills/greeter/{path}"),
    _exec,
)  # fmt: skip
GEMINI = Moves(
    "gemini", "gemini/scripted-1", "/v1beta/models/scripted-1",
    Call("activate_skill", {"name": "greeter"}),
    lambda path: Call("run_shell_command", {"command": f"cat /tmp/home/.agents/skills/greeter/{path}"}),
    lambda command: Call("run_shell_command", {"command": command}),
)  # fmt: skip
OPENCODE = Moves(
    "opencode", "openai/scripted-1", "/v1",
    Call("skill", {"name": "greeter"}),
    lambda path: Call("read", {"filePath": f"/tmp/home/.agents/skills/greeter/{path}"}),
    lambda command: Call("bash", {"command": command, "description": "a step"}),
)  # fmt: skip
COPILOT = Moves(
    "copilot", "openai/scripted-1", "/v1",
    Call("skill", {"skill": "greeter"}),
    lambda path: Call("view", {"path": f"/tmp/home/.agents/skills/greeter/{path}"}),
    lambda command: Call("bash", {"command": command, "description": "a step"}),
)  # fmt: skip
AGENTS = pytest.mark.parametrize("moves", [CLAUDE, CODEX], ids=lambda moves: moves.name)


@pytest.fixture(scope="session")
def images() -> Mapping[str, str]:
    """Both agents, installed as their descriptions say."""
    sh("sh", "tests/e2e/docker-base.sh", BASE)
    sh("sh", "tests/e2e/agents-base.sh", ON, BASE)
    return {moves.name: installed(moves) for moves in (CLAUDE, CODEX)}


def installed(moves: Moves) -> str:
    """The image with the agent in it, made when it is not there."""
    return agent_image(ON, load_agent(moves.name).installation, lambda _: None, network="host")


def results(request: Mapping[str, Any]) -> list[str]:
    """What tools gave back so far in a conversation."""
    if "contents" in request:
        parts = [part for content in request["contents"] for part in content["parts"]]
        return [json.dumps(part) for part in parts if "functionResponse" in part]
    if any(message.get("role") == "tool" for message in request.get("messages", [])):
        return [json.dumps(message) for message in request["messages"] if message["role"] == "tool"]
    if "messages" not in request:
        return [json.dumps(item) for item in request["input"] if item.get("type") == "function_call_output"]
    contents = [message["content"] for message in request["messages"] if isinstance(message["content"], list)]
    return [json.dumps(part) for content in contents for part in content if part.get("type") == "tool_result"]


def playing(moves: Moves) -> Script:
    """A model that greets as the skill says: in capitals, or in the form that a reference gives."""

    def script(request: dict[str, Any]) -> Answer:
        if not request.get("tools"):
            return Reply("ready")
        told = json.dumps(request)
        found = re.search(r"Greet ([A-Z][a-z]+) (loudly|politely) in greeting\.txt", told)
        if found is None:
            return Reply("I do not understand.")
        name, loud = found[1], found[2] == "loudly"
        steps = [moves.activate]
        if "references/forms.md" in told and not loud:
            steps.append(moves.read("references/forms.md"))
        greeting = f"Dear {name}" if "starts with Dear" in told else name
        text = name.upper() if "capital letters" in told and loud else greeting
        steps.append(moves.shell(f"printf '%s' '{text}' > greeting.txt; env; cat /proc/[0-9]*/environ; id -u"))
        done = len(results(request))
        return Reply("", [steps[done]], cached_tokens=10) if done < len(steps) else Reply("Done.")

    return script


def repository(folder: Path, moves: Moves, world: AgentProvider, tasks: int, guided: bool) -> Path:
    """A small repository with the first `tasks` tasks; its skill holds the guidance, or none of it."""
    root = small_repository.make(folder, moves.model)
    rows = yaml.safe_load((root / "evals/tasks.yaml").read_text())
    rows["tasks"] = rows["tasks"][:tasks]
    (root / "evals/tasks.yaml").write_text(yaml.safe_dump(rows))
    if guided:
        skill = root / "skills/greeter"
        (skill / "references").mkdir()
        (skill / "references/forms.md").write_text("A polite greeting starts with Dear and the name.\n")
        hint = "Loud ones: use capital letters.\nRead `references/forms.md` when a polite greeting is asked for.\n"
        (skill / "SKILL.md").write_text(small_repository.SKILL + hint)
    settings = yaml.safe_load((root / ".skillgrad.yml").read_text())
    settings["agent"], settings["image"] = moves.name, ON
    settings["models"] |= {"api_base": world.url + moves.base, "prices": {moves.model: {"prompt": 1, "completion": 5}}}
    (root / ".skillgrad.yml").write_text(yaml.safe_dump(settings))
    return root


def command(root: Path, *words: str) -> "subprocess.Popen[str]":
    secret = dict.fromkeys(("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"), PLANTED)
    return subprocess.Popen(
        [sys.executable, "-m", "skillgrad_ci", *words, "--out", str(root / "out")], cwd=root, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, **secret}, start_new_session=True,
    )  # fmt: skip


def run(root: Path, *words: str) -> str:
    said, _ = (process := command(root, *words)).communicate(timeout=900)
    assert process.returncode == 0, said[-5000:]
    return said

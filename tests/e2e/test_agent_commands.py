"""Whole commands with the real Claude Code and Codex: `evaluate`, trigger sets, and `optimize` that is killed."""

import json
import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.real_agents import (
    AGENTS,
    CLAUDE,
    CODEX,
    PLANTED,
    Moves,
    command,
    images,
    playing,
    repository,
    results,
    run,
)
from tests.support import small_repository
from tests.support.agent_provider import Answer, Call, Reply, dialect_of, provider

__all__ = ["images"]
pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]


@AGENTS
def test_a_skill_is_measured_in_the_real_agent(moves: Moves, images: Mapping[str, str], tmp_path: Path) -> None:
    with provider(playing(moves)) as world:
        root = repository(tmp_path, moves, world, 2, guided=True)
        facts = json.loads(run(root, "evaluate", "skills/greeter", "--json").partition("\n{")[2].join(["{", ""]))
        sent = json.dumps(world.headers)
    arm = facts["arms"]["with skill"]
    assert (arm["passed"], arm["measured"], arm["activated"]) == (2, 2, 2)
    assert facts["agent"].startswith(f"{moves.name}/")
    assert PLANTED in sent
    kept = [path.read_text() for path in (root / "out").rglob("*") if path.is_file()]
    assert not any(PLANTED in text for text in kept)
    assert any("skillgrad-" in text for text in kept)
    records = [json.loads(line)["value"] for line in (root / "out/journal.jsonl").read_text().splitlines()]
    rows = [record["evidence"] for record in records if "evidence" in record]
    assert sorted(tuple(row["trajectory"]["references_read"]) for row in rows) == [(), ("references/forms.md",)]
    spent = sum(row["trajectory"]["usage"]["calls"] for row in rows)
    assert spent == len(world.charged) - 1  # one call proved the key
    cached = sum(row["trajectory"]["usage"]["cached_tokens"] for row in rows)
    assert cached == sum(cached for _, cached, _ in world.charged)


@AGENTS
def test_a_skill_is_optimized_although_the_run_is_killed(
    moves: Moves, images: Mapping[str, str], tmp_path: Path
) -> None:
    """Four loud greetings: the skill learns to say how. The third execution's first call is where all is killed."""
    play, firsts = playing(moves), []

    def script(request: dict[str, Any]) -> Answer:
        if request.get("tools") and not results(request):
            firsts.append(re.findall(r"Greet ([A-Z][a-z]+) loudly", json.dumps(request))[-1])
            if len(firsts) == 3:
                os.killpg(running.pid, signal.SIGKILL)
        return play(request)

    with provider(script) as world:
        root = repository(tmp_path, moves, world, 8, guided=False)
        rows = yaml.safe_load((root / "evals/tasks.yaml").read_text())
        rows["tasks"] = rows["tasks"][::2]
        (root / "evals/tasks.yaml").write_text(yaml.safe_dump(rows))
        words = ("optimize", "skills/greeter", "--optimizer-model", "rehearsal", "--concurrency", "1")
        running = command(root, *words, "--iterations", "2")
        assert running.communicate(timeout=600)[0] is not None
        assert running.returncode == -signal.SIGKILL
        run(root, *words, "--iterations", "2")
    report = json.loads((root / "out/report.json").read_text())
    assert report["agent"].startswith(f"{moves.name}/")
    assert "capital letters" in (root / "out/skill.patch").read_text()
    assert firsts[2] == firsts[3]
    records = [json.loads(line)["value"] for line in (root / "out/journal.jsonl").read_text().splitlines()]
    assert len(firsts) == 1 + sum("evidence" in record for record in records)


@AGENTS
def test_a_trigger_set_is_measured_in_the_real_agent(moves: Moves, images: Mapping[str, str], tmp_path: Path) -> None:
    with provider(playing(moves)) as world:
        root = repository(tmp_path, moves, world, 1, guided=True)
        small_repository.add_neighbour(root)
        words = ("skills/greeter", "--tasks", "evals/triggers.json", "--json")
        facts = json.loads(run(root, "evaluate", *words).partition("\n{")[2].join(["{", ""]))
    arm = facts["arms"]["with skill"]
    assert (arm["passed"], arm["measured"], arm["activated"]) == (3, 3, 1)
    assert any("precision" in warning for warning in facts["warnings"]), facts["warnings"]


ACTIVATIONS = {
    "activate_skill": Call("activate_skill", {"name": "greeter"}),
    "Skill": CLAUDE.activate,
    "exec_command": CODEX.activate,
}


def answering(request: dict[str, Any]) -> Answer:
    """A model that answers in capitals once it has read that greetings are loud, whoever's tools it has."""
    told = json.dumps(request)
    found = re.findall(r"How is ([A-Z][a-z]+) greeted", told)
    if not found:
        return Reply("ready")
    names = [tool.get("function", tool).get("name") for tool in request.get("tools") or []]
    activation = next((call for name, call in ACTIVATIONS.items() if name in names), None)
    if activation and "capital letters" not in told:
        return Reply("", [activation]) if "No such file" not in told else Reply(found[-1])
    return Reply(found[-1].upper() if "capital letters" in told else found[-1])


@AGENTS
def test_four_agents_are_measured_side_by_side_by_one_command(
    moves: Moves, images: Mapping[str, str], tmp_path: Path
) -> None:
    """With either provider's model: one of the two foreign agents is translated for, in each."""
    with provider(answering) as world:
        root = repository(tmp_path, moves, world, 0, guided=True)
        rows = [
            {"id": "ada", "instruction": "How is Ada greeted? Answer with the word alone.", "grader":
             {"type": "text", "exact": "ADA"}},
        ]  # fmt: skip
        (root / "evals/tasks.yaml").write_text(yaml.safe_dump({"version": 1, "tasks": rows}))
        said = run(root, "evaluate", "skills/greeter", "--agent", "loop,chat,claude-code,codex")
        asked = {dialect_of(request["path"]) for request in world.requests}
    table = [line for line in said.splitlines() if re.match(r"(loop|chat|claude-code|codex)/", line)]
    assert [line.partition("/")[0] for line in table] == ["loop", "chat", "claude-code", "codex"], said
    assert all("1 of 1" in line for line in table), said
    assert asked == ({"anthropic"} if moves is CLAUDE else {"chat", "responses"})

"""Whole commands with the real Claude Code and Codex: `evaluate`, trigger sets, and `optimize` that is killed."""

import json
import os
import re
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from skillgrad_ci.executors.agents import load_agent
from skillgrad_ci.sandbox.agent_image import agent_image
from skillgrad_ci.sandbox.supervise import Limits
from skillgrad_ci.sandbox.task_image import TaskImages
from skillgrad_ci.suites import load_suite
from tests.e2e.real_agents import (
    AGENTS,
    CLAUDE,
    CODEX,
    COPILOT,
    GEMINI,
    ON,
    OPENCODE,
    PLANTED,
    Moves,
    command,
    images,
    installed,
    playing,
    repository,
    results,
    run,
)
from tests.e2e.test_act import BASE, sh
from tests.support import harbor_tasks, small_repository
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


@pytest.mark.parametrize("moves", [GEMINI, OPENCODE, COPILOT], ids=lambda moves: moves.name)
def test_a_task_is_worked_on_and_graded_in_each_other_agent(
    moves: Moves, images: Mapping[str, str], tmp_path: Path
) -> None:
    installed(moves)
    with provider(playing(moves)) as world:
        root = repository(tmp_path, moves, world, 2, guided=True)
        said = run(root, "evaluate", "skills/greeter", "--json")
    arm = json.loads(said.partition("\n{")[2].join(["{", ""]))["arms"]["with skill"]
    assert (arm["passed"], arm["measured"], arm["activated"]) == (2, 2, 2), said
    records = [json.loads(line)["value"] for line in (root / "out/journal.jsonl").read_text().splitlines()]
    read = [record["evidence"]["trajectory"]["references_read"] for record in records if "evidence" in record]
    assert sorted(read) == [[], ["references/forms.md"]]
    assert all(PLANTED not in path.read_text() for path in (root / "out").rglob("*") if path.is_file())


@AGENTS
def test_a_skill_is_optimized_although_the_run_is_killed(
    moves: Moves, images: Mapping[str, str], tmp_path: Path
) -> None:
    """Four loud greetings: the skill learns to say how. The third execution's second call is where all is killed.

    Its first call is not asked again: the program asks the same after a restart, and is given what was paid for.
    """
    play, asked = playing(moves), []

    def script(request: dict[str, Any]) -> Answer:
        if request.get("tools"):
            asked.append((re.findall(r"Greet ([A-Z][a-z]+) loudly", json.dumps(request))[-1], len(results(request))))
            if len(asked) == 8:
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
    assert asked[7] == asked[8] == (asked[6][0], 1)
    records = [json.loads(line)["value"] for line in (root / "out/journal.jsonl").read_text().splitlines()]
    turns = [record["evidence"]["trajectory"]["turns"] for record in records if "evidence" in record]
    assert len(asked) == 1 + sum(turns)


@AGENTS
def test_a_trigger_set_is_measured_in_the_real_agent(moves: Moves, images: Mapping[str, str], tmp_path: Path) -> None:
    with provider(playing(moves)) as world:
        root = repository(tmp_path, moves, world, 1, guided=True)
        small_repository.add_neighbour(root)
        words = ("skills/greeter", "--tasks", "evals/triggers.json", "--json")
        facts = json.loads(run(root, "evaluate", *words).partition("\n{")[2].join(["{", ""]))
    arm = facts["arms"]["with skill"]
    assert (arm["passed"], arm["measured"], arm["activated"]) == (9, 9, 3)  # three queries, three trials each
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


def test_a_task_that_brings_its_container_is_worked_on_in_it(images: Mapping[str, str], tmp_path: Path) -> None:
    """The agent is installed on top of the task's image; the tests run in the image as it was."""

    def script(request: dict[str, Any]) -> Answer:
        count = "wc -l < data/alpha.txt | tr -d '\\n' > count.txt; printf ' lines' >> count.txt"
        told = json.dumps(request)
        if "Count the lines" not in told:
            return Reply("ready")
        calls = [CODEX.activate, CODEX.shell(count)]
        return Reply("", [calls[done]]) if (done := len(results(request))) < len(calls) else Reply("Done.")

    with provider(script) as world:
        root = repository(tmp_path, CODEX, world, 1, guided=True)
        suite = harbor_tasks.write(root, harbor_tasks.CONFIG)
        for word in ("beta", "gamma"):
            shutil.rmtree(suite / f"count-{word}")
        dockerfile = suite / "count-alpha/environment/Dockerfile"
        dockerfile.write_text(dockerfile.read_text().replace(BASE, ON))
        (task,) = load_suite(suite).tasks
        assert task.environment is not None
        bare = TaskImages(Limits()).image(task.environment)
        sh("docker", "tag", bare, ready := f"skillgrad-task:{bare.removeprefix('sha256:')[:16]}")
        agent_image(ready, load_agent("codex").installation, lambda _: None, network="host")
        said = run(root, "evaluate", "skills/greeter", "--tasks", "suite", "--json")
    arm = json.loads(said.partition("\n{")[2].join(["{", ""]))["arms"]["with skill"]
    assert (arm["passed"], arm["measured"], arm["activated"]) == (1, 1, 1), said


def test_an_agent_that_cannot_be_installed_in_a_tasks_image_is_refused(tmp_path: Path) -> None:
    with provider([]) as world:
        root = repository(tmp_path, CODEX, world, 1, guided=True)
        process = command(root, "evaluate", "skills/greeter", "--tasks", str(harbor_tasks.write(root)))
        said, _ = process.communicate(timeout=600)
        assert (process.returncode, world.requests) == (2, []), said
    assert "agent: it cannot be installed on the image skillgrad-task:" in said
    assert "npm: not found" in said.partition("(docker build: ")[2]

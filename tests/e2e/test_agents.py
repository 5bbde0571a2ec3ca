"""The real Claude Code and Codex in real containers without network, against a local provider that is scripted.

The model is played: it activates the skill, reads what the skill points to, and does what it read. Everything
else is real: the programs, the protocol, the gateway, the container, the command line.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from skillgrad_ci.errors import BudgetExceeded, EnvironmentFailure, UserError
from skillgrad_ci.executors.acp import AcpExecutor
from skillgrad_ci.executors.agents import load_agent
from skillgrad_ci.method.budget import Cap, Ledger
from skillgrad_ci.method.evidence import Trajectory
from skillgrad_ci.method.task import Task
from skillgrad_ci.models.gateway import ProviderGateway
from skillgrad_ci.models.provider import LitellmModel
from skillgrad_ci.sandbox.agent_image import agent_image
from skillgrad_ci.sandbox.docker_sandbox import DockerSandbox
from skillgrad_ci.session.rollout import workspace
from skillgrad_ci.skill.skill import Skill
from tests.e2e.test_act import BASE, sh
from tests.support import small_repository
from tests.support.agent_provider import AgentProvider, Answer, Call, Reply, Stall, error, provider
from tests.support.scripted_answers import Script

ON = "skillgrad-agents-base:test"
PLANTED = "planted-key-of-the-parent-0123456789"
pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]


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
AGENTS = pytest.mark.parametrize("moves", [CLAUDE, CODEX], ids=lambda moves: moves.name)


@pytest.fixture(scope="session")
def images() -> Mapping[str, str]:
    """Both agents, installed as their descriptions say."""
    sh("sh", "tests/e2e/docker-base.sh", BASE)
    sh("sh", "tests/e2e/agents-base.sh", ON, BASE)
    found = {}
    for moves in (CLAUDE, CODEX):
        installation = load_agent(moves.name).installation
        found[moves.name] = agent_image(ON, installation, lambda _: None, network="host")
    return found


def results(request: Mapping[str, Any]) -> list[str]:
    """What tools gave back so far in a conversation."""
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
    secret = {"ANTHROPIC_API_KEY": PLANTED, "OPENAI_API_KEY": PLANTED}
    return subprocess.Popen(
        [sys.executable, "-m", "skillgrad_ci", *words, "--out", str(root / "out")], cwd=root, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, **secret}, start_new_session=True,
    )  # fmt: skip


def run(root: Path, *words: str) -> str:
    said, _ = (process := command(root, *words)).communicate(timeout=900)
    assert process.returncode == 0, said[-5000:]
    return said


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


def test_a_skill_is_optimized_in_the_real_agent(images: Mapping[str, str], tmp_path: Path) -> None:
    """Four loud greetings: the skill learns to say how, in a reference to nobody but the agent."""
    with provider(playing(CLAUDE)) as world:
        root = repository(tmp_path, CLAUDE, world, 8, guided=False)
        rows = yaml.safe_load((root / "evals/tasks.yaml").read_text())
        rows["tasks"] = rows["tasks"][::2]
        (root / "evals/tasks.yaml").write_text(yaml.safe_dump(rows))
        run(root, "optimize", "skills/greeter", "--optimizer-model", "rehearsal")
    report = json.loads((root / "out/report.json").read_text())
    assert "capital letters" in (root / "out/skill.patch").read_text()
    assert "claude-code/" in json.dumps(report)


def test_a_killed_run_repeats_only_what_was_in_flight(images: Mapping[str, str], tmp_path: Path) -> None:
    """The third task's first call is where the run is killed."""
    play, firsts = playing(CLAUDE), []

    def script(request: dict[str, Any]) -> Answer:
        if request.get("tools") and not results(request):
            firsts.append(re.findall(r"Greet ([A-Z][a-z]+)", json.dumps(request["messages"]))[-1])
            if len(firsts) == 3:
                os.killpg(running.pid, signal.SIGKILL)
        return play(request)

    words = ("evaluate", "skills/greeter", "--concurrency", "1")
    with provider(script) as world:
        root = repository(tmp_path, CLAUDE, world, 3, guided=True)
        running = command(root, *words)
        assert running.communicate(timeout=600)[0] is not None
        assert running.returncode == -signal.SIGKILL
        run(root, *words)
    assert firsts == ["Ada", "Bela", "Cora", "Cora"]


Execute = Callable[[Script, Task], tuple[AgentProvider, Trajectory]]


def executing(
    moves: Moves, image: str, folder: Path, ledger: Ledger | None = None, turns: int = 30, **settings: Any
) -> Execute:
    """A function that executes a task by the real agent, beside the greeter skill, with a model of the given script."""
    (folder / "greeter").mkdir(exist_ok=True)
    (folder / "greeter/SKILL.md").write_text(small_repository.SKILL)
    skill, box, agent = Skill.load(folder / "greeter"), DockerSandbox(image=image), load_agent(moves.name)

    def execute(script: Script, task: Task) -> tuple[AgentProvider, Trajectory]:
        with provider(script) as world, workspace(task, [skill]) as folders, box.open(folders) as session:
            known: dict[str, Any] = {"api_base": world.url + moves.base, "api_key": PLANTED, "backoff": 0.01}
            model = LitellmModel(moves.model, **(known | settings))
            gateway = ProviderGateway.of(model, ledger or Ledger(), agent.dialect, agent.title)
            return world, AcpExecutor(agent, gateway, turns).execute(task, skill, session)

    return execute


def faulty(play: Callable[[int], Answer], faults: Mapping[int, Answer]) -> Script:
    """The turns of `play`, by how many results there are; the fault of a call's number comes first."""
    calls = [0]

    def script(request: dict[str, Any]) -> Answer:
        if not request.get("tools"):
            return Reply("A title")
        calls[0] += 1
        return faults.get(calls[0]) or play(len(results(request)))

    return script


TASK = Task(id="t1", instruction="Count to three in log.", graders=[], timeout=120.0)


@AGENTS
def test_faults_that_pass_are_waited_out_and_one_that_stays_is_not_measured(
    moves: Moves, images: Mapping[str, str], tmp_path: Path
) -> None:
    def play(done: int) -> Answer:
        return Reply("", [moves.shell(f"echo {done} >> log")]) if done < 3 else Reply("Counted.")

    passing: dict[int, Answer] = {1: error(429, "slow down", retry_after="1"), 3: error(500, "broken"), 5: Stall(60)}
    execute = executing(moves, images[moves.name], tmp_path, timeout=4.0)
    _, trajectory = execute(faulty(play, passing), TASK)
    assert (trajectory.answer, trajectory.stopped, trajectory.turns) == ("Counted.", "answered", 4)
    asked: list[int] = []

    def refusing(request: dict[str, Any]) -> Answer:
        asked.append(1)
        return faulty(play, {})(request) if not results(request) else error(401, "the key was withdrawn")

    with pytest.raises(UserError, match="no key that is accepted"):
        execute(refusing, TASK)
    assert len(asked) <= 4  # a title or two, one turn, and the refusal: no agent repeats it here


@AGENTS
def test_the_cap_and_the_limits_end_a_real_agent(moves: Moves, images: Mapping[str, str], tmp_path: Path) -> None:
    def again(done: int) -> Answer:
        return Reply("", [moves.shell(f"echo {done} >> log")], prompt_tokens=20_000)

    ledger = Ledger(Cap(tokens=250_000))
    with pytest.raises(BudgetExceeded, match="tokens"):
        executing(moves, images[moves.name], tmp_path, ledger)(faulty(again, {}), TASK)
    assert 0 < ledger.spent.tokens <= 250_000
    _, trajectory = executing(moves, images[moves.name], tmp_path, turns=2)(faulty(again, {}), TASK)
    assert (trajectory.stopped, trajectory.turns) == ("turns", 2)
    slow = Task(id="t1", instruction="Wait.", graders=[], timeout=20.0)
    waiting = faulty(lambda _: Reply("", [moves.shell("timeout 300 tail -f /dev/null")]), {})
    _, trajectory = executing(moves, images[moves.name], tmp_path)(waiting, slow)
    assert trajectory.stopped == "timeout"


@AGENTS
def test_a_crash_is_not_measured_and_an_early_end_is(moves: Moves, images: Mapping[str, str], tmp_path: Path) -> None:
    execute = executing(moves, images[moves.name], tmp_path)
    with pytest.raises(EnvironmentFailure, match="it ended in the middle"):
        execute(faulty(lambda _: Reply("", [moves.shell("kill -9 -1")]), {}), TASK)
    _, trajectory = execute(faulty(lambda _: Reply("That is enough."), {}), TASK)
    assert (trajectory.stopped, trajectory.answer, trajectory.activated) == ("answered", "That is enough.", False)


@AGENTS
def test_a_probe_ends_at_the_activation(moves: Moves, images: Mapping[str, str], tmp_path: Path) -> None:
    probe = Task(id="t1", instruction="Greet Ada.", graders=[], probe=True)
    execute = executing(moves, images[moves.name], tmp_path)
    world, trajectory = execute(faulty(lambda _: Reply("", [moves.activate]), {}), probe)
    assert (trajectory.activated, trajectory.stopped) == (True, "activated")
    assert sum(bool(request.get("tools")) for request in world.requests) == 1

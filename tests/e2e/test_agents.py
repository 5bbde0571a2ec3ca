"""One execution at a time in the real Claude Code and Codex: faults, the cap, limits, a crash, a probe."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci.errors import BudgetExceeded, EnvironmentFailure, UserError
from skillgrad_ci.executors.acp import AcpExecutor
from skillgrad_ci.executors.agents import load_agent
from skillgrad_ci.method.budget import Cap, Ledger
from skillgrad_ci.method.evidence import Trajectory
from skillgrad_ci.method.task import Task
from skillgrad_ci.models.gateway import ProviderGateway
from skillgrad_ci.models.provider import LitellmModel
from skillgrad_ci.sandbox.docker_sandbox import DockerSandbox
from skillgrad_ci.session.rollout import workspace
from skillgrad_ci.skill.skill import Skill
from tests.e2e.real_agents import AGENTS, PLANTED, Moves, images, results
from tests.support import small_repository
from tests.support.agent_provider import AgentProvider, Answer, Reply, Stall, error, provider
from tests.support.scripted_answers import Script

__all__ = ["images"]
pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]

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

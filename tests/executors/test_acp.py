"""A foreign agent over the protocol: a small real one in a plain session, a real gateway, a scripted provider."""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from skillgrad_ci.errors import BudgetExceeded, EnvironmentFailure, UserError
from skillgrad_ci.executors import acp_client
from skillgrad_ci.executors.acp import AcpExecutor
from skillgrad_ci.executors.agents import AgentDescription
from skillgrad_ci.method.budget import Cap, Ledger
from skillgrad_ci.method.evidence import Trajectory
from skillgrad_ci.method.ports import CommandResult, Workspace
from skillgrad_ci.method.ports.gateway import Line
from skillgrad_ci.method.task import Task
from skillgrad_ci.models.gateway import ProviderGateway
from skillgrad_ci.models.provider import LitellmModel
from skillgrad_ci.sandbox.no_sandbox import NoSandbox
from skillgrad_ci.session.rollout import workspace
from skillgrad_ci.skill.skill import Skill
from tests.support.agent_provider import AgentProvider, Answer, Call, Reply, error, provider

SMALL = Path(__file__).parent.parent / "support" / "small_agent.py"
AGENT = AgentDescription.model_validate(
    {
        "name": "small", "title": "The small agent", "version": "1", "install": "true", "dialect": "chat",
        "command": [sys.executable, str(SMALL)], "skills": "~/.agents/skills",
        "environment": {"GATEWAY": "{{gateway}}", "KEY": "{{key}}", "MODEL": "{{model}}"},
        "files": {"~/.small/settings.json": '{"model": "{{model}}"}'},
    }
)  # fmt: skip


def skill(folder: Path, name: str, description: str = "How greetings are written.") -> Skill:
    (folder / name / "references").mkdir(parents=True)
    (folder / name / "SKILL.md").write_text(
        f"---\nname: {name}\ndescription: {description}\n---\n\n# {name}\n\nRead on.\n"
    )
    (folder / name / "references" / "words.md").write_text("The word is Ahoy.\n")
    return Skill.load(folder / name)


def task(instruction: str = "Write a greeting.", **more: Any) -> Task:
    return Task(id="t1", instruction=instruction, graders=[], **more)


def executor(
    world: AgentProvider, ledger: Ledger | None = None, agent: AgentDescription = AGENT, **more: Any
) -> AcpExecutor:
    base = f"{world.url}/v1"
    model = LitellmModel("openai/scripted", api_base=base, api_key="sk-real-key-0001", backoff=0.001, retries=1)
    return AcpExecutor(agent, ProviderGateway.of(model, ledger or Ledger(), agent.dialect, agent.title), **more)


def executed(made: AcpExecutor, work: Task, measured: Skill | None = None) -> tuple[Trajectory, dict[str, str]]:
    """The trajectory, and the files that are left in the work folder."""
    present = [*([measured] if measured else []), *made.others]
    with workspace(work, present) as folders:
        with NoSandbox().open(folders) as session:
            trajectory = made.execute(work, measured, session)
        files = [path for path in folders.work.rglob("*") if path.is_file()]
        return trajectory, {path.relative_to(folders.work).as_posix(): path.read_text() for path in files}


def shell(command: str) -> Reply:
    return Reply("", [Call("shell", {"command": command})])


def test_a_task_is_worked_on_with_a_skill_and_everything_is_seen(tmp_path: Path) -> None:
    greeter, other = skill(tmp_path, "greeter"), skill(tmp_path, "other", "Something else.")
    answers = [
        Reply("I look.", [Call("skill", {"name": "greeter"})], prompt_tokens=100, cached_tokens=40),
        shell("cat $HOME/.agents/skills/greeter/references/words.md; ls $HOME/.agents/skills"),
        shell("echo Ahoy > greeting.txt; cat $HOME/.small/settings.json; exit 3"),
        Reply("Done."),
    ]
    with provider(answers) as world:
        trajectory, files = executed(executor(world, others=[other]), task(outputs=["greeting.txt"]), greeter)
    assert files == {"greeting.txt": "Ahoy\n"}
    assert (trajectory.answer, trajectory.turns, trajectory.stopped) == ("Done.", 4, "answered")
    assert (trajectory.activated, trajectory.references_read) == (True, ["references/words.md"])
    assert trajectory.others_activated == []
    assert (trajectory.usage.calls, trajectory.usage.cached_tokens) == (4, 40)
    assert [call.usage.cached_tokens for call in trajectory.model_calls] == [40, 0, 0, 0]
    begun = [trajectory.events[call.first] for call in trajectory.model_calls]
    assert [event.get("text") or event["tool"] for event in begun] == ["I look.", "shell", "shell", "Done."]
    results = [event for event in trajectory.events if event["kind"] == "tool_result"]
    assert "The word is Ahoy.\ngreeter\nother\n" in results[1]["output"]
    assert [result["exit_code"] for result in results] == [None, 0, 3]
    assert '{"model": "scripted"}' in results[2]["output"]
    said = [event["text"] for event in trajectory.events if event.get("role") == "user"]
    assert said == ["Write a greeting.\n\nFiles to write:\n- greeting.txt"]


def test_the_key_is_nowhere_where_the_agent_is() -> None:
    answers = [shell("env; cat /proc/$PPID/environ /proc/$PPID/cmdline; grep -r . $HOME"), Reply("Done.")]
    with provider(answers) as world:
        trajectory, _ = executed(executor(world), task())
        assert world.headers[0]["authorization"] == "Bearer sk-real-key-0001"
    told = json.dumps(list(trajectory.events))
    assert "KEY=skillgrad-" in told
    assert "sk-real-key-0001" not in told


def test_without_a_skill_there_is_none_and_one_beside_is_not_the_measured_one(tmp_path: Path) -> None:
    look = shell("ls $HOME/.agents ../skill")
    with provider([look, Reply("Done.")]) as world:
        trajectory, _ = executed(executor(world), task())
    seen = next(event["output"] for event in trajectory.events if event["kind"] == "tool_result")
    assert seen.count("No such file or directory") == 2
    other = skill(tmp_path, "other")
    with provider([Reply("", [Call("skill", {"name": "other"})]), Reply("Done.")]) as world:
        trajectory, _ = executed(executor(world, others=[other]), task())
    assert (trajectory.activated, trajectory.others_activated) == (False, ["other"])


def test_a_login_by_the_protocol_hands_over_address_and_key() -> None:
    """Also where the agent writes a line that is not a message of the protocol."""
    login = {"base": "{{gateway}}", "headers": {"authorization": "Bearer {{key}}"}}
    changed = {"login": login, "environment": {"MODEL": "{{model}}", "SHOUT": "1"}}
    agent = AgentDescription.model_validate(AGENT.model_dump() | changed)
    with provider([Reply("Done.")]) as world:
        trajectory, _ = executed(executor(world, agent=agent), task())
    assert trajectory.answer == "Done."


def test_a_probe_ends_when_a_skill_is_activated_and_never_later_than_its_turns(tmp_path: Path) -> None:
    greeter = skill(tmp_path, "greeter")
    with provider([shell("cat $HOME/.agents/skills/greeter/SKILL.md"), Reply("more")]) as world:
        trajectory, _ = executed(executor(world), task(probe=True), greeter)
        assert len(world.requests) == 1
    assert (trajectory.activated, trajectory.stopped) == (True, "activated")
    with provider(lambda _: shell("true")) as world:
        trajectory, _ = executed(executor(world, probe_turns=3), task(probe=True), greeter)
    assert (trajectory.activated, trajectory.stopped, trajectory.turns) == (False, "turns", 3)


def test_a_router_that_comes_first_does_not_end_a_probe(tmp_path: Path) -> None:
    """Only the measured skill's activation is the answer; what came before it is told beside."""
    greeter, router = skill(tmp_path, "greeter"), skill(tmp_path, "router")
    calls = [Reply("", [Call("skill", {"name": "router"})]), shell("cat $HOME/.agents/skills/greeter/SKILL.md")]
    with provider([*calls, Reply("more")]) as world:
        trajectory, _ = executed(executor(world, others=[router]), task(probe=True), greeter)
        assert len(world.requests) == 2
    assert (trajectory.activated, trajectory.stopped) == (True, "activated")
    assert trajectory.others_activated == ["router"]


def test_turns_are_limited() -> None:
    with provider(lambda _: shell("echo again >> log")) as world:
        trajectory, files = executed(executor(world, max_turns=3), task())
        assert len(world.requests) == 3
    assert (trajectory.turns, trajectory.stopped) == (3, "turns")
    assert files["log"] == "again\n" * 3


def test_the_agents_time_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acp_client, "CANCEL", 0.2)
    with provider([]) as world:
        trajectory, _ = executed(executor(world), task("HANG", timeout=0.5))
    assert trajectory.stopped == "timeout"


def test_the_models_time_is_not_the_agents(tmp_path: Path) -> None:
    """A line that says that all of the time was the provider's."""

    class Waiting:
        stopped = ""
        started = time.monotonic()

        @property
        def waited(self) -> float:
            return time.monotonic() - self.started

        def stop(self, reason: str) -> None:
            self.stopped = reason

    command = [sys.executable, str(SMALL)]
    with NoSandbox().open(Workspace(tmp_path)) as session, session.pipe(command, {"HOME": str(tmp_path)}) as pipe:
        line = Waiting()
        conversation = acp_client.Conversation(pipe, cast("Line", line), seconds=0.1)
        assert asyncio.run(conversation.hold(str(tmp_path), "SLOW, EARLY", None)) == "end_turn"
    assert line.stopped == ""


@contextmanager
def raised(kind: type[Exception], said: str) -> Iterator[None]:
    with pytest.raises(kind, match=said) as caught:
        yield
    assert "\n" not in str(caught.value)


def test_an_agent_that_crashes_is_not_measured() -> None:
    with (
        provider([Reply("Hm.")]) as world,
        raised(EnvironmentFailure, "The small agent: it ended in the middle: a crash"),
    ):
        executed(executor(world), task("CRASH"))


def never_ready(world: AgentProvider, command: str) -> AcpExecutor:
    agent = AgentDescription.model_validate(AGENT.model_dump() | {"command": ["bash", "-c", command]})
    return executor(world, agent=agent)


def test_an_agent_that_does_not_start_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    with provider([]) as world, raised(EnvironmentFailure, "it ended in the middle: no such key"):
        executed(never_ready(world, "echo no such key >&2; exit 1"), task())
    monkeypatch.setattr(acp_client, "START", 0.5)
    with provider([]) as world, raised(EnvironmentFailure, "not ready within"):
        executed(never_ready(world, "sleep 600"), task())


def test_an_agent_that_asks_no_model_is_not_measured() -> None:
    with provider([]) as world, raised(EnvironmentFailure, "without a call to its model"):
        executed(executor(world), task("EARLY"))


def test_without_a_place_for_its_home_an_agent_is_not_measured() -> None:
    with (
        provider([]) as world,
        workspace(task(), []) as folders,
        NoSandbox().open(folders) as session,
        raised(EnvironmentFailure, r"no home for the agent can be made \(mkdir: .*\); make room there"),
    ):
        (session.scratch / "home").touch()
        executor(world).execute(task(), None, session)


def test_an_agent_that_stops_early_is_graded_as_it_stands() -> None:
    with provider([Reply("I will not go on.")]) as world:
        trajectory, files = executed(executor(world), task())
    assert (trajectory.stopped, trajectory.answer, files) == ("answered", "I will not go on.", {})


@pytest.mark.parametrize("instruction", ["Write.", "ERROR"])
def test_an_outage_is_never_graded_whatever_the_agent_says(instruction: str) -> None:
    """One agent ends its turn as if nothing was, another with an error."""
    with provider([shell("true"), error(500, "down"), error(500, "down")]) as world, raised(EnvironmentFailure, "down"):
        executed(executor(world), task(instruction))


def test_the_cap_ends_an_execution_as_the_cap() -> None:
    def script(_: dict[str, Any]) -> Answer:
        return Reply("", [Call("shell", {"command": "true"})], prompt_tokens=1500)

    ledger = Ledger(Cap(tokens=6_000))
    with provider(script) as world, raised(BudgetExceeded, "budget.tokens"):
        executed(executor(world, ledger), task())
    assert 0 < ledger.spent.tokens <= 6_000
    assert ledger.spent.tokens == sum(prompt + completion for prompt, _, completion in world.charged)


def test_a_conversation_too_long_for_the_model_is_graded() -> None:
    with provider([shell("echo a > b"), error(400, "maximum context length is 8192 tokens")]) as world:
        trajectory, files = executed(executor(world), task())
    assert (trajectory.stopped, files) == ("context", {"b": "a\n"})


def test_it_refuses_a_session_without_pipes(tmp_path: Path) -> None:
    class Plain:
        def run(self, command: str, *, timeout: float) -> CommandResult:
            raise AssertionError(command, timeout)

    with provider([]) as world, raised(UserError, "use sandbox: docker"):
        executor(world).execute(task(), None, Plain())


def test_identity_names_agent_version_model_and_limits(tmp_path: Path) -> None:
    with provider([]) as world:
        made = executor(world)
        assert made.identity.startswith("small/1 (")
        assert "model=scripted turns=30" in made.identity
        others = executor(world, others=[skill(tmp_path, "other")])
        versions = {made.identity, executor(world, max_turns=5).identity, others.identity}
    assert len(versions) == 3


def test_nothing_of_ours_is_left_in_the_work_folder(tmp_path: Path) -> None:
    with provider([Reply("Done.")]) as world:
        _, files = executed(executor(world), task(), skill(tmp_path, "greeter"))
    assert files == {}

"""A foreign agent's execution that was cut begins anew, and pays for no reply that it was given before."""

import json
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.executors.agents import AgentDescription
from skillgrad_ci.executors.replies import Replies
from skillgrad_ci.method.budget import Ledger
from skillgrad_ci.method.evidence import Trajectory
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.journal.file_journal import FileJournal
from tests.executors.test_acp import AGENT, executed, executor, shell, task
from tests.models.test_gateway import agent, gateway_to, question
from tests.support import small_repository
from tests.support.agent_provider import AgentProvider, Answer, Reply, error, provider
from tests.support.killed import AT_ONCE, start

FATAL = error(400, "cut here")
STEPS = [
    shell("echo one > a; ls"),
    shell("echo two >> a; cat a"),
    shell("env | grep -E 'KEY|GATEWAY'; date +%H:%M:%S.%N; ls -la"),
    shell("cp a b; cat b; exit 3"),
    Reply("done"),
]
IDS = count(1)  # no provider gives one id twice
Run = tuple[Trajectory, AgentProvider, dict[str, str], Ledger]


def execute(folder: Path, answers: Sequence[Answer], key: str = "k", agent: AgentDescription = AGENT) -> Run:
    """One execution, as in a process of its own."""
    ledger = Ledger()
    with FileJournal(folder) as journal, provider(answers) as world:
        world.ids = IDS
        trajectory, files = executed(executor(world, ledger, agent).resuming(journal, key), task())
    return trajectory, world, files, ledger


@pytest.mark.parametrize("cut", range(len(STEPS)))
def test_cut_at_any_call_it_ends_as_if_never_cut_and_pays_for_each_call_once(cut: int, tmp_path: Path) -> None:
    whole, _, files, _ = execute(tmp_path / "whole", STEPS)
    with pytest.raises(EnvironmentFailure, match="cut here"):
        execute(tmp_path / "cut", [*STEPS[:cut], FATAL])
    again, world, files_again, ledger = execute(tmp_path / "cut", STEPS[cut:])
    assert len(world.requests) == ledger.spent.calls == len(STEPS) - cut
    assert files_again == files
    assert (again.answer, again.turns, again.stopped) == (whole.answer, whole.turns, whole.stopped)
    assert again.usage.calls == whole.usage.calls == len(STEPS)
    assert [event["kind"] for event in again.events] == [event["kind"] for event in whole.events]


def test_from_a_command_that_now_does_another_thing_on_the_provider_is_asked(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    count = shell(f"echo x >> {outside}; wc -l < {outside}")
    with pytest.raises(EnvironmentFailure):
        execute(tmp_path / "run", [shell("echo 1"), count, shell("echo stale"), FATAL])
    again, world, _, _ = execute(tmp_path / "run", [shell("echo fresh"), Reply("done")])
    outputs = [event["output"].splitlines()[0] for event in again.events if event["kind"] == "tool_result"]
    assert outputs == ["1", "2", "fresh"]
    assert len(world.requests) == 2, "what was paid for in the same world is not asked again"


def test_what_the_description_calls_fleeting_is_no_difference(tmp_path: Path) -> None:
    named = AgentDescription.model_validate({**AGENT.model_dump(), "fleeting": ["(?m)^Chunk [0-9a-f]+$"]})
    assert named.identity == AGENT.identity, "its journal goes on"
    random = shell("echo Chunk $(od -An -N4 -tx1 /dev/urandom | tr -d ' ')")
    for folder, described, told in ((tmp_path / "a", AGENT, 1), (tmp_path / "b", named, 2)):
        with pytest.raises(EnvironmentFailure):
            execute(folder, [random, shell("true"), FATAL], agent=described)
        _, world, _, _ = execute(folder, [Reply("done")], agent=described)
        (request,) = world.requests
        assert sum(message["role"] == "tool" for message in request["messages"]) == told


def test_replies_belong_to_one_execution(tmp_path: Path) -> None:
    for key in ("k", "another trial"):
        _, world, _, _ = execute(tmp_path, [shell("ls"), Reply("done")], key)
        assert len(world.requests) == 2
    _, world, _, _ = execute(tmp_path, [], "k")
    assert world.requests == []


def test_a_reply_on_which_the_agent_crashed_is_not_given_to_it_again(tmp_path: Path) -> None:
    deadly = shell("kill -9 $PPID")
    with pytest.raises(EnvironmentFailure, match="it ended in the middle"):
        execute(tmp_path, [shell("ls"), deadly])
    again, world, _, _ = execute(tmp_path, [shell("ls"), Reply("done")])
    assert (again.answer, len(world.requests)) == ("done", 2)


def test_one_call_asked_twice_has_two_replies_in_every_start(tmp_path: Path) -> None:
    path, body = question("anthropic")
    for answers in ([Reply("one"), Reply("two")], []):
        with FileJournal(tmp_path) as journal, provider(answers) as world:
            gateway = gateway_to(world, "anthropic")
            with agent(gateway, replies=Replies(journal, "k")) as (line, client):
                said = [client.post(path, json=body).text for _ in range(2)]
                assert line.usage.calls == 2
        assert ["one" in said[0], "two" in said[1]] == [True, True]
        assert len(world.requests) == len(answers)


@pytest.mark.parametrize("dialect", ["anthropic", "responses", "chat", "gemini"])
def test_ids_beside_a_conversation_are_no_part_of_it(dialect: str, tmp_path: Path) -> None:
    path, body = question(dialect)
    ids: dict[str, dict[str, Any]] = {
        "anthropic": {"metadata": {"user_id": "one"}},
        "responses": {"prompt_cache_key": "one", "client_metadata": {"turn_id": "one"}},
        "chat": {"user": "one"},
        "gemini": {"labels": {"session": "one"}},
    }
    for number, answers in (("one", [Reply("Yes.")]), ("two", [])):
        marked = json.loads(json.dumps({**body, **ids[dialect]}).replace('"one"', f'"{number}"'))
        if dialect == "responses":
            marked["input"] = [{**item, "id": number} for item in marked["input"]]
        with (
            FileJournal(tmp_path) as journal,
            provider(answers) as world,
            agent(gateway_to(world, dialect), replies=Replies(journal, "k")) as (line, client),
        ):
            client.post(path, json=marked)
            assert line.answer == "Yes."
        assert len(world.requests) == len(answers)


def test_a_secret_in_a_stream_is_not_written_down_in_pieces(tmp_path: Path) -> None:
    path, body = question("anthropic")
    with (
        FileJournal(tmp_path, Redactor(["hunter2-and-a-long-tail"])) as journal,
        provider([Reply("hunter2-and-a-long-tail it is."), Reply("Plain.")]) as world,
        agent(gateway_to(world, "anthropic"), replies=Replies(journal, "k")) as (_, client),
    ):
        for _ in range(2):
            client.post(path, json=body)
    kept = (tmp_path / "journal.jsonl").read_text()
    assert "long-tail" not in kept
    assert "Plain" in kept


def test_a_journal_that_cannot_be_written_ends_the_execution(tmp_path: Path) -> None:
    path, body = question("anthropic")
    with (
        FileJournal(tmp_path) as journal,
        provider([Reply("Yes.")]) as world,
        agent(gateway_to(world, "anthropic"), replies=Replies(journal, "k")) as (line, client),
    ):
        journal.close()
        assert client.post(path, json=body).status_code == 400
        with pytest.raises(EnvironmentFailure, match="cannot be written"):
            line.check()


def test_a_whole_run_that_is_killed_repeats_the_calls_in_flight_alone(tmp_path: Path) -> None:
    """Two executions of five calls, both at once; killed at the third call and at the seventh."""
    asked: Counter[str] = Counter()
    plan: dict[str, Any] = {"kill": None, "number": 0}

    def script(request: dict[str, Any]) -> Answer:
        if not request.get("tools"):
            return Reply("ready")
        plan["number"] += 1
        asked[json.dumps([m for m in request["messages"] if m["role"] != "system"])] += 1
        done = sum(message["role"] == "tool" for message in request["messages"])
        if plan["number"] in (3, 7):
            plan["kill"].kill()
        return shell(f"echo {done} >> log; cat log") if done < 4 else Reply("Done.")

    root = small_repository.make(tmp_path / "repository", "openai/scripted")
    rows = yaml.safe_load((root / "evals/tasks.yaml").read_text())
    (root / "evals/tasks.yaml").write_text(yaml.safe_dump({**rows, "tasks": rows["tasks"][:2]}))
    small = {**AGENT.model_dump(mode="json"), "command": [sys.executable, *AGENT.command[1:]]}
    (root / "small.yaml").write_text(yaml.safe_dump(small))
    words = ("evaluate", "skills/greeter", "--agent", "small.yaml", "--sandbox", "none")
    starts = 0
    with provider(script) as world:
        while not starts or plan["kill"].exitcode:
            plan["kill"] = start(root, words, f"{world.url}/v1", tmp_path / "out")
            plan["kill"].join(120)
            assert plan["kill"].exitcode in (0, -signal.SIGKILL), Path(f"{tmp_path}/out.log").read_text()
            starts += 1
    records = [json.loads(line)["value"] for line in (tmp_path / "out/journal.jsonl").read_text().splitlines()]
    executions = [record["evidence"]["trajectory"] for record in records if "evidence" in record]
    assert [trajectory["turns"] for trajectory in executions] == [5] * 2
    assert len(asked) == 10, "every call of the two, and no other"
    assert starts == 3
    assert sum(asked.values()) <= 10 + 2 * AT_ONCE

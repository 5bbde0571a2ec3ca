"""The built-in executor, with a scripted provider, a real shell and real folders."""

import json
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.executors.skill_tools import SkillTools
from skillgrad_ci.executors.tool_loop import CALLS_PER_TURN, CUT, EMPTY, ToolLoop, _parsed
from skillgrad_ci.method.evidence import Trajectory
from skillgrad_ci.method.prompting import load_prompt
from skillgrad_ci.method.task import GraderSpec, Task
from skillgrad_ci.sandbox.no_sandbox import NoSandbox
from skillgrad_ci.session.rollout import workspace
from skillgrad_ci.skill.skill import Skill
from tests.support.scripted_answers import Answer, Call, Reply, Script, Stall, error
from tests.support.scripted_server import ScriptedServer, model_of, serve

BODY = "# Steps\n\nMeasure twice. Read `references/units.md` when units differ."
SKILL = Skill(
    "measure",
    {
        "SKILL.md": f"---\nname: measure\ndescription: Use it to measure.\n---\n{BODY}\n".encode(),
        "references/units.md": b"One inch is 25.4 mm.",
        "references/long.md": b"long " * 10_000,
        "scripts/tool.py": b"print('measured')",
        "assets/logo.png": b"\x89PNG\xff",
        "evals/evals.json": b'{"expected": "the golden answer"}',
    },
)
TASK = Task("t", "How long is it? {{skills}}", [GraderSpec("text")], outputs=["answer.txt"])


def execute(
    script: Script | Sequence[Answer], task: Task = TASK, skill: Skill | None = SKILL, **settings: Any
) -> tuple[Trajectory, ScriptedServer]:
    """Run a task against a scripted provider."""
    with (
        serve(script) as server,
        workspace(task, [skill] if skill else []) as folders,
        NoSandbox().open(folders) as session,
    ):
        loop = ToolLoop(model_of(server, retries=1), load_prompt("execute"), **settings)
        return loop.execute(task, skill, session), server


def shell(*commands: str) -> Reply:
    return Reply(calls=[Call("shell", {"command": command}) for command in commands])


def results(trajectory: Trajectory) -> list[str]:
    return [event["output"] for event in trajectory.events if event["kind"] == "tool_result"]


# The skill, layer by layer


def test_a_skill_is_disclosed_step_by_step() -> None:
    steps = [
        Reply(calls=[Call("activate_skill", {"name": "measure"})]),
        Reply(calls=[Call("read_reference", {"path": "references/units.md"})]),
        shell("cat ../skill/measure/scripts/tool.py && echo 25.4 > answer.txt && cat answer.txt"),
        Reply("25.4 mm"),
    ]
    trajectory, server = execute(steps)
    system = server.requests[0]["messages"][0]["content"]
    assert "measure" in system
    assert "Use it to measure." in system
    assert "Measure twice" not in system
    body, reference, output = results(trajectory)
    assert body.startswith(BODY)
    assert "references/units.md" in body
    assert "evals" not in body
    assert reference == "One inch is 25.4 mm."
    assert output == "print('measured')25.4\n"
    assert trajectory.answer == "25.4 mm"
    assert (trajectory.stopped, trajectory.turns, trajectory.activated) == ("answered", 4, True)
    assert trajectory.references_read == ["references/units.md", "scripts/tool.py"]
    assert [event["kind"] for event in trajectory.events] == ["message"] * 2 + ["tool_call", "tool_result"] * 3 + [
        "message"
    ]
    assert [call.first for call in trajectory.model_calls] == [2, 4, 6, 8]
    assert [call.usage.prompt_tokens for call in trajectory.model_calls] == [prompt for prompt, _ in server.charged]


def test_without_a_skill_nothing_is_said_of_skills() -> None:
    trajectory, server = execute([Reply("done")], skill=None)
    request = server.requests[0]
    assert [tool["function"]["name"] for tool in request["tools"]] == ["shell"]
    assert "skill" not in request["messages"][0]["content"].lower()
    assert not trajectory.activated


def test_the_user_message_holds_the_task_its_files_and_what_is_wanted() -> None:
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        _, server = execute([Reply("done")], replace(TASK, files={"in/a.txt": Path(file.name)}))
    assert server.requests[0]["messages"][1]["content"] == (
        "How long is it? {{skills}}\n\nFiles in the work folder:\n- in/a.txt\n\nFiles to write:\n- answer.txt"
    )


def test_the_prompt_is_of_no_domain() -> None:
    assert not re.search(
        r"spreadsheet|excel|xlsx|workbook|\bcells?\b|\btables?\b", load_prompt("execute"), re.IGNORECASE
    )


def test_a_conversation_only_grows_so_that_prompts_are_cached() -> None:
    _, server = execute([shell("echo 1"), Reply(calls=[Call("nonsense", "{")]), shell("false"), Reply("x")])
    sent = [request["messages"] for request in server.requests]
    assert all(later[: len(earlier)] == earlier for earlier, later in pairwise(sent))
    assert all(request["tools"] == server.requests[0]["tools"] for request in server.requests)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("references/units.md", "One inch"),
        ("./references/../references/units.md", "One inch"),
        ("../skill/measure/references/units.md", "One inch"),
        ("SKILL.md", "Measure twice"),
        ("../../etc/passwd", "no file"),
        ("/etc/passwd", "no file"),
        ("references", "no file"),
        ("evals/evals.json", "no file"),
        ("../skill/measure/evals/evals.json", "no file"),
        ("assets/logo.png", "no text"),
        ("references/long.md", "characters cut"),
    ],
)
def test_reading_a_reference(path: str, says: str) -> None:
    tools = SkillTools([SKILL], bound=1_000)
    assert "Activate the skill first" in tools.read(path)
    tools.activate("measure")
    assert says in tools.read(path)
    assert len(tools.read(path)) < 1_300


@given(st.text(), st.sampled_from(["", "../", "/", "../skill/measure/", "references/../../", "evals/"]))
def test_no_path_leads_out_of_the_skill(path: str, prefix: str) -> None:
    tools = SkillTools([SKILL], bound=100_000)
    tools.activate("measure")
    said = tools.read(prefix + path)
    assert "golden answer" not in said
    assert "has no file" in said or tools.used("measure") or "no text" in said or said.startswith("---")


def test_another_skill_cannot_be_activated() -> None:
    tools = SkillTools([SKILL], bound=1_000)
    assert "There is no skill 'other'" in tools.activate("other")
    assert not tools.activated


@pytest.mark.parametrize(
    ("command", "used", "activated"),
    [
        ("cat ../skill/measure/references/units.md", ["references/units.md"], False),
        ("cd ../skill/measure && cat SKILL.md references/units.md", ["references/units.md"], True),
        ("cat '../skill/measure/SKILL.md'|head", [], True),
        ("cat ../skill/measure/references/*.md", ["references/long.md", "references/units.md"], False),
        ("python3 ../skill/measure/scripts/tool.py in.csv", ["scripts/tool.py"], False),
        ("ls ../skill/measure", [], False),
        ("cat references/units.md", [], False),
        ("cat ../skill/other/references/units.md", [], False),
    ],
)
def test_what_a_command_reads_of_the_skill_is_noticed(command: str, used: list[str], activated: bool) -> None:
    tools = SkillTools([SKILL], bound=1_000)
    tools.notice(command)
    assert sorted(tools.used("measure")) == used
    assert tools.activated == (["measure"] if activated else [])


# What a model does wrong


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (Call("shell", '{"command": "ls'), "JSON object"),
        (Call("shell", "ls"), "JSON object"),
        (Call("shell", "[1]"), "JSON object"),
        (Call("shell", {"cmd": "ls"}), "JSON object"),
        (Call("shell", {"command": ["ls"]}), "JSON object"),
        (Call("shell", {"command": " "}), "JSON object"),
        (Call("shell", '{"command": "echo \\u0000"}'), "JSON object"),
        (Call("shell", '{"command": ' + "[" * 100_000 + "]" * 100_000 + "}"), "nested deeper"),
        (Call("shell", '{"command": ' + "9" * 6_000 + "}"), "a number of 6000 characters"),
        (Call("read_reference", '{"path": null}'), "JSON object"),
        (Call("delete everything!", {}), "There is no tool 'delete everything!'"),
        (Call("", {}), "There is no tool ''"),
    ],
)
def test_a_bad_call_is_told_to_the_model_which_goes_on(call: Call, says: str) -> None:
    trajectory, server = execute([Reply(calls=[call]), shell("echo well"), Reply("done")])
    first, second = results(trajectory)
    assert says in first
    assert len(first) < 1_000
    assert second == "well\n"
    assert trajectory.stopped == "answered"
    sent = server.requests[1]["messages"][2]["tool_calls"][0]["function"]
    assert isinstance(json.loads(sent["arguments"]), dict), "a provider refuses what it cannot parse"
    assert re.fullmatch(r"[\w-]{1,64}", sent["name"])
    json.dumps(trajectory.events).encode()


def test_arguments_that_are_nested_without_end_are_no_arguments() -> None:
    assert _parsed('{"command": ' + "[" * 100_000) is None


def test_skill_tools_are_unknown_where_there_is_no_skill() -> None:
    trajectory, _ = execute([Reply(calls=[Call("activate_skill", {"name": "x"})]), Reply("done")], skill=None)
    assert results(trajectory) == ["There is no tool 'activate_skill'. The tools are shell."]


def test_of_a_hundred_calls_in_one_turn_a_few_run_and_each_is_answered() -> None:
    hundred = shell(*(f"echo {number} >> log" for number in range(100)))
    trajectory, server = execute([hundred, shell("wc -l < log"), Reply("done")])
    *first, last = results(trajectory)[:101]
    assert len(first) == 100
    assert sum("Not run" in output for output in first) == 100 - CALLS_PER_TURN
    assert last.strip() == str(CALLS_PER_TURN)
    sent = server.requests[1]["messages"]
    assert len([message for message in sent if message["role"] == "tool"]) == 100


def test_an_endless_loop_ends_at_the_turn_limit_with_its_work_kept() -> None:
    trajectory, server = execute(lambda _: shell("echo again >> log; wc -l < log"), max_turns=5)
    assert (trajectory.stopped, trajectory.turns, len(server.requests)) == ("turns", 5, 5)
    assert results(trajectory)[-1].strip() == "5"


def test_a_reply_cut_at_the_output_limit_is_gone_on_with() -> None:
    trajectory, server = execute([Reply("I will", stop="length"), Reply("", stop="length"), Reply("done")])
    assert trajectory.answer == "done"
    assert [message["content"] for message in server.requests[2]["messages"][2:]] == ["I will", CUT, "(empty)", CUT]


def test_half_of_a_character_is_replaced_and_the_command_runs() -> None:
    half = Call("shell", '{"command": "echo a\\ud83d > \\ude00; ls"}')
    trajectory, server = execute([Reply(calls=[half]), Reply(b"done \\ud83d".decode("unicode_escape"))])
    assert results(trajectory) == ["\ufffd\n"]
    assert trajectory.answer == "done \ufffd"
    json.dumps(trajectory.events, ensure_ascii=False).encode()
    sent = server.requests[1]["messages"][2]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(sent) == {"command": "echo a\ufffd > \ufffd; ls"}


def test_an_empty_reply_after_work_is_an_answer() -> None:
    trajectory, _ = execute([shell("echo 1"), Reply("")])
    assert (trajectory.answer, trajectory.stopped) == ("", "answered")


def test_a_model_that_did_nothing_and_says_nothing_is_asked_once_more() -> None:
    trajectory, server = execute([Reply(""), Reply("done")])
    assert (trajectory.answer, trajectory.stopped) == ("done", "answered")
    assert server.requests[1]["messages"][-1] == {"role": "user", "content": EMPTY}
    assert execute([Reply(""), Reply("")])[0].stopped == "empty"


def test_empty_replies_at_the_output_limit_end_after_two() -> None:
    trajectory, server = execute(lambda _: Reply("", stop="length"))
    assert (trajectory.stopped, trajectory.turns, len(server.requests)) == ("empty", 2, 2)
    trajectory, server = execute([Reply("", stop="length"), shell("ls"), Reply("", stop="length"), Reply("done")])
    assert trajectory.stopped == "answered", "two in a row"


@pytest.mark.parametrize("long", [error(413, "too large"), error(400, "long", code="context_length_exceeded")])
def test_a_first_request_that_is_too_long_is_an_outage(long: Answer) -> None:
    with pytest.raises(EnvironmentFailure, match="the first request"):
        execute([long])


def test_a_conversation_that_outgrows_the_model_ends_with_its_work() -> None:
    long = error(400, "maximum context length is 10 tokens", code="context_length_exceeded")
    trajectory, _ = execute([shell("echo 1"), long])
    assert (trajectory.stopped, trajectory.turns) == ("context", 1)
    assert results(trajectory) == ["1\n"]


@pytest.mark.parametrize(
    "answer", [Reply("I can", stop="content_filter"), error(400, "filtered", code="content_filter")]
)
def test_a_content_filter_ends_the_execution(answer: Answer) -> None:
    assert execute([answer])[0].stopped == "refused"


# What the outside does wrong


def test_an_outage_is_raised_and_not_graded() -> None:
    with pytest.raises(EnvironmentFailure, match="HTTP 529"):
        execute([shell("echo 1"), error(529), error(529)])


# Bounds


def test_a_long_output_is_cut_in_the_middle_and_says_so() -> None:
    trajectory, server = execute([shell("seq 1 200000"), Reply("x")], output_bound=2_000)
    (output,) = results(trajectory)
    assert output.startswith("1\n2\n")
    assert "199999\n200000" in output
    assert "characters cut" in output
    assert len(output) < 2_100
    assert server.requests[1]["messages"][-1]["content"] == output


def test_a_command_ends_at_its_limit_and_says_so() -> None:
    trajectory, _ = execute([shell("echo begun; sleep 60"), Reply("x")], command_timeout=0.5)
    (output,) = results(trajectory)
    assert output.startswith("begun\n")
    assert "0.5 s" in output


def test_a_failed_command_says_its_exit_code() -> None:
    trajectory, _ = execute([shell("exit 3"), shell("true"), Reply("x")])
    assert results(trajectory) == ["(no output)\n(exit code 3)", "(no output)"]
    assert [event["exit_code"] for event in trajectory.events if event["kind"] == "tool_result"] == [3, 0]


def test_a_tasks_time_is_spent_by_commands_and_ends_the_execution() -> None:
    task = replace(TASK, timeout=2.0)
    trajectory, _ = execute(lambda _: shell("sleep 0.2", "sleep 30", "echo more"), task)
    assert (trajectory.stopped, trajectory.turns) == ("timeout", 1)
    assert "time limit" in results(trajectory)[1]
    assert results(trajectory)[2] == "Not run: the task's time is used up."


def test_a_slow_provider_does_not_spend_a_tasks_time() -> None:
    trajectory, _ = execute([Stall(0.5), shell("true"), Reply("done")], replace(TASK, timeout=0.3))
    assert trajectory.stopped == "answered"


# The account of it


def test_usage_is_the_sum_of_the_turns() -> None:
    trajectory, server = execute([shell("true"), shell("true"), Reply("x")])
    assert trajectory.usage.calls == 3
    assert trajectory.usage.prompt_tokens == sum(prompt for prompt, _ in server.charged)
    assert trajectory.usage.completion_tokens == sum(completion for _, completion in server.charged)


@pytest.mark.parametrize(
    "change",
    [
        lambda loop: replace(loop, max_turns=29),
        lambda loop: replace(loop, command_timeout=1.0),
        lambda loop: replace(loop, output_bound=1),
        lambda loop: replace(loop, max_tokens=1),
        lambda loop: replace(loop, prompt=loop.prompt + " "),
        lambda loop: replace(loop, model=replace(loop.model, name="openai/other")),
    ],
)
def test_the_identity_names_everything_that_changes_an_execution(change: Callable[[ToolLoop], ToolLoop]) -> None:
    with serve([]) as server:
        loop = ToolLoop(model_of(server), load_prompt("execute"))
        assert loop.identity == replace(loop).identity
        assert change(loop).identity != loop.identity

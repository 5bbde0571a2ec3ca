"""The agent without tools, with a scripted provider over a real socket."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.executors.chat import Chat, _asked_for, question, refuse_files
from skillgrad_ci.method.evidence import Trajectory
from skillgrad_ci.method.prompting import load_prompt
from skillgrad_ci.method.task import GraderSpec, Suite, Task
from skillgrad_ci.models.rehearsal.register import respond
from skillgrad_ci.models.rehearsal.script import Script as Rehearsal
from skillgrad_ci.sandbox.no_sandbox import NoCommands
from skillgrad_ci.session.rollout import workspace
from skillgrad_ci.skill.skill import Skill
from tests.support.rehearsed import Rehearsed
from tests.support.scripted_answers import Answer, Reply, error
from tests.support.scripted_server import ScriptedServer, model_of, serve

SKILL = Skill(
    "measure",
    {
        "SKILL.md": b"---\nname: measure\ndescription: To measure.\n---\nSee `references/units.md` for inches.\n",
        "references/units.md": b"One inch is 25.4 mm.",
        "references/long.md": b"long " * 40_000,
        "assets/logo.png": b"\x89PNG\xff",
        "evals/evals.json": b'{"expected": "the golden answer"}',
    },
)
OTHER = Skill("weigh", {"SKILL.md": b"---\nname: weigh\ndescription: Use it to weigh.\n---\nUse grams.\n"})
TASK = Task("t", "How long is an inch? {{skills}}", [GraderSpec("text")])
READ = Reply("READ measure/references/units.md")


def execute(
    answers: Sequence[Answer], task: Task = TASK, skill: Skill | None = SKILL, others: Sequence[Skill] = ()
) -> tuple[Trajectory, ScriptedServer]:
    with (
        serve(answers) as server,
        workspace(task, [skill] if skill else []) as folders,
        NoCommands().open(folders) as session,
    ):
        return Chat(model_of(server, retries=1), load_prompt("chat"), others=others).execute(
            task, skill, session
        ), server


def sent(server: ScriptedServer, call: int) -> tuple[str, str]:
    """The system message and the question of a call, which has nothing else."""
    assert "tools" not in server.requests[call]
    system, user = server.requests[call]["messages"]
    assert (system["role"], user["role"]) == ("system", "user")
    return system["content"], user["content"]


def test_one_call_with_the_skill_in_the_system_message() -> None:
    done, server = execute([Reply("  25.4 mm\n")])
    system, user = sent(server, 0)
    assert "for inches" in system
    assert "READ measure/references/units.md" in system
    assert "25.4" not in system
    assert "golden" not in system
    assert user == TASK.instruction, "a placeholder in a task is not filled"
    assert (done.answer, done.turns, done.stopped, done.activated) == ("25.4 mm", 1, "answered", True)
    assert [event["kind"] for event in done.events] == ["message"] * 3
    assert [(call.first, call.usage) for call in done.model_calls] == [(2, done.usage)]
    assert (done.usage.prompt_tokens, done.usage.completion_tokens) == server.charged[0]


def test_files_are_given_once_in_the_system_message() -> None:
    done, server = execute([READ, READ])
    system, user = sent(server, 1)
    assert "One inch is 25.4 mm." in system
    assert "READ" not in system, "nothing more can be asked for"
    assert user == TASK.instruction
    assert len(server.requests) == 2
    assert (done.answer, done.turns) == (READ.text, 2), "the second reply is the answer, whatever it says"
    assert done.references_read == ["references/units.md"]
    assert done.usage.tokens == sum(map(sum, server.charged))


@pytest.mark.parametrize("reply", ["READ measure/references/units.md\nand then 25 mm", "I READ it", "", "25"])
def test_any_other_reply_is_the_answer(reply: str) -> None:
    done, server = execute([Reply(reply)])
    assert (done.answer, len(server.requests)) == (reply, 1)


def test_without_a_skill_nothing_is_offered() -> None:
    done, server = execute([READ], skill=None)
    assert "READ" not in sent(server, 0)[0]
    assert "kill" not in sent(server, 0)[0]
    assert (done.answer, done.activated, done.turns) == (READ.text, False, 1)


def test_skills_beside_the_measured_one_are_given_too_and_named() -> None:
    done, server = execute([Reply("x")], others=[OTHER])
    assert "Use grams." in sent(server, 0)[0]
    assert (done.activated, done.others_activated) == (True, ["weigh"])
    done, _ = execute([Reply("x")], skill=None, others=[OTHER])
    assert (done.activated, done.others_activated) == (False, ["weigh"])


@given(st.lists(st.sampled_from(["/", "..", ".", "evals/evals.json", "measure", "references/units.md", "etc", "`"])))
def test_no_path_leads_out_of_the_skill(steps: list[str]) -> None:
    given = _asked_for(f"READ {'/'.join(steps) or '.'}", {"measure": SKILL.for_agents()})
    allowed = {"measure/references/units.md": "One inch is 25.4 mm."}
    assert all(text.startswith("(") or allowed.get(place) == text for place, text in given.items())


def test_what_cannot_be_given_is_said_and_files_share_a_bound() -> None:
    asked = "\n".join(f"- READ {name}" for name in ("references/long.md", "assets/logo.png", "x.md", "SKILL.md"))
    given = _asked_for(asked, {"measure": SKILL.for_agents()})
    assert "characters cut" in given["measure/references/long.md"]
    assert sum(map(len, given.values())) < 101_000
    assert given["x.md"].startswith("(")
    assert given["SKILL.md"].startswith("("), "the body is there already"


def test_input_files_stand_in_the_question(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("one,two\n```\n")
    (tmp_path / "b.bin").write_bytes(b"\0\1")
    text = question(replace(TASK, files={"a.csv": tmp_path / "a.csv", "b.bin": tmp_path / "b.bin", "c": tmp_path}))
    assert "The file a.csv:\n````\none,two\n```\n````" in text, "a fence that nothing inside can close"
    assert "The file b.bin is there" in text
    assert "The file c is there" in text


@pytest.mark.parametrize(
    ("answer", "stopped"),
    [
        (Reply("so far", stop="length"), "length"),
        (Reply("", stop="content_filter"), "refused"),
    ],
)
def test_how_it_ends(answer: Answer, stopped: str) -> None:
    assert execute([answer])[0].stopped == stopped


def test_files_that_outgrow_the_model_end_it_and_a_first_request_that_does_is_an_outage() -> None:
    too_long = error(400, "the context is too long", code="context_length_exceeded")
    assert execute([READ, too_long, too_long])[0].stopped == "context"  # what an envelope is refused is asked once more
    with pytest.raises(EnvironmentFailure, match="the first request"):
        execute([too_long])


def test_an_outage_is_raised_and_never_an_answer() -> None:
    with pytest.raises(EnvironmentFailure):
        execute([error(500, "down"), error(500, "down")])


def test_the_identity_holds_all_that_is_sent() -> None:
    model = Rehearsed(Rehearsal.model_validate(SCRIPT))
    texts = {Chat(model, load_prompt("chat")).identity, Chat(model, "other").identity}
    texts.add(Chat(model, load_prompt("chat"), others=[OTHER]).identity)
    assert len(texts) == 3
    assert all(text.startswith("chat/1 ") for text in texts)


def test_tasks_that_ask_for_files_are_refused_before_anything_is_spent(tmp_path: Path) -> None:
    refuse_files(Suite("s", "native", tmp_path, [TASK]))
    for task in (replace(TASK, outputs=["a.txt"]), replace(TASK, graders=[GraderSpec("xlsx")])):
        with pytest.raises(UserError, match="agent chat writes no files, and 1 of 1 tasks ask for some"):
            refuse_files(Suite("s", "native", tmp_path, [task]))


# The rehearsal as the model of a chat

SCRIPT = {
    "version": 1,
    "mechanisms": {
        "inches": {
            "match": "How long is an (?P<unit>inch)",
            "needs": [{"layer": "reference", "text": "25\\.4", "pointer": "for inches"}],
            "with": {"answer": "25.4 mm an {{unit}}"},
            "without": {"answer": "about three barleycorns"},
            "finding": {"summary": "", "cause": "", "difference": ""},
            "pattern": {"line": "", "anchor": "", "description": ""},
        }
    },
}


@pytest.mark.parametrize(
    ("skill", "answer", "calls"),
    [
        (SKILL, "25.4 mm an inch", 2),
        (SKILL.with_file("references/units.md", "unknown"), "about three barleycorns", 2),
        (SKILL.with_file("SKILL.md", SKILL.text.replace("for inches", "")), "about three barleycorns", 1),
        (None, "about three barleycorns", 1),
    ],
)
def test_the_rehearsal_reads_what_it_is_pointed_to(skill: Skill | None, answer: str, calls: int) -> None:
    model = Rehearsed(Rehearsal.model_validate(SCRIPT))
    with workspace(TASK, [skill] if skill else []) as folders, NoCommands().open(folders) as session:
        done = Chat(model, load_prompt("chat")).execute(TASK, skill, session)
    assert (done.answer, done.turns) == (answer, calls)
    ready = respond(model.script, {"messages": [{"role": "user", "content": "Reply with the word ready."}]})
    assert "ready" in ready["choices"][0]["message"]["content"]

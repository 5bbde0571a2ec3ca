"""The rehearsal model: a pure function of the request that follows only guidance which it has read."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci.__main__ import main
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.acceptance import Incumbent
from skillgrad_ci.method.events import Event
from skillgrad_ci.method.evidence import Evidence, Outcome, Trajectory
from skillgrad_ci.method.gradient import Diagnosis, diagnose
from skillgrad_ci.method.memory import Overlay, PatternMemory, Stamp
from skillgrad_ci.method.optimizers.momentum import momentum
from skillgrad_ci.method.optimizers.update import update
from skillgrad_ci.method.patch import EditResult, Rules
from skillgrad_ci.method.ports import Agent, ModelRequest
from skillgrad_ci.method.prompting import StructuredAgent
from skillgrad_ci.method.run import Iteration
from skillgrad_ci.method.task import Task
from skillgrad_ci.models.rehearsal.register import READY, register, respond
from skillgrad_ci.models.rehearsal.script import Script
from skillgrad_ci.skill.skill import Skill
from tests.support import documented
from tests.support.rehearsed import Rehearsed, served
from tests.support.scripted_server import model_of, serve

SCRIPT = """
version: 1
look: ["ls"]
theme: {theme: look-first, line: Look before acting.}
mechanisms:
  loud-answer:
    match: shout (?P<word>\\w+)
    needs:
      - {layer: description, text: shout}
      - {layer: body, text: use capitals}
      - {layer: reference, text: three marks, pointer: loud}
    weak: be loud
    with: {commands: ["echo {{word}} | tr a-z A-Z"], answer: "{{word}}!!!"}
    without: {commands: ["echo {{word}}"], answer: "{{word}}"}
    finding: {summary: it was said quietly, cause: no capitals, difference: capitals, quote: echo}
    pattern: {line: quiet words, anchor: shouting, description: Words are said quietly.}
    remedies:
      - note: ""
        why: quiet
        edits: [{op: append, file: SKILL.md, target: heading, address: Rules, content: "- Just be loud."}]
      - note: loudness was not understood
        why: still quiet
        edits:
          - {op: replace, file: SKILL.md, target: text, address: "- Just be loud.", content: "- Shout: use capitals."}
replies:
  - {schema: VerdictReply, match: poem, reply: {score: 1}}
"""
BODY = """# Rules

- use capitals
- Read `references/loud.md` when it is loud.
- Read `references/odd.md` when it is odd.
"""
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("activate_skill", "read_reference", "shell")
]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    file = tmp_path / "rehearsal.yaml"
    file.write_text(SCRIPT)
    return Script.load(file)


def run(script: Script, replies: dict[str, str], system: str, tools: list[Any] = TOOLS) -> list[tuple[str, Any]]:
    """Play one execution to its end; `replies` are tool results by tool. Returns calls, then ("answer", text)."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": system},
        {"role": "user", "content": "Please shout hello."},
    ]
    seen: list[tuple[str, Any]] = []
    for _ in range(10):
        message = respond(script, {"messages": messages, "tools": tools})["choices"][0]["message"]
        messages.append(message)
        if "tool_calls" not in message:
            return [*seen, ("answer", message["content"])]
        [call] = message["tool_calls"]
        name, arguments = call["function"]["name"], json.loads(call["function"]["arguments"])
        seen.append((name, next(iter(arguments.values()))))
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": replies.get(name, "")})
    raise AssertionError("the execution does not end")


LISTING = "Skills:\n- voices: to shout or to whisper"
READ = {"activate_skill": BODY, "read_reference": "Put three marks at the end.", "shell": "(no output)"}


def test_with_all_guidance_read_the_guided_commands_run(script: Script) -> None:
    assert run(script, READ, LISTING) == [
        ("activate_skill", "voices"),
        ("read_reference", "references/loud.md"),
        ("shell", "ls"),
        ("shell", "echo hello | tr a-z A-Z"),
        ("answer", "hello!!!"),
    ]


@pytest.mark.parametrize(
    ("replies", "system", "why"),
    [
        (READ, "Skills:\n- voices: to whisper. use capitals, three marks", "the description does not fit"),
        (READ | {"activate_skill": BODY.replace("use capitals", "be kind")}, LISTING, "not in the body"),
        (
            READ | {"activate_skill": BODY.replace("when it is loud", "at times")},
            LISTING,
            "no pointer to the reference",
        ),
        (READ | {"read_reference": "use capitals"}, LISTING, "not in the reference"),
        (READ | {"activate_skill": "three marks", "read_reference": BODY}, LISTING, "each in the other's layer"),
        (READ | {"shell": "use capitals, three marks"} | {"activate_skill": ""}, LISTING, "seen in an output only"),
    ],
)
def test_guidance_counts_only_where_it_must_stand(
    script: Script, replies: dict[str, str], system: str, why: str
) -> None:
    assert run(script, replies, system)[-1] == ("answer", "hello"), why


def test_without_a_skill_there_is_no_activation(script: Script) -> None:
    assert [name for name, _ in run(script, READ, LISTING, TOOLS[2:])] == ["shell", "shell", "answer"]


def test_a_failed_command_ends_the_execution(script: Script) -> None:
    seen = run(script, READ | {"shell": "boom\n(exit code 3)"}, LISTING)
    assert [name for name, _ in seen].count("shell") == 1
    assert "(exit code 3)" in seen[-1][1]


def test_an_unknown_task_is_said_to_be_one(script: Script) -> None:
    answer = respond(script, {"messages": [{"role": "user", "content": "sing"}], "tools": TOOLS})
    assert "no mechanism" in answer["choices"][0]["message"]["content"]


def test_a_request_without_tools_and_schema_is_answered(script: Script) -> None:
    answer = respond(script, {"messages": [{"role": "user", "content": "ready?"}]})
    assert answer["choices"][0]["message"]["content"] == READY


def test_equal_requests_get_equal_answers_and_stay_as_they_are(script: Script) -> None:
    request = {"messages": [{"role": "user", "content": "shout a"}], "tools": TOOLS}
    before = copy.deepcopy(request)
    assert respond(script, request) == respond(script, copy.deepcopy(request))
    assert request == before


def test_cached_tokens_are_the_turns_sent_before(script: Script) -> None:
    messages: list[dict[str, Any]] = [{"role": "system", "content": LISTING}, {"role": "user", "content": "shout a"}]
    first = respond(script, {"messages": messages, "tools": TOOLS})
    messages += [first["choices"][0]["message"], {"role": "tool", "tool_call_id": "call_1", "content": BODY * 9}]
    second = respond(script, {"messages": messages, "tools": TOOLS})
    assert first["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    cached = second["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert abs(cached - first["usage"]["prompt_tokens"]) <= 1
    assert second["usage"]["prompt_tokens"] > cached + len(BODY * 9) // 4


def skill(body: str, description: str = "to shout", references: str = "") -> Skill:
    files = {"SKILL.md": f"---\nname: voices\ndescription: {description}\n---\n\n# Rules\n\n{body}\n".encode()}
    if references:
        files["references/loud.md"] = references.encode()
    return Skill("voices", files)


SAID = {"kind": "message", "role": "assistant", "text": "echo hello"}
TASK = Task("t-1", "Please shout hello.", ())
FAILED = Evidence("t-1", "before", Outcome.FAILED, trajectory=Trajectory([SAID]))
PASSED = Evidence("t-1", "d", Outcome.PASSED, trajectory=Trajectory((), references_read=["references/loud.md"]))


def agent(script: Script) -> StructuredAgent:
    model = Rehearsed(script)
    return StructuredAgent(lambda role: model, unseen)


def unseen(event: Event, /) -> None:
    """An observer that keeps nothing."""


@pytest.mark.parametrize(
    ("body", "description", "guidance"),
    [
        ("- Hello.", "to shout", "missing"),
        ("- Just be loud.", "to shout", "weak"),
        ("- use capitals", "none", "missing"),
    ],
)
def test_the_diagnoser_reads_the_skill_in_its_prompt(
    script: Script, body: str, description: str, guidance: str
) -> None:
    found = diagnose(agent(script), skill(body, description), TASK, FAILED, FAILED)
    assert found is not None
    assert (found.label, found.kind, found.guidance) == ("loud-answer", "failure", guidance)


def test_guidance_that_stands_in_every_layer_was_ignored_or_is_robust(script: Script) -> None:
    full = skill("- use capitals\n- Read `references/loud.md` when loud", references="three marks")
    read = Trajectory(FAILED.trajectory.events, references_read=["references/loud.md"])
    failed = diagnose(agent(script), full, TASK, Evidence("t-1", "d", Outcome.FAILED, trajectory=read), FAILED)
    passed = diagnose(agent(script), full, TASK, PASSED, FAILED)
    lucky = diagnose(agent(script), skill("nothing"), TASK, PASSED, FAILED)
    assert failed is not None
    assert (failed.guidance, failed.quote) == ("ignored", "echo")
    assert passed is not None
    assert (passed.kind, passed.robust) == ("contrastive", True)
    assert lucky is not None
    assert not lucky.robust


def diagnosis(task: str, kind: Any = "failure") -> Diagnosis:
    return Diagnosis(task, kind, "loud-answer", "quiet", "no capitals", "missing", robust=True)


def test_a_pattern_is_new_then_unresolved_then_absorbed(script: Script) -> None:
    call, memory = agent(script), PatternMemory("voices")
    before = skill("- Hello.")
    memory, overlay = momentum(call, before, memory, [diagnosis("a"), diagnosis("b")], Stamp("r", 1))
    assert [(p.slug, p.absorption, p.evidence) for p in memory.patterns] == [("loud-answer", "new", ("a", "b"))]
    assert [entry.patterns for entry in overlay.entries] == [("loud-answer",), ("loud-answer",)]
    memory, _ = momentum(call, skill("- Just be loud."), memory, [diagnosis("c")], Stamp("r", 2))
    [pattern] = memory.patterns
    assert pattern.absorption == "unresolved"
    assert pattern.remedy_log[-1].text == "loudness was not understood"
    done = skill("- Shout: use capitals.")
    rows = [diagnosis("a", "contrastive"), diagnosis("c", "contrastive")]
    memory, overlay = momentum(call, done, memory, rows, Stamp("r", 3))
    assert memory.patterns[0].absorption == "absorbed"
    assert [theme.slug for theme in overlay.themes] == ["look-first"]


def patched(
    call: Agent,
    skill: Skill,
    diagnoses: list[Diagnosis],
    record: tuple[PatternMemory, Overlay],
    number: int,
    task: Task,
) -> tuple[Skill, list[EditResult]]:
    memory, overlay = record
    step = Iteration(number, Incumbent(skill), memory, diagnoses=diagnoses, overlay=overlay)
    return update(call, step, Rules([task], memory.slugs), number)


def test_a_weak_remedy_is_replaced_once_it_stands_and_a_refused_one_gives_way(script: Script) -> None:
    call, memory, before = agent(script), PatternMemory("voices"), skill("- Hello.")
    record = momentum(call, before, memory, [diagnosis("a")], Stamp("r", 1))
    weak, edits = patched(call, before, [diagnosis("a")], record, 1, TASK)
    assert [(e.edit.op, e.status, e.edit.patterns) for e in edits] == [("append", "accepted", ("loud-answer",))]
    strong, edits = patched(call, weak, [diagnosis("a")], record, 2, TASK)
    assert [(e.edit.op, e.status) for e in edits] == [("replace", "accepted")]
    assert "Just be loud" not in strong.body
    _, edits = patched(call, strong, [diagnosis("a")], record, 3, TASK)
    assert edits == [], "all remedies were tried"
    kept = [diagnosis("a", "contrastive")]
    assert patched(call, weak, kept, record, 3, TASK) == (weak, [])
    leaked = Task("be-loud", "Please shout hello.", (), expected=["Just be loud"])
    after, edits = patched(call, before, [diagnosis("a")], record, 1, leaked)
    assert [(e.edit.op, e.status) for e in edits] == [("append", "refused"), ("replace", "refused")]
    assert after == before


def test_a_fixed_reply_is_found_by_schema_and_prompt(script: Script) -> None:
    request = {
        "messages": [
            {"role": "system", "content": 'Fit this schema: {"title":"VerdictReply"}'},
            {"role": "user", "content": "Is it a poem?"},
        ]
    }
    assert json.loads(respond(script, request)["choices"][0]["message"]["content"]) == {"score": 1}
    request["messages"][1]["content"] = "Is it a song?"
    with pytest.raises(UserError, match=r"VerdictReply.*replies"):
        respond(script, request)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("weak: be loud", "weka: be loud", r"loud-answer\.weka: unknown key; did you mean weak\?"),
        ("version: 1", "version: 2", "version: expected 1, got 2"),
        ("shout (?P<word>\\w+)", "shout (", r"loud-answer\.match: expected a regular expression"),
        ("shout (?P<word>\\w+)", "shout", r"loud-answer: expected a named group .*\{\{word\}\}"),
        (", pointer: loud", "", "expected `pointer` with the layer reference"),
        ("op: append", "op: add", r"edits\[0\]\.op: expected 'append'"),
        ("version: 1", "version: [1", r"rehearsal.yaml:\d+: no valid YAML"),
        ("version: 1", "version: 1\nversion: 1", r"rehearsal.yaml:\d+: the key 'version' stands twice"),
    ],
)
def test_a_wrong_script_is_refused_with_file_key_and_what_is_expected(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    assert old in SCRIPT
    file = tmp_path / "rehearsal.yaml"
    file.write_text(SCRIPT.replace(old, new, 1))
    with pytest.raises(UserError, match=told) as error:
        Script.load(file)
    assert str(error.value).startswith(str(file))
    assert "\n" not in str(error.value)


def test_a_missing_script_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        UserError,
        match=re.escape(f"{tmp_path / 'none.yaml'}: no such file; write the rehearsal script beside the suite"),
    ):
        Script.load(tmp_path / "none.yaml")


def test_litellm_knows_it_with_prices_of_its_own(tmp_path: Path) -> None:
    from skillgrad_ci.models.provider import LitellmModel

    file = tmp_path / "rehearsal.yaml"
    file.write_text(SCRIPT)
    model = LitellmModel(register(file))
    request = ModelRequest([{"role": "system", "content": LISTING}, {"role": "user", "content": "shout a"}], TOOLS)
    reply = model.complete(request)
    assert reply.tool_calls[0].name == "activate_skill"
    usd = (reply.usage.prompt_tokens * 0.25 + reply.usage.completion_tokens * 2.0) / 1e6
    assert reply.usage.usd == pytest.approx(usd)
    assert (model.bound(request).usd or 0) > usd
    assert diagnose(StructuredAgent(lambda role: model, unseen), skill("-"), TASK, FAILED, FAILED)
    file.write_text(SCRIPT.replace("Just be loud", "Be loud"))
    assert register(file) != model.name, "another script is another model"
    with pytest.raises(
        UserError, match=r"model nowhere: no such rehearsal; write --model rehearsal, with a rehearsal\.yaml"
    ):
        LitellmModel("rehearsal/nowhere").complete(request)


def test_a_server_that_speaks_the_protocol_gives_the_same_replies(script: Script) -> None:
    messages = [{"role": "system", "content": LISTING}, {"role": "user", "content": "Please shout hello."}]
    request, inside = ModelRequest(messages, TOOLS), Rehearsed(script)
    with serve(served(script)) as server:
        over_http = model_of(server)
        reply, expected = over_http.complete(request), inside.complete(request)
        assert (reply.text, reply.tool_calls, reply.stop) == (expected.text, expected.tool_calls, expected.stop)
        call = StructuredAgent(lambda role: over_http, unseen)
        assert diagnose(call, skill("-"), TASK, FAILED, FAILED) == diagnose(
            agent(script), skill("-"), TASK, FAILED, FAILED
        )


def test_the_documented_script_teaches_the_documented_skill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its second remedy, for the first is too vague."""
    for name, content in documented.rehearsal()[1].items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    words = ["optimize", "skills/weights", "--tasks", "evals", "--model", "rehearsal", "--sandbox", "none"]
    assert main([*words, "--out", "out", "--iterations", "3"]) == 0
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert [report["train"][when]["passed"] for when in ("baseline", "final")] == [0, 3]
    assert "Write it in grams." in (tmp_path / "out/skill.patch").read_text()


def test_every_key_of_a_script_is_documented() -> None:
    section, _ = documented.rehearsal()
    schema = Script.model_json_schema()
    keys = {key for form in (schema, *schema["$defs"].values()) for key in form["properties"]}
    assert len(keys) > 30
    assert not {key for key in keys if not re.search(rf"`{key}`|\b{key}:", section)}

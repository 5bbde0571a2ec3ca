"""Each agent's log tells what a person asked, what was corrected, and which skill was really used."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.session.growth.logs import read_recording
from skillgrad_ci.session.growth.recorded import Recording, files_below

Rows = list[dict[str, Any]]


def read(tmp_path: Path, rows: Rows, name: str = "s.jsonl") -> Recording:
    path = tmp_path / name
    path.write_text("\n".join(["{torn", *map(json.dumps, rows), "[]"]))
    found = read_recording(path)
    assert found is not None
    return found


def told(recording: Recording) -> list[tuple[str, str]]:
    return [(moment.kind, moment.text) for moment in recording.moments if moment.kind not in ("said", "tool")]


def user(content: object, **fields: object) -> dict[str, Any]:
    number = fields.pop("uuid", None) or f"u{abs(hash(str(content)))}"
    return {"type": "user", "uuid": number, "message": {"role": "user", "content": content}, **fields}


def called(name: str, call: str = "c1", **given: object) -> dict[str, Any]:
    content = [{"type": "tool_use", "id": call, "name": name, "input": given}]
    return {"type": "assistant", "uuid": f"a-{call}", "message": {"role": "assistant", "content": content}}


def result(call: str = "c1", text: str = "ok", **fields: object) -> dict[str, Any]:
    return user([{"type": "tool_result", "tool_use_id": call, "content": text, **fields}], uuid=f"r-{call}")


CLAUDE: Rows = [
    {"type": "summary", "summary": "x"},
    user("Warm up", isSidechain=True),
    user("Caveat: the messages below were generated"),
    user("<local-command-stdout>hi</local-command-stdout>"),
    user("Sum the amounts of ledger.csv.", entrypoint="cli", cwd="/home/ida", gitBranch="secret-plan"),
    called("Skill", "c1", skill="office:ledger-sums"),
    result("c1"),
    user("The text of SKILL.md", isMeta=True, sourceToolUseID="c1"),
    {"type": "queue-operation", "operation": "remove", "content": "No cents, please."},
    called("Write", "c2", file_path="/home/ida/out/total.txt", content="12"),
    result("c2", "The user doesn't want to proceed with this tool use.", is_error=True),
    user("Credits are negative!", uuid="twice"),
    user("Credits are negative!", uuid="twice"),
]


def test_claude_code(tmp_path: Path) -> None:
    recording = read(tmp_path, CLAUDE)
    assert told(recording) == [
        ("request", "Sum the amounts of ledger.csv."),
        ("correction", "No cents, please."),
        ("rejected", "The user doesn't want to proceed with this tool use."),
        ("correction", "Credits are negative!"),
    ]
    assert recording.skills == {"ledger-sums"}
    assert recording.files == {"total.txt": "12"}
    assert not recording.headless


def test_a_call_of_a_skill_that_failed_is_no_activation(tmp_path: Path) -> None:
    rows = [user("Do it."), called("Skill", "c1", skill="ledger-sums"), result("c1", "no such skill", is_error=True)]
    assert read(tmp_path, rows).skills == set()


def test_a_slash_command_activates_and_asks(tmp_path: Path) -> None:
    typed = user("<command-name>/ledger-sums</command-name><command-args>Sum it up.</command-args>")
    recording = read(tmp_path, [typed])
    assert recording.skills == {"ledger-sums"}
    assert told(recording) == [("request", "Sum it up.")]


def test_programs_and_sub_agents_are_told_apart(tmp_path: Path) -> None:
    assert read(tmp_path, [user("Do it.", entrypoint="sdk-cli")]).headless
    (tmp_path / "subagents").mkdir()
    for name in ("subagents/agent-1.jsonl", "agent-2.jsonl", "real.jsonl"):
        (tmp_path / name).write_text("{}")
    assert [path.name for path in files_below(tmp_path) if path.name != "s.jsonl"] == ["real.jsonl"]


def codex(kind: str, **payload: object) -> dict[str, Any]:
    return {"timestamp": "2026-11-01T00:00:00Z", "type": kind, "payload": payload}


CODEX: Rows = [
    codex("session_meta", id="x", cwd="/home/ida", originator="codex_cli_rs"),
    *(codex("response_item", type="message", role="user", content=[{"type": "input_text", "text": text}])
      for text in ("# AGENTS.md instructions for x", "Sum ledger.csv.")),
    codex("event_msg", type="user_message", message="Sum ledger.csv."),
    codex("response_item", type="function_call", name="exec_command", call_id="1",
          arguments=json.dumps({"cmd": "cat ~/.codex/skills/ledger-sums/SKILL.md"})),
    codex("response_item", type="custom_tool_call", name="apply_patch", call_id="2",
          input="*** Begin Patch\n*** Add File: out/total.txt\n+12\n+EUR\n*** End Patch"),
    codex("event_msg", type="turn_aborted"),
    codex("event_msg", type="user_message", message="Credits are negative!"),
    codex("world_state", anything=1),
]  # fmt: skip


def test_codex_says_each_thing_twice_and_is_heard_once(tmp_path: Path) -> None:
    recording = read(tmp_path, CODEX)
    assert told(recording) == [
        ("request", "Sum ledger.csv."),
        ("interrupted", "the user interrupted the agent"),
        ("correction", "Credits are negative!"),
    ]
    assert recording.skills == {"ledger-sums"}
    assert recording.files == {"total.txt": "12\nEUR\n"}


def test_codex_without_events_drops_its_scaffolding(tmp_path: Path) -> None:
    recording = read(tmp_path, [row for row in CODEX if row["type"] != "event_msg"])
    assert told(recording) == [("request", "Sum ledger.csv.")]
    parent = [codex("session_meta", id="y", parent_thread_id="x"), *CODEX[2:]]
    assert read(tmp_path, parent).inner


def test_atif_of_a_later_version_is_read(tmp_path: Path) -> None:
    steps = [
        {"step_id": 1, "source": "user", "message": "Sum it."},
        {"step_id": 2, "source": "agent", "message": "Done.",
         "tool_calls": [{"function_name": "activate_skill", "arguments": {"name": "ledger-sums"}}]},
        {"step_id": 3, "source": "user", "message": "Sum it.", "is_copied_context": True},
        {"step_id": 4, "source": "user", "message": [{"type": "text", "text": "Credits are negative!"}], "new": 1},
    ]  # fmt: skip
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"schema_version": "ATIF-v2.3", "steps": steps, "unknown": True}, indent=1))
    recording = read_recording(path)
    assert recording is not None
    assert told(recording) == [("request", "Sum it."), ("correction", "Credits are negative!")]
    assert recording.skills == {"ledger-sums"}


def test_our_own_trajectory(tmp_path: Path) -> None:
    recording = read(
        tmp_path,
        [
            {"kind": "message", "role": "user", "text": "Sum it."},
            {"kind": "tool_call", "id": "1", "tool": "activate_skill", "arguments": {"name": "ledger-sums"}},
            {"kind": "message", "role": "assistant", "text": "12"},
            {"kind": "verdict", "outcome": "failed", "text": "expected 13"},
        ],
    )
    assert recording.skills == {"ledger-sums"}
    assert told(recording)[-1] == ("correction", "the grader said: expected 13")


def test_a_line_end_of_unicode_parts_no_line_and_half_a_character_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    lines = [json.dumps(user("Sum\u2028it\x85now."), ensure_ascii=False), json.dumps(user("Half: \ud83d"))]
    path.write_text("\n".join(lines), encoding="utf-8")
    recording = read_recording(path)
    assert recording is not None
    assert [(moment.line, moment.text) for moment in recording.moments] == [
        (1, "Sum\u2028it\x85now."),
        (2, "Half: \ufffd"),
    ]


def test_what_nests_without_end_ends_no_reading(tmp_path: Path) -> None:
    deep = '{"a":' * 100_000
    (tmp_path / "deep.jsonl").write_text(deep)
    assert read_recording(tmp_path / "deep.jsonl") is None
    recording = read(tmp_path, [*CODEX, codex("response_item", type="function_call", name="exec", arguments=deep)])
    assert recording.skills == {"ledger-sums"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["type", "message", "content", "payload", "uuid", "role", "kind", "steps", "schema_version", "tool_calls",
          "input", "name", "arguments", "isSidechain", "operation", "source", "entrypoint", "subtype"]  # fmt: skip
VALUES = JSON | st.sampled_from(["user", "assistant", "event_msg", "session_meta", "ATIF", "message", "verdict"])


@given(st.lists(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6), max_size=5))
def test_no_line_of_any_shape_ends_the_reading(tmp_path_factory: Any, rows: Rows) -> None:
    path = tmp_path_factory.mktemp("logs") / "s.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    read_recording(path)

"""Trajectories in ATIF: each is valid by the format's own rules, and holds what happened."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from skillgrad_ci.method.evidence import Evidence, ModelCall, Outcome, Trajectory, Usage
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.trajectories.atif import atif
from skillgrad_ci.session.trajectories.kept import keep_in


def closed(required: Sequence[str], **properties: Any) -> dict[str, Any]:
    """An object that takes no other key, as Harbor's own models of the format."""
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


TEXT, NUMBER, OBJECT = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "object"}
CALL = closed(["tool_call_id", "function_name", "arguments"], tool_call_id=TEXT, function_name=TEXT, arguments=OBJECT)
RESULT = closed([], source_call_id=TEXT, content=TEXT)
STEP = closed(
    ["step_id", "source", "message"],
    step_id=NUMBER,
    source={"enum": ["system", "user", "agent"]},
    message=TEXT,
    tool_calls={"type": "array", "items": CALL},
    observation=closed(["results"], results={"type": "array", "items": RESULT}),
    timestamp={"type": "string", "format": "date-time"},
    metrics=closed(
        [], prompt_tokens=NUMBER, completion_tokens=NUMBER, cached_tokens=NUMBER, cost_usd={"type": "number"}
    ),
)
METRICS = closed(
    [],
    total_prompt_tokens=NUMBER,
    total_completion_tokens=NUMBER,
    total_cached_tokens=NUMBER,
    total_cost_usd={"type": "number"},
    total_steps=NUMBER,
)
SCHEMA = closed(
    ["schema_version", "session_id", "agent", "steps"],
    schema_version={"const": "ATIF-v1.4"},
    session_id=TEXT,
    agent=closed(["name", "version"], name=TEXT, version=TEXT, model_name=TEXT),
    steps={"type": "array", "items": STEP, "minItems": 1},
    notes=TEXT,
    final_metrics=METRICS,
    extra=OBJECT,
)


def check(document: dict[str, Any]) -> None:
    """The schema of version 1.4, and the rules between its parts."""
    Draft202012Validator(SCHEMA).validate(document)
    assert [step["step_id"] for step in document["steps"]] == list(range(1, len(document["steps"]) + 1))
    for step in document["steps"]:
        calls = [call["tool_call_id"] for call in step.get("tool_calls", [])]
        assert step["source"] == "agent" or not {"tool_calls", "metrics"} & set(step)
        assert datetime.fromisoformat(step.get("timestamp", "2026-11-28T10:00:00+00:00")).tzinfo
        assert {row["source_call_id"] for row in step.get("observation", {"results": []})["results"]} <= set(calls)


def message(role: str, text: str) -> dict[str, Any]:
    return {"kind": "message", "role": role, "text": text}


def call(id: str, arguments: Any) -> dict[str, Any]:
    return {"kind": "tool_call", "id": id, "tool": "shell", "arguments": arguments}


def result(id: str, output: str) -> dict[str, Any]:
    return {"kind": "tool_result", "id": id, "tool": "shell", "output": output, "exit_code": 0}


ASKED = [message("system", "Work."), message("user", "Sort it.")]
ONE_BY_ONE = [*ASKED, message("assistant", "So."), call("1", {"command": "ls"}), result("1", "a"),
              call("2", "no json"), result("2", "broken"), message("assistant", "Done.")]  # fmt: skip
AT_ONCE = [*ASKED, call("1", {"command": "ls"}), call("2", {"command": "pwd"}), result("2", "/"), result("1", "a")]


def evidence(events: Sequence[dict[str, Any]], usage: Usage | None = None, *calls: ModelCall) -> Evidence:
    usage = usage or Usage(2, 900, 300, 40, 0.5)
    versions = "loop/1 model=openai/gpt-x turns=30 prompt=abc; sandlock/1; text/1"
    trajectory = Trajectory(events, "Done.", 2, True, (), "answered", usage, model_calls=calls)
    return Evidence("sort", "d" * 64, Outcome.FAILED, 0.5, "one row is missing", trajectory, versions=versions)


def test_a_turn_and_its_results_are_a_step() -> None:
    document = atif("base", evidence(ONE_BY_ONE))
    assert document is not None
    check(document)
    assert [step["source"] for step in document["steps"]] == ["system", "user", "agent", "agent", "agent"]
    assert document["steps"][2]["message"] == "So."
    assert document["steps"][2]["observation"]["results"] == [{"source_call_id": "1", "content": "a"}]
    assert document["steps"][3]["tool_calls"][0]["arguments"] == {"text": "no json"}
    assert document["agent"] == {"name": "loop", "version": "1", "model_name": "openai/gpt-x"}
    metrics = {"total_prompt_tokens": 900, "total_completion_tokens": 40, "total_cached_tokens": 300}
    assert document["final_metrics"] == {**metrics, "total_steps": 5, "total_cost_usd": 0.5}
    assert document["extra"]["outcome"] == "failed"


def test_calls_at_once_are_one_step_and_results_find_their_call() -> None:
    document = atif("base", evidence(AT_ONCE, Usage(usd=None)))
    assert document is not None
    check(document)
    assert [row["source_call_id"] for row in document["steps"][2]["observation"]["results"]] == ["2", "1"]
    assert "total_cost_usd" not in document["final_metrics"]


def test_a_step_holds_what_its_call_took_and_when_it_came() -> None:
    """One by one or at once, what one reply calls is one step; a reply of nothing is a step too."""
    took, silent = Usage(1, 500, 200, 30, 0.25), Usage(1, 400, 100, 10, None)
    calls = [ModelCall(2, took, "2026-11-28T10:00:01+00:00"), ModelCall(7, silent), ModelCall(7, took)]
    document = atif("base", evidence(ONE_BY_ONE, None, *calls))
    assert document is not None
    check(document)
    steps = document["steps"]
    assert [step["source"] for step in steps] == ["system", "user", "agent", "agent", "agent"]
    assert [len(step.get("tool_calls", [])) for step in steps[2:]] == [2, 0, 0]
    assert [row["source_call_id"] for row in steps[2]["observation"]["results"]] == ["1", "2"]
    assert steps[2]["timestamp"] == "2026-11-28T10:00:01+00:00"
    tokens = {"prompt_tokens": 500, "completion_tokens": 30, "cached_tokens": 200}
    assert steps[2]["metrics"] == {**tokens, "cost_usd": 0.25}
    assert "cost_usd" not in steps[3]["metrics"]
    assert [step["message"] for step in steps[2:]] == ["So.", "", "Done."]


EVENTS = st.lists(
    st.one_of(
        st.builds(message, st.sampled_from(["system", "user", "assistant"]), st.text()),
        st.builds(call, st.sampled_from(["", "1", "2"]), st.one_of(st.text(), st.dictionaries(st.text(), st.text()))),
        st.builds(result, st.sampled_from(["", "1", "2", "3"]), st.text()),
    )
)


@given(EVENTS, st.lists(st.integers(0, 30)))
def test_whatever_happened_is_valid(events: list[dict[str, Any]], firsts: list[int]) -> None:
    calls = [ModelCall(first, Usage()) for first in sorted(firsts) if first <= len(events)]
    document = atif("iteration-1", evidence(events, None, *calls))
    if document is None:
        assert not calls
        assert all(event["kind"] == "tool_result" for event in events)
    else:
        check(document)
        json.dumps(document)


def test_it_stands_beside_our_own_form_without_secrets(tmp_path: Path) -> None:
    keep = keep_in(tmp_path, Redactor(["hunter2-hunter2"]))
    keep("base", evidence([*ASKED, message("assistant", "It is hunter2-hunter2.")]))
    keep("base", Evidence("nothing", "", Outcome.UNMEASURED))
    names = sorted(path.name for path in (tmp_path / "trajectories" / "base").iterdir())
    assert names == ["nothing.0.jsonl", "sort.0.atif.json", "sort.0.jsonl"]
    text = (tmp_path / "trajectories" / "base" / "sort.0.atif.json").read_text()
    check(json.loads(text))
    assert "hunter2" not in text


def test_no_arm_of_an_evaluation_is_written_over_another_one(tmp_path: Path) -> None:
    keep, done = keep_in(tmp_path, Redactor()), evidence([*ASKED, message("assistant", "Done.")])
    for digest in ("a" * 64, "", "b" * 64, "a" * 64):
        keep("evaluate", replace(done, skill_digest=digest, feedback=digest or "none"))
    keep("base", replace(done, skill_digest="c" * 64, feedback="c"))
    found = {path.parent.name: json.loads(path.read_text().splitlines()[-1]) for path in tmp_path.rglob("*.jsonl")}
    assert {name: row["text"][:4] for name, row in found.items()} == {
        "evaluate": "aaaa",
        "evaluate-without-skill": "none",
        "evaluate-bbbbbbbb": "bbbb",
        "base": "c",
    }


def test_an_unknown_field_would_be_found() -> None:
    document = atif("base", evidence(ONE_BY_ONE))
    assert document is not None
    with pytest.raises(Exception, match="Additional properties"):
        check({**document, "turns": 2})


def test_a_replayed_execution_is_not_written_again_and_another_one_is(tmp_path: Path) -> None:
    """Ten thousand of them would be read, redacted and written at each start."""
    looked: list[int] = []

    class Events(list[Any]):
        def __iter__(self) -> Any:
            looked.append(1)
            return super().__iter__()

    keep, done = keep_in(tmp_path, Redactor()), evidence([*ASKED, message("assistant", "Done.")])
    keep("base", done)
    [file] = tmp_path.rglob("*.jsonl")
    before = (file.stat().st_ino, file.read_bytes())
    replayed = replace(done, trajectory=replace(done.trajectory, events=Events(done.trajectory.events)))
    keep("base", replayed)
    assert (file.stat().st_ino, file.read_bytes()) == before
    assert not looked
    keep("base", replace(replayed, seconds=replayed.seconds + 1))
    assert file.read_bytes() != before[1]
    assert looked
    file.unlink()  # as after a kill
    keep("base", replayed)
    assert file.read_bytes() == before[1]

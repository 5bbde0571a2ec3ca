"""Prompts: data is fenced, placeholders are filled once, replies are validated and repaired once."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from skillgrad_ci.document.inert_text import fence
from skillgrad_ci.errors import ReplyError
from skillgrad_ci.method.events import Event, Replied
from skillgrad_ci.method.evidence import Usage
from skillgrad_ci.method.ports import ModelReply, ModelRequest
from skillgrad_ci.method.prompting import (
    RESOURCES_BOUND,
    SHARED_BOUND,
    StructuredAgent,
    fill,
    further_files,
    in_force,
    load_prompt,
    read_reply,
    render_skill,
)
from skillgrad_ci.skill.skill import Skill


class Answer(BaseModel):
    """A small reply."""

    label: str
    number: int


GOOD = json.dumps({"label": "x", "number": 3})


def test_filling_is_strict_both_ways_and_in_one_pass() -> None:
    assert fill("a {{one}} b {{two}}", one="{{two}}", two="2") == "a {{two}} b 2"
    with pytest.raises(ValueError, match="differ"):
        fill("{{one}}", one="1", two="2")
    with pytest.raises(ValueError, match="differ"):
        fill("{{one}} {{two}}", one="1")


@given(st.text("`a\n~", max_size=60))
def test_nothing_inside_closes_a_fence(text: str) -> None:
    lines = fence(text).split("\n")
    assert lines[0] == lines[-1]
    assert set(lines[0]) == {"`"}
    assert all(not line.startswith(lines[0]) for line in lines[1:-1])


@pytest.mark.parametrize("name", ["execute", "diagnose", "momentum", "patch", "judge"])
def test_the_prompts_are_for_any_domain(name: str) -> None:
    words = load_prompt(name).lower()
    assert not {"spreadsheet", "excel", "workbook", "openpyxl", "cell"} & set(words.replace("*", " ").split())


def test_a_skill_is_shown_without_its_suite_and_with_its_resources_to_a_bound() -> None:
    head = b"---\nname: s\ndescription: d\n---\nbody {{word}}\n"
    files = {"SKILL.md": head, "references/a.md": b"alpha", "assets/x.bin": b"\xff", "evals/evals.json": b"SECRET"}
    skill = Skill("s", files)
    text = render_skill(skill)
    assert "body {{word}}" in text
    assert "alpha" in text
    assert "assets/x.bin (binary, 1 bytes)" in text
    assert "SECRET" not in text
    assert "evals" not in text
    assert "references/a.md (5 characters, not shown)" in render_skill(skill, bound=4)


@pytest.mark.parametrize("text", [GOOD, f"Here it is:\n```json\n{GOOD}\n```\nDone.", f"A set {{a}} first. {GOOD}"])
def test_a_reply_is_found_bare_fenced_or_after_words(text: str) -> None:
    assert read_reply(ModelReply(text), Answer) == Answer(label="x", number=3)


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (ModelReply(""), "no JSON object"),
        (ModelReply('{"label": "x"'), "no valid JSON"),
        (ModelReply('{"label": "x", "number": "many"}'), "number: Input should be a valid integer"),
        (ModelReply('{"label": "\\udc00", "number": 3}'), "half of a surrogate pair"),
        (ModelReply('{"label":' * 100_000), "nested too deeply"),
        (ModelReply(GOOD, stop="length"), "cut at the output limit"),
        (ModelReply("", stop="content_filter"), "content filter"),
    ],
)
def test_a_bad_reply_is_named(reply: ModelReply, problem: str) -> None:
    with pytest.raises(ReplyError, match=problem):
        read_reply(reply, Answer)


@dataclass
class Says:
    """A model that says what it is given, and keeps what it was asked."""

    replies: list[str]
    name: str = "says"
    asked: list[Sequence[Any]] = field(default_factory=list)

    def bound(self, request: ModelRequest) -> Usage:
        return Usage(1)

    def complete(self, request: ModelRequest) -> ModelReply:
        self.asked.append(list(request.messages))
        return ModelReply(self.replies.pop(0))


def silent(event: Event, /) -> None:
    """An observer that looks away."""


def test_a_bad_reply_is_repaired_once_and_then_refused() -> None:
    model = Says(["nonsense", GOOD])
    agent = StructuredAgent(lambda role: model, silent)
    assert agent("diagnoser", "system", "user", Answer) == Answer(label="x", number=3)
    assert [message["role"] for message in model.asked[1]] == ["system", "user", "assistant", "user"]
    assert "no JSON object" in model.asked[1][-1]["content"]
    assert model.asked[0] == model.asked[1][:2]  # the repair extends the prompt, so caches still hit
    model = Says(["nonsense", "nonsense", GOOD])
    with pytest.raises(ReplyError, match="diagnoser: no usable reply from says, after one repair"):
        StructuredAgent(lambda role: model, silent)("diagnoser", "system", "user", Answer)
    assert len(model.asked) == 2


def test_each_call_goes_to_its_role_with_schema_and_bound_and_is_told() -> None:
    roles, requests, told, replies = list[str](), list[ModelRequest](), list[Event](), ["nonsense", GOOD]

    class Keeps(Says):
        def complete(self, request: ModelRequest) -> ModelReply:
            requests.append(request)
            return ModelReply(self.replies.pop(0))

    def model_of(role: str) -> Keeps:
        roles.append(role)
        return Keeps(list(replies))

    StructuredAgent(model_of, told.append, max_tokens=777)("patcher", "system", "user", Answer)
    assert roles == ["patcher"]
    assert [(request.schema, request.max_tokens) for request in requests] == [(Answer, 777)] * 2
    assert told == [Replied("patcher", "nonsense"), Replied("patcher", GOOD)]
    assert requests[1].messages[2] == {"role": "assistant", "content": "nonsense"}


def test_a_prompt_holds_what_is_shared_apart_and_no_schema() -> None:
    """How a schema goes out is for the model to know."""
    requests: list[ModelRequest] = []

    class Keeps(Says):
        def complete(self, request: ModelRequest) -> ModelReply:
            requests.append(request)
            return super().complete(request)

    model = Keeps(["nonsense", GOOD])
    StructuredAgent(lambda role: model, silent)("momentum", "Be brief.", "data", Answer, shared="The skill.")
    first, repair = requests
    assert first.messages == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "data"}]
    assert (first.shared, repair.shared) == ("The skill.", "The skill.")
    assert (first.goes_on, repair.goes_on) == (False, True)


def test_what_the_shared_part_has_no_room_for_is_in_the_agents_own() -> None:
    head = b"---\nname: s\ndescription: d\n---\nbody\n"
    chapters = {f"references/{name}.md": name.encode() * (SHARED_BOUND // 2 - 1) for name in "abc"}
    skill = Skill("s", {"SKILL.md": head, **chapters, "references/z.md": b"z" * RESOURCES_BOUND})
    first = in_force(skill)
    assert first.startswith("## The skill in force\n")
    shown = [name for name in "abcz" if name * 100 in first]
    assert shown == ["a", "b"]
    assert "references/c.md (11999 characters, not shown)" in first
    [further] = further_files(skill)
    assert [name for name in "abcz" if name * 100 in further] == ["c"]
    assert further_files(skill, ["references/a.md"]) == []
    assert further_files(skill, ["references/c.md"]) == [further]
    assert further_files(Skill("s", {"SKILL.md": head})) == []

"""Agents before a provider that does not speak their dialect: real HTTP on both sides, litellm between."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillgrad_ci.errors import BudgetExceeded, EnvironmentFailure
from skillgrad_ci.method.budget import Cap, Ledger
from skillgrad_ci.method.evidence import Usage
from skillgrad_ci.method.ports import ToolCall
from skillgrad_ci.models.gateway import ProviderGateway, server
from skillgrad_ci.models.gateway.dialect import Call as Asking
from skillgrad_ci.models.gateway.gateway import DIALECTS
from skillgrad_ci.models.gateway.translation.translating import REQUESTS, answer_of
from skillgrad_ci.models.prices import Price, Tokens
from skillgrad_ci.models.provider import LitellmModel
from skillgrad_ci.models.replies import Said
from tests.models.test_gateway import TOOLS, agent, question, with_result
from tests.support.agent_provider import AgentProvider, Answer, Call, Reply, Stall, dialect_of, error, provider

KEY = "sk-the-real-key-of-the-provider"
PAIRS = [
    ("anthropic", "openai"), ("anthropic", "gemini"), ("responses", "anthropic"), ("responses", "gemini"),
    ("chat", "anthropic"), ("gemini", "openai"),
]  # fmt: skip
ASKED = {"openai": "chat", "anthropic": "anthropic", "gemini": "gemini"}  # what litellm speaks with each


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is: no stream is begun before its answer is known."""
    monkeypatch.setattr(server, "PATIENCE", 3600.0)


def gateway_to(world: AgentProvider, dialect: str, prefix: str, ledger: Ledger | None = None, **more: Any) -> Any:
    bases = {"openai": "/v1", "anthropic": "", "gemini": "/v1beta/models/scripted"}
    known: dict[str, Any] = {"api_base": world.url + bases[prefix], "api_key": KEY, "backoff": 0.001}
    model = LitellmModel(f"{prefix}/scripted", price=Price(1.0, 10.0, 0.1), **(known | more))
    return ProviderGateway.of(model, ledger or Ledger(), dialect, "the agent")


def heard(dialect: str, answer: httpx.Response, *, stream: bool) -> Said:
    """The reply as a client of this dialect reads it."""
    return DIALECTS[dialect]().said(answer.content, stream=stream)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("dialect", "prefix"), PAIRS)
def test_a_conversation_is_translated_both_ways(dialect: str, prefix: str, stream: bool) -> None:
    answers = [
        Reply("Let me see.", [Call("Bash", {"command": "wc -l"})], prompt_tokens=900, completion_tokens=20),
        Reply("Seven.", prompt_tokens=1000, cached_tokens=800, completion_tokens=30),
    ]
    ledger, told = Ledger(), list[str]()
    with (
        provider(answers) as world,
        agent(gateway_to(world, dialect, prefix, ledger, tell=told.append)) as (
            line,
            client,
        ),
    ):
        path, body = question(dialect, stream=stream)
        first = heard(dialect, client.post(path, json=body), stream=stream)
        id = first.calls[0].id or "call_0"
        answer = client.post(path, json=with_result(dialect, body, id, "7 rows.csv"))
        second = heard(dialect, answer, stream=stream)
        line.check()
        sent = json.dumps([world.requests, world.headers])
    assert (first.text, first.calls[0].name, first.stop) == ("Let me see.", "Bash", "tool_calls")
    assert json.loads(first.calls[0].arguments) == {"command": "wc -l"}
    assert (second.text, second.calls, second.stop) == ("Seven.", [], "stop")
    assert ("text/event-stream" in answer.headers["content-type"]) == stream
    assert {dialect_of(request["path"]) for request in world.requests} == {ASKED[prefix]}
    assert "7 rows.csv" in json.dumps(world.requests[1])
    assert KEY in sent
    assert line.token not in sent
    assert (line.turns, line.answer, line.usage.calls) == (2, "Seven.", 2)
    assert ledger.by_role == {"executor": line.usage}
    charged = [sum(column) for column in zip(*world.charged, strict=True)]
    assert [line.usage.prompt_tokens, line.usage.cached_tokens, line.usage.completion_tokens] == charged
    assert second.tokens is not None
    assert (second.tokens.prompt, second.tokens.cached, second.tokens.completion) == (1000, 800, 30)
    assert any("translated for" in each for each in told)


def test_the_cap_an_outage_and_a_lost_reply_are_what_they_are_in_every_other_call() -> None:
    with (
        provider([]) as world,
        agent(gateway_to(world, "anthropic", "openai", Ledger(Cap(usd=0.001)))) as (line, client),
    ):
        path, body = question("anthropic")
        assert client.post(path, json=body).status_code == 400
        with pytest.raises(BudgetExceeded):
            line.check()
        assert world.requests == []
    answers: list[Answer] = [error(429, "slow", retry_after="0"), Stall(60), Reply("Yes.")]
    with provider(answers) as world, agent(gateway_to(world, "anthropic", "openai", timeout=3.0)) as (line, client):
        assert heard("anthropic", client.post(path, json=body), stream=True).text == "Yes."
        line.check()
        assert len(world.requests) == 3
        assert line.usage.calls == 2  # the reply that was lost may have been paid for
    gone = [error(503, "down")] * 2
    with provider(gone) as world, agent(gateway_to(world, "responses", "anthropic", retries=1)) as (line, client):
        path, body = question("responses")
        assert "insufficient_quota" in client.post(path, json=body).text
        with pytest.raises(EnvironmentFailure, match="2 attempts"):
            line.check()


def test_ids_that_a_provider_uses_again_are_made_new() -> None:
    """A client that is given one id twice takes two calls as one."""
    call = Reply("", [Call("Bash", {"command": "wc -l"}, "call_0")])
    with provider([call, call]) as world, agent(gateway_to(world, "anthropic", "openai")) as (_, client):
        path, body = question("anthropic")
        first = heard("anthropic", client.post(path, json=body), stream=True)
        next_body = with_result("anthropic", body, first.calls[0].id, "7")
        second = heard("anthropic", client.post(path, json=next_body), stream=True)
    assert first.calls[0].id == "call_0" != second.calls[0].id


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=30)
CALLS = st.lists(
    st.tuples(st.sampled_from(["Bash", "Read"]), st.dictionaries(st.sampled_from("abc"), WORDS, max_size=2)), max_size=3
)
FEW = settings(max_examples=40, deadline=None)


def calls_of(drawn: list[tuple[str, dict[str, str]]]) -> list[ToolCall]:
    return [ToolCall(f"call_{n}", name, json.dumps(arguments)) for n, (name, arguments) in enumerate(drawn)]


@FEW
@given(text=st.just("") | WORDS, drawn=CALLS, cut=st.booleans(), counts=st.tuples(*[st.integers(1, 10**6)] * 3))
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_reply_is_read_as_it_was_written(
    dialect: str, stream: bool, text: str, drawn: list[tuple[str, dict[str, str]]], cut: bool, counts: tuple[int, ...]
) -> None:
    calls = calls_of(drawn)
    stop = "length" if cut else "tool_calls" if calls else "stop"
    prompt, cached, completion = counts[0] + counts[1], counts[1], counts[2]
    path, body = question(dialect, stream=stream)
    spoken = DIALECTS[dialect]()
    asked = spoken.asked(path.partition("?")[0], body)
    assert asked is not None
    said = Said(text, calls, stop, 0, None)
    usage = Usage(1, prompt, cached, completion, None)
    answer = answer_of(dialect, Asking(asked, body, path, {}), said, usage)
    read = spoken.said(answer.body, stream=stream)
    assert (read.text, read.stop, read.tokens) == (text, stop, Tokens(prompt, completion, cached))
    assert [(call.name, json.loads(call.arguments)) for call in read.calls] == drawn
    assert dialect == "gemini" or [call.id for call in read.calls] == [call.id for call in calls]


@FEW
@given(turns=st.lists(st.tuples(WORDS, st.lists(WORDS, max_size=3)), min_size=1, max_size=3))
def test_every_dialect_tells_the_provider_the_same(turns: list[tuple[str, list[str]]]) -> None:
    """A conversation of turns (a text and commands, each with what it gave back), as each dialect writes it."""
    told = {dialect: list(REQUESTS[dialect](talk(dialect, turns)).messages) for dialect in ("anthropic", "responses")}
    told["chat"] = list(REQUESTS["chat"](talk("chat", turns)).messages)
    assert told["anthropic"] == told["responses"] == told["chat"]
    kept = [message["content"] for message in told["chat"] if message["role"] == "tool"]
    assert kept == [output for _, outputs in turns for output in outputs]


def talk(dialect: str, turns: list[tuple[str, list[str]]]) -> dict[str, Any]:
    def id(turn: int, n: int) -> str:
        return f"c{turn}_{n}"

    chat: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "text", "text": "Work."}]}]
    anthropic = list(chat)
    items: list[dict[str, Any]] = [{"type": "message", "role": "user", "content": "Work."}]
    for turn, (text, outputs) in enumerate(turns):
        arguments = json.dumps({"command": "x"})
        function = {"name": "Bash", "arguments": arguments}
        calls = [{"id": id(turn, n), "type": "function", "function": function} for n, _ in enumerate(outputs)]
        chat.append({"role": "assistant", "content": text} | ({"tool_calls": calls} if calls else {}))
        chat += [{"role": "tool", "tool_call_id": id(turn, n), "content": out} for n, out in enumerate(outputs)]
        uses = [{"type": "tool_use", "id": c["id"], "name": "Bash", "input": {"command": "x"}} for c in calls]
        thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
        anthropic.append({"role": "assistant", "content": [thought, {"type": "text", "text": text}, *uses]})
        items.append({"type": "reasoning", "summary": []})
        items.append({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]})
        items += [{"type": "function_call", "call_id": c["id"], **function} for c in calls]
        results = [{"call_id": id(turn, n), "output": out} for n, out in enumerate(outputs)]
        items += [{"type": "function_call_output", **result} for result in results]
        if outputs:
            blocks = [{"type": "tool_result", "tool_use_id": r["call_id"], "content": r["output"]} for r in results]
            anthropic.append({"role": "user", "content": blocks})
        chat.append({"role": "user", "content": [{"type": "text", "text": "On."}]})
        anthropic.append({"role": "user", "content": [{"type": "text", "text": "On."}]})
        items.append({"type": "message", "role": "user", "content": "On."})
    if dialect == "responses":
        return {"input": items, "tools": TOOLS[dialect]}
    return {"messages": anthropic if dialect == "anthropic" else chat, "tools": TOOLS[dialect]}


def test_a_tool_that_takes_text_and_an_image_go_through_and_tools_of_the_provider_do_not() -> None:
    patch = {"type": "custom", "name": "apply_patch", "description": "Patch.", "format": {"definition": "start: x"}}
    body = {
        "model": "m", "stream": True, "tools": [patch, {"type": "web_search"}],
        "input": [
            {"type": "custom_tool_call", "call_id": "c1", "name": "apply_patch", "input": "*** Begin"},
            {"type": "custom_tool_call_output", "call_id": "c1", "output": [
                {"type": "input_text", "text": "ok"},
                {"type": "input_image", "image_url": "data:image/png;base64,AA=="},
            ]},
        ],
    }  # fmt: skip
    asked = REQUESTS["responses"](body)
    assert [tool["function"]["name"] for tool in asked.tools] == ["apply_patch"]
    assert "start: x" in asked.tools[0]["function"]["description"]
    call, result, image = asked.messages
    assert json.loads(call["tool_calls"][0]["function"]["arguments"]) == {"input": "*** Begin"}
    assert (result["role"], result["content"]) == ("tool", "ok")
    assert image["content"][1]["image_url"]["url"].startswith("data:image/png")
    said = Said("", [ToolCall("c2", "apply_patch", json.dumps({"input": "*** End"}))], "tool_calls", 0, None)
    spoken = DIALECTS["responses"]()
    whole = spoken.asked("/v1/responses", body)
    assert whole is not None
    answer = answer_of("responses", Asking(whole, body, "", {}), said, Usage(1, 1, 0, 1))
    assert '"type": "custom_tool_call"' in answer.body.decode()
    assert spoken.said(answer.body, stream=True).calls == [ToolCall("c2", "apply_patch", "*** End")]

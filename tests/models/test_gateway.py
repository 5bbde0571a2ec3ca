"""The gateway over real HTTP on both sides: an agent's client before it, a scripted provider behind it."""

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from skillgrad_ci.errors import BudgetExceeded, EnvironmentFailure, UserError
from skillgrad_ci.executors.replies import Replies
from skillgrad_ci.method.budget import Cap, Ledger, Purpose, spending_on
from skillgrad_ci.method.evidence import Usage
from skillgrad_ci.models.gateway import ProviderGateway, server
from skillgrad_ci.models.gateway.line import OpenLine
from skillgrad_ci.models.prices import Price
from skillgrad_ci.models.provider import LitellmModel
from tests.support.agent_provider import AgentProvider, Answer, Call, Raw, Reply, Reset, Stall, error, provider

KEY = "sk-the-real-key-of-the-provider"
PREFIX = {"anthropic": "anthropic", "responses": "openai", "chat": "openai", "gemini": "gemini"}
TOOLS: dict[str, list[dict[str, Any]]] = {
    "anthropic": [{"name": "Bash", "input_schema": {"type": "object"}}],
    "responses": [{"type": "function", "name": "Bash", "parameters": {"type": "object"}}],
    "chat": [{"type": "function", "function": {"name": "Bash", "parameters": {"type": "object"}}}],
    "gemini": [{"functionDeclarations": [{"name": "Bash"}]}],
}
DIALECTS = list(PREFIX)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is: no stream is begun before its answer is known."""
    monkeypatch.setattr(server, "PATIENCE", 3600.0)


def gateway_to(world: AgentProvider, dialect: str, ledger: Ledger | None = None, **settings: Any) -> ProviderGateway:
    base = f"{world.url}/v1" if PREFIX[dialect] == "openai" else world.url
    known: dict[str, Any] = {"api_base": base, "api_key": KEY, "backoff": 0.001, "timeout": 300.0}
    known["price"] = Price(1.0, 10.0, 0.1)
    model = LitellmModel(f"{PREFIX[dialect]}/scripted", **(known | settings))
    return ProviderGateway.of(model, ledger or Ledger(), dialect, "the agent")


@contextmanager
def agent(
    gateway: ProviderGateway, turns: int = 30, replies: Replies | None = None
) -> Iterator[tuple[OpenLine, httpx.Client]]:
    """A line, and a client that reaches it as an agent does."""
    with (
        gateway.open(turns=turns, refusal=400, notice=lambda _: None, replies=replies or Replies()) as line,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):

        def listen() -> None:
            while True:
                try:
                    threading.Thread(target=line.serve, args=(listener.accept()[0],), daemon=True).start()
                except OSError:
                    return

        threading.Thread(target=listen, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with httpx.Client(base_url=url, timeout=600.0, headers={"x-api-key": line.token}) as client:
            yield line, client
        listener.shutdown(socket.SHUT_RDWR)


def question(
    dialect: str, text: str = "How many rows?", *, stream: bool = True, **more: Any
) -> tuple[str, dict[str, Any]]:
    """Path and body of a call as an agent of this dialect makes it."""
    tools: dict[str, Any] = {"tools": TOOLS[dialect]}
    named: dict[str, Any] = {"model": "scripted", "stream": stream}
    match dialect:
        case "anthropic":
            said = [{"role": "user", "content": [{"type": "text", "text": text}]}]
            return "/v1/messages?beta=true", named | tools | {"max_tokens": 1000, "messages": said} | more
        case "responses":
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
            return "/v1/responses", named | tools | {"instructions": "Work.", "input": [item]} | more
        case "chat":
            return "/v1/chat/completions", named | tools | {"messages": [{"role": "user", "content": text}]} | more
    way = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"/v1beta/models/scripted:{way}", tools | {"contents": [{"role": "user", "parts": [{"text": text}]}]} | more


def with_result(dialect: str, body: Mapping[str, Any], id: str, output: str) -> dict[str, Any]:
    """The next call of the conversation: the model's tool call and what the tool gave back."""
    match dialect:
        case "anthropic":
            use = {"type": "tool_use", "id": id, "name": "Bash", "input": {"command": "wc -l"}}
            result = {"type": "tool_result", "tool_use_id": id, "content": output, "is_error": False}
            more = [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
            return {**body, "messages": [*body["messages"], *more]}
        case "responses":
            call = {"type": "function_call", "call_id": id, "name": "Bash", "arguments": '{"command": "wc -l"}'}
            return {
                **body,
                "input": [*body["input"], call, {"type": "function_call_output", "call_id": id, "output": output}],
            }
        case "chat":
            function = {"name": "Bash", "arguments": '{"command": "wc -l"}'}
            said = {"role": "assistant", "tool_calls": [{"id": id, "type": "function", "function": function}]}
            return {
                **body,
                "messages": [*body["messages"], said, {"role": "tool", "tool_call_id": id, "content": output}],
            }
    asked: dict[str, Any] = {
        "role": "model",
        "parts": [{"functionCall": {"name": "Bash", "args": {"command": "wc -l"}}}],
    }
    answer: dict[str, Any] = {
        "role": "user",
        "parts": [{"functionResponse": {"name": "Bash", "response": {"output": output}}}],
    }
    return {**body, "contents": [*body["contents"], asked, answer]}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_conversation_is_passed_through_counted_and_recorded(dialect: str, stream: bool) -> None:
    answers = [
        Reply(
            "Let me see.", [Call("Bash", {"command": "wc -l"}, "c1")],
            prompt_tokens=900, cached_tokens=300, completion_tokens=20,
        ),
        Reply("Seven.", prompt_tokens=1000, cached_tokens=800, completion_tokens=30),
    ]  # fmt: skip
    ledger = Ledger()
    with provider(answers) as world, agent(gateway_to(world, dialect, ledger)) as (line, client):
        path, body = question(dialect, stream=stream)
        first = client.post(path, json=body)
        second = client.post(path, json=with_result(dialect, body, "c1", "7 rows.csv"))
        line.check()
    assert (first.status_code, second.status_code) == (200, 200)
    assert ("text/event-stream" in second.headers["content-type"]) == stream
    assert all(piece in second.text for piece in ("Seve", "."))
    usd = ((600 + 200) * 1.0 + (300 + 800) * 0.1 + 50 * 10.0) / 1e6
    assert line.usage.usd == pytest.approx(usd)
    assert line.usage == Usage(2, 1900, 1100, 50, line.usage.usd)
    assert ledger.by_role == {"executor": line.usage}
    assert (line.answer, line.turns, line.stopped) == ("Seven.", 2, "")
    kinds = [event["kind"] for event in line.events if event.get("role") != "system"]
    assert kinds == ["message", "message", "tool_call", "tool_result", "message"]
    call, result = (next(e for e in line.events if e["kind"] == kind) for kind in ("tool_call", "tool_result"))
    assert (call["tool"], call["arguments"]) == ("Bash", {"command": "wc -l"})
    assert (result["id"], result["tool"], result["output"]) == (call["id"], "Bash", "7 rows.csv")


def test_a_call_is_for_what_the_execution_is_for_whichever_thread_makes_it() -> None:
    ledger = Ledger()
    path, body = question("anthropic")
    with (
        provider([Reply("Yes.")]) as world,
        spending_on(iteration="2", task="t1"),
        agent(gateway_to(world, "anthropic", ledger)) as (line, client),
    ):
        client.post(path, json=body)
    assert ledger.by_purpose == {("executor", Purpose("2", "t1")): line.usage}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_real_key_goes_to_the_provider_and_the_placeholder_stays(dialect: str) -> None:
    with provider([Reply("Yes.")]) as world, agent(gateway_to(world, dialect)) as (line, client):
        path, body = question(dialect)
        client.headers["cookie"] = "a=b"
        assert client.post(path, json=body).status_code == 200
        sent = world.headers[0]
        assert KEY in " ".join(sent.values())
        assert line.token not in json.dumps([sent, world.requests])
        assert "cookie" not in sent


@pytest.mark.parametrize("key", ["none", "skillgrad-0000", KEY])
def test_another_key_than_the_executions_is_refused_before_anything(key: str) -> None:
    with provider([]) as world, agent(gateway_to(world, "anthropic")) as (line, client):
        path, body = question("anthropic")
        assert client.post(path, json=body, headers={"x-api-key": key}).status_code == 401
        assert (
            client.post(path, json=body, headers={"x-api-key": "", "authorization": f"Bearer {key}"}).status_code == 401
        )
    assert (world.requests, line.turns) == ([], 0)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_model_that_nobody_configured_is_refused_and_costs_nothing(dialect: str) -> None:
    ledger = Ledger()
    with provider([]) as world, agent(gateway_to(world, dialect, ledger)) as (line, client):
        path, body = question(dialect)
        answer = client.post(path.replace("scripted", "title"), json=body | {"model": "title"})
        line.check()
    assert answer.status_code == 400
    assert "not configured" in answer.text
    assert (world.requests, ledger.by_role, line.stopped) == ([], {}, "")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_ledger_is_asked_before_the_call(dialect: str) -> None:
    with provider([]) as world, agent(gateway_to(world, dialect, Ledger(Cap(usd=0.001)))) as (line, client):
        path, body = question(dialect)
        refused = [client.post(path, json=body) for _ in range(3)]
        with pytest.raises(BudgetExceeded, match="next call could take the run"):
            line.check()
    assert world.requests == []
    assert line.stopped == "budget"
    if dialect == "responses":  # the one failure after which Codex asks no more
        assert {answer.status_code for answer in refused} == {200}
        assert all("insufficient_quota" in answer.text and "response.failed" in answer.text for answer in refused)
    else:
        assert {answer.status_code for answer in refused} == {400}


def test_the_cap_holds_with_sixteen_at_once() -> None:
    """Every reply takes what its bound allows, so a cap that were asked after the call would be passed."""
    prompt, limit = 2_000, 1_000
    ledger = Ledger(Cap(tokens=20_000))

    def script(_: dict[str, Any]) -> Reply:
        return Reply("x", prompt_tokens=prompt, completion_tokens=limit)

    path, body = question("anthropic", "y" * prompt, max_tokens=limit)
    with provider(script) as world, agent(gateway_to(world, "anthropic", ledger), turns=100) as (line, client):

        def ask() -> None:
            for _ in range(3):
                client.post(path, json=body)

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    served = sum(prompt + completion for prompt, _, completion in world.charged)
    assert 0 < served <= 20_000
    assert ledger.spent.tokens == served
    assert line.stopped == "budget"


def test_an_agent_that_names_no_maximum_gets_one_so_that_the_cap_can_be_kept() -> None:
    with provider([Reply("a"), Reply("b")]) as world, agent(gateway_to(world, "responses")) as (_, client):
        path, body = question("responses")
        client.post(path, json=body)
        client.post(path, json=body | {"max_output_tokens": 500})
    assert [request["max_output_tokens"] for request in world.requests] == [32_000, 500]


@pytest.mark.parametrize(
    "faults",
    [
        [error(429, "slow down", retry_after="0")],
        [error(500), error(503), error(529)],
        [Reset(None)],
        [Reset(30), Reset(200)],
        [
            Raw(
                body=b'event: message_start\ndata: {"type": "message_start", "message": {}}\n\n',
                content_type="text/event-stream",
            )
        ],
        [Raw(body=b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "m"}}\n\n')],
    ],
    ids=["429", "5xx", "reset", "cut", "no end", "error inside"],
)
def test_what_passes_is_waited_out_and_the_agent_sees_a_whole_reply(faults: list[Any]) -> None:
    with provider([*faults, Reply("Seven.")]) as world, agent(gateway_to(world, "anthropic")) as (line, client):
        path, body = question("anthropic")
        answer = client.post(path, json=body)
        line.check()
    assert (answer.status_code, line.answer, line.turns) == (200, "Seven.", 1)
    assert len(world.requests) == len(faults) + 1


def test_a_lost_reply_is_counted_in_full() -> None:
    ledger = Ledger()
    with (
        provider([Reset(30), Reply("Seven.", prompt_tokens=10)]) as world,
        agent(gateway_to(world, "chat", ledger)) as (_, c),
    ):
        path, body = question("chat", max_tokens=700)
        c.post(path, json=body)
    assert ledger.spent.calls == 2
    assert ledger.spent.completion_tokens == 700 + 20


@pytest.mark.parametrize(
    ("fault", "raised", "said"),
    [
        (error(429, "slow down"), EnvironmentFailure, "3 attempts"),
        (error(500, "broken inside"), EnvironmentFailure, "broken inside"),
        (Reset(30), EnvironmentFailure, "the reply was lost"),
        (error(429, "pay first", code="insufficient_quota"), UserError, "cannot pay"),
        (error(401, "bad key"), UserError, "no key that is accepted"),
        (error(404, "no such model"), UserError, "does not know it"),
        (error(400, "odd parameter"), EnvironmentFailure, "refuses the request"),
    ],
    ids=["429", "500", "reset", "quota", "401", "404", "400"],
)
@pytest.mark.parametrize("dialect", ["anthropic", "responses"])
def test_an_execution_that_ended_on_a_fault_is_not_measured(dialect: str, fault: Any, raised: Any, said: str) -> None:
    """Whatever the agent makes of it: it asks again and again, and then says that it is done."""
    with provider(lambda _: fault) as world, agent(gateway_to(world, dialect, retries=2)) as (line, client):
        path, body = question(dialect)
        answers = [client.post(path, json=body) for _ in range(2)]
        with pytest.raises(raised, match=said):
            line.check()
    assert all(answer.status_code == 400 or "insufficient_quota" in answer.text for answer in answers)
    assert len(world.requests) <= 3  # the second call of the agent was not worth a call of ours, but for the 400


def test_a_stall_ends_at_the_time_limit() -> None:
    with provider(lambda _: Stall(60)) as world, agent(gateway_to(world, "anthropic", timeout=0.3)) as (line, client):
        path, body = question("anthropic")
        assert client.post(path, json=body).status_code == 400
        with pytest.raises(EnvironmentFailure, match="the reply was lost"):
            line.check()
    assert len(world.requests) == 3


def test_an_agent_that_mends_what_was_refused_is_measured() -> None:
    answers: list[Answer] = [error(400, "prompt is too long: 300000 tokens"), Reply("Shorter now.")]
    with provider(answers) as world, agent(gateway_to(world, "anthropic")) as (line, client):
        path, body = question("anthropic")
        assert client.post(path, json=body).status_code == 400
        line.check()
        assert line.stopped == "context"
    with provider(answers) as world, agent(gateway_to(world, "anthropic")) as (line, client):
        client.post(path, json=body)
        assert client.post(path, json=body).status_code == 200
        line.check()
        assert line.stopped == ""


def test_turns_end_at_their_limit_and_side_calls_are_none() -> None:
    with (
        provider(lambda _: Reply("On and on.")) as world,
        agent(gateway_to(world, "anthropic"), turns=2) as (line, client),
    ):
        path, body = question("anthropic")
        title = {key: value for key, value in body.items() if key != "tools"}
        statuses = [client.post(path, json=it).status_code for it in (title, body, body, body, title)]
        line.check()
    assert statuses == [200, 200, 200, 400, 400]
    assert (line.turns, line.stopped, line.usage.calls, len(world.requests)) == (2, "turns", 3, 3)


def test_calls_without_tools_have_a_limit_too() -> None:
    with provider(lambda _: Reply("A title.")) as world, agent(gateway_to(world, "chat"), turns=2) as (line, client):
        path, body = question("chat")
        for _ in range(9):
            client.post(path, json={key: value for key, value in body.items() if key != "tools"})
    assert len(world.requests) == 6
    assert line.answer == ""


def test_a_line_that_is_stopped_leaves_its_calls_and_counts_them() -> None:
    ledger = Ledger()
    asked = threading.Event()

    def script(_: dict[str, Any]) -> Stall:
        asked.set()
        return Stall(60)

    with provider(script) as world, agent(gateway_to(world, "anthropic", ledger)) as (line, client):
        path, body = question("anthropic")
        answers: list[httpx.Response] = []
        thread = threading.Thread(target=lambda: answers.append(client.post(path, json=body)))
        thread.start()
        assert asked.wait(600)
        line.stop("timeout")
        thread.join()
        line.check()
    assert (answers[0].status_code, line.stopped) == (400, "timeout")
    assert ledger.spent.completion_tokens == 1000
    assert line.waited > 0


def test_an_agent_that_waits_long_is_told_that_its_stream_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PATIENCE", 0.0)
    monkeypatch.setattr(server, "PING", 0.2)
    for dialect, ping in (
        ("anthropic", "event: ping"),
        ("responses", ": waiting"),
        ("chat", ": waiting"),
        ("gemini", ""),
    ):
        with provider([Stall(1.0)]) as world, agent(gateway_to(world, dialect)) as (line, client):
            path, body = question(dialect)
            answer = client.post(path, json=body)
            assert answer.text.startswith(ping)
            assert (line.answer, answer.status_code) == ("late", 200)
        with provider(lambda _: Stall(60)) as world, agent(gateway_to(world, dialect, timeout=0.5)) as (line, client):
            answer = client.post(path, json=body)
            assert "error" in answer.text
            assert answer.status_code == (200 if ping else 400)


def test_what_is_no_model_call_is_answered_and_goes_nowhere() -> None:
    with provider([]) as world, agent(gateway_to(world, "anthropic")) as (_, client):
        assert client.head("/").status_code == 200
        assert client.get("/v1/responses", headers={"upgrade": "websocket"}).status_code == 426
        assert client.get("/v1/models").status_code == 404
        assert client.post("/v1/files", json={}).status_code == 404
        assert client.post("/v1/messages", json={"messages": "?"}).status_code == 400
        assert client.post("/v1/messages", content=b"{").status_code == 400
        with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as plain:
            plain.sendall(b"POST /v1/messages HTTP/1.1\r\ncontent-length: 999999999999\r\n\r\n")
            assert b" 413 " in plain.recv(4096)
    assert world.requests == []


def test_a_body_in_chunks_is_read() -> None:
    path, body = question("responses")
    whole = json.dumps(body).encode()
    with provider([Reply("Yes.")]) as world, agent(gateway_to(world, "responses")) as (_, client):
        pieces = (whole[at : at + 10] for at in range(0, len(whole), 10))
        assert client.post(path, content=pieces).status_code == 200
    assert world.requests[0]["input"] == body["input"]


@pytest.mark.parametrize(
    ("model", "dialect", "said"),
    [
        ("openai/gpt-5.4", "anthropic", "no key; set OPENAI_API_KEY"),
        ("anthropic/claude", "responses", "no key; set ANTHROPIC_API_KEY"),
        ("nobody/nothing", "chat", "no such provider"),
        ("nobody/nothing", "anthropic", "no such provider"),
        ("rehearsal/x", "anthropic", "plays the built-in agents alone, not the agent"),
        ("anthropic/claude", "anthropic", "no key; set ANTHROPIC_API_KEY"),
        ("groq/llama-3", "chat", "no key; set GROQ_API_KEY"),
    ],
)
def test_a_model_that_the_agent_cannot_use_is_named_before_anything(
    model: str, dialect: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GROQ_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match=said):
        ProviderGateway.of(LitellmModel(model), Ledger(), dialect, "the agent")


def test_parameters_that_no_foreign_agent_would_use_are_refused() -> None:
    model = LitellmModel("openai/x", parameters={"temperature": 0})
    with pytest.raises(
        UserError, match=r"models\.parameters: the agent writes its own calls; leave the executor's out"
    ):
        ProviderGateway.of(model, Ledger(), "chat", "the agent")


@pytest.mark.parametrize(
    ("model", "dialect", "key"),
    [("claude-sonnet-4-5", "anthropic", "x-api-key"), ("gpt-4o", "responses", "authorization")],
)
def test_a_model_without_its_provider_is_passed_on_too(
    model: str, dialect: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "sk-1234567890")
    gateway = ProviderGateway.of(LitellmModel(model), Ledger(), dialect, "the agent")
    assert gateway.provider is not None, "nothing is translated"
    assert (gateway.model, list(gateway.provider.auth)) == (model, [key])


def test_other_providers_of_chat_completions_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "gsk-1234567890")
    gateway = ProviderGateway.of(LitellmModel("groq/llama-3"), Ledger(), "chat", "OpenCode")
    behind = gateway.provider
    assert behind is not None
    assert behind.url("/v1/chat/completions") == "https://api.groq.com/openai/v1/chat/completions"
    assert (gateway.model, behind.auth) == ("llama-3", {"authorization": "Bearer gsk-1234567890"})


def test_a_subscription_is_passed_on_and_has_no_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", "oat-1234567890")
    with provider([Reply("Yes.")]) as world:
        gateway = gateway_to(world, "anthropic", api_key=None)
        with agent(gateway) as (line, client):
            path, body = question("anthropic")
            client.post(path, json=body, headers={"anthropic-beta": "one"})
    assert world.headers[0]["authorization"] == "Bearer oat-1234567890"
    assert world.headers[0]["anthropic-beta"] == "one,oauth-2025-04-20"
    assert line.usage.usd is None

"""What an agent that means harm tries at the gateway, and a provider behind it that must not see any of it."""

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from skillgrad_ci.executors.replies import Replies
from skillgrad_ci.method.budget import Ledger
from skillgrad_ci.models.gateway import line as lines
from skillgrad_ci.models.gateway import server
from skillgrad_ci.models.gateway.hosted import without_hosted
from tests.models.test_gateway import KEY, agent, gateway_to, question
from tests.support.agent_provider import Reply, Stall, provider

PATH, BODY = question("anthropic", stream=False)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is: no stream is begun before its answer is known."""
    monkeypatch.setattr(server, "PATIENCE", 3600.0)


def raw(client: httpx.Client, *requests: bytes) -> bytes:
    """What comes back for bytes that no client library would send, until the connection ends."""
    with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=120) as plain:
        plain.sendall(b"".join(requests))
        plain.shutdown(socket.SHUT_WR)
        kept = b""
        while piece := plain.recv(65_536):
            kept += piece
    return kept


def request(token: str, *headers: str, path: str = "/v1/messages", body: bytes | None = None) -> bytes:
    content = json.dumps(BODY).encode() if body is None else body
    length = [] if any(h.lower().startswith(("content-length", "transfer-")) for h in headers) else [
        f"content-length: {len(content)}"
    ]  # fmt: skip
    head = [f"POST {path} HTTP/1.1", "host: gateway", f"x-api-key: {token}", *length, *headers]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + content


def guesses(token: str) -> Iterator[str]:
    yield from (
        "",
        " ",
        "null",
        KEY,
        f"Bearer {token}",
        token[:-1],
        f"{token}0",
        token.upper(),
        token[::-1],
        f"{token}\t",
    )
    yield from (token[:cut] for cut in range(10, len(token), 5))
    yield from ("skillgrad-" + "0" * 32, "é" * 40, "skillgrad-*", repr(token.encode()))


def test_no_guess_of_the_token_is_let_in() -> None:
    with provider([]) as world, agent(gateway_to(world, "anthropic")) as (line, client):
        for guess in guesses(line.token):
            if guess.strip() != line.token:
                assert b" 401 " in raw(client, request(guess)), guess
        other = gateway_to(world, "anthropic").open(turns=1, refusal=400, notice=lambda _: None, replies=Replies())
        with other as theirs:
            assert b" 401 " in raw(client, request(theirs.token))
    assert (world.requests, line.turns) == ([], 0)


PLACES = [
    "/v1/messages/batches", "/v1/messages/../files", "/v1/messages/", "/v1%2Fmessages", "/v1/messages;a=b",
    "/v1/complete", "/v1/organizations/api_keys", "/", "*", "http://[::1/v1/messages", "/V1/messages",
    "/v1/messages\\..\\files",
]  # fmt: skip


@pytest.mark.parametrize("path", PLACES)
def test_no_other_path_is_passed_on(path: str) -> None:
    with provider([]) as world, agent(gateway_to(world, "anthropic")) as (line, client):
        assert b" 404 " in raw(client, request(line.token, path=path))
    assert world.requests == []


def test_no_other_host_is_reached() -> None:
    with provider([]) as elsewhere, provider(lambda _: Reply("Yes.")) as world:
        there = elsewhere.url.removeprefix("http://")
        with agent(gateway_to(world, "anthropic")) as (line, client):
            raw(client, request(line.token, path=f"{elsewhere.url}/v1/messages"))
            raw(client, request(line.token, f"x-forwarded-host: {there}", f"forwarded: host={there}"))
            raw(client, request(line.token).replace(b"host: gateway", b"host: " + there.encode()))
            raw(client, b"CONNECT " + there.encode() + b" HTTP/1.1\r\n\r\n")
        with agent(gateway_to(world, "gemini")) as (line, client):
            model = f"/v1beta/models/scripted@{there}:generateContent"
            assert b" 404 " in raw(client, request(line.token, path=model, body=b'{"contents": []}'))
        assert elsewhere.requests == []
        assert {headers["host"] for headers in world.headers} == {world.url.removeprefix("http://")}
        assert {entry["path"] for entry in world.requests} == {"/v1/messages"}


def test_headers_that_are_nobodys_business_stay() -> None:
    given = [
        "authorization: Bearer mine", "cookie: a=b", "x-evil: 1", "proxy-authorization: x", "te: trailers",
        "expect: never", "x-goog-user-project: other", "openai-organization: other", "anthropic-beta: one\tX-Evil: 2",
        "x-api-key: second",
    ]  # fmt: skip
    with provider([Reply("Yes.")]) as world, agent(gateway_to(world, "anthropic")) as (line, client):
        assert b" 200 " in raw(client, request(line.token, *given))
    (sent,) = world.headers
    own = {"host", "accept", "accept-encoding", "connection", "user-agent", "content-length", "x-api-key"}
    assert set(sent) <= own | {"anthropic-beta", "content-type"}
    assert sent["x-api-key"] == KEY


TWICE = [
    ("content-length: 5", "transfer-encoding: chunked"), ("content-length: 5", "content-length: 6"),
    ("transfer-encoding: chunked", "transfer-encoding: identity"), ("transfer-encoding: xchunked",),
    ("content-length: -1",), ("content-length: +5",), ("content-length: \xb2",), ("content-length: 5, 6",),
    ("content-length: ",),
]  # fmt: skip


@pytest.mark.parametrize(
    "headers", TWICE, ids=lambda headers: " and ".join(headers).encode("ascii", "replace").decode()
)
def test_a_length_that_can_be_read_in_two_ways_ends_the_connection(headers: tuple[str, ...]) -> None:
    with provider([]) as world, agent(gateway_to(world, "anthropic")) as (line, client):
        said = raw(client, request(line.token, *headers, body=b"0\r\n\r\n"), request(line.token))
    assert b" 413 " in said
    assert said.count(b"HTTP/1.1 ") == 1  # what came after it was not taken as a request of its own
    assert world.requests == []


@pytest.mark.parametrize("size", [b"-1", b"0x5", b"1_0", b"+5", b"", b"fffffffff", b"4000001"])
def test_a_chunk_of_no_size_or_too_much_is_not_read(size: bytes) -> None:
    with provider([]) as world, agent(gateway_to(world, "anthropic")) as (line, client):
        said = raw(client, request(line.token, "transfer-encoding: chunked", body=size + b"\r\n" + b"x" * 1000))
    assert b" 413 " in said
    assert world.requests == []


def test_a_body_that_nests_without_end_is_no_call() -> None:
    nested = b'{"model": "scripted", "messages": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    with provider([]) as world, agent(gateway_to(world, "anthropic")) as (line, client):
        assert b" 400 " in raw(client, request(line.token, body=nested))
    assert world.requests == []


def test_only_so_many_requests_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "AT_ONCE", 3)
    inside, most, lock = [0], [0], threading.Lock()

    def script(_: dict[str, Any]) -> Reply:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        threading.Event().wait(0.05)
        with lock:
            inside[0] -= 1
        return Reply("Yes.")

    with provider(script) as world, agent(gateway_to(world, "anthropic")) as (line, client):
        threads = [threading.Thread(target=client.post, args=(PATH,), kwargs={"json": BODY}) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(world.requests), line.turns) == (12, 12)
    assert most[0] <= 3


def test_a_name_that_stands_twice_is_the_one_that_was_read() -> None:
    """A parser that takes the first would answer by a model, or to a length, that nobody was asked for."""
    twice = json.dumps(BODY)[:-1].replace('{"model"', '{"model": "dear", "max_tokens": 99999, "model"', 1) + "}"
    seen: list[str] = []
    with provider([Reply("Yes.")]) as world, agent(gateway_to(world, "anthropic")) as (line, client):
        sent = httpx.Client.build_request

        def building(self: httpx.Client, *words: Any, **named: Any) -> httpx.Request:
            made = sent(self, *words, **named)
            seen.append(made.content.decode())
            return made

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(httpx.Client, "build_request", building)
            assert b" 200 " in raw(client, request(line.token, body=twice.encode()))
    assert len(seen) == 1
    assert "dear" not in seen[0]
    assert "99999" not in seen[0]
    assert world.requests[0]["model"] == "scripted"


HOSTED: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "anthropic": (
        [{"type": "web_fetch_20250910", "name": "web_fetch"}, {"type": "code_execution_20250825", "name": "c"}],
        {"mcp_servers": [{"type": "url", "url": "https://evil.example/mcp", "name": "m"}], "service_tier": "priority"},
    ),
    "responses": (
        [
            *({"type": "web_search"}, {"type": "mcp", "server_url": "https://evil.example"}),
            *({"type": "code_interpreter"}, {"type": "shell"}, {"type": "shell", "environment": "container_auto"}),
            {"type": "shell", "environment": {"type": "container_auto", "network_policy": {"type": "allowlist"}}},
        ],
        {"service_tier": "priority", "background": True, "previous_response_id": "resp_of_another"},
    ),
    "chat": ([{"type": "web_search_preview"}], {"web_search_options": {}, "service_tier": "priority"}),
    "gemini": ([{"googleSearch": {}}, {"urlContext": {}}], {"cachedContent": "cachedContents/of-another"}),
}


@pytest.mark.parametrize("dialect", HOSTED)
def test_nothing_is_run_at_the_provider_for_an_agent_without_network(dialect: str) -> None:
    tools, more = HOSTED[dialect]
    with provider([Reply("Yes.")]) as world, agent(gateway_to(world, dialect)) as (_, client):
        path, body = question(dialect)
        assert client.post(path, json=body | more | {"tools": [*tools, *body["tools"]]}).status_code == 200
    (sent,) = world.requests
    assert sent["tools"] == body["tools"]
    assert not set(more) & set(sent)


def test_a_shell_that_the_agent_runs_itself_is_kept() -> None:
    shell = {"type": "shell", "environment": {"type": "local"}}
    assert without_hosted("responses", {"tools": [shell]}) == {"tools": [shell]}


def test_what_runs_on_after_the_turn_is_answered_nothing() -> None:
    """A process that the agent left in its container has the token still, and a connection."""
    ledger = Ledger()
    with provider([Reply("Yes.")]) as world:
        with agent(gateway_to(world, "anthropic", ledger)) as (line, client):
            assert client.post(PATH, json=BODY).status_code == 200
            spent = ledger.spent
            line.leave()
            answer = client.post(PATH, json=BODY)
        assert (answer.status_code, "its turn has ended" in answer.text) == (400, True)
        assert (len(world.requests), ledger.spent, line.turns) == (1, spent, 1)


def test_a_call_on_its_way_at_the_end_is_left_and_counted_in_full() -> None:
    ledger = Ledger()
    begun = threading.Event()

    def script(_: dict[str, Any]) -> Stall:
        begun.set()
        return Stall(60)

    with provider(script) as world, agent(gateway_to(world, "anthropic", ledger)) as (line, client):
        thread = threading.Thread(target=client.post, args=(PATH,), kwargs={"json": BODY})
        thread.start()
        assert begun.wait(120)
        line.leave()
        thread.join()
        assert ledger.spent.completion_tokens == BODY["max_tokens"]
        assert len(world.requests) == 1

"""Requests that go out without litellm: the same ones, read to the same replies, and refused with the same words."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from skillgrad_ci.errors import ReplyError
from skillgrad_ci.method.ports import ModelRequest
from skillgrad_ci.models import envelopes
from skillgrad_ci.models.advice import RefusedRequest
from skillgrad_ci.models.envelopes import KINDS, Envelopes
from skillgrad_ci.models.faults import Fault, Kind
from skillgrad_ci.models.litellm_library import litellm
from skillgrad_ci.models.provider import LitellmModel
from skillgrad_ci.models.replies import Said, read_response
from tests.support.provider_faults import ROWS, TIME_LIMIT, Row, said
from tests.support.scripted_answers import Answer, Call, Raw, Reply, chat_completion, error
from tests.support.scripted_server import ScriptedServer, model_of, serve
from tests.support.serving import on_a_free_port

Message = dict[str, Any]
BEGINNING: list[Message] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Count."}]
REQUEST = ModelRequest(BEGINNING)
OTHERS = [{"type": "function", "function": {"name": "count", "parameters": {"type": "object", "properties": {}}}}]


class Verdict(BaseModel):
    """Some structured reply."""

    passed: bool


def turn(call: str = "a", output: str = "out", text: str | None = None) -> list[Message]:
    """A command and its output."""
    function = {"name": "shell", "arguments": '{"command": "ls"}'}
    asked = {
        "role": "assistant",
        "content": text,
        "tool_calls": [{"id": call, "type": "function", "function": function}],
    }
    return [asked, {"role": "tool", "tool_call_id": call, "content": output}]


@pytest.fixture
def asked_litellm(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that litellm was asked to ask, one entry a call."""
    library, asked = litellm(), list[str]()
    completion: Callable[..., Any] = library.completion

    def noted(**arguments: Any) -> Any:
        asked.append(arguments["model"])
        return completion(**arguments)

    monkeypatch.setattr(library, "completion", noted)
    return asked


@contextmanager
def warm(answers: Sequence[Answer] = (), **given: Any) -> Iterator[tuple[ScriptedServer, LitellmModel]]:
    """A model that has an envelope for `REQUEST`, and its server, which goes on with `answers`."""
    with serve([Reply("first"), *answers]) as server:
        model = model_of(server, **given)
        model.complete(REQUEST)
        yield server, model


def everybody(
    came: list[tuple[str, list[tuple[str, str]], bytes]], body: Callable[[], bytes] = lambda: said(content="ready").body
) -> type[BaseHTTPRequestHandler]:
    """Replies to anybody in OpenAI's form, at any address, and notes what came."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers.get("content-length", 0)))
            came.append((self.path, self.headers.items(), asked))
            reply = body()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@contextmanager
def azure(body: Callable[[], dict[str, Any]]) -> Iterator[tuple[LitellmModel, list[Any]]]:
    """A model of Azure's with an old version of its interface, and what its server is asked."""
    came: list[Any] = []
    with on_a_free_port(everybody(came, lambda: json.dumps(body()).encode()), threading.Event()) as url:
        yield LitellmModel("azure/gpt-4o", url, "key", parameters={"api_version": "2024-06-01"}, retries=0), came


def attempt(model: LitellmModel, request: ModelRequest = REQUEST) -> Said | Fault:
    """What became of one attempt, without what was made up: ids, and words for how a reply was lost."""
    call = model.ask(request)
    call.start()
    assert call.done.wait(30)
    response = model.outcome(call)
    if isinstance(response, Fault):
        return replace(response, said="") if response.kind is Kind.LOST else response
    read = read_response(response)
    return replace(read, calls=[replace(call, id="") for call in read.calls])


# What is asked

texts = st.text(max_size=20).map(lambda text: text.encode("utf-8", "replace").decode())
plain = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": texts})
turns = st.builds(turn, st.sampled_from("ab"), texts, st.none() | texts)
conversations = st.lists(plain.map(lambda message: [message]) | turns, max_size=5).map(
    lambda parts: sum(parts, BEGINNING)
)
requests = st.builds(
    ModelRequest,
    conversations,
    st.sampled_from([[], OTHERS]),
    st.sampled_from([None, Verdict]),
    st.sampled_from([100, 200]),
    st.sampled_from(["", "the skill"]),
)


@settings(max_examples=15)
@given(
    st.sampled_from(["openai/scripted", "openai/gpt-4o", "openai/gpt-5.4"]), st.lists(requests, min_size=2, max_size=6)
)
def test_a_provider_is_asked_what_litellm_would_ask_it(name: str, wanted: list[ModelRequest]) -> None:
    """To the byte, headers too; whatever was asked before."""
    with serve(lambda _: Reply('{"passed": true}')) as server:
        given = {"temperature": 0.5, "extra_headers": {"x-team": "blue"}}
        came = []
        for forgets in (False, True):
            model = replace(model_of(server, parameters=given), name=name)
            for request in wanted:
                (replace(model, _envelopes=Envelopes()) if forgets else model).complete(request)
            came.append([[json.dumps(request) for request in server.requests], list(server.headers)])
            server.requests.clear()
            server.headers.clear()
        assert came[0] == came[1]


def test_litellm_writes_a_conversation_until_its_shapes_are_known(asked_litellm: list[str]) -> None:
    """The beginning, the first turn, and a turn behind a turn; then longer ones and others go without it."""
    with serve(lambda _: Reply("done")) as server:
        model, lengths = model_of(server), list[int]()
        for length in (0, 1, 2, 3, 10, 0, 1):
            before = len(asked_litellm)
            model.complete(ModelRequest(sum([turn(f"call-{n}") for n in range(length)], BEGINNING)))
            lengths += [length] * (len(asked_litellm) - before)
    assert lengths == [0, 1, 2]


@pytest.mark.parametrize(
    "request_",
    [
        ModelRequest(BEGINNING, tools=OTHERS),
        ModelRequest(BEGINNING, max_tokens=17),
        ModelRequest([*BEGINNING, {"role": "user", "content": "On."}]),
        ModelRequest([BEGINNING[0], {"role": "user", "content": ""}]),
        ModelRequest([BEGINNING[0], {"role": "user", "content": "Count.", "name": "me"}]),
    ],
    ids=["tools", "max_tokens", "two of one role", "an empty one", "another name"],
)
def test_what_litellm_may_treat_otherwise_goes_through_it(request_: ModelRequest, asked_litellm: list[str]) -> None:
    with warm([Reply('{"passed": true}')]) as (_, model):
        model.complete(request_)
    assert len(asked_litellm) == 2


ELSEWHERE = {
    "anyscale",
    "chatgpt",
    "clarifai",
    "github_copilot",
    "ragflow",
}  # they log in first, or are named otherwise
THEIR_OWN = {"deepseek", "fireworks_ai", "groq", "hosted_vllm", "mistral", "together_ai", "xai"}  # not by OpenAI's SDK


def test_every_provider_of_openais_form_answers_and_is_asked_as_litellm_asks_it(asked_litellm: list[str]) -> None:
    came: list[tuple[str, list[tuple[str, str]], bytes]] = []
    talk = [ModelRequest(sum([turn(f"call-{n}") for n in range(length)], BEGINNING), OTHERS) for length in range(4)]
    few = set[str]()
    with on_a_free_port(everybody(came), threading.Event()) as url:
        for provider in sorted({"openai", "azure", *litellm().openai_compatible_providers} - ELSEWHERE):
            told = dict[str, list[Any]]()
            for way in ("with envelopes", "without"):
                known = LitellmModel(f"{provider}/some-model", url, "key", retries=0)
                came.clear()
                asked_litellm.clear()
                for request in talk:
                    model = known if way == "with envelopes" else LitellmModel(known.name, url, "key", retries=0)
                    assert model.complete(request).text == "ready", provider
                told[way] = list(came)
                few |= {provider} if len(asked_litellm) < len(talk) else set()
            assert told["with envelopes"] == told["without"], provider
    assert not few & THEIR_OWN
    assert {"openai", "azure", "nvidia_nim", "moonshot", "dashscope"} <= few


# What comes back


def chosen(finish: str | None, **message: Any) -> Raw:
    body = json.loads(said(**message).body)
    body["choices"][0]["finish_reason"] = finish
    return Raw(body=json.dumps(body).encode())


calls = st.lists(
    st.builds(
        lambda id, name, arguments: {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}},
        st.sampled_from(["", "x", None]),
        st.sampled_from(["shell", "multi_tool_use.parallel"]),
        st.just("{}") | texts,
    ),
    max_size=3,
)
thoughts = st.sampled_from(["", "<think>Hm.</think>Five.", "Hm.</think>Five.", "<think>", "<thinking>Hm.</thinking>5"])
replies = st.builds(
    chosen,
    st.sampled_from([None, "stop", "length", "tool_calls", "content_filter", "eos_token", "max_tokens", "odd"]),
    content=st.none() | texts | thoughts,
    tool_calls=st.none() | calls,
    reasoning_content=st.none() | texts,
    refusal=st.none() | texts,
)


@settings(max_examples=60)
@given(replies)
def test_a_reply_is_read_as_litellm_reads_it(reply: Raw) -> None:
    with serve(lambda _: Reply("first")) as server:
        known, fresh = model_of(server), model_of(server)
        known.complete(REQUEST)
        server.script = lambda _: reply
        assert attempt(known) == attempt(fresh)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_fault_is_what_it_is_through_litellm(row: Row) -> None:
    """Its words too, but where a reply is lost: then they are nearer to what happened than litellm's."""
    with serve(lambda _: Reply("first")) as server:
        wait = TIME_LIMIT if "stall" in row.name else 20.0
        known, fresh = model_of(server, timeout=wait), model_of(server, timeout=wait)
        known.complete(REQUEST)
        answer = row.script()({})
        server.script = lambda _: answer
        assert attempt(known) == attempt(fresh)


# Refusals


def test_where_litellm_succeeds_after_a_refusal_the_envelope_was_at_fault(asked_litellm: list[str]) -> None:
    with warm([error(400, "no"), Reply("round it"), Reply("on"), Reply("on")]) as (server, model):
        assert [model.complete(REQUEST).text for _ in range(3)] == ["round it", "on", "on"]
    assert len(server.requests) == 5
    assert len(asked_litellm) == 4


def test_what_is_refused_through_litellm_too_is_no_fault_of_the_envelope(asked_litellm: list[str]) -> None:
    with warm([error(400, "no"), error(400, "no"), Reply("on")]) as (_, model):
        with pytest.raises(RefusedRequest):
            model.complete(REQUEST)
        assert model.complete(REQUEST).text == "on"
    assert len(asked_litellm) == 2


@pytest.mark.parametrize("code", ["context_length_exceeded", "content_filter"])
def test_a_refusal_that_may_be_charged_is_not_asked_for_twice(code: str, asked_litellm: list[str]) -> None:
    with warm([error(400, "no", code=code), Reply("on")]) as (server, model):
        with suppress(ReplyError):
            assert model.complete(REQUEST).stop == "content_filter"
        assert model.complete(REQUEST).text == "on"
    assert (len(server.requests), len(asked_litellm)) == (3, 1)


def test_a_login_that_is_over_ends_no_envelopes(monkeypatch: pytest.MonkeyPatch, asked_litellm: list[str]) -> None:
    """litellm reads the key anew, as those are minted that live an hour."""
    monkeypatch.setenv("OPENAI_API_KEY", "first")
    with warm([error(401), Reply("with the second"), Reply("on")], api_key=None) as (server, model):
        monkeypatch.setenv("OPENAI_API_KEY", "second")
        assert [model.complete(REQUEST).text for _ in range(2)] == ["with the second", "on"]
    assert [headers["authorization"] for headers in server.headers] == [
        f"Bearer {key}" for key in ("first", "first", "second", "second")
    ]
    assert len(asked_litellm) == 2


def test_words_of_litellms_knowledge_count_whatever_the_status() -> None:
    """A local server that says in a 500 that the conversation is too long is not asked again and again."""
    long = error(500, "This model's maximum context length is 8192 tokens")
    with warm([long, long]) as (server, model), pytest.raises(ReplyError):
        model.complete(REQUEST)
    assert len(server.requests) == 3


def test_a_server_that_fails_now_and_then_costs_no_envelope(asked_litellm: list[str]) -> None:
    with warm([error(500), Reply("on"), Reply("on")]) as (_, model):
        assert [model.complete(REQUEST).text for _ in range(2)] == ["on", "on"]
    assert len(asked_litellm) == 2


def test_a_schema_that_litellm_makes_a_tool_of_stays_with_it() -> None:
    """Azure's older versions: the call of that tool is read back as text by litellm alone."""
    call = Call("json_tool_call", {"passed": True})
    with azure(lambda: chat_completion(Reply(calls=[call]), [call], (9, 0, 1))) as (model, came):
        for _ in range(3):
            assert json.loads(model.complete(ModelRequest(BEGINNING, schema=Verdict)).text) == {"passed": True}
    assert len(came) == 3


def test_a_busy_provider_is_asked_again_in_the_envelope(asked_litellm: list[str]) -> None:
    with warm([error(429, retry_after="0.01"), error(503), Reply("at last")]) as (server, model):
        assert model.complete(REQUEST).text == "at last"
    assert (len(server.requests), len(asked_litellm)) == (4, 1)


def test_many_calls_at_once_learn_and_use_envelopes() -> None:
    """With and without an envelope side by side: each gets its own reply, and no envelope is blamed."""
    with serve(lambda request: Reply(request["messages"][-1]["content"])) as server:
        model, read = model_of(server), list[bool]()

        def ask(number: int) -> None:
            own = [BEGINNING[0], {"role": "user", "content": f"number {number}"}]
            read.extend(model.complete(ModelRequest(own)).text == f"number {number}" for _ in range(5))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert read == [True] * 80


@pytest.mark.parametrize(
    "content", ["half of \ud83d a pair", [{"type": "text", "text": "Count."}]], ids=["half", "parts"]
)
def test_what_no_envelope_takes_becomes_what_litellm_makes_of_it(content: Any) -> None:
    with serve(lambda _: Reply("done")) as server:
        known, fresh = model_of(server), model_of(server)
        for content_ in ("Count.", content):
            request = ModelRequest([BEGINNING[0], {"role": "user", "content": content_}])
            first = attempt(known, request)
        assert first == attempt(fresh, request)


def test_parameters_of_any_kind_are_told_apart() -> None:
    with serve(lambda _: Reply("done")) as server:
        odd = {"logit_bias": {50256: -100, "198": -5}, "extra_headers": {"Host": "models.internal"}}
        model = model_of(server, parameters=odd)
        for _ in range(3):
            model.complete(REQUEST)
    assert {headers["host"] for headers in server.headers} == {"models.internal"}


def test_envelopes_are_bounded_and_the_oldest_goes(asked_litellm: list[str]) -> None:
    with serve(lambda _: Reply("done")) as server:
        model = model_of(server)
        for number in range(KINDS + 1):
            model.complete(ModelRequest(BEGINNING, max_tokens=100 + number))
        before = len(asked_litellm)
        for number in (KINDS, 1, 0):
            model.complete(ModelRequest(BEGINNING, max_tokens=100 + number))
    assert len(asked_litellm) - before == 1


def test_an_envelope_of_too_many_shapes_is_not_kept(asked_litellm: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelopes, "STEPS", 2)  # fewer than the beginning has
    with warm([Reply("on")]) as (_, model):
        model.complete(REQUEST)
    assert len(asked_litellm) == 2


def test_the_key_is_in_no_words_of_an_envelope() -> None:
    with warm(api_key="sk-of-somebody") as (_, model):
        assert "sk-of-somebody" not in f"{model!r} {vars(model._envelopes)!r}"


def test_a_tool_call_that_is_broken_comes_as_it_was_written() -> None:
    with warm([Reply(calls=[Call("shell", '{"command": ')])]) as (_, model):
        assert model.complete(REQUEST).tool_calls[0].arguments == '{"command": '

"""The model adapter, through the real litellm, against a scripted provider on a real socket."""

import json
import os
import random
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from email.utils import formatdate
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from skillgrad_ci.errors import BudgetExceeded, Cancelled, EnvironmentFailure, UserError
from skillgrad_ci.method.budget import Cap, Ledger
from skillgrad_ci.method.budget.metered import Metered
from skillgrad_ci.method.evidence import Usage
from skillgrad_ci.method.ports import ModelRequest
from skillgrad_ci.models import provider
from skillgrad_ci.models.advice import failure
from skillgrad_ci.models.faults import Fault, Kind, classify, retries_of
from skillgrad_ci.models.litellm_library import litellm
from skillgrad_ci.models.prices import Prefixes, Price, Tokens, dollars
from skillgrad_ci.models.provider import LitellmModel, check_access
from skillgrad_ci.models.schemas import response_format
from tests.support.scripted_answers import Answer, Call, Raw, Reply, Reset, Stall, error
from tests.support.scripted_server import model_of, serve

SHELL = {
    "type": "function",
    "function": {"name": "shell", "parameters": {"type": "object", "properties": {"command": {"type": "string"}}}},
}


def ask(text: str = "hello", **parts: Any) -> ModelRequest:
    return ModelRequest([{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}], **parts)


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    """The library imports much at a process's first call: not on a test's clock."""
    with serve([Reply("warm")]) as server:
        model_of(server).complete(ask())


def test_a_reply_with_its_tokens_and_price() -> None:
    with serve([Reply("hi", prompt_tokens=1000, cached_tokens=600, completion_tokens=50)]) as server:
        reply = model_of(server, price=Price(prompt=2, completion=10, cached=0.5)).complete(ask())
    assert (reply.text, reply.stop) == ("hi", "stop")
    assert reply.usage.usd == pytest.approx((400 * 2 + 600 * 0.5 + 50 * 10) / 1e6)
    assert replace(reply.usage, usd=None) == Usage(1, 1000, 600, 50, None)
    assert server.requests[0]["messages"] == ask().messages


def test_tool_calls_come_as_the_model_wrote_them_each_with_an_id_of_its_own() -> None:
    calls = [Call("shell", '{"command": ', "same"), Call("shell", {"command": "ls"}, "same"), Call("odd name", "x")]
    with serve([Reply(calls=calls)]) as server:
        reply = model_of(server).complete(ask(tools=[SHELL]))
    assert reply.stop == "tool_calls"
    assert [call.arguments for call in reply.tool_calls] == ['{"command": ', '{"command": "ls"}', "x"]
    assert len({call.id for call in reply.tool_calls}) == 3
    assert server.requests[0]["tools"] == [SHELL]


def test_text_that_no_file_can_hold_is_replaced() -> None:
    with serve([Reply("half \ud83d of a pair")]) as server:
        assert model_of(server).complete(ask()).text.encode() == "half \ufffd of a pair".encode()


# Prices


def test_an_unknown_price_is_none_and_never_zero() -> None:
    model = LitellmModel("openai/scripted")
    assert not model.priced
    assert model.bound(ask()).usd is None
    with serve([Reply("hi")]) as server:
        assert model_of(server).complete(ask()).usage.usd is None


def test_a_price_of_zero_in_the_table_is_unknown_and_a_given_one_is_not() -> None:
    """The table prices whole gateways at zero, as openrouter's Claude, which is not free."""
    unknown = LitellmModel("openrouter/anthropic/claude-sonnet-4.5")
    assert not unknown.priced
    assert LitellmModel(unknown.name, price=Price(0, 0)).bound(ask()).usd == 0


def test_known_prices_count_cached_tokens_at_their_own_rate() -> None:
    full = dollars(litellm(), "openai/gpt-4o", Tokens(1000, 0), None)
    cached = dollars(litellm(), "openai/gpt-4o", Tokens(1000, 0, cached=1000), None)
    assert full is not None
    assert cached == pytest.approx(full / 2)


def test_a_service_tier_has_its_own_price() -> None:
    plain, fast = (
        LitellmModel("openai/gpt-5.4", parameters=p).bound(ask()).usd for p in ({}, {"service_tier": "priority"})
    )
    assert plain is not None
    assert fast == pytest.approx(2 * plain)


def test_missing_usage_is_counted_at_the_most_it_can_have_been() -> None:
    with serve([Reply("four", usage=False)]) as server:
        model = model_of(server, price=Price(1, 1))
        bound = model.bound(ask())
        usage = model.complete(ask()).usage
    assert usage.prompt_tokens == bound.prompt_tokens > 0
    assert usage.completion_tokens == len("four")
    assert usage.usd


# Bounds

texts = st.text(max_size=200)


@given(st.lists(texts, min_size=1, max_size=6))
def test_a_bound_holds_for_a_tokenizer_of_one_token_a_byte(said: list[str]) -> None:
    messages = [{"role": "user", "content": text} for text in said]
    least = sum(len(text.encode()) for text in said)
    assert Prefixes().bound(ModelRequest(messages)) >= least


@given(st.lists(texts, min_size=2, max_size=6), st.integers(1, 50))
def test_what_a_provider_counted_tightens_the_bound_of_a_longer_conversation(said: list[str], counted: int) -> None:
    messages = [{"role": "user", "content": text} for text in said]
    prefixes, first, whole = Prefixes(), ModelRequest(messages[:1]), ModelRequest(messages)
    loose = prefixes.bound(whole)
    prefixes.learn(first, counted)
    assert prefixes.bound(first) == counted
    assert counted + sum(len(text.encode()) for text in said[1:]) <= prefixes.bound(whole) < loose
    assert prefixes.bound(ModelRequest(messages, tools=[SHELL])) >= loose, "other tools make another prompt"


def test_the_cap_holds_with_sixteen_workers_and_a_provider_that_prices_its_replies() -> None:
    """Every byte is a token here, replies use all they may, and some are charged and then lost."""
    price, cap = Price(prompt=10, completion=100), 0.5
    dice, lock = random.Random(7), threading.Lock()

    def script(request: dict[str, Any]) -> Answer:
        size = sum(len(message["content"].encode()) for message in request["messages"])
        with lock:
            if dice.random() < 0.05:
                return Reset(after=10)
            return Reply("x", prompt_tokens=size, completion_tokens=dice.randint(1, request["max_tokens"]))

    ledger = Ledger(Cap(usd=cap))
    with serve(script) as server:
        model = Metered(model_of(server, price=price), ledger, "executor")

        def work(number: int) -> None:
            messages = [{"role": "user", "content": f"worker {number}"}]
            while True:
                model.complete(ModelRequest(messages, max_tokens=100))
                messages.append({"role": "user", "content": "and 1234567890 " * 10})

        with ThreadPoolExecutor(16) as pool:
            ends = [work.exception() for work in [pool.submit(work, number) for number in range(16)]]
    assert {type(end) for end in ends} <= {BudgetExceeded, EnvironmentFailure}
    charged = sum(prompt * 10 + completion * 100 for prompt, completion in server.charged) / 1e6
    assert cap / 2 < charged <= cap
    assert charged <= (ledger.spent.usd or 0) <= cap


def test_the_ledger_equals_what_the_provider_charged() -> None:
    ledger = Ledger()
    answers: list[Answer] = [
        error(429),
        Reply("a"),
        error(500),
        error(529),
        Reply("b", cached_tokens=3),
        error(503),
        Reply("c"),
    ]
    with serve(answers) as server:
        model = Metered(model_of(server), ledger, "judge")
        for word in ("one", "two", "three"):
            model.complete(ask(word))
    assert ledger.spent.calls == 3
    assert ledger.spent.prompt_tokens == sum(prompt for prompt, _ in server.charged)
    assert ledger.spent.completion_tokens == sum(completion for _, completion in server.charged)


def test_an_outage_is_not_billed() -> None:
    ledger = Ledger()
    with serve(lambda _: error(529)) as server:
        model = Metered(model_of(server, retries=2), ledger, "judge")
        with pytest.raises(EnvironmentFailure, match=r"HTTP 529: scripted \(3 attempts\)"):
            model.complete(ask())
    assert len(server.requests) == 3
    assert ledger.spent.tokens == 0


# Retries


def seconds_of(call: Any) -> float:
    started = time.monotonic()
    call()
    return time.monotonic() - started


@pytest.mark.parametrize("form", ["seconds", "date", "milliseconds"])
def test_retry_after_is_honoured(form: Literal["seconds", "date", "milliseconds"]) -> None:
    headers = {
        "seconds": {"retry_after": "1"},
        "date": {"retry_after": formatdate(time.time() + 2.5, usegmt=True)},
        "milliseconds": {"retry_after_ms": "1000"},
    }
    with serve([error(429, **headers[form]), Reply("hi")]) as server:
        took = seconds_of(lambda: model_of(server).complete(ask()))
    assert 1.0 <= took < 30


def test_a_provider_that_asks_for_an_hour_is_taken_as_gone() -> None:
    with serve([error(429, retry_after="3600")]) as server:
        with pytest.raises(EnvironmentFailure, match="asks to wait 3600 s"):
            model_of(server).complete(ask())
        assert len(server.requests) == 1


def test_waits_grow() -> None:
    at: list[float] = []

    def script(_: dict[str, Any]) -> Answer:
        at.append(time.monotonic())
        return error(500)

    with serve(script) as server, pytest.raises(EnvironmentFailure):
        model_of(server, retries=4, backoff=0.1).complete(ask())
    gaps = [later - earlier for earlier, later in pairwise(at)]
    assert all(gap >= 0.05 * 2**number for number, gap in enumerate(gaps))


def test_nothing_is_sent_twice_when_a_reply_is_lost() -> None:
    """It may have been charged: the meter decides whether to ask again."""
    with serve([Reset(after=10), Reply("again")]) as server:
        with pytest.raises(EnvironmentFailure) as caught:
            model_of(server).complete(ask())
        assert caught.value.billed
        assert len(server.requests) == 1
        assert Metered(model_of(server), Ledger(), "judge").complete(ask()).text == "again"


def test_an_unreachable_provider_is_waited_for_and_not_billed() -> None:
    model = LitellmModel("openai/x", api_base="http://127.0.0.1:9/v1", api_key="k", retries=1, backoff=0.001)
    with pytest.raises(EnvironmentFailure, match=r"2 attempts\); start it there") as caught:
        model.complete(ask())
    assert not caught.value.billed


def test_a_provider_without_a_network_says_where_to_look() -> None:
    model = LitellmModel("openai/x", api_base="http://nowhere.invalid/v1", api_key="k", retries=1, backoff=0.001)
    with pytest.raises(
        EnvironmentFailure, match=r"openai/x: no connection to its server \(.*\) \(2 attempts\) at http:"
    ):
        model.complete(ask())
    told = failure("openai/x", Fault(Kind.BUSY, "no connection to its server (Connection error)"))
    assert str(told).endswith("; look at the network and the provider's status")


def test_a_wrong_address_is_named_beside_the_models_name() -> None:
    with serve([error(404, "no such path", code="model_not_found")]) as server, pytest.raises(UserError) as caught:
        check_access(model_of(server))
    assert f"or the address {server.url}" in str(caught.value)


@pytest.mark.parametrize("stall", [Stall(seconds=300), Stall(drip=0.2)], ids=["silence", "drip"])
def test_an_attempt_ends_at_its_time_limit(stall: Stall) -> None:
    with serve([stall]) as server:
        model = model_of(server, timeout=1.0)

        def call() -> None:
            with pytest.raises(EnvironmentFailure, match="within 1 s"):
                model.complete(ask())

        assert seconds_of(call) < 60  # of the 300 that it would last


@pytest.mark.parametrize("answer", [Stall(seconds=30), error(429, retry_after="60")], ids=["a call", "a wait"])
def test_a_stop_ends_calls_and_waits_at_once(answer: Answer) -> None:
    with serve(lambda _: answer) as server:
        model = model_of(server)
        threading.Timer(0.3, model.stop.set).start()

        def call() -> None:
            with pytest.raises(Cancelled):
                model.complete(ask())

        assert seconds_of(call) < 2
        with pytest.raises(Cancelled):
            model.complete(ask())


def test_the_program_ends_although_a_call_is_in_flight() -> None:
    program = """
        import sys, threading
        from skillgrad_ci import __main__
        from skillgrad_ci.errors import Cancelled
        from skillgrad_ci.models.provider import LitellmModel
        from skillgrad_ci.method.ports import ModelRequest

        def work():
            model = LitellmModel("openai/x", api_base=sys.argv[1], api_key="k")
            assert "litellm" not in sys.modules, "imported before the first call"
            threading.Timer(0.01, model.stop.set).start()
            try:
                model.complete(ModelRequest([{"role": "user", "content": "hi"}]))
            except Cancelled:
                print("cancelled")
            return 0

        __main__.main = work
        __main__.entry_point()
    """
    with serve(lambda _: Stall(seconds=600)) as server:
        command = [sys.executable, "-c", textwrap.dedent(program), server.url]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert ended.stdout == "cancelled\n"
    assert ended.stderr == ""


# Threads


def test_sixteen_threads_share_connections() -> None:
    with serve(lambda request: Reply(request["messages"][1]["content"])) as server:
        model = model_of(server)
        with ThreadPoolExecutor(16) as pool:
            texts = [str(number) for number in range(80)]
            assert [reply.text for reply in pool.map(lambda text: model.complete(ask(text)), texts)] == texts
    assert server.connections < 40


# What is asked for


class Inner(BaseModel):
    kind: Literal["a", "b"] = "a"
    names: list[str] = Field(default_factory=list, max_length=3)


class Wanted(BaseModel):
    title: str = Field(min_length=1, max_length=64, pattern="^x")
    inner: Inner | None = None
    many: list[Inner] = []


class Loose(BaseModel):
    counts: dict[str, int]


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for value in schema.values():
            yield from objects(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from objects(value)


def test_a_schema_is_asked_for_where_the_model_knows_schemas() -> None:
    with serve(lambda _: Reply("{}")) as server:
        model_of(server).complete(ask(schema=Wanted))
        LitellmModel("openai/gpt-4o", api_base=server.url, api_key="k").complete(ask(schema=Wanted))
    unknown, known = server.requests
    assert "response_format" not in unknown
    assert known["response_format"] == response_format(Wanted)


def test_a_provider_that_refuses_schemas_is_asked_without_from_then_on() -> None:
    with serve(lambda request: error(400, "no schemas") if "response_format" in request else Reply("{}")) as server:
        model = LitellmModel("openai/gpt-4o", api_base=server.url, api_key="k")
        assert [model.complete(ask(schema=Wanted)).text for _ in range(2)] == ["{}", "{}"]
    assert ["response_format" in request for request in server.requests] == [True, False, False]


def test_a_strict_schema_is_closed_and_a_mapping_cannot_be_strict() -> None:
    wanted = response_format(Wanted)["json_schema"]
    assert wanted["strict"] is True
    found = list(objects(wanted["schema"]))
    assert len(found) == 2
    for each in found:
        assert each["additionalProperties"] is False
        assert each["required"] == list(each["properties"])
    assert "title" in wanted["schema"]["properties"], "a property may bear a keyword's name"
    assert not {"maxLength", "minLength", "default"} & set(wanted["schema"]["properties"]["title"])
    assert response_format(Loose)["json_schema"]["strict"] is False


def test_parameters_are_passed_on() -> None:
    with serve([Reply("x")]) as server:
        model_of(server, parameters={"temperature": 0.2, "seed": 7}).complete(ask(max_tokens=33))
    sent = server.requests[0]
    assert (sent["temperature"], sent["seed"], sent["max_tokens"]) == (0.2, 7, 33)
    assert set(sent) == {"model", "messages", "temperature", "seed", "max_tokens"}


def test_a_configured_output_limit_is_sent_and_bounded() -> None:
    with serve([Reply("x")]) as server:
        model = model_of(server, parameters={"max_tokens": 50_000})
        assert model.bound(ask()).completion_tokens == 50_000
        model.complete(ask())
    assert server.requests[0]["max_tokens"] == 50_000


@pytest.mark.parametrize("name", ["n", "max_completion_tokens", "fallbacks", "stream"])
def test_a_parameter_that_would_break_the_account_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=name):
        LitellmModel("openai/x", parameters={name: 2})


def test_a_key_is_not_shown() -> None:
    assert "sk-secret" not in repr(LitellmModel("openai/x", api_key="sk-secret"))


def test_claude_is_told_what_to_cache_and_says_what_it_cached() -> None:
    with serve([error(529, retry_after="0"), Reply("hi", prompt_tokens=900, cached_tokens=800)]) as server:
        base = server.url.removesuffix("/v1")
        model = LitellmModel("anthropic/claude-sonnet-4-5", api_base=base, api_key="k", backoff=0.001)
        reply = model.complete(ask(tools=[SHELL]))
    sent = server.requests[1]
    assert sent["system"][0]["cache_control"] == sent["messages"][-1]["content"][-1]["cache_control"]
    assert (reply.usage.prompt_tokens, reply.usage.cached_tokens) == (900, 800)
    assert reply.usage.usd is not None
    assert reply.usage.usd < (model.bound(ask(tools=[SHELL])).usd or 0)


def test_a_call_that_stands_alone_writes_no_cache_that_nothing_reads() -> None:
    with serve([Reply('{"title": "x"}')]) as server:
        model = LitellmModel("anthropic/claude-sonnet-4-5", api_base=server.url.removesuffix("/v1"), api_key="k")
        alone, going_on = ask(schema=Wanted), ask(tools=[SHELL])
        model.complete(alone)
    assert "cache_control" not in json.dumps(server.requests)
    per_token = [(model.bound(one).usd or 0) - 8192 * 15e-6 for one in (alone, going_on)]
    bounds = [model.bound(one).prompt_tokens for one in (alone, going_on)]
    assert per_token[0] / bounds[0] == pytest.approx(3e-6)
    assert per_token[1] / bounds[1] == pytest.approx(3.75e-6)


SCHEMA = '"properties":{"title"'


def times(request: Mapping[str, Any]) -> int:
    """How often a request holds the schema."""
    return json.dumps(request).replace("\\", "").replace(" ", "").count(SCHEMA)


def test_a_schema_goes_out_once_in_the_form_that_the_provider_takes() -> None:
    good = Reply('{"title": "x"}')
    with serve([good, good, good, good]) as server:
        knows, takes_text = (LitellmModel(name, server.url, "k") for name in ("openai/gpt-4o", "openai/scripted"))
        for model in (knows, takes_text):
            model.complete(ask(schema=Wanted))
        repair = [*ask().messages, {"role": "assistant", "content": "{}"}, {"role": "user", "content": "Again."}]
        knows.complete(replace(ask(schema=Wanted), messages=repair))
        knows.complete(ask(schema=Wanted))
    assert ["response_format" in request for request in server.requests] == [True, False, True, True]
    assert [times(request) for request in server.requests] == [1, 1, 2, 2]  # it may have been lost before the repair


def test_what_calls_share_stands_first_and_is_marked_alone() -> None:
    shared = ModelRequest(
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        schema=Wanted,
        shared="A skill.",
    )
    good = Reply('{"title": "x"}')
    with serve([good, good]) as server:
        LitellmModel("anthropic/claude-sonnet-4-5", server.url.removesuffix("/v1"), "k").complete(shared)
        LitellmModel("openai/gpt-4o", server.url, "k").complete(shared)
    claude, other = server.requests
    first, own = claude["system"]
    assert (first["text"], first["cache_control"]) == ("A skill.", {"type": "ephemeral"})
    assert own["text"].startswith("# Your part\n\nBe brief.\n\nReply with one JSON object")
    assert json.dumps(claude).count("cache_control") == 1
    assert not {"tools", "output_format", "output_config"} & set(claude)  # they would stand before what is marked
    assert times(claude) == times(other) == 1
    assert other["messages"][0] == {"role": "system", "content": "A skill.\n\n# Your part\n\nBe brief."}


# The check before a run


def test_access_is_checked_by_one_small_call_that_is_counted() -> None:
    ledger = Ledger()
    with serve([Reply("ready")]) as server:
        check_access(Metered(model_of(server), ledger, "executor"))
    assert len(server.requests) == 1
    assert ledger.spent.calls == 1
    assert ledger.spent.tokens > 0


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (error(401, "Incorrect API key"), "OPENAI_API_KEY"),
        (error(403, "not for you"), "OPENAI_API_KEY"),
        (error(404, "no such model", code="model_not_found"), "'openai/scripted'"),
        (error(400, "unknown parameter: foo"), "unknown parameter: foo"),
        (error(429, "You exceeded your current quota", code="insufficient_quota"), "cannot pay"),
        (error(402, "no credit"), "cannot pay"),
    ],
)
def test_what_a_person_must_fix_is_said_at_once(answer: Raw, says: str) -> None:
    with serve([answer]) as server:
        with pytest.raises(UserError, match=says):
            check_access(model_of(server))
        assert len(server.requests) == 1


@pytest.mark.parametrize("model", ["sagemaker_chat/x", "sap/x", "snowflake/x"])
def test_a_key_that_a_provider_does_not_find_is_no_lost_reply(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "AICORE_", "SAP_", "SNOWFLAKE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", "/nonexistent")
    with pytest.raises(UserError, match="no key that is accepted"):
        LitellmModel(model).complete(ask())


def test_a_provider_whose_package_is_missing_is_named_with_it_and_nothing_is_billed() -> None:
    """litellm dresses it as a connection that broke."""
    with pytest.raises(
        UserError, match=r"litellm needs a further package for it \(No module named .vllm.\); install that"
    ):
        LitellmModel("vllm/m").complete(ask())


@pytest.mark.parametrize(
    "wrong", [{"parameters": {"api_key": "sk-1"}}, {"api_base": "https://me:word@proxy.invalid/v1"}]
)
def test_a_key_that_a_configuration_holds_is_refused_and_not_shown(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="models: a key or a password stands in parameters or api_base; set") as refused:
        LitellmModel("openai/x", **wrong)
    assert not {"sk-1", "word@"} & set(str(refused.value).split())


def test_a_refused_key_names_the_variable_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong")
    with serve([error(401)]) as server, pytest.raises(UserError, match="check OPENAI_API_KEY"):
        check_access(LitellmModel("openai/x", api_base=server.url))


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("openai/x", "set OPENAI_API_KEY"),
        ("anthropic/x", "set ANTHROPIC_API_KEY"),
        ("gemini/x", "set GOOGLE_API_KEY or GEMINI_API_KEY"),
        ("azure/x", "set AZURE_API_BASE and AZURE_API_VERSION and AZURE_API_KEY"),
        ("bedrock/anthropic.x", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_a_missing_key_is_told_by_its_variable_alone(monkeypatch: pytest.MonkeyPatch, model: str, told: str) -> None:
    for name in [*os.environ]:
        if name.startswith(("OPENAI", "ANTHROPIC", "GOOGLE", "GEMINI", "AZURE", "AWS")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(UserError) as refused:
        check_access(LitellmModel(model, backoff=0.01))
    assert str(refused.value) == f"{model}: no key is set; {told}"


def test_a_server_of_ones_own_takes_any_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serve([Reply("ready")]) as server, pytest.raises(UserError) as refused:
        check_access(LitellmModel("openai/x", api_base=server.url))
    assert str(refused.value) == (
        f"openai/x: no key is set; set OPENAI_API_KEY (to anything, where the server at {server.url} asks for none)"
    )


def nobody() -> int:
    """A port of this machine at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_where_nobody_listens_on_this_machine_a_call_is_made_three_times(host: str) -> None:
    address, told = f"http://{host}:{nobody()}", list[str]()
    model = LitellmModel("openai/x", api_base=f"{address}/v1", api_key="k", backoff=0.001, tell=told.append)
    with pytest.raises(EnvironmentFailure) as failed:
        check_access(model)
    remedy = "start it there, or correct models.api_base (--api-base)"
    assert str(failed.value) == f"openai/x: no server answers at {address} (3 attempts); {remedy}"
    assert told == [
        f"openai/x: no server answers at {address}; {remedy}; asking again, 2 times at most in a few seconds"
    ]


def test_a_server_that_answered_once_is_waited_for_as_one_far_away() -> None:
    told = list[str]()
    choice = {"index": 0, "message": {"role": "assistant", "content": "ready"}, "finish_reason": "stop"}
    ready = json.dumps({"object": "chat.completion", "model": "x", "created": 0, "id": "1", "choices": [choice]})
    with serve([Raw(body=ready.encode(), headers={"Connection": "close"})]) as server:
        model = LitellmModel("openai/x", api_base=server.url, api_key="k", backoff=0.001, tell=told.append)
        check_access(model)
    with pytest.raises(EnvironmentFailure, match=rf"\({model.retries + 1} attempts\)"):
        check_access(model)
    assert told[0].endswith(f"{model.retries} times at most in about a minute")


def test_a_refused_connection_elsewhere_keeps_its_patience() -> None:
    import httpx

    for host in ("192.0.2.1", "models.example"):
        far = httpx.ConnectError("refused", request=httpx.Request("POST", f"http://{host}:9/v1"))
        far.__cause__ = ConnectionRefusedError(111, "Connection refused")
        assert retries_of(classify(far), 6, heard=False) == 6
    near = httpx.ConnectError("no route", request=httpx.Request("POST", "http://127.0.0.1:9/v1"))
    assert retries_of(classify(near), 6, heard=False) == 6, "it was not refused"
    assert retries_of(Fault(Kind.KEY, "x"), 6, heard=True) == 0


@pytest.mark.parametrize(
    ("name", "variable"),
    [("vertex_ai/gemini-2.5-flash", "GOOGLE_APPLICATION_CREDENTIALS"), ("fireworks_ai/m", "FIREWORKS")],
)
def test_a_login_that_is_not_there_is_no_lost_reply(
    name: str, variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither asks its provider. Google's would ask the cloud's own machine, and look into the home folder."""
    for known in ("GOOGLE_APPLICATION_CREDENTIALS", "FIREWORKS_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"):
        monkeypatch.delenv(known, raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UserError, match=rf"no key is set; set .*{variable}"):
        LitellmModel(name).complete(ask())


@pytest.mark.parametrize("name", ["gpt", "nonsense/model"])
def test_a_name_without_a_provider_is_a_users_error(name: str) -> None:
    with pytest.raises(UserError, match="provider/model"):
        check_access(LitellmModel(name))


def test_a_model_whose_reply_is_unusable_can_be_reached() -> None:
    with serve([Reply("", stop="length")]) as server:
        check_access(model_of(server))


@settings(max_examples=50)
@given(st.integers(400, 599), st.text(max_size=300))
def test_every_status_has_a_meaning(status: int, message: str) -> None:
    import httpx  # litellm's own client

    response = httpx.Response(status, request=httpx.Request("POST", "http://x"))
    fault = classify(httpx.HTTPStatusError(message, request=response.request, response=response))
    assert (fault.kind is Kind.BUSY) == (status >= 500 or status in {408, 409, 425, 429}) or fault.kind is Kind.QUOTA
    assert "\n" not in fault.said
    assert len(fault.said) < 230


def test_the_longest_wait_is_longer_than_a_minutes_rate_window() -> None:
    assert provider.LONGEST_WAIT > 60
    assert sum(LitellmModel("x").backoff * 2**n for n in range(LitellmModel("x").retries)) > 60


@pytest.mark.parametrize(
    ("model", "ending"), [("anthropic/x", "without /v1 at its end"), ("openai/x", "it ends in /v1 mostly")]
)
def test_where_a_model_is_unknown_the_address_is_told_as_its_provider_wants_it(model: str, ending: str) -> None:
    told = failure(model, Fault(Kind.MODEL, "no such model"), "http://127.0.0.1:1")
    assert str(told).endswith(f"correct its name, or the address http://127.0.0.1:1 ({ending})")

"""The border in front of every provider's replies, through the real litellm, over a real socket."""

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skillgrad_ci.document import json_text
from skillgrad_ci.errors import EnvironmentFailure, SkillGradError, UserError
from skillgrad_ci.method.ports import ModelReply, ModelRequest
from skillgrad_ci.models.border import HOPS, MOST_BYTES
from skillgrad_ci.models.prices import Price, Tokens, dollars
from skillgrad_ci.models.provider import LitellmModel, check_access
from skillgrad_ci.models.wire import checked
from tests.support.scripted_answers import Answer, Call, Raw, Reply, error
from tests.support.scripted_server import ScriptedServer, serve

REQUEST = ModelRequest([{"role": "user", "content": "hello"}])
PRICE = Price(3, 15, 0.3)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def anyone() -> Iterator[ScriptedServer]:
    """A provider whose next answer a test puts into `script`."""
    with serve(lambda _: Reply("warm")) as server:
        yield server


@pytest.fixture
def models(anyone: ScriptedServer) -> list[LitellmModel]:
    """By two ways of litellm's: OpenAI's SDK, and its own HTTP client; then in an envelope of the first."""
    base = anyone.url.removesuffix("/v1")
    quick: dict[str, Any] = {"api_key": "k", "backoff": 0.0, "retries": 0, "price": PRICE}
    with_sdk, known = (LitellmModel("openai/scripted", api_base=anyone.url, **quick) for _ in range(2))
    anyone.script = lambda _: Reply("warm")
    known.complete(REQUEST)
    return [with_sdk, LitellmModel("anthropic/scripted", api_base=base, **quick), known]


PATHS = ["/v1/chat/completions", "/v1/messages", "/v1/chat/completions"]  # where these are asked


def holds(model: LitellmModel, server: ScriptedServer, answer: Answer) -> None:
    """Whatever a provider sends ends as a reply that can be used, or as an error of ours that a person can read."""
    server.script = lambda _: answer
    try:
        reply = model.complete(REQUEST)
    except SkillGradError as failure:
        said = str(failure)
    else:
        is_sound(reply)
        return
    assert not [word for word in ("Traceback", "site-packages", "\n") if word in said]


def is_sound(reply: ModelReply) -> None:
    json.dumps([reply.text, *(call.arguments for call in reply.tool_calls)], ensure_ascii=False).encode()
    used = reply.usage
    assert 0 <= used.cached_tokens <= used.prompt_tokens
    assert used.completion_tokens >= 0
    assert used.usd is not None
    assert used.usd >= 0


fuzz = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@fuzz
@given(
    st.binary(max_size=200), st.sampled_from([200, 201, 206, 400, 404, 429, 500]), st.sampled_from(["", "gzip", "br"])
)
def test_any_bytes_are_answered(
    anyone: ScriptedServer, models: list[LitellmModel], body: bytes, status: int, coding: str
) -> None:
    for model in models:
        holds(model, anyone, Raw(status, body, headers={"content-encoding": coding} if coding else {}))


@fuzz
@given(json_values, st.sampled_from([200, 400]))
def test_any_json_is_answered(anyone: ScriptedServer, models: list[LitellmModel], value: Any, status: int) -> None:
    for model in models:
        holds(model, anyone, Raw(status, json.dumps(value).encode()))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(item, (*path, key))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copied = list(value) if isinstance(value, list) else dict(value)
    copied[path[0]] = put(value[path[0]], path[1:], new)
    return copied


CALLS = [Call("shell", {"command": "ls"}), Call("shell", {"command": "pwd"})]


@fuzz
@given(st.data(), json_values)
def test_a_good_reply_with_any_part_replaced_is_answered(
    anyone: ScriptedServer, models: list[LitellmModel], data: st.DataObject, strange: Any
) -> None:
    for model, path in zip(models, PATHS, strict=True):
        good = json.loads(anyone.encode(path, {"messages": []}, Reply("text", CALLS, cached_tokens=2, prompt_tokens=9)))
        broken = put(good, data.draw(st.sampled_from(list(places(good)))), strange)
        holds(model, anyone, Raw(body=json.dumps(broken).encode()))


@given(st.recursive(json_values, lambda inner: st.lists(inner, max_size=2), max_leaves=5))
def test_json_that_is_not_wild_is_read_as_it_is(value: Any) -> None:
    text = json.dumps(value)
    assert json_text.tame(text) == text or len(text) > json_text.NUMBER
    json.dumps(json_text.loads(text), ensure_ascii=False, allow_nan=False).encode()


@given(st.text(st.sampled_from('[]{}"\\,:0123456789e-.'), max_size=400), st.integers(0, 3000))
def test_no_text_makes_the_parser_do_more_than_refuse(text: str, depth: int) -> None:
    for each in (text, "[" * depth + text, '{"a":' * depth + text + "}" * depth):
        with suppress(json.JSONDecodeError):
            json_text.loads(each)


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b" " * (MOST_BYTES + 1), {}),
        (gzip.compress(b" " * 50_000_000), {"content-encoding": "gzip"}),
        (zlib.compress(b" " * 50_000_000), {"content-encoding": "deflate"}),
        (b"anything", {"content-encoding": "zstd"}),
    ],
    ids=["plain", "gzip", "deflate", "unknown"],
)
def test_bytes_are_bounded_also_once_unpacked(
    anyone: ScriptedServer, models: list[LitellmModel], number: int, body: bytes, headers: dict[str, str]
) -> None:
    anyone.script = lambda _: Raw(body=body, headers=headers)
    with pytest.raises(EnvironmentFailure, match="more than 4,194,304 bytes") as caught:
        models[number].complete(REQUEST)
    assert caught.value.billed


@pytest.mark.parametrize(("number", "path"), [(0, "/v1/messages"), (1, "/v1/chat/completions"), (2, "/v1/messages")])
def test_a_reply_in_another_providers_form_is_told_as_such(
    anyone: ScriptedServer, models: list[LitellmModel], number: int, path: str
) -> None:
    body = anyone.encode(path, {"messages": []}, Reply("hello"))
    anyone.script = lambda _: Raw(body=body)
    with pytest.raises(EnvironmentFailure, match="a reply of another shape: "):
        models[number].complete(REQUEST)


@pytest.mark.parametrize("arguments", ["{}", "7", '{"tool_uses": [{"recipient_name": "shell"}]}', '{"tool_uses": 1}'])
def test_a_made_up_tool_of_several_calls_that_is_not_whole_goes_to_the_model_as_unknown(
    anyone: ScriptedServer, models: list[LitellmModel], arguments: str
) -> None:
    anyone.script = lambda _: Reply(calls=[Call("multi_tool_use.parallel", arguments)])
    for model in (models[0], models[2]):
        assert [call.name for call in model.complete(REQUEST).tool_calls] == ["multi_tool_use_parallel"]


def test_a_made_up_tool_of_several_calls_is_unpacked(anyone: ScriptedServer, models: list[LitellmModel]) -> None:
    uses = {"tool_uses": [{"recipient_name": "functions.shell", "parameters": {"command": "ls"}}] * 2}
    anyone.script = lambda _: Reply(calls=[Call("multi_tool_use.parallel", uses)])
    for model in (models[0], models[2]):
        calls = model.complete(REQUEST).tool_calls
        assert [(call.name, json.loads(call.arguments)) for call in calls] == [("shell", {"command": "ls"})] * 2


@given(json_values)
def test_a_count_of_tokens_is_a_number_or_none(strange: Any) -> None:
    usage = {"prompt_tokens": strange, "prompt_tokens_details": {"cached_tokens": strange}}
    kept = checked({"choices": [{"message": {}}], "usage": usage}, "/chat/completions").get("usage") or {}
    for count in (kept.get("prompt_tokens"), kept.get("prompt_tokens_details", {}).get("cached_tokens")):
        assert count is None or (type(count) is int and count >= 0)


def test_a_packed_reply_is_read(anyone: ScriptedServer, models: list[LitellmModel]) -> None:
    for model, path in zip(models, PATHS, strict=True):
        body = gzip.compress(anyone.encode(path, {"messages": []}, Reply("unpacked")))
        anyone.script = lambda _, body=body: Raw(body=body, headers={"content-encoding": "gzip"})  # type: ignore[misc]
        assert model.complete(REQUEST).text == "unpacked"


@pytest.mark.parametrize("number", range(3))
def test_a_prompt_follows_no_redirect_to_another_host(
    anyone: ScriptedServer, models: list[LitellmModel], number: int
) -> None:
    with serve(lambda _: Reply("stolen")) as other:
        for place in (other.url, other.url.replace("127.0.0.1", "localhost"), "//example.com/", "http://[", "ftp://x/"):
            anyone.script = lambda _, to=place: Raw(307, headers={"location": to})  # type: ignore[misc]
            with pytest.raises(EnvironmentFailure, match="redirects to another host"):
                models[number].complete(REQUEST)
            with pytest.raises(UserError, match="api_base"):
                check_access(models[number])
        assert not other.requests


def test_a_redirect_on_one_host_is_followed_a_few_times(anyone: ScriptedServer, models: list[LitellmModel]) -> None:
    model = models[0]
    answers: list[Answer] = [Raw(307, headers={"location": "/v1/chat/completions"})] * HOPS
    anyone.script = lambda _: answers.pop() if answers else Reply("moved")
    assert model.complete(REQUEST).text == "moved"
    before = len(anyone.requests)
    anyone.script = lambda _: Raw(307, headers={"location": "/v1/chat/completions"})
    with pytest.raises(EnvironmentFailure):
        model.complete(REQUEST)
    assert len(anyone.requests) - before == HOPS + 1


@pytest.mark.parametrize("status", [200, 400, 403, 429, 500, 503])
@pytest.mark.parametrize("number", [0, 1])
def test_an_account_that_cannot_pay_stops_at_once_in_whatever_status(
    anyone: ScriptedServer, models: list[LitellmModel], status: int, number: int
) -> None:
    answer = error(status, "You exceeded your current quota", code="insufficient_quota")
    anyone.script = lambda _: answer
    before = len(anyone.requests)
    with pytest.raises(UserError, match="cannot pay"):
        models[number].complete(REQUEST)
    assert len(anyone.requests) == before + 1


@pytest.mark.parametrize("long", [error(413, "too large"), error(400, "long", code="context_length_exceeded")])
def test_a_provider_that_takes_no_short_request_fails_the_check(
    anyone: ScriptedServer, models: list[LitellmModel], long: Raw
) -> None:
    anyone.script = lambda _: long
    with pytest.raises(UserError, match="api_base"):
        check_access(models[0])


@given(*[st.integers(0, 10**6)] * 4)
def test_no_call_costs_less_than_nothing(prompt: int, completion: int, cached: int, written: int) -> None:
    cost = dollars(None, "x", Tokens(prompt, completion, cached, written), PRICE)
    assert cost is not None
    assert cost >= 0


def test_a_provider_that_counts_cached_tokens_apart_is_recognised_and_told_of_once(anyone: ScriptedServer) -> None:
    told: list[str] = []
    model = LitellmModel("openai/scripted", api_base=anyone.url, api_key="k", price=PRICE, tell=told.append)
    counts = [(100, 20_000), (500, 400), (9, 900)]
    replies = [Reply("x", prompt_tokens=p, cached_tokens=c, completion_tokens=10) for p, c in counts]
    anyone.script = lambda _: replies.pop(0)
    for prompt, cached in counts:
        usage = model.complete(REQUEST).usage
        assert (usage.prompt_tokens, usage.cached_tokens) == (prompt + cached, cached)
        assert usage.usd == pytest.approx((prompt * 3 + cached * 0.3 + 10 * 15) / 1e6)
    (line,) = told
    assert "20,000 cached tokens of 100" in line

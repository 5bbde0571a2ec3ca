"""The real provider behind the gateway: its address, its key, and one attempt to have a call answered.

What an agent sends is passed on in its own form, but for the key, for what would run at the provider, and for headers
that are nobody's business.
"""

import functools
import json
import os
import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from skillgrad_ci.errors import UserError
from skillgrad_ci.models.faults import Fault, Kind, classify, refusal
from skillgrad_ci.models.gateway.dialect import Answer, Broken, Call, Dialect
from skillgrad_ci.models.gateway.hosted import without_hosted
from skillgrad_ci.models.litellm_library import litellm
from skillgrad_ci.models.provider import LitellmModel
from skillgrad_ci.models.replies import Said

PASSED = {"accept", "anthropic-beta", "anthropic-version", "content-type", "openai-beta", "user-agent"}
LARGEST = 64 << 20  # bytes of a reply
REHEARSAL = "rehearsal"
OAUTH = {"anthropic-beta": "oauth-2025-04-20"}
SPEAKERS = {"anthropic": "anthropic", "responses": "openai", "gemini": "gemini"}  # a dialect: its provider
BASES = {
    "anthropic": ("https://api.anthropic.com", "ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"),
    "openai": ("https://api.openai.com/v1", "OPENAI_BASE_URL", "OPENAI_API_BASE"),
    "gemini": ("https://generativelanguage.googleapis.com", "GEMINI_API_BASE"),
}
KEYS = {
    "anthropic": ["ANTHROPIC_API_KEY"],
    "openai": ["OPENAI_API_KEY"],
    "gemini": ["GEMINI_API_KEY", "GOOGLE_API_KEY"],
}


@dataclass(frozen=True)
class Provider:
    """Where calls go: `model` is the provider's name for it; `auth` are the headers that hold the key."""

    model: str
    base: str
    auth: Mapping[str, str] = field(repr=False)
    subscription: bool = False

    def headers(self, given: Mapping[str, str]) -> dict[str, str]:
        """The headers of a call. Both the agent and a login may ask for beta features."""
        kept = {name: value for name, value in given.items() if name in PASSED}
        betas = [part["anthropic-beta"] for part in (kept, self.auth) if "anthropic-beta" in part]
        return {**kept, **self.auth, **({"anthropic-beta": ",".join(betas)} if betas else {})}

    def url(self, path: str) -> str:
        """`path` is as the gateway is asked, from `/v1` on. The base may hold that already."""
        parts = path.split("/", 2)
        version, rest = parts[1], parts[2]
        if urlsplit(self.base).path.rstrip("/").endswith(f"/{version}"):
            return f"{self.base}/{rest}"
        return f"{self.base}{path}"


def upstream_of(model: LitellmModel, dialect: str, agent: str) -> Provider | None:
    """The model's provider, where it speaks the dialect itself; None where calls must be translated for it.

    Raises UserError for a model that nobody provides, for one that only the built-in agents can use, and for want
    of a key.
    """
    prefix, name = _named(model)
    if prefix == REHEARSAL:
        raise UserError(f"model {REHEARSAL}: it plays the built-in agents alone, not {agent}; use agent: loop")
    wanted = SPEAKERS.get(dialect)
    if prefix not in BASES:
        return _compatible(model, chat=wanted is None)
    if prefix != (wanted or "openai") or not name:
        _key_of(model, prefix)
        return None
    default, *variables = BASES[prefix]
    base = model.api_base or next(filter(None, map(os.environ.get, variables)), default)
    token = os.environ.get("CLAUDE_CODE_OAUTH_TOKEN") if prefix == "anthropic" else None
    if token and not _known_key(model, prefix):
        return Provider(name, base.rstrip("/"), {"authorization": f"Bearer {token}", **OAUTH}, subscription=True)
    key = _key_of(model, prefix)
    named = {"anthropic": {"x-api-key": key}, "gemini": {"x-goog-api-key": key}}
    return Provider(name, base.rstrip("/"), named.get(prefix, {"authorization": f"Bearer {key}"}))


def _named(model: LitellmModel) -> tuple[str, str]:
    """The model's provider and its name there. A name without a provider is one that litellm may know, as it does."""
    prefix, _, name = model.name.partition("/")
    library = litellm()
    if name:
        return prefix, name
    try:
        known, provider, *_ = library.get_llm_provider(model.name)
    except library.exceptions.BadRequestError:
        return prefix, name
    return (provider, known) if provider in BASES else (prefix, name)


def _known_key(model: LitellmModel, prefix: str) -> str | None:
    return model.api_key or next(filter(None, map(os.environ.get, KEYS[prefix])), None)


def _key_of(model: LitellmModel, prefix: str) -> str:
    key = _known_key(model, prefix)
    if key is None:
        raise UserError(f"{model.name}: no key; set {' or '.join(KEYS[prefix])}")
    return key


def _compatible(model: LitellmModel, *, chat: bool) -> Provider | None:
    """A provider that litellm knows to speak chat completions as OpenAI does, for a dialect that is `chat`."""
    library = litellm()
    try:
        name, provider, key, base = library.get_llm_provider(model.name, api_base=model.api_base)
    except library.exceptions.BadRequestError:
        raise UserError(f"model {model.name!r}: no such provider; write provider/model, as openai/gpt-5.4") from None
    if not chat or provider not in library.openai_compatible_providers or not base:
        return None
    key = model.api_key or key or os.environ.get(f"{provider.upper()}_API_KEY")
    if not key:
        raise UserError(f"{model.name}: no key; set {provider.upper()}_API_KEY")
    return Provider(name, base.rstrip("/"), {"authorization": f"Bearer {key}"})


class Attempting(Protocol):
    """One attempt to have a call answered, on a thread that nobody has to wait for."""

    done: threading.Event

    def start(self) -> None: ...

    def leave(self) -> None:
        """Wait for it no longer."""
        ...

    def outcome(self) -> tuple[Said, Answer] | Fault:
        """What became of it, once it is done."""
        ...


class Attempt:
    """One request that is passed on as it is, on a daemon thread. `body` and `error` tell its end."""

    def __init__(self, client: httpx.Client, provider: Provider, dialect: Dialect, call: Call, max_tokens: int) -> None:
        self.done = threading.Event()
        self.body = b""
        self.content_type = ""
        self.error: Exception | None = None
        body = dialect.limited(without_hosted(dialect.name, call.body), max_tokens)
        content = json.dumps(body).encode()  # never as it came: of a key that stands there twice we read the last
        headers = provider.headers(call.headers)
        self._request = client.build_request("POST", provider.url(call.path), headers=headers, content=content)
        self._client = client
        self._reading = functools.partial(dialect.said, stream=call.asked.stream)

    def start(self) -> None:
        threading.Thread(target=self._run, name="gateway call", daemon=True).start()

    def leave(self) -> None:
        """Nothing is kept waiting: the thread ends with the request, or with the program."""

    def outcome(self) -> tuple[Said, Answer] | Fault:
        if self.error is not None:
            return classify(self.error)
        try:
            said = self._reading(self.body)
        except Broken as broken:
            known = broken.status
            return classify(refusal(known, str(broken))) if known else Fault(Kind.LOST, str(broken))
        return said, Answer(HTTPStatus.OK, self.content_type, self.body)

    def _run(self) -> None:
        try:
            response = self._client.send(self._request, stream=True)
            with closing(response):
                self._read(response)
        except (httpx.HTTPError, httpx.StreamError) as error:
            self.error = error
        finally:
            self.done.set()

    def _read(self, response: httpx.Response) -> None:
        kept = bytearray()
        for chunk in response.iter_bytes():
            kept += chunk
            if len(kept) > LARGEST:
                raise httpx.ReadError(f"a reply of more than {LARGEST >> 20} MiB", request=self._request)
        self.content_type = response.headers.get("content-type", "application/json")
        self.body = bytes(kept)
        if response.status_code != httpx.codes.OK:
            self.error = refusal(response.status_code, kept.decode("utf-8", "replace"), response)

"""The real provider behind the gateway: its address, its key, and one attempt to have a call answered.

What an agent sends is passed on as it is, but for the key and for headers that are nobody's business.
"""

import os
import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from skillgrad_ci.errors import UserError
from skillgrad_ci.models.litellm_library import litellm
from skillgrad_ci.models.provider import LitellmModel

PASSED = {"accept", "anthropic-beta", "anthropic-version", "content-type", "openai-beta", "user-agent"}
LARGEST = 64 << 20  # bytes of a reply
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


def provider_of(model: LitellmModel, dialect: str, agent: str) -> Provider:
    """The model's provider. Raises UserError where it does not speak the agent's dialect, or for want of a key."""
    prefix, _, name = model.name.partition("/")
    wanted = SPEAKERS.get(dialect)
    if wanted is None and prefix not in BASES:
        return _compatible(model, agent)
    if wanted not in (None, prefix) or (wanted is None and prefix != "openai") or not name:
        example = f"{wanted or 'openai'}/…"
        raise UserError(f"model {model.name!r}: {agent} speaks another dialect; name a model as {example}")
    default, *variables = BASES[prefix]
    base = model.api_base or next(filter(None, map(os.environ.get, variables)), default)
    key = model.api_key or next(filter(None, map(os.environ.get, KEYS[prefix])), None)
    if key is None and prefix == "anthropic" and (token := os.environ.get("CLAUDE_CODE_OAUTH_TOKEN")):
        return Provider(name, base.rstrip("/"), {"authorization": f"Bearer {token}", **OAUTH}, subscription=True)
    if key is None:
        raise UserError(f"{model.name}: no key; set {' or '.join(KEYS[prefix])}")
    named = {"anthropic": {"x-api-key": key}, "gemini": {"x-goog-api-key": key}}
    return Provider(name, base.rstrip("/"), named.get(prefix, {"authorization": f"Bearer {key}"}))


def _compatible(model: LitellmModel, agent: str) -> Provider:
    """A provider that litellm knows to speak chat completions as OpenAI does."""
    library = litellm()
    try:
        name, provider, key, base = library.get_llm_provider(model.name, api_base=model.api_base)
    except library.exceptions.BadRequestError:
        raise UserError(f"model {model.name!r}: no such provider; write provider/model, as openai/gpt-5.4") from None
    if provider not in library.openai_compatible_providers or not base:
        raise UserError(f"model {model.name!r}: {agent} speaks chat completions, which {provider} does not")
    key = model.api_key or key or os.environ.get(f"{provider.upper()}_API_KEY")
    if not key:
        raise UserError(f"{model.name}: no key; set {provider.upper()}_API_KEY")
    return Provider(name, base.rstrip("/"), {"authorization": f"Bearer {key}"})


class Attempt:
    """One request on a daemon thread, which nobody has to wait for. `body` and `error` tell its end."""

    def __init__(self, client: httpx.Client, url: str, headers: Mapping[str, str], content: bytes) -> None:
        self.done = threading.Event()
        self.body = b""
        self.content_type = ""
        self.error: Exception | None = None
        self._request = client.build_request("POST", url, headers=dict(headers), content=content)
        self._client = client

    def start(self) -> None:
        threading.Thread(target=self._run, name="gateway call", daemon=True).start()

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


def refusal(status: int, said: str, response: httpx.Response | None = None) -> httpx.HTTPStatusError:
    """The provider's error as an exception that says its own words."""
    request = httpx.Request("POST", "http://provider")
    return httpx.HTTPStatusError(said, request=request, response=response or httpx.Response(status))

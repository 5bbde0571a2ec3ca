"""What a failed model call means: who must act, whether to ask again, whether it may have been paid for.

litellm dresses every failure as an error of OpenAI's and invents a status where there was none, so
the truth is read from the chain of causes: the HTTP status that the provider sent, if it sent one.
"""

import re
import textwrap
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import httpx

from skillgrad_ci.document.inert_text import one_line, printable

QUOTA = re.compile(r"insufficient_quota|credit balance is too low", re.IGNORECASE)
TOO_LONG = re.compile(r"context_length_exceeded|maximum context length|prompt is too long", re.IGNORECASE)
FILTERED = re.compile(r"content_filter|content management policy|content_policy_violation", re.IGNORECASE)
NO_KEY = re.compile(
    r"missing .{0,40}(\bkey|api_key|credentials)\b|(unable to locate|no) credentials\b|"
    r"credentials were not found|\w+_(API_KEY|TOKEN) is not set",
    re.IGNORECASE,
)
NEVER_SENT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol"}  # httpx: no request left
STARTING_UP = 2  # retries for a server of this machine that was never heard: about three seconds
PLACE = re.compile(r'File "[^"]*", line \d+(, in \w+)?|(?<![\w:/])/[^\s:"\']*/[^\s:"\']*\.py\b')
SAID = {  # for providers without HTTP (litellm's custom ones), the class of the error is all there is
    "AuthenticationError": 401,
    "PaymentRequiredError": 402,
    "PermissionDeniedError": 403,
    "NotFoundError": 404,
    "RateLimitError": 429,
    "ServiceUnavailableError": 503,
}


class Kind(StrEnum):
    """What to do about a failed call."""

    KEY = "key"  # a person must fix the key
    NO_KEY = "no key"  # a person must set one: the call was not made
    PACKAGE = "package"  # a person must install what litellm wants for this provider
    MODEL = "model"  # a person must fix the model's name
    QUOTA = "quota"  # a person must pay
    BUSY = "busy"  # not charged: wait and ask again
    NOBODY = "nobody"  # no server listens at an address of this machine: wait for a start-up, no longer
    LOST = "lost"  # the reply was lost, and may have been charged
    TOO_LONG = "too long"  # the conversation does not fit the model
    FILTERED = "filtered"  # the provider will not answer this
    REFUSED = "refused"  # the provider cannot use the request: asking again does not help


@dataclass(frozen=True)
class Fault:
    """A failed call: its kind, the provider's words on one line, the wait it asked for in seconds."""

    kind: Kind
    said: str
    wait: float | None = None


def classify(error: BaseException) -> Fault:
    """The fault behind an exception of litellm."""
    chain = list(_causes(error))
    for cause in chain:
        if isinstance(fault := getattr(cause, "fault", None), Fault):  # the border stopped the reply
            return fault
    response = next((getattr(e, "response", None) for e in chain if _is(e, "HTTPStatusError")), None)
    said = _one_line(error)
    name = type(error).__name__
    if name == "ContextWindowExceededError":
        return Fault(Kind.TOO_LONG, said)
    if name == "ContentPolicyViolationError":
        return Fault(Kind.FILTERED, said)
    if response is None and NO_KEY.search(said):
        return Fault(Kind.NO_KEY, said)
    status = SAID.get(name) if response is None else int(response.status_code)
    if status is None and not QUOTA.search(_whole(chain)):
        if address := _nobody_listens(chain):
            return Fault(Kind.NOBODY, f"no server answers at {address}")
        if any(_is(e, *NEVER_SENT) for e in chain):
            return Fault(Kind.BUSY, f"no connection to its server ({said.rstrip('.')})")
        return Fault(Kind.PACKAGE if any(isinstance(e, ImportError) for e in chain) else Kind.LOST, said)
    return of_status(status, said, _whole(chain), response.headers if response is not None else {})


def of_status(status: int | None, said: str, words: str, headers: Mapping[str, Any] = MappingProxyType({})) -> Fault:
    """What an error of this HTTP status means; `words` are all that came with it. None: it cannot be told."""
    said = short(said)
    if status == 402 or QUOTA.search(words):  # whatever its status: asking again gives nothing
        return Fault(Kind.QUOTA, said)
    if status is None:
        return Fault(Kind.LOST, said)
    if status == 413 or (status == 400 and TOO_LONG.search(words)):
        return Fault(Kind.TOO_LONG, said)
    if status == 400 and FILTERED.search(words):
        return Fault(Kind.FILTERED, said)
    if status in {401, 403}:
        return Fault(Kind.KEY, said)
    if status == 404:
        return Fault(Kind.MODEL, said)
    if status in {408, 409, 425, 429} or status >= 500:
        return Fault(Kind.BUSY, f"HTTP {status}: {said}", _wait(headers))
    return Fault(Kind.REFUSED, f"HTTP {status}: {said}")


def refusal(status: int, said: str, response: httpx.Response | None = None) -> httpx.HTTPStatusError:
    """The provider's error as an exception that says its own words."""
    request = httpx.Request("POST", "http://provider")
    return httpx.HTTPStatusError(said, request=request, response=response or httpx.Response(status))


def retries_of(fault: Fault, retries: int, *, heard: bool) -> int:
    """How often a call that failed so is made again. `heard`: the model answered before, so a server starts anew."""
    if fault.kind is Kind.NOBODY and not heard:
        return min(retries, STARTING_UP)
    return retries if fault.kind in (Kind.BUSY, Kind.NOBODY) else 0


def _nobody_listens(chain: list[BaseException]) -> str:
    """The address on this machine that refused the connection; empty where it was another, or something else failed."""
    url = next((e.request.url for e in chain if _is(e, "ConnectError") and hasattr(e, "request")), None)
    if url is None or not any(isinstance(e, ConnectionRefusedError) for e in chain):
        return ""
    local = url.host == "localhost" or url.host.startswith("127.") or url.host == "::1"
    return f"{url.scheme}://{url.netloc.decode()}" if local else ""


def _wait(headers: Mapping[str, Any]) -> float | None:
    """Seconds that `Retry-After` asks for (RFC 9110: seconds or a date; OpenAI also sends milliseconds)."""
    try:
        if milliseconds := headers.get("retry-after-ms"):
            return max(0.0, float(milliseconds) / 1000)
        after = headers.get("retry-after")
        if after is None:
            return None
        if re.fullmatch(r"\s*\d+(\.\d+)?\s*", after):
            return float(after)
        return max(0.0, parsedate_to_datetime(after).timestamp() - time.time())
    except ValueError:
        return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _is(error: BaseException, *names: str) -> bool:
    return any(base.__name__ in names for base in type(error).__mro__)


def _whole(chain: list[BaseException]) -> str:
    return " ".join(f"{error} {getattr(error, 'code', '')}" for error in chain)


def _one_line(error: BaseException) -> str:
    """The provider's words, without litellm's names around them, on one short line."""
    text = one_line(str(error).split("Traceback (most recent call last)")[0])
    text = re.sub(r"^(litellm\.)?\w+(Error|Timeout)?: ", "", text)
    text = re.sub(r"^.{0,80}?(Exception|Error) - (error - )?", "", text).split(", Received response - ")[0]
    found = re.search(r'"message":\s*"((?:[^"\\]|\\.)*)"', text)
    return short(found[1] if found else text) or type(error).__name__


def short(text: str) -> str:
    """Words for a person: one short line, no place in a program's files.

    It is cut between words, for half a key that a provider quotes would not be known as one.
    """
    text = PLACE.sub("(a file)", printable(text))
    return textwrap.shorten(text, 200, placeholder=" …")

"""The one border that a provider's replies cross, before litellm or any other library reads them.

It is in the HTTP client that litellm is given, so it holds for every provider that litellm asks over
HTTP. Bytes are bounded, also after decompression; the body is JSON that `json_text` made safe, in a shape
that `wire` knows; a prompt never follows a redirect to another host. What does not pass is raised as a
`Stopped`, which carries its fault through whatever litellm makes of it.
"""

import json
import zlib
from contextvars import ContextVar
from typing import Any

import httpx

from skillgrad_ci.document import json_text
from skillgrad_ci.models.faults import Fault, Kind, of_status
from skillgrad_ci.models.wire import BadShape, checked, error_in

MOST_BYTES = 4 * 1024 * 1024  # of a reply; the longest outputs of models are about one
MOST_OF_AN_ERROR = 64 * 1024
HOPS = 3  # redirects that are followed, on one host
WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 47}  # zlib's window bits by content coding; no other is asked for
KEPT = {"content-type", "retry-after", "retry-after-ms"}  # headers that are passed on
JSON = "application/json"

sent: ContextVar[list[httpx.Request] | None] = ContextVar("sent", default=None)
"""Where a thread's requests are noted, if somebody wants to know them."""


class Stopped(httpx.TransportError):
    """A reply that is not let in."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.said)
        self.fault = fault


class Border(httpx.BaseTransport):
    """A transport that lets only checked replies in. `inside` makes the connections, proxies too."""

    def __init__(self, inside: httpx.Client) -> None:
        self._inside = inside

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if (noted := sent.get()) is not None:
            noted.append(request)
        request.headers["accept-encoding"] = "gzip, deflate"
        response = self._inside.send(request, stream=True, follow_redirects=False)
        try:
            if response.has_redirect_location:
                _stay(request.url, response)
                return httpx.Response(response.status_code, headers={"location": response.headers["location"]})
            return _let_in(request.url, response)
        finally:
            response.close()

    def close(self) -> None:
        """Nothing: litellm closes a client that its cache drops after an hour, and the next one has the same border."""


def client(verify: object = True) -> httpx.Client:
    """An HTTP client whose every reply crosses the border. `verify` as httpx takes it."""
    return httpx.Client(transport=transport(verify), follow_redirects=True, max_redirects=HOPS)


def transport(verify: object = True) -> Border:
    limits = httpx.Limits(max_connections=1000, max_keepalive_connections=100)
    return Border(httpx.Client(verify=verify, limits=limits))  # type: ignore[arg-type]


def _stay(url: httpx.URL, response: httpx.Response) -> None:
    """Only the same host, on the same port and by the same scheme, is sent the prompt and the key again."""
    try:
        target = url.join(response.headers["location"])
    except httpx.InvalidURL:
        target = httpx.URL("")
    if (target.scheme, target.host, target.port) != (url.scheme, url.host, url.port):
        said = f"it redirects to another host, {target.host or 'which has no name'}, where nothing is sent"
        raise Stopped(Fault(Kind.REFUSED, f"HTTP {response.status_code}: {said}; correct models.api_base"))


def _let_in(url: httpx.URL, response: httpx.Response) -> httpx.Response:
    headers = {name: value for name, value in response.headers.items() if name in KEPT}
    body, whole = _bounded(response)
    text = body.decode("utf-8", "replace")
    if response.status_code >= 400:
        return httpx.Response(response.status_code, headers=headers, content=text[:MOST_OF_AN_ERROR].encode())
    if not whole:
        raise Stopped(Fault(Kind.LOST, f"a reply of more than {MOST_BYTES:,} bytes, or packed in an unknown way"))
    content = json.dumps(_checked(text, url.path)).encode()
    return httpx.Response(response.status_code, headers={**headers, "content-type": JSON}, content=content)


def _checked(text: str, path: str) -> Any:
    """The reply's value, as far as it is let in."""
    try:
        value = json_text.loads(text)
    except ValueError:
        raise Stopped(Fault(Kind.LOST, "a reply that is no JSON" if text.strip() else "an empty reply")) from None
    if error := error_in(value):
        status, said = error
        raise Stopped(of_status(status, f"an error sent as a reply: {said}", said))
    try:
        return checked(value, path)
    except BadShape as shape:
        raise Stopped(Fault(Kind.LOST, f"a reply of another shape: {shape}")) from None


def _bounded(response: httpx.Response) -> tuple[bytes, bool]:
    """The body unpacked, as far as it goes into the bound, and whether that is all of it."""
    coding = response.headers.get("content-encoding", "").strip().lower()
    unpack = zlib.decompressobj(WINDOWS[coding]) if coding in WINDOWS else None
    if unpack is None and coding not in {"", "identity"}:
        return b"", False
    body = bytearray()
    try:
        for chunk in response.iter_raw():
            body += chunk if unpack is None else unpack.decompress(chunk, MOST_BYTES + 1 - len(body))
            if len(body) > MOST_BYTES:
                return bytes(body[:MOST_BYTES]), False
    except zlib.error:
        return bytes(body), False
    return bytes(body), True

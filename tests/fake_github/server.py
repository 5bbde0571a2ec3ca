"""The fake's socket: routes by GitHub's path templates, logs, breaks on purpose, and validates both ways."""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from tests.fake_github import app_routes, git_routes, issue_routes, pull_routes, review_routes, settings_routes
from tests.fake_github.app_routes import app_of
from tests.fake_github.contract import ContractBroken
from tests.fake_github.description import description
from tests.fake_github.hub import ROUTES, Hub, Refused, Token

REGISTERED = (
    app_routes,
    git_routes,
    issue_routes,
    pull_routes,
    review_routes,
    settings_routes,
)  # importing them fills ROUTES
SLASHES = {"ref", "branch"}  # names that may hold slashes


def _pattern(path: str) -> re.Pattern[str]:
    named = re.sub(r"\\{(\w+)\\}", lambda m: f"(?P<{m[1]}>{'.+' if m[1] in SLASHES else '[^/]+'})", re.escape(path))
    return re.compile(f"^{named}$")


PATTERNS = {path: _pattern(path) for _, path in ROUTES}


@dataclass(frozen=True)
class Asked:
    """One request, and what was answered."""

    verb: str
    path: str
    query: Mapping[str, str]
    body: Any
    status: int

    @property
    def writes(self) -> bool:
        return self.verb != "GET"


@dataclass
class Fault:
    """An answer instead of the fake's own, for the first `times` requests that match.

    With `after`, the request is carried out and only its answer is lost, as by a gateway's 502.
    """

    verb: str
    path: str
    status: int
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = 1
    after: bool = False

    def takes(self, verb: str, path: str) -> bool:
        if self.times and verb == self.verb and re.search(self.path, path):
            self.times -= 1
            return True
        return False


@dataclass
class FakeGitHub:
    url: str
    hub: Hub = field(default_factory=Hub)
    asked: list[Asked] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    before: Callable[[str, str], None] | None = None  # sees each verb and path first: what people do meanwhile
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def writes(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.writes]

    def answer(self, verb: str, target: str, token: str, body: Any) -> tuple[int, Any, dict[str, str]]:
        url = urlsplit(target)
        path, query = url.path.removeprefix("/api/v3"), dict(parse_qsl(url.query))
        with self.lock:
            if self.before is not None:
                self.before(verb, path)
            fault = next((fault for fault in self.faults if fault.takes(verb, path)), None)
            if fault is None or fault.after:
                status, reply, headers = self._serve(verb, path, query, token, body)
            if fault is not None:
                status, reply, headers = fault.status, fault.body or {"message": "Server Error"}, dict(fault.headers)
            self.asked.append(Asked(verb, unquote(path), query, body, status))
            return status, reply, headers

    def _serve(
        self, verb: str, path: str, query: dict[str, str], token: str, body: Any
    ) -> tuple[int, Any, dict[str, str]]:
        template, names = _matched(verb, path)
        app = app_of(self.hub, token) if self.hub.app_key and token not in self.hub.tokens else None
        if token not in self.hub.tokens and token and app is None:
            return 401, {"message": "Bad credentials"}, {}
        if not template:
            self.broken.append(f"no operation {verb} {path}")
            return 404, {"message": "Not Found"}, {}
        contract = description()
        try:
            if contract:
                contract.check_request(verb, template, query, body)
            if names.get("owner") and f"{names['owner']}/{names['repo']}" != self.hub.full_name:
                raise Refused(404, "Not Found")
            who = app or self.hub.tokens.get(token, Token("", {}))
            status, facts = ROUTES[verb, template](self.hub, who, names, query, body)
        except Refused as refused:
            status, facts = refused.status, refused.body
        except (ContractBroken, AssertionError) as error:
            self.broken.append(str(error))
            return 422, {"message": str(error)}, {}
        try:
            reply = contract.reply(verb, template, status, facts) if contract else facts
        except ContractBroken as error:
            self.broken.append(str(error))
            reply = facts
        return status, reply, self._links(path, query, facts)

    def _links(self, path: str, query: dict[str, str], facts: Any) -> dict[str, str]:
        if not isinstance(facts, list) or len(facts) < int(query.get("per_page", 30)):
            return {}
        after = urlencode(query | {"page": str(int(query.get("page", 1)) + 1)})
        return {"Link": f'<{self.url}{path}?{after}>; rel="next"'}


def _matched(verb: str, path: str) -> tuple[str, dict[str, str]]:
    for (known, template), _ in ROUTES.items():
        match = PATTERNS[template].match(path) if known == verb else None
        if match:
            return template, {name: unquote(value) for name, value in match.groupdict().items()}
    return "", {}


@contextmanager
def serve() -> Iterator[FakeGitHub]:
    """A fake GitHub on a free port of this machine."""

    class Handle(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet: two would wait 40 ms for each other

        def answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            token = self.headers.get("Authorization", "").removeprefix("token ").removeprefix("Bearer ")
            status, reply, headers = fake.answer(self.command, self.path, token, json.loads(raw) if raw else None)
            content = b"" if status == 204 else json.dumps(reply).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json; charset=utf-8", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = answer  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            """Silence: the requests are kept in `asked`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handle)
    server.daemon_threads = True
    fake = FakeGitHub(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()

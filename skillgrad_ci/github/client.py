"""What the bot asks of GitHub's REST API, behind three verbs; and GitHub through PyGithub.

Every write is one value, a verb, a path and a body, so that a dry run records exactly what a real run
would have sent. Paths are relative to the repository: `/pulls` is `/repos/OWNER/NAME/pulls`.
PyGithub gives authentication, pacing and retries. Its typed objects are left aside: they fetch what they
miss by requests of their own, and a dry run has to know every request.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from skillgrad_ci.document.inert_text import printable
from skillgrad_ci.errors import EnvironmentFailure, SkillGradError, UserError
from skillgrad_ci.github.action_inputs import ACTIONS
from skillgrad_ci.github.app_token import App

if TYPE_CHECKING:
    from github.Auth import Auth
    from github.GithubRetry import GithubRetry
    from github.Requester import Requester

PERMISSIONS = {"/git/": "contents", "/pulls": "pull-requests", "/issues": "issues", "/check-runs": "checks"}
WAIT = (403, 429)  # rate limits; PyGithub tells them from missing permissions by their bodies


class Refusal(SkillGradError):
    """GitHub understood a request and refused it. `status` is HTTP's; `reason` is GitHub's message."""

    def __init__(self, message: str, status: int, reason: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class AnswerLost(EnvironmentFailure):
    """A write may or may not have happened: its answer never came, after all retries."""


class Api(Protocol):
    """One repository. `get` and `pages` raise Refusal (404 among them), all raise EnvironmentFailure."""

    @property
    def repository(self) -> str: ...

    @property
    def login(self) -> str:
        """The account that this token writes as."""
        ...

    @property
    def dry(self) -> bool:
        """True where writes are only recorded."""
        ...

    @property
    def blind(self) -> bool:
        """True where nothing can be read either: there is no token."""
        ...

    def get(self, path: str, **query: str) -> Any: ...

    def pages(self, path: str, **query: str) -> Iterator[Mapping[str, Any]]:
        """The rows of a list, all pages of it."""
        ...

    def write(self, verb: str, path: str, body: Any = None, *, done: Callable[[], Any] | None = None) -> Any:
        """Send a write. `done` tells what an earlier attempt made, if its answer was lost (None: nothing)."""
        ...


def find(api: Api, path: str, **query: str) -> Any | None:
    """`get`, with None for what is not there."""
    try:
        return api.get(path, **query)
    except Refusal as refusal:
        if refusal.status == 404:
            return None
        raise


@dataclass(frozen=True)
class Patience:
    """How failures of GitHub are waited out: seconds, and attempts.

    GitHub asks for a second between writes, and for a minute after a secondary rate limit.
    """

    attempts: int = 6
    backoff: float = 2.0
    secondary: float = 60.0
    longest: float = 900.0
    between_writes: float = 1.0
    timeout: int = 30


@dataclass(frozen=True)
class Client:
    """One repository, live. `expected_login` is whom the token writes as where GitHub will not tell."""

    repository: str
    token: str = field(repr=False)
    url: str = "https://api.github.com"
    expected_login: str = ACTIONS
    patience: Patience = field(default_factory=Patience)
    clean: Callable[[Any], Any] = lambda body: body  # the last to see what is sent: takes secrets out
    app: App | None = None  # writes in place of `token`
    dry: bool = False
    blind: bool = False

    @cached_property
    def _requester(self) -> "Requester":
        from github import Auth

        if self.app is None:
            return self._requester_as(Auth.Token(self.token))
        return self._requester_as(self.app.installation(self.repository, self._as_app))

    def _as_app(self, path: str) -> Any:
        assert self.app is not None
        return self._send("GET", path, None, {}, self._requester_as(self.app.auth))[1]

    def _requester_as(self, auth: "Auth") -> "Requester":
        from github import Github

        logging.getLogger("github").setLevel(logging.ERROR)  # refusals are ours to explain
        return Github(
            auth=auth,
            base_url=self.url,
            timeout=self.patience.timeout,
            retry=_retries(self.patience),
            seconds_between_requests=0,
            seconds_between_writes=self.patience.between_writes,
            per_page=100,
            user_agent="skillgrad-ci",
        ).requester

    @cached_property
    def login(self) -> str:
        """An Actions token may not ask who it is; a person's may, and is not the expected bot."""
        if self.app is not None:
            return f"{self._as_app('/app')['slug']}[bot]"
        try:
            return str(self._send("GET", "/user", None, {})[1]["login"])
        except Refusal:
            return self.expected_login

    def get(self, path: str, **query: str) -> Any:
        return self._send("GET", self._at(path), None, query)[1]

    def pages(self, path: str, **query: str) -> Iterator[Mapping[str, Any]]:
        number = 1
        while True:
            headers, rows = self._send("GET", self._at(path), None, {**query, "per_page": "100", "page": str(number)})
            yield from rows
            if 'rel="next"' not in headers.get("link", ""):
                return
            number += 1

    def write(self, verb: str, path: str, body: Any = None, *, done: Callable[[], Any] | None = None) -> Any:
        for attempt in range(self.patience.attempts):
            try:
                return self._send(verb, self._at(path), self.clean(body), {})[1]
            except AnswerLost:
                if attempt + 1 == self.patience.attempts:
                    raise
                time.sleep(self.patience.backoff * 2**attempt)
                made = done() if done is not None else None
                if made is not None:
                    return made
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _at(self, path: str) -> str:
        return f"/repos/{self.repository}{path}"

    def _send(
        self, verb: str, path: str, body: Any, query: Mapping[str, str], requester: "Requester | None" = None
    ) -> tuple[dict[str, Any], Any]:
        import requests
        from github import GithubException

        try:
            asking = requester or self._requester
            headers, data = asking.requestJsonAndCheck(verb, quote(path, safe="/:%"), dict(query), input=body)
            return {name.lower(): value for name, value in headers.items()}, data
        except GithubException as error:
            raise _explained(verb, path, error) from None
        except requests.exceptions.RequestException as error:
            failure = AnswerLost if verb == "POST" else EnvironmentFailure
            raise failure(
                f"GitHub: {verb} {path}: no answer after retries ({type(error).__name__}); try again"
            ) from None


def _retries(patience: Patience) -> "GithubRetry":
    """Which failures are worth asking again, on top of PyGithub's rules for rate limits.

    A read is repeated on any failure of the server. A POST whose answer was lost is not: it may have made
    a pull request or a comment, and only who sent it can look (`Client.write`).
    """
    from github.GithubRetry import GithubRetry
    from urllib3.exceptions import ProtocolError, ReadTimeoutError

    class OnceUnlessRefused(GithubRetry):
        """PyGithub's retries, without those that could do a thing twice."""

        def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
            if method == "POST" and status_code not in WAIT:
                return False
            return super().is_retry(method, status_code, has_retry_after)

        def increment(self, method: str | None = None, url: str | None = None, *rest: Any, **named: Any) -> Any:
            error = named.get("error") or next((item for item in rest if isinstance(item, Exception)), None)
            if method == "POST" and isinstance(error, ProtocolError | ReadTimeoutError):
                raise error
            return super().increment(method, url, *rest, **named)

    return OnceUnlessRefused(
        total=patience.attempts - 1,
        backoff_factor=patience.backoff,
        secondary_rate_wait=patience.secondary,
        max_rate_limit_wait=patience.longest,
        status_forcelist=[*range(500, 600), 429],
        allowed_methods=None,
    )


def _explained(verb: str, path: str, error: Any) -> Exception:
    """A refusal in one line, with what to change where GitHub's message does not say it."""
    data = error.data if isinstance(error.data, Mapping) else {}
    reason = printable(str(data.get("message") or error.message or "no reason given"))[:300]
    errors = data.get("errors")
    errors = errors if isinstance(errors, list) else []
    details = [
        str(item.get("message") or item.get("code")) if isinstance(item, Mapping) else printable(str(item), 300)
        for item in errors
    ]
    reason = "; ".join([reason, *details])
    where = f"GitHub: {verb} {path}: {error.status}: {reason}"
    if (error.status >= 500 and verb == "POST") or "Could not resolve to a node" in reason:  # made, and not yet known
        return AnswerLost(f"{where}; try again")
    if error.status >= 500 or error.status == 429 or "rate limit" in reason.lower():
        return EnvironmentFailure(f"{where}; try again later")
    if error.status == 401:
        return UserError(f"{where}; the input token is not valid (expired, or of another server); make a new one")
    if "Resource not accessible" in reason:
        accepted = {name.lower(): value for name, value in (error.headers or {}).items()}
        named = accepted.get("x-accepted-github-permissions") or _permission(path)
        needed = str(named).replace("_", "-").replace("=", ": ")
        return Refusal(f"{where}; add to the workflow's permissions: {needed}", error.status, reason)
    return Refusal(where, error.status, reason)


def _permission(path: str) -> str:
    return next((f"{name}: write" for part, name in PERMISSIONS.items() if part in path), "contents: read")

"""The real PyGithub against the fake: what is asked again, what is not, and what a refusal says."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.github.client import AnswerLost, Client, Patience, Refusal, find
from tests.fake_github.hub import Token
from tests.fake_github.server import FakeGitHub, Fault, serve

QUICK = Patience(attempts=3, backoff=0.0, secondary=0.0, longest=5.0, between_writes=0.0)


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with serve() as fake:
        fake.hub.git.change("heads/main", {"README.md": b"hello\n"}, "ann")
        yield fake
    assert fake.broken == []


def client(github: FakeGitHub, token: str = "bot-token") -> Client:
    return Client("acme/skills", token, github.url, patience=QUICK)


def test_a_read_is_repeated_when_the_server_fails(github: FakeGitHub) -> None:
    github.faults = [Fault("GET", "/git/ref/", 502, times=2)]
    assert client(github).get("/git/ref/heads/main")["object"]["sha"] == github.hub.git.refs["heads/main"]
    assert [asked.status for asked in github.asked] == [502, 502, 200]


def test_a_server_that_stays_down_is_an_environment_failure(github: FakeGitHub) -> None:
    github.faults = [Fault("GET", "/git/ref/", 503, times=9)]
    with pytest.raises(EnvironmentFailure, match="try again"):
        client(github).get("/git/ref/heads/main")


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_a_rate_limit_is_waited_out(github: FakeGitHub, status: int, verb: str) -> None:
    issue = github.hub.issue("A title")
    message = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}
    github.faults = [Fault(verb, "/comments", status, message, {"Retry-After": "0"}, times=2)]
    path = f"/issues/{issue.number}/comments"
    if verb == "GET":
        assert list(client(github).pages(path)) == []
    else:
        client(github).write("POST", path, {"body": "once"})
        assert [comment.body for comment in github.hub.comments_on(issue.number)] == ["once"]


def test_a_rate_limit_that_lasts_longer_than_a_run_waits_is_told_at_once(github: FakeGitHub) -> None:
    far = {"X-RateLimit-Reset": "4102444800"}  # in the year 2100
    github.faults = [Fault("GET", "/git/ref/", 403, {"message": "API rate limit exceeded for user ID 1."}, far, 9)]
    with pytest.raises(EnvironmentFailure, match=r"403: API rate limit exceeded for user ID 1\.; try again later"):
        client(github).get("/git/ref/heads/main")
    assert len(github.asked) == 1


def test_a_lost_answer_is_looked_up_before_it_is_repeated(github: FakeGitHub) -> None:
    issue = github.hub.issue("A title")
    path = f"/issues/{issue.number}/comments"
    api = client(github)
    github.faults = [Fault("POST", path, 502, after=True)]
    found = api.write("POST", path, {"body": "once"}, done=lambda: next(iter(api.pages(path)), None))
    assert found["body"] == "once"
    assert len(github.hub.comments_on(issue.number)) == 1


def test_a_write_that_never_succeeds_gives_up(github: FakeGitHub) -> None:
    github.faults = [Fault("POST", "/git/blobs", 500, times=99)]
    with pytest.raises(AnswerLost):
        client(github).write("POST", "/git/blobs", {"content": "x"})
    assert len(github.asked) == QUICK.attempts


def test_a_missing_permission_is_named(github: FakeGitHub) -> None:
    github.hub.tokens["poor"] = Token(permissions={"contents": "read"})
    issue = github.hub.issue("A title")
    for path, body, permission in [
        ("/git/blobs", {"content": "x"}, "contents: write"),
        (f"/issues/{issue.number}/comments", {"body": "x"}, "issues: write"),
        ("/pulls", {"title": "x", "head": "a", "base": "b"}, "pull-requests: write"),
        ("/check-runs", {"name": "x", "head_sha": "0" * 40, "status": "in_progress"}, "checks: write"),
    ]:
        with pytest.raises(Refusal, match=f"add to the workflow's permissions: {permission}"):
            client(github, "poor").write("POST", path, body)


def test_a_wrong_token_is_the_users_to_fix(github: FakeGitHub) -> None:
    with pytest.raises(UserError, match="input token is not valid"):
        client(github, "expired").get("/git/ref/heads/main")


def test_what_is_not_there_is_none(github: FakeGitHub) -> None:
    assert find(client(github), "/git/ref/heads/nowhere") is None


def test_all_pages_are_read(github: FakeGitHub) -> None:
    issue = github.hub.issue("A title")
    for number in range(230):
        github.hub.comment(issue.number, "ann", str(number))
    rows = client(github).pages(f"/issues/{issue.number}/comments")
    assert [row["body"] for row in rows] == [str(number) for number in range(230)]


def test_who_the_token_is(github: FakeGitHub) -> None:
    github.hub.tokens["personal"] = Token("ann")
    assert client(github).login == "github-actions[bot]"
    assert client(github, "personal").login == "ann"


def test_an_unreachable_server_is_an_environment_failure(tmp_path: Path) -> None:
    api = Client("acme/skills", "t", "http://127.0.0.1:9", patience=QUICK)
    with pytest.raises(EnvironmentFailure, match="no answer"):
        api.get("/git/ref/heads/main")


def test_an_enterprise_servers_address_has_a_path(github: FakeGitHub) -> None:
    api = Client("acme/skills", "bot-token", f"{github.url}/api/v3", patience=QUICK)
    assert api.get("")["default_branch"] == "main"

"""Pull requests: opening, finding and changing them."""

from collections.abc import Mapping
from typing import Any

from tests.fake_github.hub import BOT, Hub, Pull, Refused, Token, route
from tests.fake_github.issue_routes import account, page

Names = Mapping[str, str]


def _pull(hub: Hub, pull: Pull) -> dict[str, Any]:
    issue = hub.issues[pull.number]
    here = {"full_name": hub.full_name, "default_branch": "main"}
    head = {"ref": pull.head, "sha": pull.head_sha, "label": f"acme:{pull.head}"}
    merged = pull.merge_commit is not None
    return {
        "number": pull.number,
        "title": issue.title,
        "body": issue.body,
        "state": pull.state,
        "draft": pull.draft,
        "user": account(issue.author),
        "html_url": f"https://github.invalid/{hub.full_name}/pull/{pull.number}",
        "labels": [{"name": name} for name in issue.labels],
        "head": head | {"repo": here | {"full_name": pull.head_repository}, "user": account("acme")},
        "base": {"ref": pull.base, "sha": pull.base_sha, "repo": here, "user": account("acme"), "label": "acme:main"},
        "merged": merged,
        "merged_at": "2026-11-03T10:00:00Z" if merged else None,
        "merge_commit_sha": None if pull.hides_merge_commit else pull.merge_commit,
        "created_at": f"2026-11-02T10:{pull.number % 60:02}:00Z",
    }


def found_pull(hub: Hub, names: Names) -> Pull:
    pull = hub.pulls.get(int(names["pull_number"]))
    if pull is None:
        raise Refused(404, "Not Found")
    return pull


@route("GET", "~/pulls")
def list_pulls(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    state, head = query.get("state", "open"), query.get("head")
    rows = [
        _pull(hub, pull)
        for pull in sorted(hub.pulls.values(), key=lambda pull: -pull.number)
        if state in {"all", pull.state} and head in {None, f"acme:{pull.head}"}
    ]
    return 200, page(rows, query)


@route("POST", "~/pulls")
def create_pull(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    hub.need(who, "pull_requests")
    if who.login == BOT and not hub.actions_may_open_pulls:
        raise Refused(403, "GitHub Actions is not permitted to create or approve pull requests.")
    head, base = f"heads/{body['head']}", f"heads/{body['base']}"
    if head not in hub.git.refs or base not in hub.git.refs:
        raise Refused(422, "Validation Failed", [{"resource": "PullRequest", "field": "head", "code": "invalid"}])
    if any(pull.state == "open" and pull.head == body["head"] for pull in hub.pulls.values()):
        message = f"A pull request already exists for acme:{body['head']}."
        raise Refused(422, "Validation Failed", [{"resource": "PullRequest", "code": "custom", "message": message}])
    if hub.git.refs[base] in hub.git.ancestors(hub.git.refs[head])[:1]:
        message = f"No commits between {body['base']} and {body['head']}"
        raise Refused(422, "Validation Failed", [{"resource": "PullRequest", "code": "custom", "message": message}])
    _bound(body)
    draft = body.get("draft", False)
    pull = hub.pull(body["title"], body.get("body", ""), body["head"], body["base"], who.login, draft=draft)
    return 201, _pull(hub, pull)


def _bound(body: Mapping[str, Any]) -> None:
    if len(body.get("body") or "") > 65_536:
        raise Refused(422, "Validation Failed", [{"message": "body is too long (maximum is 65536 characters)"}])
    if len(body.get("title") or "") > 256:
        raise Refused(422, "Validation Failed", [{"message": "title is too long (maximum is 256 characters)"}])


@route("GET", "~/pulls/{pull_number}")
def get_pull(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    return 200, _pull(hub, found_pull(hub, names))


@route("PATCH", "~/pulls/{pull_number}")
def update_pull(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    hub.need(who, "pull_requests")
    pull = found_pull(hub, names)
    _bound(body)
    issue = hub.issues[pull.number]
    issue.title, issue.body = body.get("title", issue.title), body.get("body", issue.body)
    pull.state = body.get("state", pull.state)
    pull.closed_by = who.login if body.get("state") == "closed" else pull.closed_by
    return 200, _pull(hub, pull)


@route("POST", "~/pulls/{pull_number}/requested_reviewers")
def request_reviewers(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    hub.need(who, "pull_requests")
    pull = found_pull(hub, names)
    if not set(body.get("reviewers", [])) <= set(hub.people):
        raise Refused(422, "Reviews may only be requested from collaborators.")
    pull.reviewers += [*body.get("reviewers", []), *(f"team {name}" for name in body.get("team_reviewers", []))]
    return 201, _pull(hub, pull)

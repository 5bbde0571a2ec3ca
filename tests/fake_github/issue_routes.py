"""People and talk: the repository, permissions, issues, comments, reactions, labels, assignees."""

from collections.abc import Mapping
from typing import Any

from tests.fake_github.hub import Comment, Hub, Issue, Refused, Token, route

Names = Mapping[str, str]


def account(login: str) -> dict[str, Any]:
    return {"login": login, "type": "Bot" if login.endswith("[bot]") else "User"}


def _comment(hub: Hub, comment: Comment) -> dict[str, Any]:
    return {
        "id": comment.id,
        "body": comment.body,
        "user": account(comment.author),
        "html_url": f"https://github.invalid/{hub.full_name}/issues/{comment.issue}#issuecomment-{comment.id}",
        "author_association": hub.associations.get(comment.author, "NONE"),
        "updated_at": comment.updated_at,
        "created_at": "2026-11-02T10:00:00Z",
    }


def find_issue(hub: Hub, names: Names) -> Issue:
    issue = hub.issues.get(int(names["issue_number"]))
    if issue is None:
        raise Refused(404, "Not Found")
    return issue


def page(rows: list[Any], query: Names) -> list[Any]:
    size, number = int(query.get("per_page", 30)), int(query.get("page", 1))
    return rows[(number - 1) * size : number * size]


def _need_talk(hub: Hub, who: Token, number: int) -> None:
    hub.need(who, "pull_requests" if number in hub.pulls else "issues")


@route("GET", "/user")
def get_user(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    if who.login.endswith("[bot]"):
        raise Refused(403, "Resource not accessible by integration")
    return 200, account(who.login)


@route("GET", "~")
def get_repository(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    facts = {"full_name": hub.full_name, "default_branch": hub.default_branch, "archived": hub.archived}
    return 200, facts | {"has_issues": hub.settings.issues}


@route("GET", "~/collaborators/{username}/permission")
def get_permission(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    role = hub.people.get(names["username"], "read")
    legacy = {"triage": "read", "maintain": "write"}.get(role, role)
    return 200, {"permission": legacy, "role_name": role, "user": account(names["username"])}


@route("GET", "~/issues/{issue_number}")
def get_issue(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    issue = find_issue(hub, names)
    labels = [{"name": name} for name in issue.labels]
    facts = {"number": issue.number, "title": issue.title, "body": issue.body, "labels": labels}
    pull = hub.pulls.get(issue.number)
    closed = account(pull.closed_by) if pull and pull.state == "closed" and pull.closed_by else None
    return 200, facts | {"user": account(issue.author), "state": pull.state if pull else "open", "closed_by": closed}


@route("GET", "~/actions/runs/{run_id}")
def get_run(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    hub.need(who, "actions", "read")
    if int(names["run_id"]) not in hub.runs:
        raise Refused(404, "Not Found")
    return 200, {"id": int(names["run_id"]), "status": hub.runs[int(names["run_id"])]}


@route("GET", "~/issues/{issue_number}/comments")
def list_comments(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    return 200, [_comment(hub, c) for c in page(hub.comments_on(find_issue(hub, names).number), query)]


@route("POST", "~/issues/{issue_number}/comments")
def create_comment(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    number = find_issue(hub, names).number
    _need_talk(hub, who, number)
    return 201, _comment(hub, hub.comment(number, who.login, _bounded(body["body"])))


def _bounded(text: str) -> str:
    if len(text) > 65_536:
        raise Refused(422, "Validation Failed", [{"message": "body is too long (maximum is 65536 characters)"}])
    return text


@route("GET", "~/issues/comments/{comment_id}")
def get_comment(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    comment = hub.comments.get(int(names["comment_id"]))
    if comment is None:
        raise Refused(404, "Not Found")
    return 200, _comment(hub, comment)


@route("PATCH", "~/issues/comments/{comment_id}")
def update_comment(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    comment = hub.comments[int(names["comment_id"])]
    _need_talk(hub, who, comment.issue)
    if comment.author != who.login:
        raise AssertionError(f"the bot rewrote a comment of {comment.author}")
    comment.edits.append(comment.body)
    comment.body = _bounded(body["body"])
    return 200, _comment(hub, comment)


@route("POST", "~/issues/{issue_number}/reactions")
def react(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    issue = find_issue(hub, names)
    _need_talk(hub, who, issue.number)
    issue.reactions.append((who.login, body["content"]))
    return 201, {"id": hub.next_id(), "content": body["content"], "user": account(who.login)}


@route("POST", "~/issues/comments/{comment_id}/reactions")
def react_to_comment(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    comment = hub.comments[int(names["comment_id"])]
    _need_talk(hub, who, comment.issue)
    comment.reactions.append((who.login, body["content"]))
    return 201, {"id": hub.next_id(), "content": body["content"], "user": account(who.login)}


@route("POST", "~/issues/{issue_number}/labels")
def add_labels(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    issue = find_issue(hub, names)
    _need_talk(hub, who, issue.number)
    issue.labels += [name for name in body["labels"] if name not in issue.labels]
    return 200, [{"name": name} for name in issue.labels]


@route("DELETE", "~/issues/{issue_number}/labels/{name}")
def remove_label(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    issue = find_issue(hub, names)
    _need_talk(hub, who, issue.number)
    if names["name"] not in issue.labels:
        raise Refused(404, "Label does not exist")
    issue.labels.remove(names["name"])
    return 200, [{"name": name} for name in issue.labels]


@route("POST", "~/issues/{issue_number}/assignees")
def assign(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    issue = find_issue(hub, names)
    _need_talk(hub, who, issue.number)
    issue.assignees += [login for login in body["assignees"] if login in hub.people]  # strangers are passed over
    return 201, {"number": issue.number, "title": issue.title, "assignees": [account(a) for a in issue.assignees]}

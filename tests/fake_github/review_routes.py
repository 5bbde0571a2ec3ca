"""What is said of a head: checks; and reviews, with comments held to the lines that the diff shows."""

from collections.abc import Iterator, Mapping
from difflib import unified_diff
from typing import Any

from unidiff.patch import PatchSet

from tests.fake_github.hub import Hub, Pull, Refused, Token, route
from tests.fake_github.issue_routes import account, page
from tests.fake_github.pull_routes import found_pull

Names = Mapping[str, str]


def _changed(hub: Hub, pull: Pull) -> Iterator[dict[str, Any]]:
    """The files in which the head differs from where it left the base, each with its unified diff."""
    base = next(sha for sha in hub.git.ancestors(pull.head_sha) if sha in hub.git.ancestors(pull.base_sha))
    before, after = hub.git.files(base), hub.git.files(pull.head_sha)
    for name in sorted(before.keys() | after.keys()):
        old, new = (side.get(name, b"").decode("utf-8", errors="replace") for side in (before, after))
        if old == new:
            continue
        status = "added" if name not in before else "modified" if name in after else "removed"
        lines = list(unified_diff(old.splitlines(), new.splitlines(), lineterm=""))[2:]
        yield {"sha": "0" * 40, "filename": name, "status": status, "patch": "\n".join(lines)}


@route("GET", "~/pulls/{pull_number}/files")
def list_files(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    return 200, page(list(_changed(hub, found_pull(hub, names))), query)


@route("POST", "~/pulls/{pull_number}/reviews")
def create_review(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    hub.need(who, "pull_requests")
    pull = found_pull(hub, names)
    patches = {row["filename"]: row["patch"] for row in _changed(hub, pull)}
    for comment in body.get("comments", []):
        _check_place(patches.get(comment["path"], ""), comment)
    number = hub.next_id()
    facts = {"id": number, "user": account(who.login), "body": body["body"], "commit_id": body["commit_id"]}
    hub.reviews.append({**facts, "pull": pull.number, "state": "COMMENTED"})
    for comment in body.get("comments", []):
        row = {"pull": pull.number, "id": hub.next_id(), "user": account(who.login), "commit_id": body["commit_id"]}
        hub.review_comments.append({**row, **comment})
    return 200, {**facts, "state": "COMMENTED"}


def _check_place(patch: str, comment: Mapping[str, Any]) -> None:
    """GitHub takes a comment on lines of one hunk, and refuses the whole review for one that is elsewhere."""
    hunks = [hunk for file in PatchSet(f"--- a/x\n+++ b/x\n{patch}\n") for hunk in file] if patch else []
    last, first = comment["line"], comment.get("start_line", comment["line"])
    sides = {comment.get("side"), comment.get("start_side", comment.get("side"))}
    shown = [{line.target_line_no for line in hunk if line.target_line_no} for hunk in hunks]
    if sides != {"RIGHT"} or not any({first, last} <= lines for lines in shown):
        raise Refused(422, "Unprocessable Entity", ["Pull request review thread line must be part of the diff"])
    if "start_line" in comment and first >= last:
        raise Refused(422, "Unprocessable Entity", ["start_line must precede the end line."])


@route("GET", "~/pulls/{pull_number}/reviews")
def list_reviews(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    rows = [review for review in hub.reviews if review["pull"] == found_pull(hub, names).number]
    return 200, page([{k: v for k, v in row.items() if k != "pull"} for row in rows], query)


@route("GET", "~/pulls/{pull_number}/comments")
def list_review_comments(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    rows = [comment for comment in hub.review_comments if comment["pull"] == found_pull(hub, names).number]
    return 200, page([{k: v for k, v in row.items() if k != "pull"} for row in rows], query)


def _need_checks(hub: Hub, who: Token) -> None:
    hub.need(who, "checks")
    if not who.login.endswith("[bot]"):
        raise Refused(403, "You must authenticate via a GitHub App.")


def _check(check: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("id", "name", "head_sha", "status", "conclusion")
    return {name: check.get(name) for name in kept}


@route("POST", "~/check-runs")
def create_check(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    _need_checks(hub, who)
    hub.checks.append({"id": hub.next_id(), **body})
    return 201, _check(hub.checks[-1])


@route("PATCH", "~/check-runs/{check_run_id}")
def update_check(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    _need_checks(hub, who)
    check = next((check for check in hub.checks if check["id"] == int(names["check_run_id"])), None)
    if check is None:
        raise Refused(404, "Not Found")
    check.update(body)
    return 200, _check(check)

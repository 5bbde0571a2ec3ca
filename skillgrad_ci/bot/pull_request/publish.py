"""From a pushed branch to an open pull request: opened once, then kept up to date."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from skillgrad_ci.bot.pull_request.branch import Pushed
from skillgrad_ci.document.inert_text import shown
from skillgrad_ci.github.client import AnswerLost, Api, Refusal, find
from skillgrad_ci.github.comments import Comment
from skillgrad_ci.github.workflow_log import WorkflowLog

SETTING = (
    "Settings → Actions → General → Workflow permissions → "
    "“Allow GitHub Actions to create and approve pull requests” (of the repository, and of its organization)"
)

NO_DRAFTS = "This repository has no draft pull requests, and heldout tasks do not confirm these edits: none is opened"


@dataclass(frozen=True)
class Wish:
    """How the pull request should look. With `only_draft` it is opened as a draft or not at all."""

    title: str
    body: str
    draft: bool = False
    only_draft: bool = False
    labels: Sequence[str] = ()
    reviewers: Sequence[str] = ()
    assignees: Sequence[str] = ()


@dataclass(frozen=True)
class Published:
    """`status` is `opened`, `updated` or `forbidden` (then `url` compares the branch with its base)."""

    status: str
    number: int
    url: str
    note: str = ""


def open_pull(api: Api, branch: str) -> Mapping[str, Any] | None:
    """The open pull request of a branch of this repository."""
    owner = api.repository.split("/")[0]
    return next(iter(api.pages("/pulls", state="open", head=f"{owner}:{branch}")), None)


def publish(api: Api, pushed: Pushed, wish: Wish, default_branch: str, server: str, log: WorkflowLog) -> Published:
    """Open the branch's pull request, or update the one that is open. A closed one is never reopened."""
    text = {"title": wish.title[:256], "body": wish.body}
    known = open_pull(api, pushed.branch)
    if known is not None:
        api.write("PATCH", f"/pulls/{known['number']}", text)
        return Published("updated", known["number"], known["html_url"])
    new = {**text, "head": pushed.branch, "base": default_branch, "draft": wish.draft}
    compared = f"{server}/{api.repository}/compare/{default_branch}...{pushed.branch}?expand=1"
    try:
        made = api.write("POST", "/pulls", new, done=lambda: open_pull(api, pushed.branch))
    except Refusal as refusal:
        if refusal.status == 403 and "not permitted to create" in refusal.reason:
            why = f"GitHub forbids Actions to open pull requests here; allow it: {SETTING}"
            return Published("forbidden", 0, compared, why)
        if refusal.status == 422 and "already exists" in refusal.reason:  # another run was faster
            return publish(api, pushed, wish, default_branch, server, log)
        if refusal.status == 422 and wish.draft and "Draft pull requests are not supported" in refusal.reason:
            if wish.only_draft:
                return Published("forbidden", 0, compared, NO_DRAFTS)
            log.annotate("warning", "this repository has no draft pull requests: it is opened as a ready one")
            return publish(api, pushed, replace(wish, draft=False), default_branch, server, log)
        raise
    _dress(api, made["number"], wish, log)
    return Published("opened", made["number"], made["html_url"])


def _dress(api: Api, number: int, wish: Wish, log: WorkflowLog) -> None:
    """Labels, reviewers and assignees, once: wanted, but no reason to fail. One unknown name drops no other."""
    people = [name for name in wish.reviewers if "/" not in name]
    teams = [name.split("/")[-1] for name in wish.reviewers if "/" in name]
    wishes = [
        ("labels", f"/issues/{number}/labels", wish.labels),
        ("reviewers", f"/pulls/{number}/requested_reviewers", people),
        ("team_reviewers", f"/pulls/{number}/requested_reviewers", teams),
        ("assignees", f"/issues/{number}/assignees", wish.assignees),
    ]
    for name, path, values in wishes:
        if not values or _ask(api, path, name, values) is None:
            continue
        for value in values:
            why = _ask(api, path, name, [value])
            if why is not None:
                log.annotate("warning", f"{name.replace('_', ' ')}: {value} was not set: {why}")


def _ask(api: Api, path: str, name: str, values: Sequence[str]) -> str | None:
    """Send a wish; gives the refusal's reason."""
    try:
        api.write("POST", path, {name: list(values)})
    except (Refusal, AnswerLost) as refusal:
        return str(refusal)
    return None


def close_superseded(api: Api, number: int, why: str) -> bool:
    """Close a pull request of the bot's with a word that says where its successor is. False where it is not open."""
    pull = find(api, f"/pulls/{number}")
    if pull is None or pull["state"] != "open":
        return False
    Comment(api, number, "superseded").show(why)
    api.write("PATCH", f"/pulls/{number}", {"state": "closed"})
    return True


def tell_avoided(api: Api, first_branch: str, pushed: Pushed, published: Published) -> None:
    """On the pull request whose branch was left to people: where the bot went, and why."""
    older = open_pull(api, first_branch)
    if older is None or not pushed.avoided:
        return
    commits = ", ".join(shown(commit) for commit in pushed.avoided[:10])
    text = (
        f"This branch holds commits that are not mine ({commits}), so I leave it to you. "
        f"The new run's edits are in {published.url or shown(pushed.branch)}."
    )
    Comment(api, older["number"], "moved").show(text)

"""From an event to a decision: pure functions, no network.

GitHub and act start a workflow by the event's name alone, so the action, the label and the sender are
checked here. A decision still needs what only the API can tell: whether its `actor` may write.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skillgrad_ci.bot.slash_commands import BOXES, Command, box, parse_command
from skillgrad_ci.github.comments import marked
from skillgrad_ci.github.context import Context

LABEL = "optimize-skill"  # the configuration's, which needs more than Python's own library
PREFIX = "skillgrad"  # of the bot's branches


@dataclass(frozen=True)
class Nothing:
    """Not for the bot; `why` is said in the log, and the step succeeds."""

    why: str


@dataclass(frozen=True)
class Unsafe:
    """Asked for in a way that is not safe; `fix` is what the workflow's owner can do, if anything."""

    why: str
    fix: str = ""


@dataclass(frozen=True)
class Optimize:
    """Optimize skills. `only_changed`: those whose fingerprint differs from their last run's.

    `skills` are names or paths from the workflow's own inputs; `issue` carries the untrusted title and
    body of the issue that asked. `actor` must have write access (None: nobody asked, it is a schedule).
    """

    only_changed: bool = False
    skills: tuple[str, ...] = ()
    issue: "LabelledIssue | None" = None
    actor: str | None = None


@dataclass(frozen=True)
class LabelledIssue:
    """An issue as its author wrote it, and the label that asked for a run."""

    number: int
    title: str
    body: str
    label: str


@dataclass(frozen=True)
class AnswerCommand:
    """A slash command in a comment on a pull request; `comment` is 0 where a box in its body was ticked."""

    pull: int
    comment: int
    actor: str
    text: str
    command: Command


@dataclass(frozen=True)
class Evaluate:
    """Measure the base and the head of a pull request that touches a configured skill."""

    pull: int
    base: str
    head: str


Decision = Nothing | Unsafe | Optimize | AnswerCommand | Evaluate


def decide(context: Context, label: str = LABEL) -> Decision:
    """What to do about the event; `label` is the configured one."""
    sender = str(context.sender.get("login", ""))
    if context.event in {"issues", "issue_comment", "pull_request"} and _is_bot(context.sender, context):
        return Nothing(f"{context.event} by {sender or 'an unknown account'}: events of bots are ignored")
    match context.event:
        case "schedule":
            return Optimize(only_changed=True, skills=context.inputs.named)
        case "workflow_dispatch":
            return _dispatch(context)
        case "issues":
            return _issue(context, label)
        case "issue_comment":
            return _comment(context)
        case "pull_request":
            return _pull_request(context)
        case "pull_request_target":
            why = "pull_request_target: it would run a stranger's skill beside this repository's secrets"
            return Unsafe(why, "use on: pull_request in the workflow")
    return Nothing(f"{context.event}: no event that this bot acts on (docs/action.md lists them)")


def _is_bot(sender: Mapping[str, Any], context: Context) -> bool:
    login = str(sender.get("login", ""))
    return sender.get("type") == "Bot" or login.endswith("[bot]") or login in {"", context.inputs.bot_login}


def _dispatch(context: Context) -> Decision:
    branch = context.ref.removeprefix("refs/heads/")
    if context.default_branch and branch != context.default_branch:
        why = f"workflow_dispatch on {branch!r}: skills, tasks and configuration come from the default branch"
        return Unsafe(why, f"start the workflow on {context.default_branch}")
    trusted = context.sender.get("type") == "Bot"  # GitHub lets an App dispatch only with actions: write
    actor = None if trusted else str(context.sender.get("login") or "") or None
    return Optimize(skills=context.inputs.named, actor=actor)


def _issue(context: Context, label: str) -> Decision:
    if context.action != "labeled":
        return Nothing(f"issues: {context.action or 'no action'}: only a label asks for a run")
    given = str(context.at("label").get("name", ""))
    if given != label:
        return Nothing(f"issues: labeled with {given!r}: only the label {label!r} asks for a run")
    issue = context.at("issue")
    if not isinstance(issue.get("number"), int):
        return Nothing("issues: the event holds no issue")
    if issue.get("state") == "closed":
        return Nothing(f"issues: #{issue['number']} is closed")
    title, body = str(issue.get("title") or ""), str(issue.get("body") or "")
    return Optimize(issue=LabelledIssue(issue["number"], title, body, label), actor=str(context.sender["login"]))


def _comment(context: Context) -> Decision:
    comment, issue = context.at("comment"), context.at("issue")
    text = str(comment.get("body") or "")
    if marked(text):
        return Nothing("issue_comment: the bot's own comment")
    command = parse_command(text)
    if command is None:
        return Nothing("issue_comment: no command; a command's line starts with /skillgrad")
    if context.action != "created":
        return Nothing(f"issue_comment: {context.action}: only a new comment is a command")
    if not issue.get("pull_request"):
        return Nothing("issue_comment: commands are for pull requests, and this is an issue")
    return AnswerCommand(int(issue["number"]), int(comment["id"]), str(context.sender["login"]), text, command)


def _pull_request(context: Context) -> Decision:
    if context.action == "edited":
        return _ticked(context)
    if context.action not in {"opened", "synchronize", "reopened", "ready_for_review"}:
        return Nothing(f"pull_request: {context.action or 'no action'}: nothing to measure")
    pull = context.at("pull_request")
    base, head = context.at("pull_request", "base"), context.at("pull_request", "head")
    here = context.at("pull_request", "base", "repo").get("full_name")
    there = context.at("pull_request", "head", "repo").get("full_name")
    if not here or here != there:
        return Unsafe(f"pull_request from {there or 'a deleted fork'}: a fork's skill is not run beside this key")
    if context.default_branch and base.get("ref") != context.default_branch:
        return Nothing(f"pull_request into {base.get('ref')!r}: tasks come from {context.default_branch} alone")
    if str(head.get("ref", "")).startswith(f"{PREFIX}/"):
        return Nothing(f"pull_request: {head['ref']} is the bot's own; its accuracy is in its text")
    if not (_is_sha(base.get("sha")) and _is_sha(head.get("sha")) and isinstance(pull.get("number"), int)):
        return Nothing("pull_request: the event names no commits")
    return Evaluate(pull["number"], base["sha"], head["sha"])


def _ticked(context: Context) -> Decision:
    """A box that somebody ticked in the body of the bot's pull request, as the command that it stands for."""
    pull, head = context.at("pull_request"), context.at("pull_request", "head")
    body = str(pull.get("body") or "")
    if not str(head.get("ref", "")).startswith(f"{PREFIX}/") or pull.get("state") != "open":
        return Nothing("pull_request: edited: nothing to measure")
    verb = next((name for name in BOXES if f"- [x] {box(name)}" in body), None)
    if verb is None:
        return Nothing("pull_request: edited: no box is ticked")
    return AnswerCommand(int(pull["number"]), 0, str(context.sender["login"]), body, Command(verb))


def _is_sha(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", value) is not None

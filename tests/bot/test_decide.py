"""What happened decides what is done, whatever words are in it."""

import io
import re
from contextlib import nullcontext
from pathlib import Path
from time import thread_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.bot.decide import LABEL, AnswerCommand, Evaluate, Nothing, Optimize, Unsafe, decide
from skillgrad_ci.bot.jobs.optimize_requests import named_skills
from skillgrad_ci.config.config import LABEL as CONFIGURED
from skillgrad_ci.errors import UserError
from skillgrad_ci.github.action_inputs import ActionInputs
from skillgrad_ci.github.context import RUNNER_ONLY, Context, read_context
from skillgrad_ci.github.workflow_log import WorkflowLog

ANN = {"login": "ann", "type": "User"}
SKILLS = {"xlsx": "skills/xlsx", "xlsx-2": "skills/xlsx-2", "docs": "packages/docs"}
ISSUE = {"number": 3, "title": "t", "body": "b", "state": "open"}
LABELED: dict[str, Any] = {"action": "labeled", "label": {"name": "optimize-skill"}, "issue": ISSUE, "sender": ANN}


def context(event: str, payload: dict[str, Any] | None = None, **facts: Any) -> Context:
    return Context(event, payload or {}, ActionInputs(), **facts)


@pytest.mark.parametrize(
    ("event", "payload", "decision"),
    [
        ("schedule", {}, Optimize),
        ("workflow_dispatch", {"sender": ANN}, Optimize),
        ("issues", LABELED, Optimize),
        ("issues", LABELED | {"action": "opened"}, Nothing),
        ("issues", LABELED | {"label": {"name": "bug"}}, Nothing),
        ("issues", LABELED | {"label": None}, Nothing),
        ("issues", LABELED | {"issue": {**ISSUE, "state": "closed"}}, Nothing),
        ("issues", LABELED | {"sender": {"login": "ann", "type": "Bot"}}, Nothing),
        ("issues", LABELED | {"sender": {"login": "renovate[bot]", "type": "User"}}, Nothing),
        ("issues", LABELED | {"sender": {}}, Nothing),
        ("issues", {}, Nothing),
        ("issue_comment", {}, Nothing),
        ("pull_request", {}, Nothing),
        ("pull_request", {"action": "opened", "sender": ANN}, Unsafe),
        ("pull_request_target", {"action": "opened", "sender": ANN}, Unsafe),
        ("push", {"sender": ANN}, Nothing),
        ("release", {}, Nothing),
        ("workflow_run", {"issue": ISSUE}, Nothing),
    ],
)
def test_every_event_has_one_decision(event: str, payload: dict[str, Any], decision: type) -> None:
    assert type(decide(context(event, payload))) is decision


def test_the_label_is_the_configurations() -> None:
    assert LABEL == CONFIGURED


def test_a_dispatch_comes_from_the_default_branch() -> None:
    payload = {"sender": ANN, "repository": {"default_branch": "main"}}
    assert isinstance(decide(context("workflow_dispatch", payload, ref="refs/heads/main")), Optimize)
    assert isinstance(decide(context("workflow_dispatch", payload, ref="refs/heads/topic")), Unsafe)


KEYS = ["action", "label", "issue", "name", "sender", "login", "comment", "body"]


@given(
    st.sampled_from(["issues", "issue_comment", "pull_request", "pull_request_target", "workflow_dispatch", "x"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(KEYS), inner),
        max_leaves=12,
    ),
)  # fmt: skip
def test_no_payload_breaks_the_bot(event: str, payload: Any) -> None:
    decided = decide(context(event, payload if isinstance(payload, dict) else {"issue": payload}))
    assert isinstance(decided, Nothing | Unsafe | Optimize | AnswerCommand | Evaluate)


@pytest.mark.parametrize(
    ("title", "body", "chosen"),
    [
        ("", "skill: xlsx", ["xlsx"]),
        ("", "text\n- **Skill:** `skills/xlsx`\ntext", ["xlsx"]),
        ("", "### Skill\n\nxlsx-2\n\n### Why\n\nxlsx is fine", ["xlsx-2"]),
        ("", "skill: xlsx, docs", ["xlsx", "docs"]),
        ("", "skill: ./packages/docs/", ["docs"]),
        ("docs", "skill: xlsx", ["xlsx"]),
        ("xlsx", "", ["xlsx"]),
        ("optimize: skills/xlsx", "", ["xlsx"]),
        ("Please optimize xlsx, thank you", "", ["xlsx"]),
        ("my xlsxes are broken", "", []),
        ("", "skill: ../../etc", []),
        ("", "skill: <!-- xlsx -->", []),
        ("", "skill: x\u200blsx", ["xlsx"]),
        ("", "I think skill: xlsx is meant, not docs", []),
        ("XLSX", "", []),
        ("", "", []),
        ("", "skill:  xlsx \t", ["xlsx"]),
    ],
)
def test_an_issue_selects_by_exact_match(title: str, body: str, chosen: list[str]) -> None:
    assert named_skills(title, body, SKILLS) == chosen


def test_a_skill_at_the_root_is_named_and_not_guessed() -> None:
    skills = {"main": "", "xlsx": "skills/xlsx"}
    assert named_skills("Help, please, ", "skill: ,", skills) == []
    assert named_skills("", "skill: .", skills) == ["main"]


def test_a_hostile_line_is_read_in_no_time() -> None:
    started = thread_time()
    assert named_skills("", "skill: a" + " " * 60_000 + "x", SKILLS) == []
    assert thread_time() - started < 1


def test_a_pull_request_into_another_branch_brings_no_tasks_of_its_own() -> None:
    def side(ref: str) -> dict[str, Any]:
        return {"ref": ref, "sha": "a" * 40, "repo": {"full_name": "o/r"}}

    def event(base: str) -> dict[str, Any]:
        pull = {"number": 3, "base": side(base), "head": side("topic")}
        return {"action": "opened", "sender": ANN, "pull_request": pull, "repository": {"default_branch": "main"}}

    assert isinstance(decide(context("pull_request", event("main"))), Evaluate)
    assert isinstance(decide(context("pull_request", event("topic-0"))), Nothing)


@given(st.text(max_size=60), st.text(max_size=200))
def test_an_issue_selects_nothing_that_is_not_configured(title: str, body: str) -> None:
    assert set(named_skills(title, body, SKILLS)) <= set(SKILLS)


def test_what_the_runner_gave_is_read_once_and_taken_away(tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text('{"action": "labeled"}')
    kept = {"GITHUB_EVENT_NAME": "issues", "GITHUB_EVENT_PATH": str(event), "OPENAI_API_KEY": "k", "PATH": "/bin"}
    given = {name: f"secret-{name}" for name in RUNNER_ONLY} | {
        "GITHUB_TOKEN": "t",
        "INPUT_TOKEN": "t0ken",
        "GH_TOKEN": "v",
    }
    environ = kept | given
    made = read_context(environ)
    assert environ == kept
    assert made.inputs.token == "t0ken"
    assert made.output == Path("secret-GITHUB_OUTPUT")
    assert "t0ken" not in repr(made)


@pytest.mark.parametrize("content", ["", "[]", "nonsense"])
def test_an_event_that_cannot_be_read_is_said(tmp_path: Path, content: str) -> None:
    event = tmp_path / "event.json"
    event.write_text(content)
    with pytest.raises(UserError, match="GITHUB_EVENT_PATH"):
        read_context({"GITHUB_EVENT_NAME": "issues", "GITHUB_EVENT_PATH": str(event)})


@pytest.mark.parametrize(
    ("name", "value"),
    [("DRY_RUN", "yes"), ("ITERATIONS", "0"), ("ITERATIONS", "two"), ("THRESHOLD", "80"), ("DRAFT", "1")],
)
def test_an_input_of_the_wrong_kind_is_named(name: str, value: str) -> None:
    with pytest.raises(UserError, match=f"input {name.lower()}: expected"):
        read_context({"GITHUB_EVENT_NAME": "schedule", f"INPUT_{name}": value})


def test_a_dispatchs_own_inputs_count_where_the_workflow_passes_none_on(tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text('{"inputs": {"skill": "xlsx", "iterations": "2", "dry_run": "true", "token": "no"}}')
    inputs = read_context({"GITHUB_EVENT_NAME": "workflow_dispatch", "GITHUB_EVENT_PATH": str(event)}).inputs
    assert (inputs.skill, inputs.iterations, inputs.dry_run, inputs.token) == ("xlsx", 2, True, "")


LINES = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(
    [
        "::set-output name=x::y",
        "::error::z",
        "::endgroup::",
        " ::add-mask::a",
        "##[command]x",
        "a\n::error::b",
        "\r::error::c",
    ]
)


@given(LINES, st.booleans())
def test_no_line_of_the_log_is_a_command_of_somebody_else(text: str, inert: bool) -> None:
    """The runner's own reading: which commands does it carry out?"""
    stream = io.StringIO()
    log = WorkflowLog(stream)
    with log.inert() if inert else nullcontext():
        log.say(text)
        if inert:
            stream.write(f"{text}\n")  # a library that prints
        log.annotate("warning", text, file=text, line=1)
        with log.group(text):
            log.say(text)
    assert commands(stream.getvalue()) == ["warning", "group", "endgroup"]


def commands(text: str) -> list[str]:
    """The commands that a runner carries out, as the runner reads a log."""
    found, stopped = [], ""
    for line in re.split("\r\n|\r|\n", text):
        match = re.match(r"\s*::([\w-]+)(?: [^:]*)?::(.*)", line)
        if stopped:
            stopped = "" if line == f"::{stopped}::" else stopped
        elif match and match[1] == "stop-commands":
            stopped = match[2]
        elif match or "##[" in line:
            found.append(match[1] if match else line)
    return found


def test_what_a_log_cannot_show_stops_no_run_and_hides_no_line(tmp_path: Path) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    log = WorkflowLog(stream, tmp_path / "output", tmp_path / "summary")
    log.say("a \ud83d b\x1b[2K")
    log.annotate("warning", "\ud83d")
    log.output("status", "\ud83d")
    log.summary("\ud83d")
    stream.seek(0)
    assert stream.read() == "a ? b�[2K\n::warning::?\n"


def test_an_output_cannot_set_another(tmp_path: Path) -> None:
    log = WorkflowLog(io.StringIO(), output_file=tmp_path / "output")
    log.output("status", "done\nend-0\npull_request<<x\nevil\nx")
    text = (tmp_path / "output").read_text()
    name, _, end = text.splitlines()[0].partition("<<")
    assert (name, text.splitlines()[-1]) == ("status", end)
    assert text.count(end) == 2


def test_secrets_reach_the_mask_and_nothing_else(tmp_path: Path) -> None:
    stream = io.StringIO()
    log = WorkflowLog(stream, tmp_path / "output", tmp_path / "summary", redact=lambda text: text.replace("k3y", "***"))
    log.mask("k3y")
    log.say("a k3y")
    log.output("status", "k3y")
    log.summary("k3y")
    assert stream.getvalue() == "::add-mask::k3y\na ***\n"
    assert "k3y" not in (tmp_path / "output").read_text() + (tmp_path / "summary").read_text()

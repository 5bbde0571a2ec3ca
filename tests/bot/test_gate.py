"""The gate says no where the bot would, needs nothing but Python's own library, and says nothing else."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci.bot.gate import gate
from tests.support.bot_stage import Stage, outputs

ROOT = Path(__file__).parents[2]
ANN = {"login": "ann", "type": "User"}
ISSUE = {"number": 7, "title": "Make it better", "body": "skill: writer", "state": "open"}
PULL = ISSUE | {"pull_request": {"url": "https://github.invalid"}}


def labeled(label: str, **more: Any) -> dict[str, Any]:
    return {"action": "labeled", "label": {"name": label}, "issue": ISSUE, "sender": ANN} | more


def said(text: str, issue: dict[str, Any] = PULL, **more: Any) -> dict[str, Any]:
    return {"action": "created", "comment": {"id": 1, "body": text}, "issue": issue, "sender": ANN} | more


FORK = {"full_name": "mallory/skills"}
HERE = {"full_name": "acme/skills"}
FORKED = {"number": 3, "base": {"repo": HERE}, "head": {"repo": FORK}}
NOT_OURS: list[tuple[str, dict[str, Any]]] = [
    ("issue_comment", said("I would take the second one.")),
    ("issue_comment", said("/skillgrad drop E1", ISSUE)),
    ("issue_comment", said("/skillgrad help", sender={"login": "renovate[bot]", "type": "Bot"})),
    ("issue_comment", said("/skillgrad help", action="edited")),
    ("issues", labeled("question")),
    ("issues", labeled("optimize-skill", sender={"login": "github-actions[bot]", "type": "Bot"})),
    ("issues", {"action": "opened", "issue": ISSUE, "sender": ANN}),
    ("pull_request", {"action": "labeled", "sender": ANN}),
    ("pull_request", {"action": "opened", "sender": ANN, "pull_request": FORKED}),
    ("push", {"sender": ANN}),
]  # fmt: skip
OURS: list[tuple[str, dict[str, Any]]] = [
    ("schedule", {}),
    ("issues", labeled("optimize-skill")),
    ("issue_comment", said("/skillgrad help")),
    ("workflow_dispatch", {"sender": ANN}),
    ("pull_request_target", {"sender": ANN}),  # the image says how to mend the workflow
]


def ask(bot: Stage, event: str, payload: dict[str, Any], **environ: str) -> tuple[dict[str, str], str]:
    """The gate's outputs and its log."""
    file, written, log = bot.checkout.parent / "event.json", bot.checkout.parent / "gate", io.StringIO()
    file.write_text(json.dumps(payload))
    written.write_text("")
    known = {
        "GITHUB_EVENT_NAME": event,
        "GITHUB_EVENT_PATH": str(file),
        "GITHUB_OUTPUT": str(written),
        "GITHUB_WORKSPACE": str(bot.checkout),
        "GITHUB_REPOSITORY": "acme/skills",
    }
    assert gate(known | environ, log) == 0
    return outputs(written.read_text()), log.getvalue()


@pytest.mark.parametrize(("event", "payload"), NOT_OURS)
def test_what_the_gate_turns_away_the_bot_would_have_ignored(bot: Stage, event: str, payload: dict[str, Any]) -> None:
    told, log = ask(bot, event, payload)
    ended = bot.run(event, payload)
    assert told["go"] == "false"
    assert told["status"] == ended.outputs["status"] in ("ignored", "refused")
    assert (told["skills"], told["shards"]) == (ended.outputs["skills"], ended.outputs["shards"]) == ("[]", "[]")
    assert log.strip() in ended.log
    assert ended.code == 0
    assert not bot.github.writes


@pytest.mark.parametrize(("event", "payload"), OURS)
def test_what_is_the_bots_passes(bot: Stage, event: str, payload: dict[str, Any]) -> None:
    assert ask(bot, event, payload) == ({"go": "true"}, "")


@pytest.mark.parametrize("line", ["label: improve", "label: 'improve' # ours", 'label: "improve"'])
def test_the_configurations_label_counts(bot: Stage, line: str) -> None:
    config = bot.checkout / ".skillgrad.yml"
    config.write_text(f"{config.read_text()}{line}\n")
    assert ask(bot, "issues", labeled("improve"))[0]["go"] == "true"
    assert ask(bot, "issues", labeled("optimize-skill"))[0]["go"] == "false"
    assert ask(bot, "issues", labeled("better"), INPUT_LABEL="better")[0]["go"] == "true"


@pytest.mark.parametrize("text", ["{skills: [], label: improve}\n", "label: &a improve\n", "label:\n  improve\n", None])
def test_a_label_that_only_a_parser_finds_is_left_to_the_image(bot: Stage, text: str | None) -> None:
    config = bot.checkout / ".skillgrad.yml"
    config.unlink()
    if text is not None:
        config.write_text(text)
    assert ask(bot, "issues", labeled("improve"))[0] == {"go": "true"}


def test_an_event_that_cannot_be_read_is_left_to_the_image(bot: Stage) -> None:
    assert ask(bot, "issues", labeled("x"), GITHUB_EVENT_PATH="/nowhere")[0] == {"go": "true"}


def test_it_needs_no_package_takes_none_from_the_checkout_and_no_word_of_it_is_a_command(tmp_path: Path) -> None:
    """As the runner starts it: the shell script, with a Python that has no site packages."""
    (tmp_path / "event.json").write_text(json.dumps(labeled("::error::x\n::warning::y")))
    python = tmp_path / "python3"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    python.chmod(0o755)
    (tmp_path / "json.py").write_text("raise SystemExit('a stranger was here')\n")
    environ = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_EVENT_NAME": "issues",
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_WORKSPACE": str(tmp_path),
        "INPUT_LABEL": "optimize-skill",
    }
    words = [str(ROOT / "entry/decide.sh")]
    done = subprocess.run(words, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert outputs((tmp_path / "output").read_text())["go"] == "false"
    assert len(done.stdout.splitlines()) == 1
    assert done.stdout.startswith("ignored: issues: labeled with")
    python.write_text("#!/bin/sh\nexit 1\n")  # too old, or none: the image decides
    environ["GITHUB_OUTPUT"] = str(tmp_path / "other")
    subprocess.run(words, env=environ, cwd=tmp_path, check=True, timeout=60)
    assert (tmp_path / "other").read_text() == "go=true\n"

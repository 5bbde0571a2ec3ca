"""A dry run shows all that a real run would do, and does none of it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fake_github.hub import MAIN
from tests.support.bot_stage import CONFIG, FILES, Stage, stage


@pytest.fixture
def bot(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as made:
        yield made


def recorded(bot: Stage) -> list[dict[str, Any]]:
    lines = (bot.checkout / "skillgrad-run/api-calls.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def shape(verb: str, path: str, body: Any) -> str:
    """A write without what GitHub, or the clock, makes up: names of commits, numbers, times."""
    text = json.dumps([verb, path, body], sort_keys=True)
    text = re.sub(r"\b[0-9a-f]{40}\b", "SHA", text)
    text = re.sub(r"comments/\d+", "comments/N", text)
    text = re.sub(r"Pull request: https:[^\\]+(\\n)+", "", text)
    return "state" if '\\"fingerprint\\"' in text else text


def test_a_dry_run_records_exactly_what_a_real_run_sends(bot: Stage) -> None:
    bot.run("workflow_dispatch", {"sender": {"login": "ann"}}, skill="reader")  # so that there is a state branch
    bot.github.asked.clear()
    issue = bot.github.hub.issue("x", "skill: writer")
    wishes = {"labels": "a", "reviewers": "wes"}
    ended = bot.label(issue.number, dry_run="true", **wishes)
    assert (ended.code, ended.outputs["status"]) == (0, "dry_run")
    assert bot.github.writes == []
    would_be_calls = recorded(bot)
    (bot.checkout / ended.outputs["report"] / "outcome.json").unlink()  # or the real run would deliver what is there
    bot.label(issue.number, **wishes)
    number = max(bot.github.hub.pulls)
    would_be = [
        shape(call["method"], call["path"].replace("/0/", f"/{number}/"), call["body"]) for call in would_be_calls
    ]
    assert would_be == [shape(asked.verb, asked.path, asked.body) for asked in bot.github.writes if asked.status < 400]


def test_a_dry_run_without_a_token_asks_github_for_nothing_at_all(bot: Stage) -> None:
    issue = bot.github.hub.issue("x", "skill: writer")
    ended = bot.label(issue.number, token="", dry_run="true")
    assert (ended.code, ended.outputs["status"]) == (0, "dry_run")
    assert bot.github.asked == []
    assert "whether they may write here was not checked" in ended.log
    calls = recorded(bot)
    (pull,) = [call for call in calls if call["path"] == "/repos/acme/skills/pulls"]
    assert pull["body"]["head"] == "skillgrad/writer"
    assert "Heldout accuracy rose" in pull["body"]["body"]
    refs = [call["body"]["ref"] for call in calls if call["path"].endswith("/git/refs")]
    assert set(refs) == {"refs/heads/skillgrad/writer", "refs/heads/skillgrad/state"}
    run = bot.checkout / ended.outputs["report"]
    for name in ("skill.patch", "momentum.md", "pull-request.md", "report.json"):
        assert (run / name).is_file(), name
    assert "dry run, not sent: POST /repos/acme/skills/pulls" in ended.log
    assert re.search(r"the pull request's text is in \S*/pull-request\.md", ended.log)


def test_a_repository_without_a_name_gets_a_placeholder_and_no_broken_address(bot: Stage) -> None:
    bot.environ["GITHUB_REPOSITORY"] = ""
    ended = bot.run("schedule", {}, token="", dry_run="true", skill="writer")
    assert ended.outputs["status"] == "dry_run"
    assert "/repos/OWNER/REPOSITORY/pulls" in ended.log
    text = (bot.checkout / ended.outputs["report"] / "pull-request.md").read_text()
    assert "github.com//" not in text


@pytest.mark.parametrize("event", ["schedule", "workflow_dispatch"])
def test_every_event_can_be_tried_without_a_token(bot: Stage, event: str) -> None:
    ended = bot.run(event, {}, token="", dry_run="true", skill="writer")
    assert (ended.code, ended.outputs["status"]) == (0, "dry_run")
    assert bot.github.asked == []


def test_the_rehearsal_may_play_in_a_dry_run(tmp_path: Path) -> None:
    config = CONFIG.replace("openai/small", "rehearsal").encode()
    with stage(tmp_path, {**FILES, ".skillgrad.yml": config}) as bot:
        ended = bot.schedule(token="", dry_run="true", skill="writer")
        assert (ended.code, ended.outputs["status"]) == (0, "dry_run")
        (pull,) = [call for call in recorded(bot) if call["path"].endswith("/pulls")]
        assert "This is a rehearsal" in pull["body"]["body"]


def test_a_dry_run_does_not_read_what_it_wrote(bot: Stage) -> None:
    for _ in range(2):
        assert bot.schedule(dry_run="true", skill="writer").outputs["status"] == "dry_run"
    assert set(bot.github.hub.git.refs) == {MAIN}


def test_without_a_token_and_without_a_dry_run_nothing_starts(bot: Stage) -> None:
    ended = bot.schedule(token="")
    assert ended.code == 2
    assert "::error::input token: empty" in ended.log


@pytest.mark.parametrize("place", ["skillgrad-run", "skillgrad-run/api-calls.jsonl/taken"])
def test_a_run_folder_that_cannot_be_written_is_named(bot: Stage, place: str) -> None:
    (bot.checkout / place).parent.mkdir(parents=True, exist_ok=True)
    (bot.checkout / place).write_text("a file\n")
    ended = bot.schedule(dry_run="true")
    assert ended.code == 1
    assert "skillgrad-run/api-calls.jsonl: cannot be written (" in ended.log
    assert "); choose another run_folder" in ended.log
    assert bot.engine.optimized == []


def test_a_command_is_rehearsed_on_the_newest_run_of_the_run_folder(bot: Stage) -> None:
    number = bot.github.hub.issue("x", "skill: writer").number
    assert bot.label(number, token="", dry_run="true").outputs["status"] == "dry_run"
    bot.environ |= {"INPUT_TOKEN": "", "INPUT_DRY_RUN": "true"}
    ended = bot.say(number, "/skillgrad drop E2 because no")
    assert (ended.code, ended.outputs["status"]) == (0, "answered")
    assert "E2 was dropped by wes, because: no. Without it, on the tasks that decide: 0.0% → 66.7%" in ended.summary
    assert bot.github.asked == []
    (pushed,) = [call for call in recorded(bot) if call["path"].endswith("/git/refs/heads/skillgrad/writer")]
    assert pushed["method"] == "PATCH"
    assert (
        sum("Skillgrad-Edit" in call["body"]["message"] for call in recorded(bot) if "/git/commits" in call["path"])
        == 2
    )


def test_without_a_run_a_command_has_nothing_to_be_rehearsed_on(bot: Stage) -> None:
    bot.environ |= {"INPUT_TOKEN": "", "INPUT_DRY_RUN": "true"}
    ended = bot.say(bot.github.hub.issue("x", "").number, "/skillgrad drop E2")
    assert "rehearse a label first" in ended.log


def pull_request() -> dict[str, Any]:
    repo = {"full_name": "acme/skills"}
    pull = {"number": 9, "base": {"ref": "main", "sha": "1" * 40, "repo": repo}}
    pull["head"] = {"ref": "topic", "sha": "2" * 40, "repo": repo}
    event = {"action": "opened", "pull_request": pull, "repository": repo | {"default_branch": "main"}}
    return event | {"sender": {"login": "ann", "type": "User"}}


def test_an_evaluation_is_rehearsed_on_the_newest_run_of_the_run_folder(bot: Stage) -> None:
    """What that run proposes stands for the head; a checkout of another commit than the base is no reason to refuse."""
    number = bot.github.hub.issue("x", "skill: writer").number
    assert bot.label(number, token="", dry_run="true").outputs["status"] == "dry_run"
    ended = bot.run("pull_request", pull_request(), token="", dry_run="true")
    assert (ended.code, ended.outputs["status"]) == (0, "evaluated")
    assert "| base | 0.0% | 0/21 |" in ended.summary
    assert "| head | 100.0% | 21/21 |" in ended.summary
    assert "its newest run in the run folder proposes stands for the head" in ended.log
    calls = recorded(bot)
    assert [call["path"].removeprefix("/repos/acme/skills") for call in calls if "/check-runs" in call["path"]]
    (comment,) = [call for call in calls if call["path"].endswith("/issues/9/comments")]
    assert comment["method"] == "POST"
    assert bot.github.asked == []


def test_without_a_run_an_evaluation_has_nothing_to_be_rehearsed_on(bot: Stage) -> None:
    ended = bot.run("pull_request", pull_request(), token="", dry_run="true")
    assert (ended.code, ended.outputs["status"]) == (0, "ignored")
    assert "rehearse a label first" in ended.log

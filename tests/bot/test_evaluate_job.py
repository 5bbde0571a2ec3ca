"""A pull request that touches a skill is measured: base against head, as a comment and a check."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci.errors import EnvironmentFailure
from tests.fake_github.hub import BOT, MAIN, Token
from tests.support.bot_stage import Ended, Stage, skill_text, stage

SKILL = "skills/writer/SKILL.md"


@pytest.fixture
def bot(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as made:
        yield made


def propose(bot: Stage, files: dict[str, bytes | None] | None = None) -> int:
    git = bot.github.hub.git
    git.refs["heads/topic"] = git.refs[MAIN]
    git.change("heads/topic", files or {SKILL: skill_text("writer") + b"\nUse always alpha.\n"}, "wes")
    return bot.github.hub.pull("Better", "", "topic", "main", "wes").number


def event(bot: Stage, number: int, **changes: Any) -> dict[str, Any]:
    pull = bot.github.hub.pulls[number]
    here = {"full_name": "acme/skills"}
    shown = {
        "number": number,
        "base": {"sha": pull.base_sha, "ref": "main", "repo": here},
        "head": {"sha": pull.head_sha, "ref": "topic", "repo": here} | changes,
    }
    sender = {"login": "wes", "type": "User"}
    return {"action": "synchronize", "pull_request": shown, "sender": sender, "repository": {"default_branch": "main"}}


def evaluated(bot: Stage, number: int, **inputs: str) -> Ended:
    return bot.run("pull_request", event(bot, number), **inputs)


def test_base_and_head_are_compared_in_a_comment_and_a_check(bot: Stage) -> None:
    number = propose(bot)
    ended = evaluated(bot, number)
    assert (ended.code, ended.outputs["status"]) == (0, "evaluated")
    (comment,) = bot.github.hub.comments_on(number)
    assert "| base | 0.0% | 0/21 | 0 |" in comment.body
    assert "| head | 33.3% | 7/21 | 0 |" in comment.body
    assert "95% interval" in comment.body
    assert "`task-00`" in comment.body
    (check,) = bot.github.hub.checks
    assert (check["conclusion"], check["head_sha"]) == ("neutral", bot.github.hub.pulls[number].head_sha)
    assert float(ended.outputs["delta"]) == pytest.approx(1 / 3)


def test_the_comment_is_kept_up_to_date(bot: Stage) -> None:
    number = propose(bot)
    evaluated(bot, number)
    text = skill_text("writer") + b"\nUse always alpha, always beta.\n"
    bot.github.hub.pulls[number].head_sha = bot.github.hub.git.change("heads/topic", {SKILL: text}, "wes")
    evaluated(bot, number)
    (comment,) = bot.github.hub.comments_on(number)
    assert "| head | 66.7% |" in comment.body


def test_no_file_is_written(bot: Stage) -> None:
    refs = dict(bot.github.hub.git.refs)
    number = propose(bot)
    evaluated(bot, number)
    assert not [asked for asked in bot.github.writes if "/git/" in asked.path]
    assert {ref: sha for ref, sha in bot.github.hub.git.refs.items() if ref != "heads/topic"} == refs


@pytest.mark.parametrize(("threshold", "conclusion"), [("0.3", "success"), ("0.5", "failure"), ("", "neutral")])
def test_a_threshold_decides_the_check(bot: Stage, threshold: str, conclusion: str) -> None:
    evaluated(bot, propose(bot), threshold=threshold)
    assert bot.github.hub.checks[0]["conclusion"] == conclusion


def test_what_touches_no_skill_is_not_measured(bot: Stage) -> None:
    ended = evaluated(bot, propose(bot, {"README.md": b"new"}))
    assert (ended.outputs["status"], bot.engine.measured, bot.github.writes) == ("ignored", [], [])


def test_tasks_and_configuration_come_from_the_base(bot: Stage) -> None:
    """A head that empties the suite, or points the configuration elsewhere, changes nothing of the measurement."""
    files: dict[str, bytes | None] = {
        SKILL: skill_text("writer") + b"\nUse always alpha.\n",
        "evals/writer/tasks.yaml": b"version: 1\ntasks: []\n",
        ".skillgrad.yml": b"skills: []\n",
    }
    evaluated(bot, propose(bot, files))
    assert len(bot.engine.measured[0].suite.tasks) == 21


def test_a_workspace_that_is_not_the_base_is_refused(bot: Stage) -> None:
    number = propose(bot)
    (bot.checkout / ".git/HEAD").write_text(bot.github.hub.git.refs["heads/topic"])
    ended = evaluated(bot, number)
    assert ended.code == 2
    assert "ref: ${{ github.event.pull_request.base.sha }}" in ended.log
    assert bot.engine.measured == []


@pytest.mark.parametrize("repository", [{"full_name": "eve/skills"}, None])
def test_a_forks_pull_request_is_refused_with_the_reason(bot: Stage, repository: object) -> None:
    number = propose(bot)
    ended = bot.run("pull_request", event(bot, number, repo=repository))
    assert (ended.code, ended.outputs["status"]) == (0, "refused")
    assert "a fork's skill is not run beside this key" in ended.log
    assert bot.github.asked == []


def test_pull_request_target_is_refused_and_must_be_mended(bot: Stage) -> None:
    ended = bot.run("pull_request_target", event(bot, propose(bot)))
    assert (ended.code, ended.outputs["status"]) == (2, "refused")
    assert "use on: pull_request" in ended.log
    assert bot.github.asked == []


@pytest.mark.parametrize("sender", [{"login": BOT, "type": "Bot"}, {"login": "ann", "type": "User"}])
def test_the_bots_own_pull_requests_are_not_measured_again(bot: Stage, sender: dict[str, str]) -> None:
    """By its account, or by its branch where it writes with a person's token."""
    payload = event(bot, propose(bot), ref="skillgrad/writer") | {"sender": sender}
    assert bot.run("pull_request", payload).outputs["status"] == "ignored"


def test_a_head_that_is_no_skill_fails_with_the_line(bot: Stage) -> None:
    ended = evaluated(bot, propose(bot, {SKILL: b"no frontmatter\n"}))
    assert (ended.code, bot.engine.measured) == (2, [])
    assert "writer/SKILL.md:1: no frontmatter" in ended.log


def test_lint_findings_of_the_head_are_annotated(bot: Stage) -> None:
    ended = evaluated(bot, propose(bot))
    assert "::warning file=skills/writer/references/old.md,line=1::Q002" in ended.log


def test_a_removed_skill_is_said(bot: Stage) -> None:
    ended = evaluated(bot, propose(bot, {SKILL: None}))
    assert ended.outputs["status"] == "ignored"
    assert "removed" in ended.log


def test_splits_are_told_apart_because_the_skill_may_have_learned_from_one(bot: Stage) -> None:
    number = propose(bot)
    evaluated(bot, number)
    (comment,) = bot.github.hub.comments_on(number)
    assert "| heldout | 0.0% (0/6) | 33.3% (2/6) |" in comment.body
    assert "| validation | 0.0% (0/6) | 33.3% (2/6) |" in comment.body
    assert "| train | 0.0% (0/9) | 33.3% (3/9) |" in comment.body


@pytest.mark.parametrize(("threshold", "code"), [("", 0), ("0.9", 1)])
def test_without_checks_write_the_comment_tells_all_unless_a_threshold_must_be_kept(
    bot: Stage, threshold: str, code: int
) -> None:
    left = {name: level for name, level in Token().permissions.items() if name != "checks"}
    bot.github.hub.tokens["bot-token"] = Token(permissions=left)
    number = propose(bot)
    ended = evaluated(bot, number, threshold=threshold)
    assert ended.code == code
    assert "checks: write" in ended.log
    assert "33.3%" in bot.github.hub.comments_on(number)[0].body


def test_where_no_comment_can_be_written_nothing_is_measured(bot: Stage) -> None:
    left = {name: level for name, level in Token().permissions.items() if name != "pull_requests"}
    bot.github.hub.tokens["bot-token"] = Token(permissions=left)
    ended = evaluated(bot, propose(bot))
    assert ended.code == 1
    assert bot.engine.measured == []


def test_a_failed_measurement_is_told_where_the_result_was_promised(bot: Stage) -> None:
    number = propose(bot)

    def fail(*_: Any, **__: Any) -> Any:
        raise EnvironmentFailure("no network")

    bot.engine.measure = fail  # type: ignore[method-assign]
    assert evaluated(bot, number).code == 1
    assert "was not measured: no network" in bot.github.hub.comments_on(number)[0].body

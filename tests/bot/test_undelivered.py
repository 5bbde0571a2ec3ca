"""A run that was paid for is never lost: it is kept, told of, and delivered by the next start without a model."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fake_github.hub import BOT, MAIN, Token
from tests.fake_github.server import Fault
from tests.support.bot_stage import CONFIG, FILES, Stage, skill_text, stage

STATE = "heads/skillgrad/state"

WRITER, STATE, SKILL = "heads/skillgrad/writer", "heads/skillgrad/state", "skills/writer/SKILL.md"


def record(bot: Stage) -> dict[str, Any]:
    known: dict[str, Any] = json.loads(bot.github.hub.git.files(STATE)["skills/writer.json"])
    return known


def lose_token(bot: Stage) -> None:
    """The token dies while the engine works."""
    bot.engine.before = lambda: bot.github.hub.tokens.pop("bot-token")


def revive(bot: Stage, tokens: dict[str, Any]) -> None:
    bot.github.hub.tokens = tokens
    bot.engine.before = lambda: None


def test_a_token_that_dies_during_the_run_costs_no_second_run(bot: Stage) -> None:
    tokens = dict(bot.github.hub.tokens)
    issue = bot.github.hub.issue("Make it better", "skill: writer")
    lose_token(bot)
    ended = bot.label(issue.number)
    assert (ended.code, ended.outputs["status"]) == (2, "undelivered")
    assert "the next start delivers them without paying again" in ended.log
    assert (bot.checkout / ended.outputs["report"] / "outcome.json").is_file()
    revive(bot, tokens)
    ended = bot.label(issue.number)
    assert (ended.code, ended.outputs["status"]) == (0, "opened")
    assert len(bot.engine.optimized) == 1
    assert b"Use always alpha." in bot.github.hub.git.files(WRITER)[SKILL]
    assert "/pull/" in bot.github.hub.comments_on(issue.number)[0].body
    assert record(bot)["running"] is None
    assert len(record(bot)["runs"]) == 1


@pytest.mark.parametrize("again", ["label", "schedule"])
def test_what_the_state_branch_keeps_is_delivered_from_another_machine(bot: Stage, again: str, tmp_path: Path) -> None:
    """A rule that came during the run: the bot's own branch is forbidden, the state branch is not."""
    issue = bot.github.hub.issue("Make it better", "skill: writer")
    bot.engine.before = lambda: setattr(bot.github.hub, "restricted", "heads/skillgrad/writer")
    ended = bot.label(issue.number)
    assert (ended.code, ended.outputs["status"]) == (1, "undelivered")
    told = bot.github.hub.comments_on(issue.number)[0].body.replace("\\", "")
    assert "the next start delivers them without paying again" in told
    assert "Optimizing" not in told
    assert record(bot)["outcome"] == "undelivered"
    assert record(bot)["fingerprint"]
    bot.github.hub.restricted = ""
    other = Stage(bot.github, tmp_path / "other" / "checkout")
    other.checkout.mkdir(parents=True)
    other.sync()
    ended = other.label(issue.number) if again == "label" else other.schedule(skill="writer")
    assert ended.outputs["status"] == "opened"
    assert other.engine.optimized == []
    assert record(bot)["undelivered"] is None
    assert record(bot)["outcome"] == "opened"


def test_what_was_kept_for_a_skill_that_changed_since_is_not_delivered(bot: Stage) -> None:
    issue = bot.github.hub.issue("Make it better", "skill: writer")
    bot.engine.before = lambda: setattr(bot.github.hub, "restricted", "heads/skillgrad/writer")
    bot.label(issue.number)
    bot.github.hub.restricted, bot.engine.before = "", lambda: None
    bot.github.hub.git.change(MAIN, {SKILL: skill_text("writer") + b"Newer.\n"}, "ann")
    bot.sync()
    assert bot.label(issue.number).outputs["status"] == "opened"
    assert len(bot.engine.optimized) == 2
    assert b"Newer." in bot.github.hub.git.files(WRITER)[SKILL]


def test_an_opened_pull_request_is_told_of_though_the_state_cannot_be_written(bot: Stage) -> None:
    issue = bot.github.hub.issue("Make it better", "skill: writer")

    def forbid(verb: str, path: str) -> None:
        if verb == "POST" and path.endswith("/pulls") and bot.engine.optimized:
            bot.github.hub.restricted = "heads/skillgrad/state"

    bot.github.before = forbid
    ended = bot.label(issue.number)
    assert ended.code == 1
    (pull,) = bot.github.hub.pulls
    told = bot.github.hub.comments_on(issue.number)[0].body
    assert f"/pull/{pull}" in told
    assert "commands on the pull request will not work" in told
    assert ended.outputs["pull_request_number"] == str(pull)


def test_what_the_state_could_not_remember_is_remembered_by_the_next_start_without_paying(bot: Stage) -> None:
    """So that its edits can be dropped."""
    test_an_opened_pull_request_is_told_of_though_the_state_cannot_be_written(bot)
    bot.github.before, bot.github.hub.restricted = None, ""
    (pull,) = bot.github.hub.pulls
    bot.say(pull, "/skillgrad drop E1 because no")
    assert "Nothing is known of this pull request's edits" in bot.told(pull)[-1]
    bot.environ["GITHUB_RUN_ID"] = "78"
    bot.github.hub.runs[77] = "completed"
    bot.github.hub.tokens["bot-token"] = Token(permissions={**Token().permissions, "actions": "read"})
    ended = bot.label(bot.github.hub.issue("Again", "skill: writer").number)
    assert (ended.code, ended.outputs["status"]) == (0, "updated"), ended.log
    assert (len(bot.engine.optimized), set(bot.github.hub.pulls)) == (1, {pull})
    bot.say(pull, "/skillgrad drop E1 because no")
    assert "E1 was dropped by wes" in bot.told(pull)[-1]


def test_the_error_of_taking_the_label_off_hides_no_other(bot: Stage) -> None:
    issue = bot.github.hub.issue("Make it better", "skill: writer")
    bot.github.faults = [Fault("DELETE", "/labels/", 403, {"message": "Resource not accessible by integration"})]
    bot.engine.before = lambda: setattr(bot.github.hub, "restricted", "heads/skillgrad/writer")
    ended = bot.label(issue.number)
    assert "could not be delivered" in ended.log.splitlines()[-1]


def steps(bot: Stage, issue: int) -> Iterator[tuple[str, Any]]:
    """The three jobs of the example's workflow, one after the other."""
    for step in ("preflight", "optimize", "deliver"):
        before = len(bot.github.writes)
        yield step, bot.label(issue, step=step)
        if step == "optimize":
            assert len(bot.github.writes) == before, "the job that holds the model's key writes nothing"


def test_three_jobs_do_what_one_does_and_the_one_with_the_key_writes_nothing(bot: Stage) -> None:
    issue = bot.github.hub.issue("Make it better", "skill: writer")
    ends = dict(steps(bot, issue.number))
    assert {step: end.outputs["status"] for step, end in ends.items()} == {
        "preflight": "ready", "optimize": "optimized", "deliver": "opened",
    }  # fmt: skip
    assert ends["preflight"].outputs["skills"] == '["writer"]'
    assert (issue.labels, issue.reactions) == ([], [(BOT, "eyes")])
    (comment,) = bot.github.hub.comments_on(issue.number)
    assert "Optimizing `writer`" in comment.edits[0]
    assert "/pull/" in comment.body
    assert len(bot.engine.optimized) == 1
    assert record(bot)["running"] is None


def test_jobs_of_a_schedule_pass_on_the_skills_that_are_due(bot: Stage) -> None:
    bot.schedule(skill="reader")
    bot.engine.optimized.clear()
    due = bot.schedule(step="preflight").outputs["skills"]
    assert due == '["writer"]'
    assert bot.schedule(step="optimize", skills=due).outputs["status"] == "optimized"
    assert bot.schedule(step="deliver", skills=due).outputs["status"] == "opened"
    assert [inputs.skill.name for inputs in bot.engine.optimized] == ["writer"]


def test_shards_are_measured_by_jobs_that_write_nothing_and_the_run_goes_on_from_them(bot: Stage) -> None:
    issue = bot.github.hub.issue("Make it better", "skill: writer")
    planned = json.loads(bot.label(issue.number, step="preflight", shards="3").outputs["shards"])
    assert planned == [{"skill": "writer", "shard": f"{n}/3"} for n in (1, 2, 3)]
    before = len(bot.github.writes)
    for part in planned[:2]:  # the third machine is lost
        ended = bot.label(issue.number, step="execute", **part)
        assert ended.outputs["status"] == "executed"
        assert (bot.checkout / ended.outputs["report"] / "journal.jsonl").is_file()
    ended = bot.label(issue.number, step="optimize")
    assert len(bot.github.writes) == before
    assert "goes on from the shards' 2 records" in ended.log
    assert bot.label(issue.number, step="deliver").outputs["status"] == "opened"
    assert [str(shard) for shard in bot.engine.executed] == ["1/3", "2/3"]
    assert len(bot.engine.optimized) == 1


def test_one_matrix_holds_the_shards_of_all_skills(bot: Stage) -> None:
    planned = json.loads(bot.schedule(step="preflight", shards="200").outputs["shards"])
    assert len(planned) <= 256
    assert {part["skill"] for part in planned} == {"writer", "reader"}
    assert (
        json.loads(bot.schedule(step="preflight").outputs["shards"]) == []
    )  # one machine, unless it is asked for more


def test_a_shard_without_its_step_is_refused(bot: Stage) -> None:
    for inputs in ({"step": "execute"}, {"shard": "1/3"}, {"step": "execute", "shard": "4/3", "skill": "writer"}):
        ended = bot.schedule(**inputs)
        assert ended.code == 2
        assert "shard" in ended.log


def test_a_job_that_left_nothing_is_told_of_and_its_claim_is_taken_back(bot: Stage) -> None:
    issue = bot.github.hub.issue("Make it better", "skill: writer")
    bot.label(issue.number, step="preflight")
    ended = bot.label(issue.number, step="deliver")
    assert ended.code == 1
    assert "its run left no outcome" in bot.github.hub.comments_on(issue.number)[0].body
    assert record(bot)["running"] is None
    assert issue.labels == []


def test_an_outcome_that_somebody_bent_is_not_pushed(bot: Stage) -> None:
    """What is delivered is what was measured: the names of the contents are in the outcome."""
    issue = bot.github.hub.issue("Make it better", "skill: writer")
    for step in ("preflight", "optimize"):
        ended = bot.label(issue.number, step=step)
    file = bot.checkout / ended.outputs["report"] / "outcome.json"
    file.write_text(file.read_text().replace("Use always alpha.", "Use always omega."))
    ended = bot.label(issue.number, step="deliver")
    assert ended.code == 1
    assert "do not lead to the skill that was measured" in ended.log
    assert WRITER not in bot.github.hub.git.refs


@pytest.mark.parametrize(("caps", "runs"), [("job: 0.01", 1), ("job: 0.015", 2), ("month: 0.005", 1), ("month: 9", 2)])
def test_caps_over_all_skills_start_no_run_that_they_have_nothing_for(tmp_path: Path, caps: str, runs: int) -> None:
    """Each run of the synthetic world costs one cent."""
    config = f"{CONFIG}budget: {{usd: 5, {caps}}}\n".encode()
    with stage(tmp_path, {**FILES, ".skillgrad.yml": config}) as bot:
        ended = bot.schedule()
        assert len(bot.engine.optimized) == runs
        assert ended.code == (0 if runs == 2 else 3)
        allowed = [inputs.job.settings.budget.usd for inputs in bot.engine.optimized]
        assert all(usd is not None and usd <= 5 for usd in allowed)
        if "job" in caps:
            assert allowed == pytest.approx([0.01, 0.005][:runs] if "0.01," in f"{caps}," else [0.015, 0.005])
        else:
            assert "budget.month" in ended.log or runs == 2


def month(bot: Stage) -> float:
    spent: dict[str, float] = json.loads(bot.github.hub.git.files(STATE)["spending.json"])
    return sum(spent.values())


def test_the_months_account_holds_measurements_for_commands_and_of_pull_requests(bot: Stage) -> None:
    config = bot.checkout / ".skillgrad.yml"
    bot.github.hub.git.change(MAIN, {".skillgrad.yml": config.read_bytes() + b"budget: {month: 9}\n"}, "ann")
    bot.sync()
    number = bot.opened()
    before = month(bot)
    bot.say(number, "/skillgrad measure")
    after = month(bot)
    assert after == pytest.approx(before + sum(bot.engine.spent))
    bot.github.hub.git.change(
        MAIN, {".skillgrad.yml": config.read_bytes().replace(b"month: 9", b"month: 0.001")}, "ann"
    )
    bot.sync()
    bot.say(number, "/skillgrad measure")
    assert month(bot) == after
    told = [comment.body for comment in bot.github.hub.comments_on(number)]
    assert any("budget.month" in text and "is spent" in text for text in told)


def test_an_account_that_cannot_be_written_stops_no_measurement(bot: Stage) -> None:
    config = bot.checkout / ".skillgrad.yml"
    bot.github.hub.git.change(MAIN, {".skillgrad.yml": config.read_bytes() + b"budget: {month: 9}\n"}, "ann")
    bot.sync()
    number = bot.opened()
    bot.github.faults = [Fault("POST", "/git/blobs", 403, {"message": "Resource not accessible by integration"})] * 9
    ended = bot.say(number, "/skillgrad measure")
    assert "are not counted in budget.month" in ended.log
    assert ended.outputs["status"] == "answered"

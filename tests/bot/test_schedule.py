"""A schedule spends nothing on what it knows already."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from skillgrad_ci.errors import BudgetExceeded
from tests.fake_github.hub import MAIN
from tests.support.bot_stage import FILES, Stage, skill_text
from tests.support.worlds import Synthetic, needs

STATE = "heads/skillgrad/state"


def change(bot: Stage, **files: bytes) -> None:
    bot.github.hub.git.change(MAIN, dict(files), "ann")
    bot.sync()


def configure(bot: Stage, old: str, new: str) -> None:
    config = FILES[".skillgrad.yml"].decode()
    assert old in config
    bot.github.hub.git.change(MAIN, {".skillgrad.yml": config.replace(old, new).encode()}, "ann")
    bot.sync()


def optimized(bot: Stage) -> list[str]:
    names = [inputs.skill.name for inputs in bot.engine.optimized]
    bot.engine.optimized.clear()
    return names


def test_the_first_schedule_optimizes_every_skill_and_the_second_none(bot: Stage) -> None:
    assert bot.schedule().code == 0
    assert optimized(bot) == ["writer", "reader"]
    ended = bot.schedule()
    assert optimized(bot) == []
    assert ended.outputs["status"] == "unchanged\nunchanged"
    assert "writer: nothing: skill, suite, models and settings are as in its last run" in ended.log
    assert len(bot.github.hub.pulls) == 2


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("skills/writer/SKILL.md", skill_text("writer") + b"More.\n"),
        ("skills/writer/references/new.md", b"# New\n"),
        ("evals/writer/tasks.yaml", FILES["evals/writer/tasks.yaml"].replace(b"exact: x", b"exact: z", 1)),
    ],
)
def test_what_changed_is_optimized_again(bot: Stage, path: str, content: bytes) -> None:
    bot.schedule()
    optimized(bot)
    change(bot, **{path: content})
    bot.schedule()
    assert optimized(bot) == ["writer"]


def test_other_settings_are_another_run(bot: Stage) -> None:
    bot.schedule()
    optimized(bot)
    configure(bot, "iterations: 3", "iterations: 2")
    bot.schedule()
    assert optimized(bot) == ["writer", "reader"]


def test_what_may_be_spent_is_no_reason_to_run_again(bot: Stage) -> None:
    bot.schedule()
    optimized(bot)
    configure(bot, "iterations: 3", "iterations: 3\nbudget: {usd: 3}\nconcurrency: 2")
    bot.schedule()
    assert optimized(bot) == []


def test_the_bots_own_merged_pull_request_is_no_change(bot: Stage) -> None:
    bot.schedule()
    for number in list(bot.github.hub.pulls):
        bot.github.hub.merge(number)
    bot.sync()
    optimized(bot)
    bot.schedule()
    assert optimized(bot) == []


def test_a_new_model_measures_the_present_skill_first(bot: Stage) -> None:
    """Merged skills pass everything; the new model keeps that up, so nothing is spent on optimizing."""
    bot.schedule()
    for number in list(bot.github.hub.pulls):
        bot.github.hub.merge(number)
    bot.sync()
    optimized(bot)
    configure(bot, "openai/small", "openai/smaller")
    ended = bot.schedule()
    assert optimized(bot) == []
    assert [inputs.skill.name for inputs in bot.engine.measured] == ["writer", "reader"]
    assert "it did not lose: 100% → 100% on 6 tasks" in ended.log
    bot.schedule()
    assert len(bot.engine.measured) == 2, "the new model's measurement is remembered"


def test_a_new_model_that_loses_is_a_reason_to_optimize(bot: Stage) -> None:
    bot.schedule()
    for number in list(bot.github.hub.pulls):
        bot.github.hub.merge(number)
    bot.sync()
    optimized(bot)
    configure(bot, "openai/small", "openai/smaller")
    bot.engine.rollout = Forgetful()
    ended = bot.schedule()
    assert optimized(bot) == ["writer", "reader"]
    assert "it lost: 100% → 67% on 6 tasks" in ended.log


def test_a_skill_is_claimed_before_it_is_measured_again(bot: Stage) -> None:
    """Two schedules at once measure it once."""
    bot.schedule()
    configure(bot, "openai/small", "openai/smaller")
    claims = []

    def look(*_: Any) -> Any:
        claims.append(json.loads(bot.github.hub.git.files(STATE)["skills/writer.json"])["running"])
        raise BudgetExceeded("the cap is reached")

    bot.engine.measure = look  # type: ignore[assignment]
    ended = bot.schedule(skill="writer")
    assert [claim["run"] for claim in claims] == ["77"]
    assert ended.code == 3
    assert json.loads(bot.github.hub.git.files(STATE)["skills/writer.json"])["running"] is None


class Forgetful(Synthetic):
    """A model that does not follow what it is told about beta."""

    def __call__(self, skill: Any, task: Any, *, iteration: str, trial: int = 0) -> Any:
        return super().__call__(None if needs(task) == "beta" else skill, task, iteration=iteration, trial=trial)


class Partly(Synthetic):
    """A model whose failures are right in part, by `score`."""

    score = 0.5

    def __call__(self, skill: Any, task: Any, *, iteration: str, trial: int = 0) -> Any:
        row = super().__call__(skill, task, iteration=iteration, trial=trial)
        return row if row.passed else replace(row, score=self.score)


@pytest.mark.parametrize(("by", "told"), [("score", "it lost: 50% → 25% in score on 6 tasks"), ("pass", "0% → 0%")])
def test_a_skill_is_measured_again_by_what_decides(bot: Stage, by: str, told: str) -> None:
    configure(bot, "iterations: 3", f"iterations: 3\ndecide_by: {by}")
    bot.engine.rollout = sinking = Partly()
    bot.schedule()
    optimized(bot)
    configure(bot, "small, optimizer: openai/large}", f"smaller, optimizer: openai/large}}\ndecide_by: {by}")
    sinking.score = 0.25
    ended = bot.schedule()
    assert optimized(bot) == (["writer", "reader"] if by == "score" else [])
    assert told in ended.log


def test_an_old_measurement_is_refreshed_where_that_is_wanted(bot: Stage) -> None:
    configure(bot, "iterations: 3", "iterations: 3\nreevaluate_days: 30")
    bot.schedule()
    optimized(bot)
    bot.schedule()
    assert (optimized(bot), bot.engine.measured) == ([], [])
    record = json.loads(bot.github.hub.git.files(STATE)["skills/writer.json"])
    record["measured_at"] = (datetime.now(UTC) - timedelta(days=31)).isoformat()
    bot.github.hub.git.change(STATE, {"skills/writer.json": json.dumps(record).encode()}, "ann")
    bot.schedule()
    assert [inputs.skill.name for inputs in bot.engine.measured] == ["writer"]


def test_an_outage_is_no_result_and_is_tried_again(bot: Stage) -> None:
    bot.engine.rollout = Synthetic(outage=lambda iteration, task: True)
    bot.schedule()
    optimized(bot)
    bot.engine.rollout = Synthetic()
    bot.schedule()
    assert optimized(bot) == ["writer", "reader"]


def test_one_skills_failure_does_not_stop_the_others(bot: Stage) -> None:
    change(bot, **{"skills/writer/SKILL.md": b"no frontmatter\n"})
    ended = bot.schedule()
    assert ended.code == 2
    assert optimized(bot) == ["reader"]
    assert ended.outputs["status"] == "failed\nopened"


def test_a_state_that_somebody_broke_is_said_and_not_overwritten(bot: Stage) -> None:
    bot.schedule()
    broken = bot.github.hub.git.change(STATE, {"skills/writer.json": b"{"}, "ann")
    ended = bot.schedule()
    assert ended.code == 1
    assert "delete the file, and it starts anew" in ended.log
    assert bot.github.hub.git.refs[STATE] == broken


@pytest.mark.parametrize("known", [False, True])
def test_a_state_that_another_run_wrote_meanwhile_is_kept_beside_ours(bot: Stage, known: bool) -> None:
    if known:
        bot.schedule(skill="reader")
    other: list[str] = []

    def meanwhile(verb: str, path: str) -> None:
        if verb == "POST" and path.endswith("/git/trees") and len(bot.github.hub.pulls) == 1 + known and not other:
            other.append(bot.github.hub.git.change(STATE, {"skills/third.json": b"{}"}, "ann"))

    bot.github.before = meanwhile
    assert bot.schedule(skill="writer").code == 0
    assert other
    files = bot.github.hub.git.files(STATE)
    assert set(files) >= {"skills/third.json", "skills/writer.json"} | ({"skills/reader.json"} if known else set())


def test_tasks_keep_their_split_when_others_are_added(bot: Stage) -> None:
    rows = FILES["evals/writer/tasks.yaml"].decode()
    for split in ("train", "validation", "heldout"):
        rows = rows.replace(f"    split: {split}\n", "")
    change(bot, **{"evals/writer/tasks.yaml": rows.encode()})
    bot.schedule(skill="writer")
    before = json.loads(bot.github.hub.git.files(STATE)["skills/writer.json"])["splits"]
    more = rows + "  - id: task-new\n    instruction: Needs beta.\n    grader: {type: text, exact: x}\n"
    change(bot, **{"evals/writer/tasks.yaml": more.encode()})
    bot.schedule(skill="writer")
    after = json.loads(bot.github.hub.git.files(STATE)["skills/writer.json"])["splits"]
    assert len(after) == len(before) + 1
    assert {task: after[task] for task in before} == before


def test_a_dispatch_runs_what_it_is_asked_to_whatever_is_known(bot: Stage) -> None:
    bot.schedule()
    optimized(bot)
    payload = {"inputs": {"skill": "skills/reader"}, "sender": {"login": "ann", "type": "User"}}
    assert bot.run("workflow_dispatch", payload).code == 0
    assert optimized(bot) == ["reader"]
    ended = bot.run("workflow_dispatch", payload, skill="nobody")
    assert ended.code == 2
    assert "there is writer, reader" in ended.log

"""What others do to branches and files while the bot works, or left there: it writes over nothing, and says what."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from skillgrad_ci.bot.engine import RealEngine
from skillgrad_ci.bot.pull_request.branch import SUFFIXES
from skillgrad_ci.config.config import load_config
from skillgrad_ci.errors import BudgetExceeded, Cancelled
from skillgrad_ci.method.events import Executing
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.task import Task
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.inputs import read_inputs
from skillgrad_ci.skill.folder import MAX_FILE_BYTES
from skillgrad_ci.skill.skill import Skill
from tests.fake_github.hub import MAIN
from tests.support import small_repository
from tests.support.bot_stage import CONFIG, Stage, skill_text
from tests.support.worlds import Synthetic

WRITER, STATE, SKILL = "heads/skillgrad/writer", "heads/skillgrad/state", "skills/writer/SKILL.md"
GONE: dict[str, bytes | None] = {SKILL: None, "skills/writer/references/old.md": None}


def configured(bot: Stage, more: str) -> None:
    bot.github.hub.git.change(MAIN, {".skillgrad.yml": f"{CONFIG}{more}".encode()}, "ann")
    bot.sync()


def answer(bot: Stage, number: int, command: str) -> str:
    bot.say(number, f"/skillgrad {command}")
    return bot.told(number)[-1].replace("\\", "")


def test_a_branch_that_others_keep_moving_is_not_written(bot: Stage) -> None:
    bot.opened()
    git = bot.github.hub.git
    ours = git.refs[WRITER]
    places = [ours, git.commits[ours].parents[0]]  # both are the bot's

    def meanwhile(verb: str, path: str) -> None:
        if verb == "GET" and path.endswith("/git/ref/heads/skillgrad/writer") and len(bot.engine.optimized) == 2:
            places.reverse()
            git.refs[WRITER] = places[0]

    bot.github.before = meanwhile
    ended = bot.label(bot.github.hub.issue("x", "skill: writer").number)
    assert (ended.code, ended.outputs["status"]) == (1, "undelivered")
    assert "branch skillgrad/writer: others kept writing to it; start this run again" in ended.log


def test_where_people_commit_to_every_branch_the_run_is_kept(bot: Stage) -> None:
    for suffix in SUFFIXES:
        bot.github.hub.git.refs[f"{WRITER}{suffix}"] = bot.github.hub.git.refs[MAIN]
        bot.github.hub.git.change(f"{WRITER}{suffix}", {"note.txt": b"mine"}, "wes")
    theirs = dict(bot.github.hub.git.refs)
    ended = bot.label(bot.github.hub.issue("x", "skill: writer").number)
    assert (ended.code, ended.outputs["status"]) == (1, "undelivered")
    assert "branch skillgrad/writer: people commit to it and to all that follow; delete some" in ended.log
    assert {ref: sha for ref, sha in bot.github.hub.git.refs.items() if ref != STATE} == theirs


def test_an_offer_is_not_put_on_a_branch_that_somebody_makes_meanwhile(bot: Stage) -> None:
    bot.opened()
    theirs = bot.propose({SKILL: skill_text("writer") + b"\nAsk before you delete.\n"})
    bot.evaluate(theirs)
    ref = f"heads/skillgrad/writer.on-{theirs}"

    def meanwhile(verb: str, path: str) -> None:
        if verb == "POST" and path.endswith("/git/refs") and ref not in bot.github.hub.git.refs:
            bot.github.hub.git.refs[ref] = bot.github.hub.git.refs["heads/topic"]

    bot.github.before = meanwhile
    said = answer(bot, theirs, "apply")
    assert f"branch skillgrad/writer.on-{theirs}: somebody wrote to it meanwhile; nothing was changed" in said
    assert bot.github.hub.git.refs[ref] == bot.github.hub.git.refs["heads/topic"]


def test_a_state_that_others_keep_writing_is_left_to_them(bot: Stage) -> None:
    bot.schedule(skill="reader")

    def meanwhile(verb: str, path: str) -> None:
        if verb == "PATCH" and path.endswith("/git/refs/heads/skillgrad/state"):
            bot.github.hub.git.change(STATE, {"note.txt": str(len(bot.github.asked)).encode()}, "ann")

    bot.github.before = meanwhile
    ended = bot.schedule(skill="writer")
    assert ended.code == 1
    assert "branch skillgrad/state: other runs kept writing to it; start this one again" in ended.log
    assert [inputs.skill.name for inputs in bot.engine.optimized] == ["reader"]


def test_an_account_of_the_month_that_somebody_broke_is_said(bot: Stage) -> None:
    configured(bot, "budget: {month: 9}\n")
    bot.github.hub.git.change(STATE, {"spending.json": b'{"2026-11": "much"}'}, "ann")
    ended = bot.schedule(skill="writer")
    assert ended.code == 1
    assert "branch skillgrad/state: spending.json: not as the bot writes it; mend or delete the file" in ended.log
    assert bot.engine.optimized == []


def test_a_skill_that_git_ignores_is_not_paid_for(bot: Stage) -> None:
    configured(bot, "")
    bot.github.hub.git.change(MAIN, GONE, "ann")
    bot.sync()  # the files stay in the checkout
    ended = bot.schedule(skill="writer")
    assert ended.code == 2
    assert "skills/writer: not in the repository at " in ended.log
    assert "commit the skill (a path that .gitignore names is not committed), then start the run again" in ended.log
    assert bot.engine.optimized == []


def test_a_head_with_a_large_file_is_not_measured(bot: Stage) -> None:
    ended = bot.evaluate(bot.propose({"skills/writer/assets/large.bin": b"x" * (MAX_FILE_BYTES + 1)}))
    assert ended.code == 2
    assert "skills/writer/assets/large.bin at " in ended.log
    assert "larger than 5,000,000 bytes; a skill holds files of moderate size" in ended.log
    assert bot.engine.measured == []


def without_the_skill(bot: Stage, text: str) -> str:
    """The outcome, said to have begun with a commit that does not hold the skill."""
    return text.replace(json.loads(text)["base"], bot.github.hub.git.change("heads/x", {"a": b""}, "ann"))


@pytest.mark.parametrize(
    ("bent", "said"),
    [
        (lambda bot, text: text[:-9], "outcome.json: not as this program writes it; start the run again"),
        (without_the_skill, "with which the run began; run it again"),
    ],
)
def test_an_outcome_that_is_not_as_it_was_left_is_not_delivered(
    bot: Stage, bent: Callable[[Stage, str], str], said: str
) -> None:
    for step in ("preflight", "optimize"):
        ended = bot.schedule(step=step, skill="writer")
    file = bot.checkout / ended.outputs["report"] / "outcome.json"
    file.write_text(bent(bot, file.read_text()))
    ended = bot.schedule(step="deliver", skill="writer")
    assert ended.code != 0
    assert said in ended.log
    assert WRITER not in bot.github.hub.git.refs


def test_commands_need_a_skill_on_both_sides(bot: Stage) -> None:
    number = bot.opened()
    bot.github.hub.git.change(MAIN, GONE, "ann")
    assert "on which this pull request is based; close it" in answer(bot, number, "rebase")
    bot.github.hub.git.change(WRITER, GONE, "wes")
    said = answer(bot, number, "measure")
    assert "skills/writer: not a skill on the branch or on its base; close the pull request" in said


# A job that is cancelled


class Stopped(Synthetic):
    def __call__(self, skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        raise Cancelled("stopped")


def test_a_cancelled_job_says_that_the_next_one_goes_on(bot: Stage) -> None:
    bot.engine.rollout = Stopped()
    ended = bot.schedule(skill="writer")
    assert (ended.code, ended.outputs["status"]) == (1, "cancelled")
    assert "writer: cancelled; started again, the run goes on where it was" in ended.log
    ended = bot.schedule(skill="writer", step="execute", shard="1/2")
    assert (ended.code, ended.outputs["status"]) == (1, "cancelled")
    assert "writer: shard 1/2 was cancelled; started again, it goes on where it was" in ended.log


@pytest.mark.parametrize(("tokens", "error"), [(4_000, BudgetExceeded), (10_000_000, Cancelled)])
def test_half_a_measurement_is_none(tmp_path: Path, tokens: int, error: type[Exception]) -> None:
    """At a cap, and where the job is cancelled."""
    root = small_repository.make(tmp_path / "repository")
    config = root / ".skillgrad.yml"
    config.write_text(f"{config.read_text()}sandbox: none\nbudget: {{tokens: {tokens}}}\n")
    inputs = read_inputs(load_config(config).skills[0])

    begun: list[Executing] = []

    def cancel(event: object) -> None:
        if error is Cancelled and isinstance(event, Executing) and not begun:
            begun.append(event)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(error, match=r"interrupted|budget\.tokens: the next call could take the run to"):
        RealEngine(Redactor()).measure(inputs, [inputs.skill], inputs.suite.tasks, tmp_path / "run", cancel)

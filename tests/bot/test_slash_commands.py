"""Reviewers take an edit out, or ask for its reasons, on the bot's pull request."""

import json

import pytest

from skillgrad_ci.bot.slash_commands import Command, parse_command
from skillgrad_ci.github.comments import marker
from skillgrad_ci.method.memory.memory_file import parse_memory
from tests.fake_github.hub import BOT, MAIN
from tests.support.bot_stage import Ended, Stage
from tests.support.worlds import Oracle, edit

WRITER = "heads/skillgrad/writer"
SKILL = "skills/writer/SKILL.md"
MEMORY = ".skillgrad/writer/momentum.md"


def reply(bot: Stage, number: int) -> str:
    return [comment for comment in bot.github.hub.comments_on(number) if comment.author == BOT][-1].body


def branch(bot: Stage) -> dict[str, bytes]:
    return bot.github.hub.git.files(WRITER)


def left_alone(bot: Stage, ended: Ended, writes: int) -> None:
    assert (ended.code, ended.outputs["status"]) == (0, "ignored")
    assert len(bot.github.writes) == writes
    assert bot.engine.measured == []


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/skillgrad drop E3", Command("drop", ("E3",))),
        ("Thanks!\n/skillgrad drop e3 it is  wrong \n", Command("drop", ("E3",), "it is  wrong")),
        ("/skillgrad explain E12", Command("explain", ("E12",))),
        ("/skillgrad", Command("help")),
        ("/skillgrad help me", Command("help")),
        ("/skillgrad drop", Command("help", problem="drop needs the id of an edit, like E3")),
        ("/skillgrad drop 3", Command("help", problem="drop needs the id of an edit, like E3")),
        ("/skillgrad burn E3", Command("help", problem="there is no command 'burn'")),
        ("> /skillgrad drop E3", None),
        ("```\n/skillgrad drop E3\n```", None),
        ("````\n```\n/skillgrad drop E3\n```\n````", None),
        ("```\n~~~\n/skillgrad drop E3\n```", None),
        ("```\n```text\n/skillgrad drop E3\n```", None),
        ("```\nx\n```\n/skillgrad drop E3", Command("drop", ("E3",))),
        ("```x``` is code\n/skillgrad drop E3", Command("drop", ("E3",))),
        ("<!--\n/skillgrad drop E3\n-->", None),
        ("see `/skillgrad drop E3`", None),
        ("/skillgrads drop E3", None),
        ("", None),
    ],
)
def test_a_command_is_a_line_of_its_own(text: str, command: Command | None) -> None:
    assert parse_command(text) == command


def test_drop_takes_one_edit_out_and_remembers_why(bot: Stage) -> None:
    number = bot.opened()
    ended = bot.say(number, "/skillgrad drop E2 we <!-- x --> do it otherwise, @ann")
    assert (ended.code, ended.outputs["status"]) == (0, "answered")
    text = branch(bot)[SKILL].decode()
    lost = {"alpha", "beta", "gamma"} - {word for word in ("alpha", "beta", "gamma") if f"always {word}" in text}
    assert len(lost) == 1
    base = bot.github.hub.git.files(MAIN)
    assert {path for path, content in branch(bot).items() if base.get(path) != content} == {SKILL, MEMORY}
    memory = parse_memory(branch(bot)[MEMORY].decode(), "m")
    (rejected,) = memory.rejected
    assert (rejected.id, rejected.by, rejected.reason) == ("E2", "reviewer", "we do it otherwise, @ann")
    assert "@ann" not in reply(bot, number)
    assert bot.github.hub.issues[number].title == "Optimize skill writer, without E2"
    body = bot.github.hub.issues[number].body
    assert body.index("Without it, on the tasks that decide: 0.0% → 66.7%") < body.index("**Heldout accuracy rose")
    assert "with E2 still in it" in body
    assert "| [E1](" in body
    assert "[E2](" not in body
    assert "E2 was dropped by wes" in body
    assert "0.0% → 66.7%" in reply(bot, number)
    (comment,) = [c for c in bot.github.hub.comments_on(number) if c.author == "wes"]
    assert comment.reactions == [(BOT, "eyes")]
    record = json.loads(bot.github.hub.git.files("heads/skillgrad/state")["skills/writer.json"])
    assert record["proposals"][0]["head"] == bot.github.hub.git.refs[WRITER]


def test_a_commit_that_comes_while_a_drop_is_measured_is_not_overwritten(bot: Stage) -> None:
    number = bot.opened()
    theirs: list[str] = []

    def commit(verb: str, path: str) -> None:
        if (verb, path.endswith("/git/commits"), theirs) == ("POST", True, []):
            theirs.append(bot.github.hub.git.change(WRITER, {"note.txt": b"hi"}, "wes", "Mine"))

    bot.github.before = commit
    ended = bot.say(number, "/skillgrad drop E1")
    assert ended.code == 1
    assert "somebody committed to it meanwhile" in reply(bot, number)
    assert bot.github.hub.git.refs[WRITER] == theirs[0]


def test_a_second_drop_stands_on_the_first(bot: Stage) -> None:
    number = bot.opened()
    bot.say(number, "/skillgrad drop E1 no")
    bot.say(number, "/skillgrad drop E3 no")
    assert branch(bot)[SKILL].decode().count("always") == 1
    assert [e.id for e in parse_memory(branch(bot)[MEMORY].decode(), "m").rejected] == ["E1", "E3"]
    bot.say(number, "/skillgrad drop E1")
    assert "dropped already" in reply(bot, number)
    bot.say(number, "/skillgrad drop E2")
    assert "nothing is left" in reply(bot, number)
    assert branch(bot)[SKILL].decode().count("always") == 1


def test_what_was_dropped_is_not_proposed_as_new_to_the_next_run(bot: Stage) -> None:
    number = bot.opened()
    bot.say(number, "/skillgrad drop E2 never again")
    bot.github.hub.merge(number)
    bot.sync()
    bot.label(bot.github.hub.issue("x", "skill: writer").number)
    rejected = bot.engine.optimized[-1].memory.rejected
    assert [(e.id, e.reason) for e in rejected] == [("E2", "never again")]


def test_what_was_dropped_is_known_to_a_run_on_the_open_pull_request(bot: Stage) -> None:
    number = bot.opened()
    bot.say(number, "/skillgrad drop E2 never again")
    for _ in range(2):
        bot.label(bot.github.hub.issue("x", "skill: writer").number)
        rejected = bot.engine.optimized[-1].memory.rejected
        assert [(e.id, e.reason) for e in rejected] == [("E2", "never again")]


def test_what_is_dropped_while_a_run_is_at_work_is_known_to_the_next(bot: Stage) -> None:
    number = bot.opened()
    meanwhile = ["/skillgrad drop E2 never again"]
    bot.engine.before = lambda: bot.say(number, meanwhile.pop()) if meanwhile else None
    for _ in range(2):
        bot.label(bot.github.hub.issue("x", "skill: writer").number)
    assert [(e.id, e.reason) for e in bot.engine.optimized[-1].memory.rejected] == [("E2", "never again")]


class Stacked(Oracle):
    """Its second edit changes what its first one wrote."""

    def _patch(self, user: str) -> dict[str, object]:
        skill = user.split("## The record")[0]
        slug = next(line.split()[-1] for line in user.splitlines() if line.startswith("- task "))
        if "always alpha" in skill:
            return {"edits": []}
        first = edit("Use always alpha.", slug)
        second = edit("Use always alpha, always beta.", slug, op="replace", target="text", address="Use always alpha.")
        return {"edits": [first, second]}


def test_an_edit_that_others_stand_on_is_not_dropped_alone(bot: Stage) -> None:
    bot.engine.agent = Stacked()
    number = bot.opened()
    before = bot.github.hub.git.refs[WRITER]
    bot.say(number, "/skillgrad drop E1")
    assert "E1 cannot be dropped alone" in reply(bot, number)
    assert "E2 stands on E1" in reply(bot, number)
    assert bot.github.hub.git.refs[WRITER] == before
    assert bot.engine.measured == []


def test_explain_shows_diagnoses_and_pattern(bot: Stage) -> None:
    number = bot.opened()
    bot.say(number, "/skillgrad explain E1")
    assert "`lacks-alpha` (operation, recurring)" in reply(bot, number)
    assert "```\nUse always alpha.\n```" in reply(bot, number)
    assert "failure, `lacks-alpha` (guidance missing)" in reply(bot, number)


@pytest.mark.parametrize(
    ("text", "answer"), [("help", "| `/skillgrad drop"), ("burn E3", "there is no command 'burn'")]
)
def test_help_is_given_where_it_is_needed(bot: Stage, text: str, answer: str) -> None:
    number = bot.opened()
    bot.say(number, f"/skillgrad {text}")
    assert answer in reply(bot, number)


def test_a_failure_is_told_to_who_asked(bot: Stage) -> None:
    number = bot.opened()
    (bot.checkout / "evals/writer/tasks.yaml").write_text("version: 1\ntasks: []\n")
    ended = bot.say(number, "/skillgrad drop E1")
    assert ended.code == 2
    assert "It failed: " in reply(bot, number)


def test_an_unknown_edit_is_named_so(bot: Stage) -> None:
    number = bot.opened()
    bot.say(number, "/skillgrad drop E9")
    assert "There is no edit `E9` here; there is E1, E2, E3." in reply(bot, number)


@pytest.mark.parametrize("sender", ["eve", "tim"])
def test_outsiders_are_ignored_without_a_trace(bot: Stage, sender: str) -> None:
    number = bot.opened()
    writes = len(bot.github.writes)
    left_alone(bot, bot.say(number, "/skillgrad drop E1", sender), writes)


def test_a_comment_that_was_edited_after_the_event_is_ignored(bot: Stage) -> None:
    number = bot.opened()
    writes = len(bot.github.writes)

    def swap(verb: str, path: str) -> None:
        for comment in bot.github.hub.comments_on(number):
            comment.body = comment.body.replace("explain", "drop")

    bot.github.before = swap
    left_alone(bot, bot.say(number, "/skillgrad explain E1"), writes)


def test_the_bots_own_comments_are_no_commands_though_its_token_is_a_persons(bot: Stage) -> None:
    number = bot.opened()
    writes = len(bot.github.writes)
    left_alone(bot, bot.say(number, f"{marker('answer-1')}\n/skillgrad drop E1"), writes)


def test_a_forks_pull_request_is_left_alone(bot: Stage) -> None:
    number = bot.opened()
    bot.github.hub.pulls[number].head_repository = "eve/skills"
    writes = len(bot.github.writes)
    left_alone(bot, bot.say(number, "/skillgrad drop E1"), writes)


def test_on_a_persons_pull_request_the_answer_is_what_there_is(bot: Stage) -> None:
    number = bot.opened()
    bot.github.hub.issues[number].author = "wes"
    head = bot.github.hub.git.refs[WRITER]
    assert bot.say(number, "/skillgrad drop E1").outputs["status"] == "answered"
    assert "`drop` is for my own pull requests" in reply(bot, number)
    assert (bot.github.hub.git.refs[WRITER], bot.engine.measured) == (head, [])


def test_a_branch_with_a_persons_commit_is_left_to_them(bot: Stage) -> None:
    number = bot.opened()
    mine = bot.github.hub.git.change(WRITER, {"note.txt": b"hi"}, "wes", "Mine")
    bot.say(number, "/skillgrad drop E1")
    assert f"{mine[:7]} by wes" in reply(bot, number)
    assert bot.github.hub.git.refs[WRITER] == mine


@pytest.mark.parametrize(
    "change",
    [
        {"action": "edited"},
        {"issue": {"number": 1}},
    ],
)
def test_other_comments_do_nothing(bot: Stage, change: dict[str, object]) -> None:
    payload = {"action": "created", "comment": {"id": 1, "body": "/skillgrad help"}}
    payload |= {
        "issue": {"number": 2, "state": "open", "pull_request": {"url": "x"}},
        "sender": {"login": "ann", "type": "User"},
    }
    ended = bot.run("issue_comment", payload | change)
    assert (ended.code, ended.outputs["status"]) == (0, "ignored")
    assert bot.github.asked == []

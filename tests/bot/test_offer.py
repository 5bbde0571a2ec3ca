"""The bot's own edits on top of a person's pull request: measured, suggested on its diff, applied on request."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.bot.evaluation.suggestions import blocks
from skillgrad_ci.errors import BudgetExceeded
from tests.fake_github.hub import BOT, MAIN
from tests.fake_github.server import Fault
from tests.support.bot_stage import Stage, skill_text

SKILL, ON = "skills/writer/SKILL.md", "heads/skillgrad/writer.on-{}"
TAIL = b"\nAsk before you delete.\n"


def measured(bot: Stage, text: bytes = TAIL) -> tuple[int, int]:
    """A proposal of the bot's that is open, and a person's pull request, measured: both numbers."""
    mine = bot.opened()
    theirs = bot.propose({SKILL: skill_text("writer") + text})
    ended = bot.evaluate(theirs)
    assert (ended.code, ended.outputs["status"]) == (0, "evaluated"), ended.log
    return mine, theirs


def committed(bot: Stage) -> str:
    """The head's file with every suggestion pressed, from the last line up, as GitHub writes them."""
    lines = bot.github.hub.git.files("heads/topic")[SKILL].decode().split("\n")
    for comment in sorted(bot.github.hub.review_comments, key=lambda row: -row["line"]):
        fence = comment["body"].split("\n")[2].removesuffix("suggestion")
        inside = comment["body"].split(f"{fence}suggestion\n")[1].removesuffix(fence)
        lines[comment.get("start_line", comment["line"]) - 1 : comment["line"]] = inside.split("\n")[:-1]
    return "\n".join(lines)


def test_edits_that_help_are_told_with_what_was_measured(bot: Stage) -> None:
    mine, theirs = measured(bot)
    (told,) = bot.told(theirs)
    assert (
        f"With the edits E1, E2, E3 of #{mine} on top of it, on the tasks that decide: 0.0% → 100.0% on 6 tasks" in told
    )
    assert "`/skillgrad apply` opens them" in told
    (check,) = bot.github.hub.checks
    assert "skillgrad-ci:offer" not in check["output"]["summary"]


def test_what_fits_is_suggested_on_the_diff_in_one_review(bot: Stage) -> None:
    mine, _ = measured(bot)
    (review,) = bot.github.hub.reviews
    assert review["user"]["login"] == BOT
    assert f"Lines of the edits of #{mine}" in review["body"]
    text = committed(bot)
    assert text.count("Use always") == 3
    assert text.count("Ask before you delete.") == 1
    assert all("E" in row["body"].split("\n")[1] for row in bot.github.hub.review_comments)


def test_nothing_is_suggested_outside_the_diff(bot: Stage) -> None:
    """The edits' place is far from what the pull request changes; the offer stands all the same."""
    bot.opened()
    far = b"".join(b"Line %d.\n" % number for number in range(20))
    bot.github.hub.git.change(MAIN, {SKILL: skill_text("writer") + far}, "ann")
    bot.sync()
    text = (skill_text("writer") + far).replace(b"# Guide", b"# A guide")
    theirs = bot.propose({SKILL: text})
    assert bot.evaluate(theirs).code == 0
    assert "`/skillgrad apply` opens them" in bot.told(theirs)[-1]
    assert not [asked for asked in bot.github.writes if asked.path.endswith("/reviews")]


def test_one_head_is_suggested_to_once_and_the_next_one_not_again_what_still_stands(bot: Stage) -> None:
    _, theirs = measured(bot)
    first = list(bot.github.hub.review_comments)
    bot.github.hub.review_comments.clear()  # somebody took them away
    bot.evaluate(theirs)
    assert (len(bot.github.hub.reviews), bot.github.hub.review_comments) == (1, [])
    bot.github.hub.review_comments += first
    pull = bot.github.hub.pulls[theirs]
    pull.head_sha = bot.github.hub.git.change("heads/topic", {"skills/writer/references/old.md": b"# Older\n"}, "wes")
    bot.evaluate(theirs)
    assert bot.github.hub.review_comments == first


def test_an_older_head_is_not_suggested_to(bot: Stage) -> None:
    bot.opened()
    theirs = bot.propose({SKILL: skill_text("writer") + TAIL})
    event = bot.proposed(theirs)
    bot.github.hub.pulls[theirs].head_sha = bot.github.hub.git.change("heads/topic", {"x.md": b"x"}, "wes")
    assert bot.run("pull_request", event).code == 0
    assert bot.github.hub.reviews == []


def test_a_review_that_github_refuses_stops_nothing(bot: Stage) -> None:
    why = {"message": "Unprocessable Entity", "errors": ["line must be part of the diff"]}
    bot.github.faults = [Fault("POST", "/reviews$", 422, why)]
    bot.opened()
    theirs = bot.propose({SKILL: skill_text("writer") + TAIL})
    assert "line must be part of the diff" in bot.evaluate(theirs).log
    assert "`/skillgrad apply` opens them" in bot.told(theirs)[0]
    assert len(bot.github.hub.checks) == 1


def test_a_lost_answer_makes_no_second_review(bot: Stage) -> None:
    bot.github.faults = [Fault("POST", "/reviews$", 502, after=True)]
    measured(bot)
    assert len(bot.github.hub.reviews) == 1


def test_what_does_not_help_or_is_in_the_head_already_is_not_offered(bot: Stage) -> None:
    mine, theirs = measured(bot, b"\nUse always alpha, always beta, always gamma.\n")
    assert f"The edits of #{mine} on top of it do not help on the tasks that decide" in bot.told(theirs)[0]
    assert bot.github.hub.reviews == []
    bot.github.hub.close(theirs)
    said = bot.github.hub.git.files("heads/skillgrad/writer")[SKILL]
    again = bot.propose({SKILL: said})
    bot.evaluate(again)
    assert f"#{mine}" not in bot.told(again)[0]


def test_without_an_open_proposal_nothing_more_is_measured(bot: Stage) -> None:
    bot.github.hub.close(bot.opened())
    bot.evaluate(bot.propose({SKILL: skill_text("writer") + TAIL}))
    assert len(bot.engine.arms) == 1


def test_a_budget_that_does_not_reach_for_the_edits_leaves_the_comparison(bot: Stage) -> None:
    real = bot.engine.measure

    def measure(inputs: Any, candidates: Any, *rest: Any) -> Any:
        if bot.engine.arms:
            raise BudgetExceeded("the cap is reached")
        return real(inputs, candidates, *rest)

    bot.engine.measure = measure  # type: ignore[method-assign, assignment]
    _, theirs = measured(bot)
    (told,) = bot.told(theirs)
    assert "| head | 0.0% | 0/21 |" in told
    assert "were not measured: the cap is reached" in told


def test_apply_opens_what_was_measured_into_the_branch(bot: Stage) -> None:
    mine, theirs = measured(bot)
    ended = bot.say(theirs, "/skillgrad apply")
    assert (ended.code, ended.outputs["status"]) == (0, "answered")
    number = max(bot.github.hub.pulls)
    pull, issue = bot.github.hub.pulls[number], bot.github.hub.issues[number]
    assert (pull.base, pull.head) == ("topic", f"skillgrad/writer.on-{theirs}")
    assert f"/pull/{number} is opened, into `topic`" in bot.told(theirs)[-1]
    assert issue.title == f"Edits of #{mine} for #{theirs}: writer"
    assert "0.0% → 100.0% on 6 tasks" in issue.body
    git = bot.github.hub.git
    text = git.files(ON.format(theirs))[SKILL].decode()
    assert text.count("Use always") == 3
    assert "Ask before you delete." in text
    made = git.ancestors(git.refs[ON.format(theirs)])
    made = made[: made.index(git.refs["heads/topic"])]
    assert sum("Skillgrad-Edit: E" in git.commits[sha].message for sha in made) == 3
    assert all(git.commits[sha].author == BOT for sha in made)
    bot.say(theirs, "/skillgrad apply")
    assert max(bot.github.hub.pulls) == number, "said again, it is brought up to date"


@pytest.mark.parametrize("sender", ["eve", "tim"])
def test_who_cannot_write_applies_nothing(bot: Stage, sender: str) -> None:
    _, theirs = measured(bot)
    writes = len(bot.github.writes)
    assert bot.say(theirs, "/skillgrad apply", sender).outputs["status"] == "ignored"
    assert len(bot.github.writes) == writes


def test_apply_pushes_nothing_else_than_what_was_measured(bot: Stage) -> None:
    """The branch moved, or somebody bent the offer, or the edits that are kept."""
    _, theirs = measured(bot)
    git, pull = bot.github.hub.git, bot.github.hub.pulls[theirs]
    (comment,) = [row for row in bot.github.hub.comments_on(theirs) if row.author == BOT]
    whole = comment.body
    comment.body = whole.replace('"digest":"', '"digest":"0')
    bot.say(theirs, "/skillgrad apply")
    assert "do not lead to the skill that was measured" in bot.told(theirs)[-1]
    comment.body = whole.replace('"skill":"writer"', '"skill":"reader"')
    bot.say(theirs, "/skillgrad apply")
    assert "There is nothing to apply here" in bot.told(theirs)[-1]
    comment.body = whole
    pull.head_sha = git.change("heads/topic", {"x.md": b"x"}, "wes")
    bot.say(theirs, "/skillgrad apply")
    assert "moved from" in bot.told(theirs)[-1]
    assert ON.format(theirs) not in git.refs


def test_an_offer_counts_in_the_bots_own_evaluation_alone(bot: Stage) -> None:
    mine, theirs = measured(bot)
    (comment,) = [row for row in bot.github.hub.comments_on(theirs) if row.author == BOT]
    comment.author = "eve"
    bot.say(theirs, "/skillgrad apply")
    assert "There is nothing to apply here" in bot.told(theirs)[-1]
    bot.say(mine, "/skillgrad apply")
    assert "holds its edits already" in bot.told(mine)[-1]


def test_apply_leaves_a_branch_with_a_persons_commit_alone(bot: Stage) -> None:
    _, theirs = measured(bot)
    bot.say(theirs, "/skillgrad apply")
    hand = bot.github.hub.git.change(ON.format(theirs), {"note.txt": b"hi"}, "wes", "Mine")
    bot.say(theirs, "/skillgrad apply")
    assert "commits that are not mine" in bot.told(theirs)[-1]
    assert bot.github.hub.git.refs[ON.format(theirs)] == hand


def test_a_dropped_edit_is_offered_no_more(bot: Stage) -> None:
    mine = bot.opened()
    bot.say(mine, "/skillgrad drop E2 because no")
    theirs = bot.propose({SKILL: skill_text("writer") + TAIL})
    bot.evaluate(theirs)
    assert f"With the edits E1, E3 of #{mine}" in bot.told(theirs)[0]


LINES = st.lists(st.sampled_from(["a", "b", "- c", "", "```", "````x", "~~~", "## d"]), max_size=12)


@given(before=LINES, after=LINES, cut=st.integers(0, 12))
def test_blocks_pressed_in_any_order_give_the_edited_file(before: list[str], after: list[str], cut: int) -> None:
    """Where the diff shows all lines; none reaches a line that it does not show, and no fence is closed inside."""
    shown = range(1, cut + 1)
    assert all(block.first in shown and block.last in shown for block in blocks(before, after, [shown]))
    lines, floor = list(before), len(before) + 1
    for block in sorted(blocks(before, after, [range(1, len(before) + 1)]), key=lambda block: -block.last):
        assert block.first <= block.last < floor, "no two on one line"
        lines[block.first - 1 : block.last], floor = block.lines, block.first
        body = block.comment("x.md", ["E1"])["body"].split("\n")[2:]
        ticks = body[0].removesuffix("suggestion")
        assert body[1:] == [*block.lines, ticks]
        assert not any(line.startswith(ticks) for line in block.lines)
    assert lines == after or not before

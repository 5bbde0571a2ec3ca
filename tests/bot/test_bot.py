"""A labelled issue becomes a pull request: once, by those who may ask, and with nothing else in it."""

import json
import re
import threading
from pathlib import Path

import pytest

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.github.comments import marker
from skillgrad_ci.method.memory.memory_file import parse_memory
from tests.fake_github.hub import BOT, MAIN
from tests.fake_github.server import Fault
from tests.support.bot_stage import CONFIG, FILES, Ended, Stage, stage
from tests.support.worlds import Oracle, Synthetic

WRITER = "heads/skillgrad/writer"


def changed(bot: Stage, ref: str = WRITER) -> dict[str, bytes]:
    """The files in which a branch differs from the default branch."""
    base, head = bot.github.hub.git.files(MAIN), bot.github.hub.git.files(ref)
    assert set(base) <= set(head)
    return {path: content for path, content in head.items() if base.get(path) != content}


def commits(bot: Stage, ref: str = WRITER) -> list[str]:
    git = bot.github.hub.git
    base = set(git.ancestors(git.refs[MAIN]))
    return [git.commits[sha].message for sha in reversed(git.ancestors(git.refs[ref])) if sha not in base]


def test_a_labelled_issue_becomes_a_pull_request(bot: Stage) -> None:
    issue = bot.github.hub.issue("Make it better", "skill: writer")
    ended = bot.label(issue.number)
    assert ended.code == 0
    (pull,) = bot.github.hub.pulls.values()
    assert (pull.head, pull.base, pull.draft) == ("skillgrad/writer", "main", False)
    files = changed(bot)
    assert set(files) == {"skills/writer/SKILL.md", ".skillgrad/writer/momentum.md"}
    for word in ("alpha", "beta", "gamma"):
        assert f"Use always {word}.".encode() in files["skills/writer/SKILL.md"]
    memory = parse_memory(files[".skillgrad/writer/momentum.md"].decode(), "momentum.md")
    assert {pattern.slug for pattern in memory.patterns} == {"lacks-alpha", "lacks-beta", "lacks-gamma"}
    assert issue.reactions == [(BOT, "eyes")]
    assert issue.labels == []
    assert ended.outputs["status"] == "opened"
    assert ended.outputs["pull_request"].endswith(f"/pull/{pull.number}")
    assert ended.outputs["delta"] == "1.0"
    assert (bot.checkout / ended.outputs["report"] / "report.json").is_file()


def test_every_edit_is_a_commit_with_its_provenance_and_the_memory_is_the_last(bot: Stage) -> None:
    bot.opened()
    *edits, last = commits(bot)
    assert {message.splitlines()[0] for message in edits} == {"lacks-alpha", "lacks-beta", "lacks-gamma"}
    for message in edits:
        trailers = dict(re.findall(r"^Skillgrad-(\w+): (.+)$", message, re.MULTILINE))
        assert set(trailers) == {"Edit", "Layer", "Patterns", "Tasks", "Run", "Iteration", "Accepted"}
        assert trailers["Iteration"].isdigit()
        assert re.match(r"checked at the end: \+[\d.]+ points on \d+ \w+ tasks \(", trailers["Accepted"])
        assert trailers["Layer"] == "B"
        assert re.fullmatch(r"task-\d\d(, task-\d\d)*", trailers["Tasks"])
    assert last.endswith("Skillgrad-Memory: writer\n")


def test_progress_is_one_comment_that_becomes_the_result(bot: Stage) -> None:
    issue = bot.github.hub.issue("Make it better", "skill: writer")
    bot.label(issue.number)
    (comment,) = bot.github.hub.comments_on(issue.number)
    assert "Optimizing `writer`" in comment.edits[0]
    assert f"/pull/{max(bot.github.hub.pulls)}" in comment.body
    assert "Heldout accuracy rose" in comment.body


def test_a_person_who_reads_only_the_pull_request_knows_it_all(bot: Stage) -> None:
    body = bot.github.hub.issues[bot.opened()].body
    for fact in [
        "0.0% (0/6)", "100.0% (6/6)", "95% interval", "mid-p McNemar", "unmeasured", "```mermaid",
        "| [E1](https://github.invalid/acme/skills/commit/", "```diff",
        "`lacks-alpha`", "/skillgrad drop", "fixed, 0 broken", "Use always alpha.", "What the memory holds", "$0.01",
        "completion tokens",
        "openai/small", "seed 0", "--allow-empty", "#1",
    ]:  # fmt: skip
        assert fact in body, fact


def test_the_state_branch_holds_no_code_and_no_common_history(bot: Stage) -> None:
    bot.opened()
    git = bot.github.hub.git
    files = git.files("heads/skillgrad/state")
    assert set(files) == {"README.md", "spending.json", "skills/writer.json"}
    assert list(json.loads(files["spending.json"]).values()) == [0.01]
    assert not set(git.ancestors(git.refs["heads/skillgrad/state"])) & set(git.ancestors(git.refs[MAIN]))
    record = json.loads(files["skills/writer.json"])
    assert record["outcome"] == "opened"
    assert [edit["id"] for edit in record["proposals"][0]["edits"]] == ["E1", "E2", "E3"]
    assert record["runs"][-1]["cost_usd"] == 0.01


@pytest.mark.parametrize(
    ("label", "sender"), [("bug", "ann"), ("optimize-skill ", "ann"), ("optimize-skill", "dependabot[bot]")]
)
def test_other_labels_and_bots_do_nothing(bot: Stage, label: str, sender: str) -> None:
    issue = bot.github.hub.issue("Make it better", "skill: writer")
    ended = bot.label(issue.number, label, sender)
    assert (ended.code, ended.outputs["status"]) == (0, "ignored")
    assert bot.github.asked == []
    assert bot.engine.optimized == []


@pytest.mark.parametrize("sender", ["tim", "eve"])
def test_who_cannot_write_cannot_ask(bot: Stage, sender: str) -> None:
    """A triager may set labels, and is not allowed to spend the repository's money."""
    issue = bot.github.hub.issue("Make it better", "skill: writer")
    ended = bot.label(issue.number, sender=sender)
    assert (ended.code, ended.outputs["status"]) == (0, "refused")
    assert bot.engine.optimized == []
    assert "no write access" in bot.github.hub.comments_on(issue.number)[0].body


def test_access_that_cannot_be_checked_is_no_access(bot: Stage) -> None:
    issue = bot.github.hub.issue("Make it better", "skill: writer")
    bot.github.faults = [Fault("GET", "/collaborators/", 403, {"message": "Resource not accessible by integration"})]
    assert bot.label(issue.number).outputs["status"] == "refused"
    assert bot.engine.optimized == []


@pytest.mark.parametrize("text", ["", "skill: other", "skill: writer, reader", "skill: writer\nskill: reader"])
def test_an_issue_that_names_no_skill_or_several_is_told_the_choices(bot: Stage, text: str) -> None:
    issue = bot.github.hub.issue("Something about writing", text)
    ended = bot.label(issue.number)
    (comment,) = bot.github.hub.comments_on(issue.number)
    assert "`writer`, in `skills/writer`" in comment.body
    assert "`reader`, in `skills/reader`" in comment.body
    assert (ended.code, ended.outputs["status"], bot.engine.optimized, issue.labels) == (0, "answered", [], [])


def test_the_issue_of_an_earlier_run_is_answered_in_the_same_comment(bot: Stage) -> None:
    issue = bot.github.hub.issue("Something", "")
    bot.label(issue.number)
    issue.body = "skill: writer"
    bot.label(issue.number)
    assert len(bot.github.hub.comments_on(issue.number)) == 1


def test_a_comment_that_pretends_to_be_the_bots_is_left_alone(bot: Stage) -> None:
    issue = bot.github.hub.issue("Something", "")
    theirs = bot.github.hub.comment(issue.number, "eve", f"{marker('progress')}\nMine")
    bot.label(issue.number)
    assert theirs.body.endswith("Mine")
    assert [comment.author for comment in bot.github.hub.comments_on(issue.number)] == ["eve", BOT]


def test_a_run_without_a_gain_opens_nothing_and_says_what_was_tried(bot: Stage) -> None:
    bot.engine.agent = Oracle()
    bot.engine.rollout = Useless()
    issue = bot.github.hub.issue("Make it better", "skill: writer")
    ended = bot.label(issue.number)
    assert (ended.code, ended.outputs["status"]) == (0, "no_gain")
    assert bot.github.hub.pulls == {}
    assert WRITER not in bot.github.hub.git.refs
    assert "| E1 |" in bot.github.hub.comments_on(issue.number)[0].body
    assert "| E1 |" in ended.summary
    record = json.loads(bot.github.hub.git.files("heads/skillgrad/state")["skills/writer.json"])
    assert record["outcome"] == "no_gain"
    assert record["fingerprint"]


class Useless(Synthetic):
    """Whatever the skill says, every task fails, each with its own feedback."""

    def __call__(self, skill, task, *, iteration, trial=0):  # type: ignore[no-untyped-def]
        return super().__call__(None, task, iteration=iteration, trial=trial)


def test_a_tie_is_a_draft_that_claims_nothing_where_that_is_wanted(tmp_path: Path) -> None:
    config = FILES[".skillgrad.yml"] + b"pull_request: {draft_on_tie: true, labels: [bot], reviewers: [wes]}\n"
    with stage(tmp_path, {**FILES, ".skillgrad.yml": config}) as bot:
        bot.engine.rollout = Useless()
        number = bot.opened()
        pull, issue = bot.github.hub.pulls[number], bot.github.hub.issues[number]
        assert pull.draft
        assert "no measured change" in issue.title
        assert "No measured change" in issue.body
        assert (issue.labels, pull.reviewers) == (["bot"], ["wes"])


def test_a_tie_leaves_an_open_proposal_as_it_is(tmp_path: Path) -> None:
    config = FILES[".skillgrad.yml"] + b"pull_request: {draft_on_tie: true}\n"
    with stage(tmp_path, {**FILES, ".skillgrad.yml": config}) as bot:
        number = bot.opened()
        title, head = bot.github.hub.issues[number].title, bot.github.hub.git.refs[WRITER]
        bot.engine.rollout = Useless()
        ended = bot.label(bot.github.hub.issue("x", "skill: writer").number)
        assert (ended.code, ended.outputs["status"]) == (0, "no_gain")
        assert (bot.github.hub.issues[number].title, bot.github.hub.git.refs[WRITER]) == (title, head)
        assert set(bot.github.hub.pulls) == {number}


def test_wishes_that_cannot_be_met_are_no_reason_to_fail(bot: Stage) -> None:
    issue = bot.github.hub.issue("Make it better", "skill: writer")
    ended = bot.label(issue.number, reviewers="@ann, nobody", assignees="wes", labels="a, b", draft="true")
    assert ended.code == 0
    number = max(bot.github.hub.pulls)
    pull, shown = bot.github.hub.pulls[number], bot.github.hub.issues[number]
    assert (pull.draft, pull.reviewers, shown.labels, shown.assignees) == (True, ["ann"], ["a", "b"], ["wes"])
    assert "::warning::reviewers: nobody was not set" in ended.log


def test_what_is_not_yet_known_right_after_its_making_is_asked_again(bot: Stage) -> None:
    message = {"message": "Validation Failed", "errors": [{"message": "Could not resolve to a node"}]}
    bot.github.faults = [Fault("POST", "/requested_reviewers$", 422, message)]
    issue = bot.github.hub.issue("Make it better", "skill: writer")
    assert bot.label(issue.number, reviewers="ann").code == 0
    assert bot.github.hub.pulls[max(bot.github.hub.pulls)].reviewers == ["ann"]


def test_where_there_are_no_drafts_a_ready_pull_request_is_opened(bot: Stage) -> None:
    message = {"message": "Draft pull requests are not supported in this repository."}
    bot.github.faults = [Fault("POST", "/pulls$", 422, message, times=2)]  # the preflight's try, and the real one
    ended = bot.label(bot.github.hub.issue("x", "skill: writer").number, draft="true")
    assert (ended.code, ended.outputs["status"]) == (0, "opened")
    assert "no draft pull requests" in ended.log


def test_a_label_of_any_name_asks_and_is_taken_off(bot: Stage) -> None:
    name = "skill: optimize/now? 100%"
    issue = bot.github.hub.issue("x", "skill: writer")
    assert bot.label(issue.number, name).outputs["status"] == "ignored"
    assert bot.label(issue.number, name, label=name).outputs["status"] == "opened"
    assert issue.labels == []


def test_a_run_folder_outside_the_repository_is_refused_before_anything_is_spent(bot: Stage, tmp_path: Path) -> None:
    ended = bot.schedule(run_folder=str(tmp_path / "elsewhere"))
    assert ended.code == 2
    assert "not inside the repository" in ended.log
    assert bot.engine.optimized == []


def test_the_rehearsal_never_writes(tmp_path: Path) -> None:
    config = CONFIG.replace("openai/small", "rehearsal").encode()
    with stage(tmp_path, {**FILES, ".skillgrad.yml": config}) as bot:
        issue = bot.github.hub.issue("Make it better", "skill: writer")
        ended = bot.label(issue.number)
        assert ended.code == 2
        assert "the rehearsal model never writes" in ended.log
        assert set(bot.github.hub.git.refs) == {MAIN}
        assert "never writes" in bot.github.hub.comments_on(issue.number)[0].body


def test_a_key_that_stands_in_a_skill_is_not_sent_on(tmp_path: Path) -> None:
    key = "sk-0123456789abcdef"
    text = FILES["skills/writer/SKILL.md"] + f"Call it with {key}.\n".encode()
    with stage(tmp_path, {**FILES, "skills/writer/SKILL.md": text}) as bot:
        bot.environ["SOME_API_KEY"] = key
        ended = bot.label(bot.github.hub.issue(f"Use {key}", "skill: writer").number)
        assert ended.code == 0
        assert not any(key in json.dumps(asked.body) for asked in bot.github.asked)
        assert key not in ended.log.replace(f"::add-mask::{key}", "")


PROXY, PASSWORD = "http://me:hunter2.hunter2@proxy:3128", "hunter2"


def test_a_proxys_password_that_an_error_quotes_leaks_nowhere(bot: Stage) -> None:
    def quote() -> None:
        raise EnvironmentFailure(f"openai/small: 407 from {PROXY}, {PASSWORD.upper()}.{PASSWORD}")

    bot.environ["HTTPS_PROXY"], bot.engine.before = PROXY, quote
    ended = bot.label(bot.github.hub.issue("x", "skill: writer").number)
    assert ended.code == 1
    assert "407 from http://me:***@proxy:3128, ***" in ended.log
    shown = f"{ended.log}{ended.summary}{ended.outputs}".replace(f"::add-mask::{PASSWORD}.{PASSWORD}", "")
    assert PASSWORD not in shown.lower()
    assert PASSWORD not in json.dumps([asked.body for asked in bot.github.asked]).lower()


def test_masks_are_written_for_a_runner_alone(bot: Stage) -> None:
    """By hand nobody takes the line away, and it holds the key."""
    bot.environ["SOME_API_KEY"] = key = "sk-0123456789abcdef"
    assert f"::add-mask::{key}\n" in bot.schedule(dry_run="true").log
    for by_hand in ("", "false"):
        bot.environ["GITHUB_ACTIONS"] = by_hand
        ended = bot.schedule(dry_run="true")
        assert "add-mask" not in ended.log
        assert key not in ended.log


def test_nothing_that_is_printed_on_the_way_is_a_command(bot: Stage) -> None:
    ended = bot.label(bot.github.hub.issue("x", "skill: writer").number)
    first, last = (ended.log.index(mark) for mark in ("::stop-commands::", "base: at most"))
    assert first < last
    token = ended.log.split("::stop-commands::")[1].splitlines()[0]
    assert f"::{token}::\n" in ended.log[last:]


def test_two_issues_at_once_for_two_skills(bot: Stage, tmp_path: Path) -> None:
    _at_once(bot, tmp_path, "writer", "reader")
    assert {pull.head for pull in bot.github.hub.pulls.values()} == {"skillgrad/writer", "skillgrad/reader"}
    files = bot.github.hub.git.files("heads/skillgrad/state")
    assert set(files) == {"README.md", "spending.json", "skills/writer.json", "skills/reader.json"}


def test_two_issues_at_once_for_one_skill_end_in_one_pull_request(bot: Stage, tmp_path: Path) -> None:
    _at_once(bot, tmp_path, "writer", "writer")
    assert [pull.head for pull in bot.github.hub.pulls.values()] == ["skillgrad/writer"]
    assert b"Use always alpha." in changed(bot)["skills/writer/SKILL.md"]


def _at_once(bot: Stage, folder: Path, *skills: str) -> None:
    """A runner each, started together; each has the whole protocol to itself but the fake's lock."""
    start = threading.Barrier(len(skills))
    ends: list[Ended] = []

    def runner(number: int, skill: str) -> None:
        home = folder / f"runner-{number}"
        home.mkdir()
        mine = Stage(bot.github, home / "checkout")
        mine.checkout.mkdir()
        mine.sync()
        mine.engine.before = start.wait
        with bot.github.lock:
            issue = bot.github.hub.issue("Make it better", f"skill: {skill}")
        ends.append(mine.label(issue.number))

    threads = [threading.Thread(target=runner, args=item) for item in enumerate(skills)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [end.code for end in ends] == [0] * len(skills), "".join(end.log for end in ends)

"""A pull request that touches a skill is measured: base against head, as a comment and a check."""

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci.errors import EnvironmentFailure
from tests.fake_github.git_store import Entry
from tests.fake_github.hub import BOT, MAIN, Token
from tests.support.bot_stage import CONFIG, FILES, Stage, skill_text, stage

SKILL = "skills/writer/SKILL.md"


def propose(bot: Stage, files: dict[str, bytes | None] | None = None) -> int:
    return bot.propose(files or {SKILL: skill_text("writer") + b"\nUse always alpha.\n"})


def test_base_and_head_are_compared_in_a_comment_and_a_check(bot: Stage) -> None:
    number = propose(bot)
    ended = bot.evaluate(number)
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
    bot.evaluate(number)
    text = skill_text("writer") + b"\nUse always alpha, always beta.\n"
    bot.github.hub.pulls[number].head_sha = bot.github.hub.git.change("heads/topic", {SKILL: text}, "wes")
    bot.evaluate(number)
    (comment,) = bot.github.hub.comments_on(number)
    assert "| head | 66.7% |" in comment.body


def test_no_file_is_written(bot: Stage) -> None:
    refs = dict(bot.github.hub.git.refs)
    number = propose(bot)
    bot.evaluate(number)
    assert not [asked for asked in bot.github.writes if "/git/" in asked.path]
    assert {ref: sha for ref, sha in bot.github.hub.git.refs.items() if ref != "heads/topic"} == refs


@pytest.mark.parametrize(("threshold", "conclusion"), [("0.3", "success"), ("0.5", "failure"), ("", "neutral")])
def test_a_threshold_decides_the_check(bot: Stage, threshold: str, conclusion: str) -> None:
    bot.evaluate(propose(bot), threshold=threshold)
    assert bot.github.hub.checks[0]["conclusion"] == conclusion


def test_what_touches_no_skill_is_not_measured(bot: Stage) -> None:
    ended = bot.evaluate(propose(bot, {"README.md": b"new"}))
    assert (ended.outputs["status"], bot.engine.measured, bot.github.writes) == ("ignored", [], [])


def test_tasks_and_configuration_come_from_the_base(bot: Stage) -> None:
    """A head that empties the suite, or points the configuration elsewhere, changes nothing of the measurement."""
    files: dict[str, bytes | None] = {
        SKILL: skill_text("writer") + b"\nUse always alpha.\n",
        "evals/writer/tasks.yaml": b"version: 1\ntasks: []\n",
        ".skillgrad.yml": b"skills: []\n",
    }
    bot.evaluate(propose(bot, files))
    assert len(bot.engine.measured[0].suite.tasks) == 21


def test_a_workspace_that_is_not_the_base_is_refused(bot: Stage) -> None:
    number = propose(bot)
    (bot.checkout / ".git/HEAD").write_text(bot.github.hub.git.refs["heads/topic"])
    ended = bot.evaluate(number)
    assert ended.code == 2
    assert "ref: ${{ github.event.pull_request.base.sha }}" in ended.log
    assert bot.engine.measured == []


@pytest.mark.parametrize("repository", [{"full_name": "eve/skills"}, None])
def test_a_forks_pull_request_is_refused_with_the_reason(bot: Stage, repository: object) -> None:
    number = propose(bot)
    ended = bot.run("pull_request", bot.proposed(number, repo=repository))
    assert (ended.code, ended.outputs["status"]) == (0, "refused")
    assert "a fork's skill is not run beside this key" in ended.log
    assert bot.github.asked == []


def test_pull_request_target_is_refused_and_must_be_mended(bot: Stage) -> None:
    ended = bot.run("pull_request_target", bot.proposed(propose(bot)))
    assert (ended.code, ended.outputs["status"]) == (2, "refused")
    assert "use on: pull_request" in ended.log
    assert bot.github.asked == []


@pytest.mark.parametrize("sender", [{"login": BOT, "type": "Bot"}, {"login": "ann", "type": "User"}])
def test_the_bots_own_pull_requests_are_not_measured_again(bot: Stage, sender: dict[str, str]) -> None:
    """By its account, or by its branch where it writes with a person's token."""
    payload = bot.proposed(propose(bot), ref="skillgrad/writer") | {"sender": sender}
    assert bot.run("pull_request", payload).outputs["status"] == "ignored"


def test_a_head_that_is_no_skill_fails_with_the_line(bot: Stage) -> None:
    ended = bot.evaluate(propose(bot, {SKILL: b"no frontmatter\n"}))
    assert (ended.code, bot.engine.measured) == (2, [])
    assert "writer/SKILL.md:1: no frontmatter" in ended.log


def test_lint_findings_of_the_head_are_annotated(bot: Stage) -> None:
    ended = bot.evaluate(propose(bot))
    assert "::warning file=skills/writer/references/old.md,line=1::Q002" in ended.log


def test_a_removed_skill_is_said(bot: Stage) -> None:
    ended = bot.evaluate(propose(bot, {SKILL: None}))
    assert ended.outputs["status"] == "ignored"
    assert "removed" in ended.log


def test_splits_are_told_apart_because_the_skill_may_have_learned_from_one(bot: Stage) -> None:
    number = propose(bot)
    bot.evaluate(number)
    (comment,) = bot.github.hub.comments_on(number)
    assert "| heldout | 0.0% (0/6) | 33.3% (2/6) |" in comment.body
    assert "| validation | 0.0% (0/6) | 33.3% (2/6) |" in comment.body
    assert "| train | 0.0% (0/9) | 33.3% (3/9) |" in comment.body


def without_checks(bot: Stage) -> None:
    left = {name: level for name, level in Token().permissions.items() if name != "checks"}
    bot.github.hub.tokens["bot-token"] = Token(permissions=left)


def test_without_checks_write_the_comment_tells_all(bot: Stage) -> None:
    without_checks(bot)
    number = propose(bot)
    ended = bot.evaluate(number)
    assert ended.code == 0
    assert "checks: write" in ended.log
    assert "33.3%" in bot.told(number)[0]


def test_a_threshold_that_no_check_could_keep_is_refused_before_anything_is_measured(bot: Stage) -> None:
    without_checks(bot)
    number = propose(bot)
    ended = bot.evaluate(number, threshold="0.9")
    assert (ended.code, bot.engine.measured) == (2, [])
    assert "checks: write" in ended.log
    assert "so nothing was measured" in bot.told(number)[0]


def test_the_check_is_there_while_it_is_measured(bot: Stage) -> None:
    real = bot.engine.measure
    seen: list[dict[str, Any]] = []

    def measure(*given: Any) -> Any:
        seen.extend(dict(check) for check in bot.github.hub.checks)
        return real(*given)

    bot.engine.measure = measure  # type: ignore[method-assign, assignment]
    bot.evaluate(propose(bot))
    assert [check["status"] for check in seen] == ["in_progress"]
    (check,) = bot.github.hub.checks
    assert check["status"] == "completed"


def test_where_no_comment_can_be_written_nothing_is_measured(bot: Stage) -> None:
    left = {name: level for name, level in Token().permissions.items() if name != "pull_requests"}
    bot.github.hub.tokens["bot-token"] = Token(permissions=left)
    ended = bot.evaluate(propose(bot))
    assert ended.code == 1
    assert bot.engine.measured == []


def test_a_failed_measurement_is_told_where_the_result_was_promised(bot: Stage) -> None:
    number = propose(bot)

    def fail(*_: Any, **__: Any) -> Any:
        raise EnvironmentFailure("no network")

    bot.engine.measure = fail  # type: ignore[method-assign]
    assert bot.evaluate(number).code == 1
    assert "was not measured: no network" in bot.github.hub.comments_on(number)[0].body
    (check,) = bot.github.hub.checks
    assert (check["status"], check["conclusion"]) == ("completed", "cancelled"), "neither passed nor failed"


def test_both_sides_have_the_repositorys_line_ends_though_the_checkout_converts_them(bot: Stage) -> None:
    """As `*.md text eol=crlf` in .gitattributes does."""
    number = propose(bot)
    for path in (bot.checkout / SKILL, bot.checkout / "skills/writer/references/old.md"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert bot.evaluate(number).code == 0
    base, head = bot.engine.arms[0]
    assert base.files["SKILL.md"] == FILES[SKILL]
    assert {name for name in base.files if base.files[name] != head.files[name]} == {"SKILL.md"}


def lfs(content: bytes) -> bytes:
    oid = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n".encode()


def test_both_sides_have_an_asset_of_git_lfs_as_agents_see_it(bot: Stage) -> None:
    asset, place = b"a form\n" * 50, "skills/writer/assets/form.txt"
    bot.github.hub.git.change(MAIN, {place: lfs(asset)}, "ann")
    bot.sync()
    (bot.checkout / place).write_bytes(asset)
    assert bot.evaluate(propose(bot)).code == 0
    assert [arm.files["assets/form.txt"] for arm in bot.engine.arms[0]] == [asset, asset]


def test_an_asset_of_git_lfs_that_the_head_changes_is_not_measured_as_its_pointer(bot: Stage) -> None:
    bot.github.hub.git.change(MAIN, {"skills/writer/assets/form.txt": lfs(b"old")}, "ann")
    bot.sync()
    ended = bot.evaluate(propose(bot, {"skills/writer/assets/form.txt": lfs(b"new")}))
    assert (ended.code, bot.engine.measured) == (2, [])
    assert "an asset of Git LFS that this pull request changes" in ended.log


def test_a_suite_in_the_skills_folder_is_in_neither_side(tmp_path: Path) -> None:
    """Whatever its folder is called, and also what the head adds to it: its right answers are there."""
    moved = {path.replace("evals/writer", "skills/writer/benchmarks"): text for path, text in FILES.items()}
    moved[".skillgrad.yml"] = CONFIG.replace("evals/writer", "skills/writer/benchmarks").encode()
    moved["skills/writer/benchmarks/right/answer.txt"] = b"x"
    with stage(tmp_path, moved) as bot:
        new = b"Use always alpha.\n"
        number = propose(bot, {SKILL: skill_text("writer") + new, "skills/writer/benchmarks/right/more.txt": b"y"})
        assert bot.evaluate(number).code == 0
        for arm in bot.engine.arms[0]:
            assert set(arm.files) == {"SKILL.md", "references/old.md"}


def test_a_link_of_the_skill_leads_to_the_same_file_on_both_sides(bot: Stage) -> None:
    git = bot.github.hub.git
    git.change(MAIN, {"shared/style.md": b"# Style\n"}, "ann")
    flat = git.flat(git.commits[git.refs[MAIN]].tree)
    linked = flat | {"skills/writer/references/style.md": Entry("120000", git.blob(b"../../../shared/style.md"))}
    git.refs[MAIN] = git.commit(git.tree(linked), [git.refs[MAIN]], "Link it", "ann")
    bot.sync()
    (bot.checkout / "skills/writer/references/style.md").unlink()
    (bot.checkout / "skills/writer/references/style.md").symlink_to("../../../shared/style.md")
    subprocess.run(["git", "init", "-q"], cwd=bot.checkout, check=True)
    subprocess.run(["git", "add", "-A"], cwd=bot.checkout, check=True)
    (bot.checkout / ".git/HEAD").write_text(git.refs[MAIN] + "\n")
    assert bot.evaluate(propose(bot)).code == 0
    assert [dict(arm.linked) for arm in bot.engine.arms[0]] == [{"references/style.md": b"# Style\n"}] * 2


def test_the_comment_says_which_tasks_were_measured(bot: Stage) -> None:
    number = propose(bot)
    bot.evaluate(number)
    assert "Measured on all 21 tasks of the suite" in bot.told(number)[0]
    some = FILES["evals/writer/tasks.yaml"].replace(b"  - id: task-07\n", b"  - id: task-07\n    unreviewed: true\n")
    (bot.checkout / "evals/writer/tasks.yaml").write_bytes(some)
    bot.evaluate(number)
    assert "Measured on 20 of 21 tasks (the other 1 are not reviewed" in bot.told(number)[0]
    assert "| base | 0.0% | 0/20 |" in bot.told(number)[0]


def test_splits_are_those_that_the_skills_runs_learned_from(tmp_path: Path) -> None:
    """A suite without splits of its own, to which tasks came since."""
    bare = re.sub(rb"    split: \w+\n", b"", FILES["evals/writer/tasks.yaml"])
    with stage(tmp_path, {**FILES, "evals/writer/tasks.yaml": bare}) as bot:
        splits = {f"task-{number:02}": "heldout" if number < 15 else "train" for number in range(21)}
        record = json.dumps({"skill": "writer", "splits": splits}).encode()
        bot.github.hub.git.change("heads/skillgrad/state", {"skills/writer.json": record}, BOT)
        number = propose(bot)
        bot.evaluate(number)
        assert "| heldout | 0.0% (0/15) | 33.3% (5/15) |" in bot.told(number)[0]

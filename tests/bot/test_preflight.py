"""Nothing is spent that cannot be delivered: each refusal comes before the first execution and names what to change."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from skillgrad_ci.graders.xlsx.installation import version
from skillgrad_ci.skill.folder import MAX_FILE_BYTES
from tests.fake_github.git_store import SUBMODULE, Entry
from tests.fake_github.hub import BOT, MAIN, Token
from tests.support.bot_stage import CONFIG, FILES, SPLITS, Ended, Stage, skill_text, stage

WRITER, STATE, SKILL = "heads/skillgrad/writer", "heads/skillgrad/state", "skills/writer/SKILL.md"
CHECKOUT = Path("skills/writer")


def labelled(bot: Stage) -> tuple[Ended, str]:
    issue = bot.github.hub.issue("Make it better", "skill: writer")
    ended = bot.label(issue.number)
    told = [comment.body for comment in bot.github.hub.comments_on(issue.number) if comment.author == BOT]
    return ended, told[-1] if told else ""


def take(permission: str) -> Callable[[Stage], Any]:
    def without(bot: Stage) -> None:
        left = {name: level for name, level in Token().permissions.items() if name != permission}
        bot.github.hub.tokens["bot-token"] = Token(permissions=left)

    return without


def restrict(prefix: str) -> Callable[[Stage], Any]:
    return lambda bot: setattr(bot.github.hub, "restricted", prefix)


def branch(name: str) -> Callable[[Stage], Any]:
    return lambda bot: bot.github.hub.git.refs.update({f"heads/{name}": bot.github.hub.git.refs[MAIN]})


def submodule(bot: Stage) -> None:
    git = bot.github.hub.git
    flat = {path: entry for path, entry in git.flat(git.commits[git.refs[MAIN]].tree).items() if "writer/" not in path}
    tree = git.tree(flat | {"skills/writer": Entry(SUBMODULE, "1" * 40)})
    git.refs[MAIN] = git.commit(tree, [git.refs[MAIN]], "Move the skill out", "ann")


SITUATIONS: list[tuple[str, Callable[[Stage], Any], str]] = [
    ("a ruleset over every branch of the bot's", restrict("heads/skillgrad/"), "Rulesets"),
    ("a ruleset over the skill's branch alone", restrict("heads/skillgrad/writer"), "Rulesets"),
    ("a branch named skillgrad", branch("skillgrad"), "branch skillgrad is in the way"),
    ("a branch below the skill's", branch("skillgrad/writer/old"), "branch skillgrad/writer/old is in the way"),
    ("no contents: write", take("contents"), "contents: write"),
    ("no pull-requests: write", take("pull_requests"), "pull-requests: write"),
    ("a root that is too large to be listed", lambda bot: setattr(bot.github.hub, "truncated", True), "too large"),
    ("a skill in a submodule", submodule, "writer is a submodule"),
    ("a file that an earlier step changed", lambda bot: (bot.checkout / SKILL).write_bytes(skill_text("writer") + b"x"),
     "holds something else than commit"),
    ("a sparse checkout", lambda bot: (bot.checkout / CHECKOUT / "references/old.md").unlink(), "no sparse-checkout"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "named"), [row[1:] for row in SITUATIONS], ids=[row[0] for row in SITUATIONS])
def test_what_cannot_be_delivered_is_not_paid_for(bot: Stage, make: Callable[[Stage], Any], named: str) -> None:
    make(bot)
    ended, told = labelled(bot)
    assert ended.code != 0
    assert named in ended.log
    assert named.replace("pull-requests", "pull\\-requests") in told or named in told.replace("\\", "")
    assert bot.engine.optimized == []
    assert bot.github.hub.pulls == {}
    assert all(asked.status >= 400 for asked in bot.github.writes if asked.path.endswith("/pulls"))


def test_an_archived_repository_is_refused(bot: Stage) -> None:
    bot.github.hub.archived = True
    ended = bot.schedule(skill="writer")
    assert ended.code == 2
    assert "acme/skills is archived" in ended.log
    assert bot.engine.optimized == []


def test_line_ends_that_the_checkout_converts_come_back_as_the_repository_has_them(bot: Stage) -> None:
    for path in (bot.checkout / SKILL, bot.checkout / "skills/writer/references/old.md"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    ended, _ = labelled(bot)
    assert (ended.code, ended.outputs["status"]) == (0, "opened")
    files = bot.github.hub.git.files(WRITER)
    assert b"Use always alpha.\n" in files[SKILL]
    assert b"\r" not in files[SKILL]
    assert files["skills/writer/references/old.md"] == FILES["skills/writer/references/old.md"]


def test_an_asset_of_git_lfs_is_seen_by_agents_and_stays_a_pointer(bot: Stage) -> None:
    asset = bytes(range(256)) * 30
    oid = hashlib.sha256(asset).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(asset)}\n".encode()
    bot.github.hub.git.change(MAIN, {"skills/writer/assets/form.bin": pointer}, "ann")
    bot.sync()
    (bot.checkout / "skills/writer/assets/form.bin").write_bytes(asset)
    ended, _ = labelled(bot)
    assert ended.code == 0
    assert bot.engine.optimized[0].skill.files["assets/form.bin"] == asset
    assert bot.github.hub.git.files(WRITER)["skills/writer/assets/form.bin"] == pointer


def test_an_asset_of_git_lfs_that_is_not_fetched_is_said(bot: Stage) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 9\n".encode()
    bot.github.hub.git.change(MAIN, {"skills/writer/assets/form.bin": pointer}, "ann")
    bot.sync()
    ended, _ = labelled(bot)
    assert ended.code == 0
    assert "skills/writer/assets/form.bin: a Git LFS pointer; agents see the file with lfs: true" in ended.log


def test_commands_measure_an_asset_of_git_lfs_as_the_run_did(bot: Stage) -> None:
    asset, place = bytes(range(256)) * 30, "skills/writer/assets/form.bin"
    oid = hashlib.sha256(asset).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(asset)}\n".encode()
    bot.github.hub.git.change(MAIN, {place: pointer}, "ann")
    bot.sync()
    (bot.checkout / place).write_bytes(asset)
    number = bot.opened()
    for command in ("measure", "drop E1 because no"):
        bot.say(number, f"/skillgrad {command}")
        assert [arm.files["assets/form.bin"] for arm in bot.engine.arms[-1]] == [asset, asset]
    assert bot.github.hub.git.files(WRITER)[place] == pointer
    bot.github.hub.merge(number)
    bot.sync()
    (bot.checkout / place).write_bytes(asset)
    assert bot.schedule(skill="writer").outputs["status"] == "unchanged", "what the drop left is what it knows"


def test_a_submodule_that_was_not_fetched_is_named_as_what_it_is(bot: Stage) -> None:
    submodule(bot)
    shutil.rmtree(bot.checkout / CHECKOUT)
    (bot.checkout / CHECKOUT).mkdir()
    ended = bot.schedule()
    assert ended.code == 2
    assert "skills/writer" in ended.log
    assert bot.engine.optimized == []


def test_a_large_file_of_a_suite_in_the_skills_folder_stops_no_delivery(tmp_path: Path) -> None:
    """It is no part of the skill, so its size is nobody's business; once paid for, it would never be delivered."""
    moved = {path.replace("evals/writer", "skills/writer/benchmarks"): text for path, text in FILES.items()}
    moved[".skillgrad.yml"] = CONFIG.replace("evals/writer", "skills/writer/benchmarks").encode()
    moved["skills/writer/benchmarks/right/answer.bin"] = b"x" * (MAX_FILE_BYTES + 1)
    with stage(tmp_path, moved) as bot:
        number = bot.opened()
        assert "benchmarks/right/answer.bin" not in bot.engine.optimized[0].skill.files
        bot.say(number, "/skillgrad measure")
        assert all(set(arm.files) == {"SKILL.md", "references/old.md"} for arm in bot.engine.arms[-1])


def test_a_memory_with_converted_line_ends_is_read(bot: Stage) -> None:
    """`*.md text eol=crlf` reaches the memory, too."""
    bot.github.hub.merge(bot.opened())
    bot.sync()
    memory = bot.checkout / ".skillgrad/writer/momentum.md"
    memory.write_bytes(memory.read_bytes().replace(b"\n", b"\r\n"))
    ended, _ = labelled(bot)
    assert ended.code == 0
    assert bot.engine.optimized[-1].memory.patterns


def test_files_that_the_repository_does_not_hold_are_no_part_of_the_skill(bot: Stage) -> None:
    (bot.checkout / CHECKOUT / "build").mkdir()
    (bot.checkout / CHECKOUT / "build/cache.txt").write_text("made by an earlier step")
    ended, _ = labelled(bot)
    assert ended.code == 0
    assert set(bot.engine.optimized[0].skill.files) == {"SKILL.md", "references/old.md"}
    assert "build/cache.txt" in ended.log
    assert "skills/writer/build/cache.txt" not in bot.github.hub.git.files(WRITER)


def test_a_skill_that_changed_since_the_checkout_is_not_paid_for(bot: Stage) -> None:
    bot.environ["GITHUB_SHA"] = bot.github.hub.git.refs[MAIN]
    bot.github.hub.git.change(MAIN, {SKILL: skill_text("writer") + b"Newer.\n"}, "ann")
    ended, told = labelled(bot)
    assert ended.code == 1
    assert "changed on main since the run began" in told.replace("\\", "")
    assert bot.engine.optimized == []


@pytest.mark.parametrize("config", [None, b"skills: [\n", b"skils: []\n"])
def test_an_issue_is_told_of_a_configuration_that_cannot_be_read(bot: Stage, config: bytes | None) -> None:
    path = bot.checkout / ".skillgrad.yml"
    path.unlink() if config is None else path.write_bytes(config)
    issue = bot.github.hub.issue("Make it better", "skill: writer")
    ended = bot.label(issue.number)
    assert ended.code == 2
    (comment,) = bot.github.hub.comments_on(issue.number)
    assert "It failed" in comment.body
    assert ".skillgrad.yml" in comment.body.replace("\\", "")
    assert issue.labels == []


@pytest.mark.parametrize(("sender", "told"), [("wes", True), ("eve", False)])
def test_a_command_is_told_of_a_configuration_that_cannot_be_read(bot: Stage, sender: str, told: bool) -> None:
    number = bot.opened()
    (bot.checkout / ".skillgrad.yml").write_bytes(b"skils: []\n")
    assert bot.say(number, "/skillgrad drop E1", sender).code == 2
    assert any("It failed" in text and "skils" in text for text in bot.told(number)) is told


@pytest.mark.parametrize("sender", ["tim", "eve"])
def test_a_broken_configuration_is_told_to_nobody_who_cannot_write(bot: Stage, sender: str) -> None:
    (bot.checkout / ".skillgrad.yml").unlink()
    issue = bot.github.hub.issue("Make it better", "skill: writer")
    assert bot.label(issue.number, sender=sender).code == 2
    assert bot.github.writes == []


def record(bot: Stage) -> dict[str, Any]:
    known: dict[str, Any] = json.loads(bot.github.hub.git.files(STATE)["skills/writer.json"])
    return known


def test_the_claim_stands_while_a_run_is_at_work_and_is_gone_after_it(bot: Stage) -> None:
    seen: list[Any] = []
    bot.engine.before = lambda: seen.append(record(bot)["running"])
    labelled(bot)
    assert seen[0]["run"] == "77"
    assert record(bot)["running"] is None


def test_a_run_that_fails_takes_its_claim_back(bot: Stage) -> None:
    from skillgrad_ci.errors import EnvironmentFailure

    def fail() -> None:
        raise EnvironmentFailure("no network")

    bot.engine.before = fail
    ended, told = labelled(bot)
    assert ended.code == 1
    assert "no network" in told
    assert record(bot)["running"] is None


def claimed_by(bot: Stage, run: str, until: str = "2999-01-01T00:00:00+00:00") -> None:
    running = {"run": run, "url": f"https://github.invalid/runs/{run}", "since": "2026-11-02T10:00:00+00:00"}
    content = {"skill": "writer", "running": running | {"until": until}}
    bot.github.hub.git.change(STATE, {"skills/writer.json": json.dumps(content).encode()}, BOT)


def test_a_second_run_of_one_skill_is_not_paid_for(bot: Stage) -> None:
    claimed_by(bot, "41")
    bot.github.hub.runs[41] = "in_progress"
    ended, told = labelled(bot)
    assert (ended.code, ended.outputs["status"]) == (0, "busy")
    assert "a run is at work on it since 2026-11-02 10:00 UTC" in told.replace("\\", "")
    assert bot.engine.optimized == []
    assert record(bot)["running"]["run"] == "41"


@pytest.mark.parametrize(("status", "until"), [("completed", "2999-01-01T00:00:00+00:00"),
                                               ("in_progress", "2026-01-01T00:00:00+00:00")])  # fmt: skip
def test_a_claim_whose_run_is_over_binds_nobody(bot: Stage, status: str, until: str) -> None:
    """GitHub tells so where the token may ask, or its time is up."""
    claimed_by(bot, "41", until)
    bot.github.hub.runs[41] = status
    bot.github.hub.tokens["bot-token"] = Token(permissions={**Token().permissions, "actions": "read"})
    assert labelled(bot)[0].outputs["status"] == "opened"


def test_a_dispatch_by_an_app_is_allowed_and_one_without_access_is_red(bot: Stage) -> None:
    sender = {"login": "robot[bot]", "type": "Bot"}
    assert bot.run("workflow_dispatch", {"sender": sender}, skill="writer").outputs["status"] == "opened"
    ended = bot.run("workflow_dispatch", {"sender": {"login": "tim", "type": "User"}}, skill="reader")
    assert (ended.code, ended.outputs["status"]) == (2, "refused")
    assert "::error::tim has no write access" in ended.log


def workbooks(folder: Path) -> dict[str, bytes]:
    """The repository, with a suite for `writer` that grades workbooks."""
    book = Workbook()
    book.worksheets[0]["A1"] = "total"
    book.save(folder / "book.xlsx")
    content = (folder / "book.xlsx").read_bytes()
    grader = "{type: xlsx, output: out.xlsx, golden: golden.xlsx, answer_position: A1}"
    rows = "".join(
        f"- {{id: task-{number:02}, instruction: Needs alpha., split: {split}, files: [in.xlsx], grader: {grader}}}\n"
        for number, split in enumerate(SPLITS)
    )
    suite = {"tasks.yaml": f"version: 1\ntasks:\n{rows}".encode(), "in.xlsx": content, "golden.xlsx": content}
    return FILES | {f"evals/writer/{name}": text for name, text in suite.items()}


@pytest.mark.parametrize("installed", [False, True])
def test_a_suite_that_needs_libreoffice_is_named_where_the_image_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    """As in the slim image: no `soffice` on the path. Said before anything is spent, to who asked as well."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "git").symlink_to(shutil.which("git") or "git")
    if installed:
        (programs / "soffice").write_text("#!/bin/sh\necho LibreOffice 25.2.1.1\n")
        (programs / "soffice").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    version.cache_clear()
    try:
        with stage(tmp_path, workbooks(tmp_path)) as bot:
            seen: list[str] = []
            bot.engine.before = lambda: seen.extend(c.body for c in bot.github.hub.comments.values())
            ended, _ = labelled(bot)
            assert ended.code == 0, ended.log
            said = "its tasks grade workbooks, and this image has no LibreOffice"
            assert (f"::warning::writer: {said}" in ended.log) is not installed
            assert any(said in text for text in seen) is not installed
            assert "set the input image: libreoffice" in ended.log or installed
            assert "no LibreOffice" not in bot.schedule(skill="reader").log
    finally:
        version.cache_clear()

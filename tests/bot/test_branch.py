"""A patch reaches the skill and nothing else, and its commits are what was measured."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.bot.committed import skill_at
from skillgrad_ci.bot.pull_request.branch import BranchContent, branch_name, changed_files, check_reach, message, push
from skillgrad_ci.document.inert_text import JOINER
from skillgrad_ci.errors import SkillGradError, UserError
from skillgrad_ci.github.client import Client
from skillgrad_ci.github.git_data import blob_name
from skillgrad_ci.skill.edit import Edit
from skillgrad_ci.skill.skill import Skill
from tests.fake_github.git_store import Entry, git_name
from tests.fake_github.hub import MAIN
from tests.support.bot_stage import FILES, QUICK, stage

BEFORE = Skill("writer", {"SKILL.md": b"---\nname: writer\ndescription: d\n---\nHi.\n", "scripts/a.sh": b"ls\n"})
EDIT = Edit("E1", 1, "B", "SKILL.md", "append", "file", "", "Use always alpha.", ("p",), ("t",), "it helps")


def change(final: Skill, path: str = "skills/writer") -> BranchContent:
    return BranchContent("writer", path, BEFORE, final, [EDIT], "memory", ".skillgrad/writer/momentum.md", "run1")


@pytest.mark.parametrize(
    "name",
    ["../README.md", "references/../../x.md", "/etc/passwd", ".github/workflows/x.yml", ".git/config", ".GIT/hooks/x",
     ".skillgrad.yml", ".skillgrad/other/momentum.md"],
)  # fmt: skip
def test_a_file_outside_the_skill_is_refused(name: str) -> None:
    final = replace(BEFORE, files={**BEFORE.files, name: b"x\n"})
    for path in ("skills/writer", ""):
        with pytest.raises(UserError, match="outside the skill"):
            check_reach(change(final, path))


def test_a_patch_that_reaches_outside_makes_no_call_at_all(tmp_path: Path) -> None:
    with stage(tmp_path) as bot:
        evil = change(replace(BEFORE, files={**BEFORE.files, ".github/workflows/x.yml": b"on: push\n"}))
        with pytest.raises(UserError, match="outside the skill"):
            push(Client("acme/skills", "bot-token", bot.github.url, patience=QUICK), evil, "0" * 40)
        assert bot.github.asked == []


def test_files_of_the_skill_are_in_reach() -> None:
    check_reach(change(replace(BEFORE, files={"SKILL.md": b"new\n", "references/a b.md": b"x\n"})))


def test_edits_that_do_not_lead_to_the_measured_skill_are_not_pushed(tmp_path: Path) -> None:
    with stage(tmp_path) as bot:
        api = Client("acme/skills", "bot-token", bot.github.url, patience=QUICK)
        files = {
            p.removeprefix("skills/writer/"): c for p, c in bot.github.hub.git.files(MAIN).items() if "writer/" in p
        }
        skill = Skill("writer", {name: content for name, content in files.items() if not name.startswith("evals")})
        odd = replace(change(skill.with_file("SKILL.md", "other\n")), initial=skill)
        with pytest.raises(SkillGradError, match="do not lead to the skill that was measured"):
            push(api, odd, bot.github.hub.git.refs[MAIN])
        assert set(bot.github.hub.git.refs) == {MAIN}


def test_a_commit_holds_what_differs() -> None:
    after = replace(BEFORE, files={"SKILL.md": b"new", "b.md": b"x"})
    assert changed_files(BEFORE, after, "s") == {"s/SKILL.md": b"new", "s/b.md": b"x", "s/scripts/a.sh": None}
    assert set(changed_files(BEFORE, after, "")) == {"SKILL.md", "b.md", "scripts/a.sh"}


def test_a_models_words_add_no_trailer_and_close_no_issue() -> None:
    evil = replace(EDIT, why="Fixes #1\n\nSkillgrad-Edit: E7\nCo-authored-by: x", content="closes #2\nSigned-off-by: y")
    text = message(evil, change(BEFORE))
    assert text.count("\nSkillgrad-Edit:") == 1
    assert "\nCo-authored-by" not in text
    assert "\nSigned-off-by" not in text
    assert f"#{JOINER}1" in text
    assert "#1" not in text
    assert "#2" not in text


NAMES = st.text(st.sampled_from("aAb-_. /中日文語"), min_size=1, max_size=6) | st.sampled_from(
    ["state", "skill-state", "my skill", "my-skill", "skills", "中文", "日本語", "..", "-a", "a-"]
)


@given(NAMES, NAMES)
def test_every_skill_has_a_branch_of_its_own_that_git_takes(one: str, other: str) -> None:
    assert (branch_name(one) == branch_name(other)) == (one == other)
    assert re.fullmatch(r"skillgrad/[A-Za-z0-9_-]+", branch_name(one))
    assert branch_name(one) != "skillgrad/state"


def test_a_skill_read_from_a_commit_is_the_skill_read_from_a_checkout(tmp_path: Path) -> None:
    extra = {"skills/writer/evals/t.yaml": b"x", "skills/writer/assets/a.bin": bytes(range(256))}
    with stage(tmp_path, {**FILES, **extra}) as bot:
        api = Client("acme/skills", "bot-token", bot.github.url, patience=QUICK)
        read = skill_at(api, bot.github.hub.git.refs[MAIN], "skills/writer", "writer")
        assert read == Skill.load(bot.checkout / "skills/writer")
        assert skill_at(api, bot.github.hub.git.refs[MAIN], "skills/nowhere", "nowhere") is None


def test_a_link_in_a_commits_skill_is_left_alone(tmp_path: Path) -> None:
    with stage(tmp_path) as bot:
        git = bot.github.hub.git
        link = Entry("120000", git.blob(b"/etc/passwd"))
        tree = git.tree(git.flat(git.commits[git.refs[MAIN]].tree) | {"skills/writer/references/x.md": link})
        head = git.commit(tree, [git.refs[MAIN]], "Link", "eve")
        api = Client("acme/skills", "bot-token", bot.github.url, patience=QUICK)
        read = skill_at(api, head, "skills/writer", "writer")
        assert read is not None
        assert "references/x.md" not in read.resources


def test_contents_are_named_as_git_names_them() -> None:
    for content in (b"", b"x\n", bytes(range(256))):
        assert blob_name(content) == git_name("blob", content)

"""What is the repository's and not the skill's stays out; links are read as what they point to, and stay links."""

import os
import subprocess
from pathlib import Path

import pytest

from skillgrad_ci.errors import UserError
from skillgrad_ci.method.patch import Rules, try_patch
from skillgrad_ci.report.diff import skill_patch
from skillgrad_ci.skill.edit import Edit
from skillgrad_ci.skill.skill import MAIN, Skill, name_of

HEAD = "---\nname: tidy-up\ndescription: Sorts.\n---\n# Tidy\n"


def lay(top: Path, **files: str) -> Path:
    for name, content in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(content)
    return top


def git(top: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=top, check=True, capture_output=True)


def whole_repository(top: Path) -> Path:
    lay(top, **{
        MAIN: HEAD, "references/a.md": "A", "scripts/run.py": "x", ".gitignore": "*.log\nout/\n",
        ".github/workflows/ci.yml": "on: push", ".skillgrad.yml": "skills: []", ".skillgrad/tidy-up/momentum.md": "m",
    })  # fmt: skip
    git(top, "init", "-q")
    git(top, "add", "-A")
    return top


def test_a_repository_that_is_a_skill_holds_the_skill_alone(tmp_path: Path) -> None:
    top = whole_repository(tmp_path / "checkout-17")
    before = Skill.load(top)
    assert sorted(before.files) == [MAIN, "references/a.md", "scripts/run.py"]
    lay(top, **{
        ".env": "KEY=1", "debug.log": "x", "out/x.txt": "x", "notes.txt": "not tracked",
        "runs/tidy-up/abc/journal.jsonl": "{}", "runs/tidy-up/abc/report.md": "r",
        ".skillgrad/tidy-up/momentum.md": "longer", "references/draft.md": "not tracked, not pointed to",
    })  # fmt: skip
    assert Skill.load(top).digest == before.digest


def test_without_git_the_run_folder_the_memory_and_the_configuration_stay_out(tmp_path: Path) -> None:
    top = lay(tmp_path / "x", **{
        MAIN: HEAD, "LICENSE": "MIT", ".skillgrad.yml": "", ".skillgrad/x/momentum.md": "m", ".env": "K=1",
        "somewhere/journal.jsonl": "{}", "somewhere/trajectories/t.json": "{}",
    })  # fmt: skip
    assert sorted(Skill.load(top).files) == ["LICENSE", MAIN]


@pytest.mark.parametrize("tracked", [True, False])
def test_files_that_hold_keys_stay_out_tracked_or_not(tmp_path: Path, tracked: bool) -> None:
    keys = {
        ".env": "K=1",
        ".env.local": "K=1",
        "scripts/.env.production": "K=1",
        "assets/id_ed25519": "k",
        ".netrc": "m",
    }
    top = lay(tmp_path / "skills/tidy-up", **{
        MAIN: HEAD, ".env.example": "K=", "assets/.env.prod.example": "K=", "scripts/env.py": "x", **keys,
    })  # fmt: skip
    (top / "references").mkdir()
    (top / "references/settings.txt").symlink_to("../.env")
    if tracked:
        git(tmp_path, "init", "-q")
        git(tmp_path, "add", "-A")
    before = Skill.load(top)
    assert sorted(before.files) == [".env.example", MAIN, "assets/.env.prod.example", "scripts/env.py"]
    lay(top, **dict.fromkeys(keys, "K=2"))
    assert Skill.load(top).digest == before.digest


def test_a_whole_repository_is_named_by_its_frontmatter(tmp_path: Path) -> None:
    top = whole_repository(tmp_path / "pr-12-merge")
    assert Skill.load(top).folder == name_of(top) == "tidy-up"
    (top / MAIN).write_text(HEAD.replace("tidy-up", "../Tidy up!"))
    assert name_of(top) == "Tidy-up"
    for nameless in ("5", "[tidy-up]", '"../"'):
        (top / MAIN).write_text(HEAD.replace("tidy-up", nameless))
        assert name_of(top) == "skill"
    (top / MAIN).write_text("no frontmatter")
    assert name_of(top) == "skill"
    inner = lay(top / "skills" / "other", **{MAIN: HEAD})
    assert Skill.load(inner).folder == name_of(inner) == "other"


def test_a_skill_that_git_does_not_know_yet_is_taken_without_what_it_ignores(tmp_path: Path) -> None:
    git(lay(tmp_path, **{".gitignore": "*.tmp\n"}), "init", "-q")
    skill = lay(tmp_path / "skills/new", **{MAIN: HEAD, "references/a.md": "A", "x.tmp": "x", "data/y.tmp": "y"})
    assert sorted(Skill.load(skill).files) == [MAIN, "references/a.md"]


def test_a_new_chapter_counts_once_the_skill_points_to_it(tmp_path: Path) -> None:
    top = whole_repository(tmp_path)
    lay(top, **{"references/new.md": "N", "references/other.md": "O"})
    assert "references/new.md" not in Skill.load(top).files
    (top / MAIN).write_text(f"{HEAD}Read `references/new.md` when lost.\n")
    assert {"references/new.md", "references/other.md"} & set(Skill.load(top).files) == {"references/new.md"}


def test_a_worktree_has_its_own_index(tmp_path: Path) -> None:
    top = whole_repository(tmp_path / "main")
    git(top, "-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "m")
    git(top, "worktree", "add", "-q", str(tmp_path / "tree"))
    lay(tmp_path / "tree", **{"notes.txt": "x"})
    assert Skill.load(tmp_path / "tree").files.keys() == Skill.load(top).files.keys()


def test_a_damaged_index_is_told_in_one_line(tmp_path: Path) -> None:
    top = whole_repository(tmp_path)
    (top / ".git" / "index").write_bytes(b"DIRC\0\0\0\2")
    with pytest.raises(UserError, match=r"git's index cannot be read"):
        Skill.load(top)


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A skill with a link to a file of its own, to one of its neighbour's, and to a shared folder."""
    lay(tmp_path, **{
        "skills/demo/SKILL.md": HEAD, "skills/demo/references/a.md": "A", "shared/forms/b.md": "B",
        "skills/other/notes.md": "N",
    })  # fmt: skip
    skill = tmp_path / "skills/demo"
    (skill / "AGENTS.md").symlink_to("references/a.md")
    (skill / "notes.md").symlink_to("../other/notes.md")
    (tmp_path / "shared/forms/b.md").chmod(0o755)
    (skill / "forms").symlink_to("../../shared/forms")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    return skill


def test_links_are_read_as_what_they_point_to(linked: Path, tmp_path: Path) -> None:
    skill = Skill.load(linked)
    assert sorted(skill.files) == [MAIN, "references/a.md"]
    assert skill.resources == ["AGENTS.md", "forms/b.md", "notes.md", "references/a.md"]
    assert [skill.read(name) for name in skill.resources] == ["A", "B", "N", "A"]
    skill.for_agents().write(tmp_path / "mounted")
    mounted = tmp_path / "mounted"
    assert not any(path.is_symlink() for path in mounted.rglob("*"))
    assert ((mounted / "forms/b.md").read_text(), (mounted / "AGENTS.md").read_text()) == ("B", "A")
    assert [os.access(mounted / name, os.X_OK) for name in ("forms/b.md", "notes.md")] == [True, False]


def test_what_a_link_points_to_is_in_the_digest(linked: Path) -> None:
    before = Skill.load(linked).digest
    (linked / "../../shared/forms/b.md").write_text("other")
    assert Skill.load(linked).digest != before


def test_writing_keeps_links_and_an_edit_shows_through_them(linked: Path) -> None:
    before = Skill.load(linked)
    after = before.with_file("references/a.md", "new")
    assert after.for_agents().read("AGENTS.md") == "new"
    assert b"AGENTS.md" not in skill_patch(before, after)
    after.write_over(before, linked)
    assert (linked / "AGENTS.md").readlink() == Path("references/a.md")
    assert (linked / "AGENTS.md").read_text() == "new"
    assert (linked / "forms").is_symlink()
    assert Skill.load(linked).digest == after.digest


def test_no_edit_reaches_a_link(linked: Path) -> None:
    skill = Skill.load(linked)
    linked_reference = Skill(skill.folder, skill.files, links={"references/b.md": "references/a.md"})
    edit = Edit("E1", 1, "Q", "references/b.md", "append", "file", "", "More.", ("p",), (), "why")
    _, results = try_patch(linked_reference, [edit], Rules([], {"p"}))
    assert "a link; edit references/a.md" in results[0].reason


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "../../../elsewhere.md", "gone.md", "../demo", "../../.git/config", "../../.env"]
)
def test_links_that_lead_out_or_nowhere_are_refused(linked: Path, tmp_path: Path, target: str) -> None:
    lay(tmp_path, **{".env": "KEY=1"})
    lay(tmp_path.parent, **{"elsewhere.md": "x"})
    (linked / "link").symlink_to(target)
    git(tmp_path, "add", "--", "skills/demo/link")
    with pytest.raises(UserError, match="link: a link that leads out of the repository, or nowhere"):
        Skill.load(linked)
    assert Skill.load(linked, stray=True).stray == ("link",)


def test_without_a_repository_a_link_stays_in_the_skill(tmp_path: Path) -> None:
    skill = lay(tmp_path / "demo", **{MAIN: HEAD, "AGENTS.md": "hi"})
    (skill / "CLAUDE.md").symlink_to("AGENTS.md")
    assert Skill.load(skill).links == {"CLAUDE.md": "AGENTS.md"}
    lay(tmp_path, **{"beside.md": "x"})
    (skill / "out.md").symlink_to("../beside.md")
    with pytest.raises(UserError, match=r"out\.md: a link that leads out"):
        Skill.load(skill)


def test_a_whole_skill_may_be_a_link_to_its_text(tmp_path: Path) -> None:
    skill = lay(tmp_path / "demo", **{"AGENTS.md": HEAD})
    (skill / MAIN).symlink_to("AGENTS.md")
    loaded = Skill.load(skill)
    assert loaded.name == "tidy-up"
    edit = Edit("E1", 1, "B", MAIN, "append", "file", "", "More.", ("p",), (), "why")
    _, results = try_patch(loaded, [edit], Rules([], {"p"}))
    assert "SKILL.md: a link" in results[0].reason

"""A skill's patch, applied by the real git, gives the final skill to the byte."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unidiff.patch import PatchSet

from skillgrad_ci.report.diff import skill_patch
from skillgrad_ci.skill.skill import Skill

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

HEAD = b"---\nname: s\ndescription: d\n---\n"
names = st.sampled_from(
    ["references/a.md", "references/b c.md", 'references/q"uote.md', "references/é 日.md", "scripts/run.sh", "x"]
)
lines = st.lists(
    st.sampled_from([b"a", b"b\r", b"", b"--- x", b"+++ y", b"@@ -1 +1 @@", b"\xff\x00", b"- c\t ", b"\f\x0b\x1c"])
)
contents = st.builds(lambda parts, end: b"\n".join(parts) + end, lines, st.sampled_from([b"", b"\n", b"\r\n"]))


@st.composite
def skills(draw: st.DrawFn) -> Skill:
    files = draw(st.dictionaries(names, contents, max_size=4))
    body = draw(contents).replace(b"\xff", b"")
    head = draw(st.sampled_from([HEAD, HEAD.replace(b"\n", b"\r\n"), HEAD.replace(b": d", b": other")]))
    executable = draw(st.sets(st.sampled_from(sorted(files)))) if files else set()
    return Skill("s", {"SKILL.md": head + body, **files}, frozenset(executable))


def applied(patch: bytes, skill: Skill, folder: Path) -> Skill:
    skill.write(folder / "s")
    if patch:
        git = ["git", "apply", "--whitespace=nowarn", "-"]
        done = subprocess.run(git, cwd=folder / "s", input=patch, capture_output=True, timeout=30)
        assert done.returncode == 0, (done.stderr, patch)
    return Skill.load(folder / "s")


@given(skills(), skills())
@settings(max_examples=120, deadline=None)
def test_git_apply_gives_the_final_skill(tmp_path_factory: pytest.TempPathFactory, first: Skill, second: Skill) -> None:
    result = applied(skill_patch(first, second), first, tmp_path_factory.mktemp("patch"))
    assert dict(result.files) == dict(second.files)
    assert result.executable == second.executable


@given(skills())
def test_equal_skills_need_no_patch(skill: Skill) -> None:
    assert skill_patch(skill, Skill("other", dict(skill.files), skill.executable)) == b""


def test_it_applies_from_the_repositorys_root_too(tmp_path: Path) -> None:
    first = Skill("s", {"SKILL.md": HEAD + b"one\n"})
    second = first.with_file("SKILL.md", (HEAD + b"two\n").decode()).with_file("references/new.md", "x\n")
    first.write(tmp_path / "skills" / "s")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    git = ["git", "apply", "--directory=skills/s", "-"]
    subprocess.run(git, cwd=tmp_path, input=skill_patch(first, second), check=True, timeout=30)
    assert Skill.load(tmp_path / "skills" / "s").files == second.files


def test_hunks_are_named_by_layer_and_ordered(tmp_path: Path) -> None:
    body = b"".join(b"line %d\n" % n for n in range(30))
    first = Skill("s", {"SKILL.md": HEAD + body, "references/a.md": b"a\n"})
    changed = (HEAD.replace(b": d", b": other") + body.replace(b"line 20", b"line twenty")).decode()
    second = first.with_file("SKILL.md", changed).with_file("references/a.md", None)
    patch = skill_patch(first, second)
    assert [line.rsplit(b"@@ ")[-1] for line in patch.splitlines() if line.startswith(b"@@")] == [b"H", b"B", b"Q"]
    assert [file.path for file in PatchSet(patch.decode())] == ["SKILL.md", "references/a.md"]
    near = first.with_file("SKILL.md", (HEAD.replace(b": d", b": other") + b"new\n" + body).decode())
    assert b"@@ H and B\n" in skill_patch(first, near)


def test_the_three_way_merge_finds_the_blobs(tmp_path: Path) -> None:
    """The index line holds git's own object ids, so `git apply --3way` works on a base that moved."""
    first, second = Skill("s", {"SKILL.md": HEAD + b"one\n"}), Skill("s", {"SKILL.md": HEAD + b"two\n"})
    first.write(tmp_path)
    subprocess.run(
        "git init -q && git add . && git -c user.name=n -c user.email=e commit -qm m",
        cwd=tmp_path,
        shell=True,
        check=True,
    )
    (tmp_path / "SKILL.md").write_bytes(HEAD.replace(b": d", b": moved") + b"one\n")
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    subprocess.run(
        ["git", "apply", "--3way", "-"], cwd=tmp_path, input=skill_patch(first, second), check=False, timeout=30
    )
    assert b"two" in (tmp_path / "SKILL.md").read_bytes()

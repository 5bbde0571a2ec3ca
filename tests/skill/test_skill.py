"""The parameter: what is loaded is what is written, and what is not a skill is refused in one line."""

import errno
import os
import string
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillgrad_ci.errors import UserError
from skillgrad_ci.skill.folder import MAX_FILE_BYTES, write_atomically
from skillgrad_ci.skill.membership import PARTIAL
from skillgrad_ci.skill.skill import MAIN, Skill

HEAD = "---\nname: demo\ndescription: Does things.\n---\n"
NEWLINES = st.sampled_from(["\n", "\r\n"])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
NAMES = st.from_regex(r"[a-z][a-z0-9 _-]{0,8}(\.[a-z]{1,3})?", fullmatch=True)
DESCRIPTIONS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Co", "Cn", "Zl", "Zp"]), min_size=1, max_size=80)


def skill_of(text: str | bytes, **files: bytes) -> Skill:
    content = text.encode() if isinstance(text, str) else text
    return Skill("demo", {MAIN: content, **files})


@st.composite
def skills(draw: st.DrawFn) -> Skill:
    """Skills with either newline, with or without BOM, with odd bytes and executable bits."""
    newline = draw(NEWLINES)
    bom = draw(st.sampled_from(["", "\ufeff"]))
    main = bom + HEAD.replace("\n", newline) + draw(TEXT)
    paths = draw(st.lists(st.tuples(st.sampled_from(["references", "scripts", "x/y"]), NAMES), unique=True, max_size=4))
    files = {f"{folder}/{name}": draw(st.binary(max_size=40)) for folder, name in paths}
    executable = frozenset(draw(st.lists(st.sampled_from(sorted(files)), unique=True))) if files else frozenset()
    return Skill("demo", {MAIN: main.encode(), **files}, executable)


@given(skills())
def test_what_is_written_is_loaded_again_byte_for_byte(skill: Skill) -> None:
    with TemporaryDirectory() as top:
        skill.write(Path(top) / "demo")
        again = Skill.load(Path(top) / "demo")
    assert again == skill
    assert again.digest == skill.digest


@given(skills(), skills())
def test_the_digest_tells_skills_apart_and_ignores_order(one: Skill, other: Skill) -> None:
    reordered = Skill(one.folder, dict(sorted(one.files.items(), reverse=True)), one.executable)
    assert reordered.digest == one.digest
    assert (one.digest == other.digest) == (one == other)


@settings(max_examples=40)
@given(skills(), skills())
def test_writing_over_gives_the_new_skill_and_leaves_equal_files_alone(before: Skill, after: Skill) -> None:
    with TemporaryDirectory() as top:
        path = Path(top) / "demo"
        before.write(path)
        kept = [name for name in before.files if before.files[name] == after.files.get(name)]
        kept = [name for name in kept if (name in before.executable) == (name in after.executable)]
        inodes = {name: (path / name).stat().st_ino for name in kept}
        after.write_over(before, path)
        assert Skill.load(path) == after
        assert {name: (path / name).stat().st_ino for name in kept} == inodes
        assert not [folder for folder, inside, names in os.walk(path) if not inside and not names]


def test_writing_over_keeps_what_a_person_changed_meanwhile(tmp_path: Path) -> None:
    before = skill_of(HEAD + "old\n", **{"notes.md": b"old", "gone.md": b"old"})
    after = skill_of(HEAD + "new\n", **{"notes.md": b"new"})
    before.write(tmp_path / "demo")
    (tmp_path / "demo" / "gone.md").write_text("a person's")
    (tmp_path / "demo" / "added.md").write_text("a person's")
    with pytest.raises(UserError, match=r"gone\.md: changed during the run; nothing is written"):
        after.write_over(before, tmp_path / "demo")
    assert (tmp_path / "demo" / "notes.md").read_text() == "old"
    (tmp_path / "demo" / "gone.md").write_text("old")
    after.write_over(before, tmp_path / "demo")
    assert (tmp_path / "demo" / "added.md").read_text() == "a person's"


def test_nothing_is_replaced_when_a_later_file_cannot_be_staged(tmp_path: Path) -> None:
    before = skill_of(HEAD, **{"a.md": b"old"})
    after = skill_of(HEAD, **{"a.md": b"new", f"references/{'x' * 250}.md": b"its name is too long"})
    before.write(tmp_path / "demo")
    with pytest.raises(UserError, match="cannot be written"):
        after.write_over(before, tmp_path / "demo")
    assert (tmp_path / "demo" / "a.md").read_bytes() == b"old"
    assert not list((tmp_path / "demo").rglob(f"{PARTIAL}*"))


def test_a_fault_between_two_files_leaves_no_pointer_to_a_missing_file(tmp_path: Path) -> None:
    before = skill_of(HEAD)
    after = skill_of(HEAD + "Read `references/a.md`.\n", **{"references/a.md": b"new"})
    before.write(tmp_path / "demo")
    (tmp_path / "demo" / "references" / "a.md").mkdir(parents=True)  # in the way of the file
    with pytest.raises(UserError, match=r"references/a\.md: cannot be written"):
        after.write_over(before, tmp_path / "demo")
    assert (tmp_path / "demo" / MAIN).read_bytes() == before.files[MAIN]


def test_writing_one_file_keeps_its_permissions_and_makes_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "new" / "note.md"
    write_atomically(file, b"one")
    file.chmod(0o640)
    write_atomically(file, b"two")
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"two", 0o640)
    assert list(file.parent.iterdir()) == [file]


def test_a_suite_and_ignored_names_are_no_part_of_the_skill(tmp_path: Path) -> None:
    skill = skill_of(HEAD, **{"references/evals/x.md": b"stays"})
    skill.write(tmp_path / "demo")
    for name in ("evals/tasks.yaml", ".git/config", "scripts/__pycache__/x.pyc", ".DS_Store", f"{PARTIAL}1-SKILL.md"):
        write_atomically(tmp_path / "demo" / name, b"secret")
    assert Skill.load(tmp_path / "demo") == skill
    assert skill_of(HEAD, **{"evals/answers.json": b"secret", "a.md": b""}).for_agents() == skill_of(
        HEAD, **{"a.md": b""}
    )


@given(DESCRIPTIONS, NEWLINES, st.sampled_from(["", "\ufeff"]), TEXT)
def test_a_new_description_changes_its_own_value_and_no_other_byte(new: str, newline: str, bom: str, body: str) -> None:
    before = f'name:   "demo"  # kept{newline}description: '
    after = f"{newline}license:  'MIT'{newline}metadata: {{a:  '1'}}{newline}---{newline}{body}"
    old = skill_of(f"{bom}---{newline}{before}Old: text{after}".replace("Old:", "Old"))
    changed = old.with_description(new)
    assert changed.description == " ".join(new.split())
    assert changed.text.startswith(f"{bom}---{newline}{before}")
    assert changed.text.endswith(after)
    assert {**changed.metadata, "description": ""} == {**old.metadata, "description": ""}


@pytest.mark.parametrize(
    "field",
    [
        "description: >-\n  Two\n  lines.\n\n",
        "description: |\n  A block\n",
        "description:\n",
        "description:   # to be written\n",
        "description:\n- a list\n",
        "description: !!str tagged\n",
        'description: "quoted\n  over lines"\n',
        "'description'  : x\n",
        "description: {a: b}\n",
        "",
    ],
)
@pytest.mark.parametrize("new", ["Plain words.", "yes", "a: b # c", "- --- -", '"', "12", "[x]", "it's", "!tag", "---"])
def test_any_form_of_description_can_be_replaced(field: str, new: str) -> None:
    skill = skill_of(f"---\nname: demo\n{field}license: MIT\n---\nBody\n")
    changed = skill.with_description(new)
    assert changed.metadata == {"name": "demo", "description": new, "license": "MIT"}
    assert changed.body == "Body\n"


def test_a_description_in_a_flow_mapping_can_be_replaced() -> None:
    changed = skill_of("---\n{name: demo, description: x, license: MIT}\n---\n").with_description("a, b}")
    assert changed.metadata == {"name": "demo", "description": "a, b}", "license": "MIT"}


@pytest.mark.parametrize("line", ["a --- b", "> \n  x\n  ---\n  y", '"---"', "x---", ">-\n  ---"])
def test_dashes_in_a_description_do_not_end_the_frontmatter(line: str) -> None:
    skill = skill_of(f"---\nname: demo\ndescription: {line}\nlicense: MIT\n---\nBody\n---\nmore\n")
    assert "---" in skill.description
    assert skill.metadata["license"] == "MIT"
    assert skill.body == "Body\n---\nmore\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("# No frontmatter\n", ":1: no frontmatter"),
        ("", ":1: no frontmatter"),
        ("---\nname: demo\n", ":1: the frontmatter is not closed"),
        ("---\nname: demo\u2028---\u2028\n", ":1: the frontmatter is not closed"),
        ("---\n---\n", ":2: the frontmatter holds no fields"),
        ("---\n- a\n---\n", ":2: the frontmatter holds no fields"),
        ("---\nname: demo\ndescription: [\n---\n", "no valid YAML"),
        ("---\nname: demo\ndescription: a: b\n---\n", ":3: no valid YAML"),
        ("---\nname: &a demo\ndescription: *a\n---\n", ":2: YAML anchors and aliases are not used"),
        ("---\nname: demo\nname: other\n---\n", ":3: the key 'name' stands twice"),
        ("---\nname: demo\n1: x\n---\n", "a field's name is text"),
        ("---\nname: demo\n? [a]\n: x\n---\n", "a field's name is one word"),
        ("---\nname: 2026-13-45\n---\n", "cannot be read"),
        (f"---\nname: {'9' * 5000}\n---\n", "cannot be read"),
        (f"---\nname: {'[' * 5000}\n---\n", "nested more than 8 deep"),
        ("---\nname: !!python/object:os.system x\n---\n", "no valid YAML"),
        ("---\nname: demo\x07\n---\n", "no valid YAML"),
        (f"---\nname: demo\ndescription: {'x' * 60_000}\n---\n", "longer than 50,000 characters"),
        (HEAD.encode() + b"\xff", "not UTF-8"),
        (HEAD.encode("utf-16"), "not UTF-8"),
        (HEAD.encode() + b"x" * MAX_FILE_BYTES, "larger than 5,000,000 bytes"),
    ],
)
def test_an_unreadable_skill_is_refused_in_one_line(tmp_path: Path, text: str | bytes, problem: str) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / MAIN).write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(UserError) as caught:
        Skill.load(tmp_path / "demo")
    assert problem in str(caught.value)
    assert MAIN in str(caught.value)
    assert "\n" not in str(caught.value)


def _link_main(path: Path) -> None:
    (path / MAIN).rename(path.parent / "elsewhere.md")
    (path / MAIN).symlink_to(path.parent / "elsewhere.md")


def _link_folder(path: Path) -> None:
    (path / "references").symlink_to(path.parent)


def _fifo(path: Path) -> None:
    os.mkfifo(path / "pipe")


def _newline(path: Path) -> None:
    (path / "a\nb").touch()


def _not_utf8(path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(path) + b"/\xff"))).touch()


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (_link_main, "SKILL.md: a link that leads out"),
        (_link_folder, "references: a link that leads out"),
        (_fifo, "pipe: not a regular file"),
        (_newline, "cannot stand in a patch"),
        (_not_utf8, "cannot stand in a patch"),
        (lambda path: (path / MAIN).unlink(), "no SKILL.md in it"),
    ],
)
def test_links_devices_and_odd_names_are_refused(tmp_path: Path, spoil: Callable[[Path], None], problem: str) -> None:
    skill_of(HEAD).write(tmp_path / "demo")
    spoil(tmp_path / "demo")
    with pytest.raises(UserError, match=problem):
        Skill.load(tmp_path / "demo")


def test_a_link_or_a_file_is_no_skill_folder(tmp_path: Path) -> None:
    skill_of(HEAD).write(tmp_path / "demo")
    (tmp_path / "link").symlink_to(tmp_path / "demo")
    with pytest.raises(UserError, match="a link; name the folder that it points to"):
        Skill.load(tmp_path / "link")
    for path in (tmp_path / "demo" / MAIN, tmp_path / "absent"):
        with pytest.raises(UserError, match="not a folder"):
            Skill.load(path)


def test_an_unreadable_folder_is_not_taken_for_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skill_of(HEAD, **{"references/a.md": b"x"}).write(tmp_path / "demo")
    scandir = os.scandir

    def denied(path: str) -> object:  # permissions do not stop root, so the refusal is made here
        if path.endswith("references"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(UserError, match=r"references: cannot be read \(Permission denied\)"):
        Skill.load(tmp_path / "demo")


def test_a_folder_with_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skill_of(HEAD, **{"a.md": b"", "b.md": b""}).write(tmp_path / "demo")
    monkeypatch.setattr("skillgrad_ci.skill.folder.MAX_FILES", 3)
    Skill.load(tmp_path / "demo")
    monkeypatch.setattr("skillgrad_ci.skill.folder.MAX_FILES", 2)
    with pytest.raises(UserError, match="more than 2 files"):
        Skill.load(tmp_path / "demo")


def test_the_layers_are_read_from_the_text() -> None:
    files = {"references/b.md": b"B", "references/a.md": b"A", "evals/x.json": b"{}"}
    skill = skill_of(HEAD + "# Body\n", **files)
    assert (skill.name, skill.description, skill.body) == ("demo", "Does things.", "# Body\n")
    assert skill.resources == ["references/a.md", "references/b.md"]
    assert skill.parts.body_line == 5
    assert skill_of("---\ndescription: 5\n---\n").name == "demo"
    assert skill_of("---\ndescription: 5\n---\n").description == ""


@given(st.text(string.printable, max_size=200))
def test_any_text_is_read_or_refused_as_the_users_error(text: str) -> None:
    try:
        _ = skill_of(f"---\n{text}\n---\n").metadata
    except UserError as error:
        message = str(error)
    else:
        message = "read"
    assert len(message.splitlines()) == 1

"""A patch keeps its promises whatever the edits: refused ones leave no trace, accepted ones replay."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skillgrad_ci.method.patch import MAX_CONTENT, EditResult, Rules, replay, try_patch
from skillgrad_ci.method.task import Task
from skillgrad_ci.skill.edit import OPS, Edit, Op, Target
from skillgrad_ci.skill.lint import new_errors
from skillgrad_ci.skill.skill import MAIN, Skill
from tests.support.skills import skill_of

TASKS = [Task("sales-17", "Do it.", (), {"orders_17.xlsx": Path("/suite/orders_17.xlsx")}, expected=["Springfield"])]
BODY = "# Demo\n\nIntro.\n\n## Steps\n\n- Look.\n"
POINTER = "Read `references/a.md` when stuck. Skip when not."


def edit_of(id: str, op: Op, target: Target, address: str = "", content: str = "", file: str = MAIN) -> Edit:
    return Edit(id, 1, "B", file, op, target, address, content, patterns=("known",))


def create(id: str, file: str = "references/a.md", content: str = "# A\n\nDetails.") -> Edit:
    return edit_of(id, "append", "file", content=content, file=file)


def point(id: str, text: str = POINTER) -> Edit:
    return edit_of(id, "append", "heading", "Steps", text)


def tried(skill: Skill, *edits: Edit, allow_scripts: bool = False) -> tuple[Skill, list[EditResult]]:
    return try_patch(skill, edits, Rules(TASKS, {"known"}, allow_scripts))


def statuses(results: list[EditResult]) -> dict[str, str]:
    return {result.edit.id: result.status for result in results}


def refusal(skill: Skill, edit: Edit, *, allow_scripts: bool = False) -> str:
    """Why one edit is refused; the skill is as it was."""
    after, (result,) = tried(skill, edit, allow_scripts=allow_scripts)
    assert after.digest == skill.digest
    assert result.status == "refused"
    assert "\n" not in result.reason
    return result.reason


@pytest.mark.parametrize("order", [("E1", "E2"), ("E2", "E1")])
def test_a_file_and_its_pointer_come_in_either_order(order: tuple[str, str]) -> None:
    edits = {"E1": create("E1"), "E2": point("E2")}
    after, results = tried(skill_of(BODY), *(edits[id] for id in order))
    assert statuses(results) == {"E1": "accepted", "E2": "accepted"}
    assert new_errors(skill_of(BODY), after) == []
    assert POINTER in after.body


def test_a_file_without_pointer_and_a_pointer_without_file_are_refused() -> None:
    assert "Q002 references/a.md" in refusal(skill_of(BODY), create("E1"))
    assert "points to references/a.md, which is not in the skill" in refusal(skill_of(BODY), point("E1"))


def test_refusing_a_file_refuses_its_pointer_and_what_was_appended_to_it_and_no_other() -> None:
    leak = create("E1", content="# A\n\nAs in sales-17.")
    other = edit_of("E3", "insert_after", "heading", "Steps", "- Think.")
    more = create("E4", content="More.")
    after, results = tried(skill_of(BODY), leak, point("E2"), other)
    assert statuses(results) == {"E1": "refused", "E2": "refused", "E3": "accepted"}
    assert "references/a.md" not in after.files
    _, results = tried(skill_of(BODY), create("E1"), other, more)
    assert statuses(results) == {"E1": "refused", "E3": "accepted", "E4": "refused"}


def test_the_pointer_of_a_file_that_stays_cannot_be_taken_away() -> None:
    skill = skill_of(f"{BODY}\n{POINTER}\n", {"references/a.md": "# A\n"})
    unpoint = edit_of("E1", "delete", "text", POINTER)
    remove = edit_of("E2", "delete", "file", file="references/a.md")
    assert "Q002" in refusal(skill, unpoint)
    assert "Q001" in refusal(skill, remove)
    for edits in ([unpoint, remove], [remove, unpoint]):
        after, _ = tried(skill, *edits)
        assert (set(after.files), after.body) == ({MAIN}, BODY)


def test_an_imperfect_skill_can_be_improved() -> None:
    skill = skill_of("# A\n\nreferences/gone.md\n\n# B\n", {"references/lost.md": "x"}, fields="name: No\nextra: 1")
    after, results = tried(skill, edit_of("E1", "append", "heading", "A", "New."))
    assert statuses(results) == {"E1": "accepted"}
    assert "New." in after.body


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("As in sales-17.", "L001"),
        ("Open orders_17.xlsx.", "L002"),
        ("It is Springfield.", "L003"),
        ("See references/none.md.", "Q001"),
        ("```\nx = 1", "opens a code block"),
        ("<!-- a", "opens a code block or a comment"),
        ("a\u202eb", r"U\+202E"),
        ("a\u200bb", r"U\+200B"),
        ("a\x1bb", r"U\+001B"),
        ("a\0b", r"U\+0000"),
        ("a\udc00b", r"U\+DC00"),
        ("a\U000e0041b", r"U\+E0041"),
        ("x" * (MAX_CONTENT + 1), "longer than 20,000 characters"),
    ],
)
def test_content_that_leaks_hides_or_swallows_is_refused(content: str, reason: str) -> None:
    for edit in (
        edit_of("E1", "append", "heading", "Steps", content),
        edit_of("E1", "insert_after", "text", "Intro.", content),
        edit_of("E1", "replace", "text", "Intro.", content),
    ):
        assert re.search(reason, refusal(skill_of(BODY), edit))


def test_a_part_of_a_code_block_can_be_replaced_by_such_a_part() -> None:
    skill = skill_of(f"{BODY}\n```\nx = 1\n```\n")
    after, results = tried(skill, edit_of("E1", "replace", "text", "```\nx = 1", "```python\nx = 2"))
    assert statuses(results) == {"E1": "accepted"}
    assert after.body.endswith("```python\nx = 2\n```\n")


def test_words_in_any_script_and_emoji_are_content() -> None:
    for content in ("Größe prüfen – 測る 👩‍🔬", "می‌خواهم", "tab\there"):
        _, results = tried(skill_of(BODY), edit_of("E1", "append", "heading", "Steps", content))
        assert statuses(results) == {"E1": "accepted"}


def test_a_description_that_breaks_the_specification_or_leaks_is_refused() -> None:
    assert "H003" in refusal(skill_of(BODY), edit_of("E1", "replace", "description", content="x " * 600))
    assert "L003" in refusal(skill_of(BODY), edit_of("E1", "replace", "description", content="Use in Springfield."))
    assert "invisible" in refusal(skill_of(BODY), edit_of("E1", "replace", "description", content="a\x07b"))


OUT_OF_REACH = [
    "/etc/passwd",
    "../other/SKILL.md",
    "references/../SKILL.md",
    "references/../../x.md",
    "references\\a.md",
    "references//a.md",
    "references/./a.md",
    "references/a\n.md",
    "references/.hidden.md",
    "references/a b.md",
    "references/",
    "references",
    "",
    ".",
    "README.md",
    ".git/config",
    ".github/workflows/x.yml",
    "evals/tasks.yaml",
    "References/a.md",
    "skill.md",
    "~/x.md",
    "C:/x.md",
    "references/a.md\0",
    f"references/{'x' * 101}.md",
    "references/\u0430.md",
]


@pytest.mark.parametrize("file", OUT_OF_REACH)
@pytest.mark.parametrize("allow_scripts", [True, False])
def test_files_out_of_reach_are_refused(file: str, allow_scripts: bool) -> None:
    skill = skill_of(BODY, {file: "# A\n"} if file.strip(".") else {})  # even where it exists already
    assert "is out of reach" in refusal(skill, create("E1", file), allow_scripts=allow_scripts)
    if file:
        removal = edit_of("E1", "delete", "file", file=file)
        assert "is out of reach" in refusal(skill, removal, allow_scripts=allow_scripts)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("references/SKILL.md", "a second SKILL.md"),
        ("assets/sub/skill.MD", "a second SKILL.md"),
        ("references/A.md", "collides with references/a.md"),
        ("references/a.md/b.md", "collides with references/a.md"),
        ("references/sub", "not a kind of text file"),
        ("references/a.html", "not a kind of text file"),
        ("assets/a.png", "not a kind of text file"),
        ("references/run.py", "scripts are not edited"),
        ("scripts/run.py", "scripts are not edited"),
        ("scripts/notes.md", "scripts are not edited"),
        ("assets/tool.md", "scripts are not edited"),
        ("references/deep/a.md", "Q003"),
    ],
)
def test_only_new_text_files_with_names_of_their_own_are_made(file: str, reason: str) -> None:
    files = {"references/a.md": "# A\n", "assets/tool.md": "x"}
    skill = Skill("demo", skill_of(f"{BODY}\n{POINTER}\n", files).files, frozenset({"assets/tool.md"}))
    assert reason in refusal(skill, create("E1", file, "x"))


def test_scripts_are_edited_where_that_is_allowed_and_never_made_executable() -> None:
    edits = [create("E1", "scripts/run.py", "print(1)"), point("E2", "Run `scripts/run.py`.")]
    after, results = tried(skill_of(BODY), *edits, allow_scripts=True)
    assert statuses(results) == {"E1": "accepted", "E2": "accepted"}
    assert after.executable == frozenset()
    assert "not a kind" in refusal(skill_of(BODY), create("E1", "scripts/run.exe", "x"), allow_scripts=True)
    assert "not a kind" in refusal(skill_of(BODY), create("E1", "references/run.py", "x"), allow_scripts=True)


def test_an_edit_needs_a_known_pattern_and_changes_something() -> None:
    nameless = Edit("E1", 1, "B", MAIN, "append", "file", content="x", patterns=("unknown",))
    assert "names no pattern of the record" in refusal(skill_of(BODY), nameless)
    same = edit_of("E1", "replace", "text", "Intro.", "Intro.")
    assert "changes nothing" in refusal(skill_of(BODY), same)


def test_the_body_cannot_be_emptied() -> None:
    assert "B004" in refusal(skill_of(BODY), edit_of("E1", "delete", "heading", "Demo"))


def test_a_leak_spread_over_two_edits_is_found() -> None:
    task = Task("t", "Do it.", (), expected=["Shelby ville"])
    first, second = (edit_of(i, "append", "heading", "Steps", f"- x\n{c}") for i, c in (("E1", "Shelby"), ("E2", "y")))
    split = edit_of("E2", "replace", "text", "Shelby", "Shelby\nville")
    assert statuses(try_patch(skill_of(BODY), [first, second], Rules([task], {"known"}))[1]) == {
        "E1": "accepted",
        "E2": "accepted",
    }
    _, results = try_patch(skill_of(BODY), [first, split], Rules([task], {"known"}))
    assert statuses(results) == {"E1": "accepted", "E2": "refused"}


def test_a_dropped_edit_is_named_by_those_that_stand_on_it() -> None:
    skill = skill_of(BODY)
    edits = [
        create("E1"),
        point("E2"),
        edit_of("E3", "append", "heading", "Steps", "- Think."),
        edit_of("E4", "replace", "text", "Think", "Think twice"),
        edit_of("E5", "append", "heading", "A", "More.", file="references/a.md"),
    ]
    final, results = tried(skill, *edits)
    assert set(statuses(results).values()) == {"accepted"}
    assert replay(skill, edits)[0].digest == final.digest

    after, results = replay(skill, edits, drop={"E3"})
    assert statuses(results) == {"E1": "accepted", "E2": "accepted", "E4": "refused", "E5": "accepted"}
    assert "stands on E3, which is dropped" in results[2].reason
    assert "Think" not in after.body

    after, results = replay(skill, edits, drop={"E1"})
    assert statuses(results) == {"E2": "refused", "E3": "accepted", "E4": "accepted", "E5": "refused"}
    assert all("stands on E1, which is dropped" in result.reason for result in results if result.reason)
    assert new_errors(skill, after) == []

    assert replay(skill, edits, drop={edit.id for edit in edits}) == (skill, [])


def test_an_edit_that_needs_two_dropped_ones_names_both() -> None:
    edits = [
        edit_of("E1", "append", "heading", "Steps", "- a"),
        edit_of("E2", "append", "heading", "Steps", "- b"),
        edit_of("E3", "replace", "text", "- a\n- b", "- both"),
    ]
    _, results = replay(skill_of(BODY), edits, drop={"E1", "E2"})
    assert "stands on the dropped E1, E2: " in results[0].reason
    _, results = replay(skill_of("# Another skill\n"), edits[:1])
    assert "no heading 'Steps'" in results[0].reason
    assert "stands on" not in results[0].reason


FILES = st.sampled_from([MAIN, "references/a.md", "references/b.md", "scripts/x.py", "../x.md"])
CONTENTS = st.sampled_from(
    [
        "New.",
        "## Steps\n\nNew.",
        "- item",
        POINTER,
        "`references/b.md`",
        "sales-17",
        "Springfield",
        "```\nx",
        "",
        "Intro.",
    ]
)
ADDRESSES = st.sampled_from(["Steps", "Demo", "A", "Intro.", "- item", "New.", POINTER, "name: demo"])
PLACES = st.sampled_from([(op, target) for target, ops in OPS.items() for op in ops] + [("append", "text")])
PATCHES = st.lists(st.tuples(FILES, PLACES, ADDRESSES, CONTENTS, st.booleans()), min_size=1, max_size=7)


def edits_of(drawn: list[tuple[str, tuple[Op, Target], str, str, bool]]) -> list[Edit]:
    return [
        Edit(f"E{n}", 1, "B", file, op, target, address, content, patterns=("known",) if known else ("other",))
        for n, (file, (op, target), address, content, known) in enumerate(drawn, 1)
    ]


@settings(max_examples=250)
@given(PATCHES.map(edits_of), st.booleans())
def test_accepted_edits_replay_and_refused_ones_leave_no_trace(edits: list[Edit], has_reference: bool) -> None:
    files: dict[str, str | bytes] = {
        "assets/data.bin": b"\xff\0",
        **({"references/a.md": "# A\n"} if has_reference else {}),
    }
    skill = skill_of(f"{BODY}\n{POINTER}\n" if has_reference else BODY, files)
    after, results = tried(skill, *edits)
    assert [result.edit for result in results] == edits
    accepted = [result.edit for result in results if result.status == "accepted"]
    again, replayed = replay(skill, accepted)
    assert again.digest == after.digest
    assert set(statuses(replayed).values()) <= {"accepted"}
    one_by_one = tried(skill, *accepted)
    assert one_by_one[0].digest == after.digest
    assert new_errors(skill, after) == []
    assert all(edit.patterns == ("known",) for edit in accepted)
    named = {edit.file for edit in accepted}
    assert {f: c for f, c in after.files.items() if f not in named} == {
        f: c for f, c in skill.files.items() if f not in named
    }
    assert not any(bad in after.text for bad in ("sales-17", "Springfield"))


@settings(max_examples=100)
@given(PATCHES, PATCHES)
def test_the_accepted_edits_of_several_patches_replay_in_a_row(
    first: list[tuple[str, tuple[Op, Target], str, str, bool]],
    second: list[tuple[str, tuple[Op, Target], str, str, bool]],
) -> None:
    edits = edits_of([*first, *second])
    skill = after = skill_of(BODY)
    accepted = []
    for patch in (edits[: len(first)], edits[len(first) :]):
        after, results = tried(after, *patch)
        accepted += [result.edit for result in results if result.status == "accepted"]
    again, results = replay(skill, accepted)
    assert again.digest == after.digest
    assert [result.reason for result in results] == [""] * len(accepted)


@settings(max_examples=100)
@example([edit_of("E1", "append", "file", "", "Alpha."), edit_of("E2", "replace", "text", "Alpha.", "Beta.")], {"E1"})
@given(PATCHES.map(edits_of), st.sets(st.sampled_from(["E1", "E2", "E3", "E4"])))
def test_dropping_edits_keeps_a_sound_skill_and_accounts_for_every_other_edit(
    edits: list[Edit], drop: set[str]
) -> None:
    skill = skill_of(BODY)
    accepted = [result.edit for result in tried(skill, *edits)[1] if result.status == "accepted"]
    after, results = replay(skill, accepted, drop)
    assert [result.edit for result in results] == [edit for edit in accepted if edit.id not in drop]
    assert new_errors(skill, after) == []
    for result in results:
        assert (result.status == "accepted") == (result.reason == "")
        if result.status == "refused":
            assert "dropped" in result.reason

"""An edit changes its place and nothing else, and says what it expected where it does not fit."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.errors import ReplyError
from skillgrad_ci.skill.edit import OPS, Edit, Op, Target, apply_edit
from skillgrad_ci.skill.skill import MAIN, Skill
from tests.support.skills import skill_of

BODY = """
# Demo

Intro.

## Steps

1. Look.
2. Act.

### Detail

Deep.

```
## not a heading
x = 1
```

## Checks

- one
- two
"""


def edit_of(op: Op, target: Target, address: str = "", content: str = "", file: str = MAIN) -> Edit:
    return Edit("E1", 1, "B", file, op, target, address, content)


def body_after(op: Op, target: Target, address: str = "", content: str = "", body: str = BODY) -> str:
    return apply_edit(skill_of(body), edit_of(op, target, address, content)).body


def test_append_goes_to_the_end_of_a_section_with_its_deeper_headings() -> None:
    assert body_after("append", "heading", "Steps", "New.\n\n") == BODY.replace("x = 1\n```\n", "x = 1\n```\n\nNew.\n")
    assert body_after("append", "heading", "### Detail", "New.") == body_after("append", "heading", "## Steps", "New.")
    assert body_after("append", "heading", "# steps #", "New.") == body_after("append", "heading", "## Steps", "New.")
    assert body_after("append", "heading", "Demo", "New.") == BODY + "\nNew.\n"
    assert body_after("append", "file", "", "## End\n\nNew.") == BODY + "\n## End\n\nNew.\n"


@pytest.mark.parametrize("rule", ["---", "***", "_ _ _"])
def test_append_comes_before_a_thematic_break_that_ends_the_place(rule: str) -> None:
    body = f"# Demo\n\n## Steps\n\nAct.\n\n{rule}\n\n## Checks\n\nLook.\n\n{rule}\n"
    assert body_after("append", "heading", "Steps", "New.", body) == body.replace("Act.\n", "Act.\n\nNew.\n")
    assert body_after("append", "heading", "Checks", "New.", body) == body.replace("Look.\n", "Look.\n\nNew.\n")
    assert body_after("append", "file", "", "## End\n\nNew.", body) == body.replace(
        "Look.\n", "Look.\n\n## End\n\nNew.\n"
    )
    told = body.replace(f"{rule}\n", f"{rule}\n\nMade by hand.\n")  # what follows a break is text like any other
    assert body_after("append", "file", "", "New.", told) == f"{told}\nNew.\n"


def test_an_item_for_the_whole_does_not_join_the_list_of_its_last_section() -> None:
    wanted = BODY.replace("Intro.\n", "Intro.\n\n- new\n")
    assert body_after("append", "file", "", "- new") == body_after("append", "heading", "Demo", "- new") == wanted
    assert body_after("append", "file", "", "- new", "- one\n") == "- one\n- new\n"
    assert body_after("append", "file", "", "- new", "## A\n\n- one\n") == "## A\n\n- one\n- new\n"
    assert body_after("append", "file", "", "New.") == BODY + "\nNew.\n"
    ends_in_text = "# A\n\n## B\n\n- one\n\nText.\n"
    assert body_after("append", "file", "", "- new", ends_in_text) == ends_in_text + "\n- new\n"


def test_items_join_their_list_and_paragraphs_stand_apart() -> None:
    assert body_after("append", "heading", "Checks", "- three") == BODY + "- three\n"
    assert body_after("insert_after", "text", "1. Look.", "1. Wait.") == BODY.replace("2. Act", "1. Wait.\n2. Act")
    assert body_after("insert_after", "text", "Intro", "More.") == BODY.replace("Intro.\n", "Intro.\n\nMore.\n")
    assert body_after("insert_after", "text", "x = 1", "y = 2") == BODY.replace("x = 1\n", "x = 1\ny = 2\n")
    assert body_after("insert_after", "text", "- one", "  - deeper") == BODY.replace("one\n", "one\n  - deeper\n")
    assert body_after("insert_after", "text", "B", "- new", "- A\n- B\n- C\n") == "- A\n- B\n- new\n- C\n"


@pytest.mark.parametrize("content", ["**Always** look twice.", "-5 is a number.", "1.5 m is enough.", "| a |\n| - |"])
def test_what_only_begins_like_an_item_does_not_become_a_part_of_the_list_above(content: str) -> None:
    for target, address in (("file", ""), ("heading", "Checks")):
        assert body_after("append", target, address, content) == f"{BODY}\n{content}\n"  # type: ignore[arg-type]


def test_insert_after_a_heading_stands_right_below_it() -> None:
    assert body_after("insert_after", "heading", "Steps", "First.") == BODY.replace(
        "## Steps\n", "## Steps\n\nFirst.\n"
    )


def test_replace_keeps_the_heading_unless_the_content_brings_one() -> None:
    detail = BODY[BODY.index("### Detail") : BODY.index("\n## Checks")]
    assert body_after("replace", "heading", "Detail", "New.") == BODY.replace(detail, "### Detail\n\nNew.\n")
    assert body_after("replace", "heading", "Detail", "### Other\n\nNew.") == BODY.replace(
        detail, "### Other\n\nNew.\n"
    )
    assert body_after("replace", "text", "two", "2") == BODY.replace("two", "2")
    assert body_after("replace", "text", "- one\n- two\n", "- 1\n") == BODY.replace("- one\n- two", "- 1")


def test_delete_takes_a_section_a_line_or_words() -> None:
    detail = BODY[BODY.index("### Detail") : BODY.index("## Checks")]
    assert body_after("delete", "heading", "Detail") == BODY.replace(detail, "")
    assert body_after("delete", "heading", "Checks") == BODY[: BODY.index("\n## Checks")]
    assert body_after("delete", "text", "2. Act.") == BODY.replace("2. Act.\n", "")
    assert body_after("delete", "text", "Intro.") == BODY.replace("Intro.\n\n", "")
    assert body_after("delete", "text", " Act") == BODY.replace(" Act", "")


def test_resources_are_created_extended_and_removed() -> None:
    skill = apply_edit(skill_of(), edit_of("append", "file", content="\n# A\n\nx\n\n", file="references/a.md"))
    assert skill.files["references/a.md"] == b"# A\n\nx\n"
    skill = apply_edit(skill, edit_of("append", "file", content="y", file="references/a.md"))
    assert skill.files["references/a.md"] == b"# A\n\nx\n\ny\n"
    assert "references/a.md" not in apply_edit(skill, edit_of("delete", "file", file="references/a.md")).files


def test_rows_of_a_data_file_are_not_parted() -> None:
    skill = skill_of(files={"assets/a.csv": "# a,b\n1,2"})
    after = apply_edit(skill, edit_of("append", "file", content="3,4", file="assets/a.csv"))
    assert after.files["assets/a.csv"] == b"# a,b\n1,2\n3,4\n"
    ruled = apply_edit(skill_of(files={"a.txt": "1\n---\n"}), edit_of("append", "file", content="2", file="a.txt"))
    assert ruled.files["a.txt"] == b"1\n---\n2\n"
    with pytest.raises(ReplyError, match="not Markdown"):
        apply_edit(skill, edit_of("append", "heading", "a,b", "3,4", file="assets/a.csv"))


@pytest.mark.parametrize("fields", ["{name: demo}", "name: demo\n? description"])
def test_a_description_without_a_line_of_its_own_is_left_alone(fields: str) -> None:
    said = r"description: demo/SKILL\.md:2: the description cannot be replaced; put it on a line of its own"
    with pytest.raises(ReplyError, match=said):
        apply_edit(skill_of(fields=fields), edit_of("replace", "description", content="Use it."))


def test_the_description_is_replaced_whole() -> None:
    after = apply_edit(skill_of(), edit_of("replace", "description", content="Use\nwhen: asked."))
    assert (after.description, after.body) == ("Use when: asked.", skill_of().body)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_addresses_and_content_take_the_files_newline(newline: str) -> None:
    skill = Skill("demo", {MAIN: skill_of(BODY).text.replace("\n", newline).encode()})
    for edit in (
        edit_of("append", "heading", "Steps", "New.\n\n- x\n"),
        edit_of("replace", "text", "1. Look.\n2. Act.", "1. Look\n2. twice."),
        edit_of("delete", "text", "1. Look.\r\n2. Act."),
        edit_of("replace", "heading", "Detail", "a\r\nb"),
    ):
        text = apply_edit(skill, edit).text
        assert text.replace("\r\n", "\n") == apply_edit(skill_of(BODY), edit).text
        assert text.count(newline) == text.count("\n")


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (edit_of("append", "heading", "Step", "x"), "no heading 'Step'; there is 'Steps'"),
        (edit_of("append", "heading", "not a heading", "x"), "no heading 'not a heading'"),
        (edit_of("append", "heading", "", "x"), "no heading"),
        (edit_of("replace", "text", "Deep. And", "x"), "is not there; the nearest line is 'Deep.'"),
        (edit_of("replace", "text", "o", "x"), r"'o' stands \d+ times; copy more of it"),
        (edit_of("replace", "text", "name: demo", "x"), "lies in the frontmatter"),
        (edit_of("replace", "text", "---\n\n# Demo", "x"), "is not there"),
        (edit_of("replace", "text", " \n ", "x"), "needs the exact text"),
        (edit_of("replace", "text", "Deep.", " \n"), "needs content; to remove something, use delete"),
        (edit_of("append", "text", "Deep.", "x"), "append does not go with target text; use insert_after or replace"),
        (edit_of("delete", "description"), "delete does not go with target description; use replace"),
        (edit_of("replace", "file", content="x"), "use append or delete"),
        (edit_of("delete", "file"), "SKILL.md cannot be removed"),
        (edit_of("delete", "file", file="references/b.md"), "not in the skill; there is references/"),
        (edit_of("replace", "description", content="x", file="references/a.md"), "only SKILL.md has a description"),
        (edit_of("append", "file", content="x", file="references/bad.md"), "is not text"),
        (edit_of("append", "heading", "Twice", "x", file="references/a.md"), "stands 2 times; address an exact text"),
    ],
)
def test_what_does_not_fit_is_said(edit: Edit, problem: str) -> None:
    skill = skill_of(BODY, {"references/a.md": "# Twice\n\n# twice\n\n# Twice\n", "references/bad.md": b"\xff"})
    with pytest.raises(ReplyError, match=problem) as caught:
        apply_edit(skill, edit)
    assert "\n" not in str(caught.value)


def test_a_reference_with_frontmatter_of_its_own_keeps_it() -> None:
    skill = skill_of(files={"references/a.md": "---\ntitle: x\n---\n# A\n"})
    after = apply_edit(skill, edit_of("insert_after", "heading", "A", "New.", file="references/a.md"))
    assert after.files["references/a.md"] == b"---\ntitle: x\n---\n# A\n\nNew.\n"
    with pytest.raises(ReplyError, match="lies in the frontmatter"):
        apply_edit(skill, edit_of("delete", "text", "title: x", file="references/a.md"))


LINES = st.sampled_from(["# A", "## B", "text", "- item", "", "```", "> # q", "---", "1. x", "| a |"])
TEXTS = st.lists(LINES, max_size=12).map("\n".join)
PLACES = st.sampled_from([(op, target) for target, ops in OPS.items() for op in ops])


@given(TEXTS, TEXTS, PLACES, st.sampled_from(["A", "B", "text", "- item", "1. x"]), st.sampled_from(["\n", "\r\n"]))
def test_no_edit_of_the_body_touches_the_frontmatter_another_file_or_an_unaddressed_line(
    body: str, content: str, place: tuple[Op, Target], address: str, newline: str
) -> None:
    op, target = place
    text = skill_of(body).text.replace("\n", newline)
    skill = Skill("demo", {MAIN: text.encode(), "references/a.md": b"\xff\x00"}, frozenset({"references/a.md"}))
    try:
        after = apply_edit(skill, edit_of(op, target, address, content))
    except ReplyError:
        return
    assert {**after.files, MAIN: b""} == {**skill.files, MAIN: b""}
    assert after.executable == skill.executable
    if target == "description":
        assert after.body == skill.body
        return
    assert (after.frontmatter, after.metadata) == (skill.frontmatter, skill.metadata)
    if op in ("append", "insert_after"):
        kept, new = skill.body.split(newline), iter(after.body.split(newline))
        assert all(line in new for line in kept if line.strip())
        assert content.replace("\r\n", "\n").strip("\n").replace("\n", newline) in after.body


def test_the_summary_is_one_line_and_shows_the_first_words() -> None:
    edit = edit_of("insert_after", "heading", "The\nsteps", "## New\n\nAlways  look.\n\nMore.")
    assert edit.summary == "insert after SKILL.md, 'The steps': Always look."
    assert edit_of("delete", "file", file="references/a.md").summary == "delete references/a.md, the file"
    assert edit_of("replace", "description", content="x").summary == "replace SKILL.md, its description: x"
    assert len(edit_of("append", "file", content="x" * 9000).summary) < 400


def test_an_edit_is_named_by_its_first_words_and_its_text_is_not_told_again() -> None:
    edit = edit_of(
        "append", "file", content="# New\n\n- Take the newest match: where a list records changes, it is last.\n"
    )
    assert edit.opening == f"{edit.id}: - Take the newest match: where a list…"
    gone = edit_of("delete", "file", file="references/a.md")
    assert gone.opening == f"{gone.id}: delete references/a.md, the file"
    assert len(edit_of("append", "file", content="x" * 9000).opening) < 120


@given(st.text(), st.text(), st.text())
def test_a_summary_obeys_nobody(file: str, address: str, content: str) -> None:
    assert edit_of("append", "heading", address, content, file).summary.isprintable()


def test_a_long_address_that_is_not_there_is_refused_in_no_time() -> None:
    skill = skill_of("\n\n".join("ab" * 5000 for _ in range(40)))
    start = time.thread_time()
    with pytest.raises(ReplyError, match="is not there") as caught:
        apply_edit(skill, edit_of("replace", "text", "ba" * 9000 + "c", "x"))
    assert time.thread_time() - start < 2
    assert len(str(caught.value)) < 500

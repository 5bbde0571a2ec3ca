"""Text put in or taken out leaves every other line as it was, and blank lines only where they part something."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.skill.markdown import outline
from skillgrad_ci.skill.splice import insert, replace_section, without

LINES = st.lists(st.sampled_from(["Text.", "- item", "| cell |", "# Heading", "", "  deep"]), max_size=8)
CONTENT = st.sampled_from(["New.", "- new", "- new\n- more", "| new |", "- new\n\nThen.", "New.\n\n- then"])


def taken_out(body: str, text: str) -> str:
    start = body.index(text)
    return without(outline(body), body, start, start + len(text))


def section_replaced(body: str, heading: str, content: str) -> str:
    structure = outline(body)
    return replace_section(structure, next(s for s in structure.sections if s.heading == heading), content, "\n")


@given(LINES, st.integers(0, 8), CONTENT)
def test_what_is_put_in_stands_once_and_all_else_stays(lines: list[str], at: int, content: str) -> None:
    body = "".join(f"{line}\n" for line in lines)
    after = insert(outline(body), min(at, len(lines)), content, "\n")
    before, _, rest = after.partition(content + "\n")
    assert before.split() + rest.split() == body.split()
    assert [line for line in (before + rest).split("\n") if line.strip()] == [line for line in lines if line.strip()]


@pytest.mark.parametrize(
    ("body", "at", "content", "after"),
    [
        ("Above.\nBelow.\n", 1, "New.", "Above.\n\nNew.\n\nBelow.\n"),
        ("- a\n- b\n", 1, "- new", "- a\n- new\n- b\n"),
        ("- a\nBelow.\n", 1, "- new\n- more", "- a\n- new\n- more\n\nBelow.\n"),
        ("- a\n- b\n", 1, "- new\n\nThen.", "- a\n- new\n\nThen.\n\n- b\n"),
        ("- a\n- b\n", 1, "New.\n\n- then", "- a\n\nNew.\n\n- then\n- b\n"),
        ("| a |\n| b |\n", 1, "| new |\n| more |", "| a |\n| new |\n| more |\n| b |\n"),
        ("Above.\n\n\n", 3, "New.", "Above.\n\nNew.\n\n\n"),
        ("\nBelow.\n", 0, "New.", "New.\n\nBelow.\n"),
        ("Above.", 1, "New.", "Above.\n\nNew.\n"),
    ],
)
def test_blank_lines_part_what_is_not_alike(body: str, at: int, content: str, after: str) -> None:
    assert insert(outline(body), at, content, "\n") == after


def test_a_section_s_new_text_keeps_the_blank_lines_below_it() -> None:
    body = "# A\n\nOld.\n\n\n# B\n\nRest.\n"
    assert section_replaced(body, "A", "New.") == "# A\n\nNew.\n\n\n# B\n\nRest.\n"
    assert section_replaced(body, "A", "# C\n\nNew.") == "# C\n\nNew.\n\n\n# B\n\nRest.\n"
    assert section_replaced("# A\nOld.\n# B\n", "A", "New.") == "# A\n\nNew.\n\n# B\n"
    assert section_replaced(body, "B", "New.") == "# A\n\nOld.\n\n\n# B\n\nNew.\n"


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("b", "a\nc and d\n\ne\n"),  # a line whole
        ("c and ", "a\nb\nd\n\ne\n"),  # its beginning: the rest stays
        (" and d", "a\nb\nc\n\ne\n"),  # its end
        ("b\nc and d", "a\n\ne\n"),  # two lines
        ("c and d\n\ne", "a\nb\n"),  # up to the end
    ],
)
def test_what_is_taken_out_takes_no_other_word_and_leaves_no_blank_line(text: str, after: str) -> None:
    assert taken_out("a\nb\nc and d\n\ne\n", text) == after

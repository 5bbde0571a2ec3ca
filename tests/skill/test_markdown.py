"""A Markdown text's sections and code, as CommonMark sees them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skillgrad_ci.skill.markdown import may_be_unclosed, outline

TEXT = """# A `code`

Title
-----

```python
# no heading
```

- # in a list

> # quoted

## B ##

    # indented code

# C
"""


def test_sections_end_before_the_next_heading_of_the_same_or_a_higher_level() -> None:
    sections = [(s.heading, s.level, s.start, s.inside, s.end) for s in outline(TEXT).sections]
    assert sections == [("A `code`", 1, 0, 1, 17), ("Title", 2, 2, 4, 13), ("B", 2, 13, 14, 17), ("C", 1, 17, 18, 18)]
    assert [line for line in range(18) if outline(TEXT).is_code(line)] == [5, 6, 7, 15]


def test_what_is_never_closed_is_found() -> None:
    assert outline("a\n\n````\n```\nb\n").unclosed == 2
    assert outline("a\n\n````\n```\nb\n````\n").unclosed is None
    assert outline("~~~").unclosed == 0
    assert outline("<!-- a\n\n# b\n").unclosed == 0
    assert outline("<!-- a -->\n\n- ```\n").unclosed is None


@given(
    st.lists(st.sampled_from(["# A", "## B", "x", "", "```", "---", "> q", "- i", "\t", "é\u2028"])),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_lines_join_to_the_text_and_places_fit(lines: list[str], newline: str) -> None:
    text = newline.join(lines)
    structure = outline(text)
    assert "".join(structure.lines) == text
    for offset in range(len(text)):
        line = structure.line_at(offset)
        assert structure.offset_of(line) <= offset < structure.offset_of(line + 1)
    for section in structure.sections:
        assert 0 <= section.start < section.inside <= section.end <= len(structure.lines)


PIECES = st.sampled_from(
    ["```", "````", "~~~", "``` py", "``` `", "   ```", "    ```", "<!--", "-->", "<!-- a -->", "x", ""]
)


@example(["<!--", "```", "-->", "```"])
@example(["```", "<!-- x", "```", "y -->", "```"])
@given(st.lists(PIECES, max_size=9))
def test_the_quick_look_misses_nothing_that_is_never_closed(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert may_be_unclosed(text) or outline(text).unclosed is None


@pytest.mark.parametrize(
    "text", ["a\n\n```\nx\n```\n", "~~~\n```\n~~~\n", "```\n````\n", "<!-- a -->\n```\n<!-- b -->\n```\n", "--> x"]
)
def test_the_quick_look_lets_whole_texts_go(text: str) -> None:
    assert not may_be_unclosed(text)

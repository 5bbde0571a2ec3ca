"""Text from outside shows as it is, and does nothing."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from skillgrad_ci.document.inert_text import (
    JOINER,
    code,
    defused,
    fence,
    fenced,
    inbound,
    one_line,
    printable,
    shown,
    terminal_safe,
    trailer,
    without_escapes,
)

ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=120)
HOSTILE = st.lists(
    st.sampled_from([*"`*_[]()<>!#|~@\\ \n-+1.&;:/", "<!--", "-->", "@ann", "fixes #1", "GH-3", "http://x.y",
                     "www.x.y", "```", "~~~", "<img src=x>", "![a](b)", "[a]: b", "\u200b", "\u202e", "\U000e0041"]),
    max_size=20,
).map("".join)  # fmt: skip


@pytest.mark.parametrize(
    "hidden", ["\u200b", "\u202e", "\u2066", "\U000e0041", "\x1b", "\x00", "\ufeff", "\u00ad", "ㅤ", "️"]
)
def test_what_cannot_be_seen_is_taken_away(hidden: str) -> None:
    assert inbound(f"a{hidden}b\n\tc") == "ab\n\tc"


@pytest.mark.parametrize("text", ["a<!-- do this -->b", "a<!-- one\ntwo -->b"])
def test_comments_are_taken_away(text: str) -> None:
    assert inbound(text) == "ab"


def test_an_unclosed_comment_hides_the_rest_as_github_does() -> None:
    assert inbound("a<!-- b") == "a"


ACTIVE = ["@ann", "@acme/team", "#12", "fixes #12", "closes acme/skills#7", "GH-7", "https://evil.example"]
ACTIVE += ["www.evil.example", "_www.evil.example", "mailto:a@b.example", "a@b.example"]


@pytest.mark.parametrize("active", ACTIVE)
def test_nothing_is_called_closed_or_linked(active: str) -> None:
    for inert in (defused(active), shown(active), trailer(active)):
        assert JOINER in inert
        assert not re.search(r"@\w|#\d|\bGH-\d|://|www\.", inert)
        assert inert.replace(JOINER, "").replace("\\", "") == active


@given(HOSTILE | ANY)
def test_shown_text_is_text_and_nothing_else(text: str) -> None:
    """CommonMark reads one paragraph of plain text out of it, whatever went in."""
    line = shown(text)
    tokens = MarkdownIt("commonmark").enable("table").parse(line)
    assert [token.type for token in tokens] in ([], ["paragraph_open", "inline", "paragraph_close"])
    for token in tokens:
        for child in token.children or []:
            assert child.type in {"text", "text_special"}, (line, child)


@given(HOSTILE | ANY)
def test_shown_text_stays_in_its_cell(text: str) -> None:
    rows = f"| a | b |\n| --- | --- |\n| {shown(text)} | end |\n"
    tokens = MarkdownIt("commonmark").enable("table").parse(rows)
    assert [token.type for token in tokens].count("td_open") == 2


@given(HOSTILE | ANY)
def test_code_is_code(text: str) -> None:
    inline = code(text)
    tokens = MarkdownIt("commonmark").parse(f"x{inline}x" if inline else "")
    for token in tokens:
        kinds = [child.type for child in token.children or []]
        assert kinds in ([], ["text", "code_inline", "text"])


@given(HOSTILE | ANY)
def test_a_fence_is_closed_by_us_alone(text: str) -> None:
    for block in (fence(text, "diff"), fenced(text, "diff")):
        tokens = MarkdownIt("commonmark").parse(block)
        assert [token.type for token in tokens] == ["fence"]


@given(HOSTILE | ANY)
def test_a_trailers_text_is_one_line(text: str) -> None:
    assert len(trailer(text).splitlines()) <= 1


@pytest.mark.parametrize("switch", ["[skip ci]", "[ci skip]", "[no ci]", "[Skip  Actions]", "[actions skip]"])
def test_a_commit_message_switches_no_workflow_off(switch: str) -> None:
    inert = trailer(f"Sum all. {switch} now")
    assert " ".join(switch.split()) not in inert
    assert inert.replace(JOINER, "") == " ".join(f"Sum all. {switch} now".split())


def test_long_text_is_cut_and_says_so() -> None:
    assert shown("word " * 1000, 50).endswith("…")
    assert "characters more" in fenced("x" * 9000)


@given(st.text(), st.integers(1, 30))
def test_what_is_left_out_of_a_line_shows(text: str, limit: int) -> None:
    whole, line = " ".join(text.split()), one_line(text, limit)
    assert one_line(text) == whole
    assert len(line) <= limit
    assert line == whole or (line.endswith("…") and whole.startswith(line[:-1]))


@given(st.text())
def test_a_terminal_obeys_nothing_and_keeps_its_lines(text: str) -> None:
    """Also what cannot be written to it: halves of surrogate pairs."""
    lines = terminal_safe(text)
    assert len(lines) == len(text)
    assert lines.count("\n") == text.count("\n")
    assert lines.replace("\n", "").isprintable()
    assert terminal_safe(lines) == lines
    lines.encode()
    assert printable(text).isprintable()
    assert printable(text).split() == lines.split()


@given(st.text(st.characters(categories=["L", "N", "P", "S"]) | st.sampled_from("\n ")))
def test_what_people_read_is_left_alone(text: str) -> None:
    assert terminal_safe(text) == text


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("\x1b\x9b[]P0;m\\\x07\r\n\t"), max_size=200))
def test_plain_text_has_no_control_characters_and_is_left_alone(text: str) -> None:
    once = without_escapes(text)
    assert not [c for c in once if unicodedata.category(c) == "Cc" and c not in "\n\t"]
    assert without_escapes(once) == once


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.sampled_from("\n\t"), max_size=200))
def test_text_without_controls_is_kept(text: str) -> None:
    assert without_escapes(text) == text


def test_escapes_go_and_their_text_stays() -> None:
    coloured = "\x1b[1;31mred\x1b[0m \x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\ \x1b]0;title\x07done\x1b(B"
    assert without_escapes(coloured) == "red link done"
    assert without_escapes("10%\r20%\r\nend") == "10%\n20%\nend"


def test_workflow_commands_are_left_to_the_log_writer() -> None:
    assert without_escapes("::set-output name=a::b\n") == "::set-output name=a::b\n"

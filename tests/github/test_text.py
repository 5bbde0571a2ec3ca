"""Text from outside shows as it is, and does nothing."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from skillgrad_ci.github.text import JOINER, LIMIT, Section, code, compose, defused, fenced, inbound, shown, trailer

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
    tokens = MarkdownIt("commonmark").parse(fenced(text, "diff"))
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


ROWS = st.lists(st.integers(1, 400).map(lambda n: f"| {'x' * n} | y |"), max_size=60)
FENCES = st.lists(st.integers(1, 400), max_size=20, unique=True).map(lambda sizes: [fenced("z" * n) for n in sizes])
HEAD = "| a | b |\n| --- | --- |"


@given(ROWS, FENCES, st.integers(1, 5), st.integers(1_500, 12_000))
def test_what_does_not_fit_is_left_out_whole(rows: list[str], fences: list[str], weight: int, limit: int) -> None:
    sections = [
        Section("# Head", essential=True),
        Section(HEAD, rows, weight=weight),
        Section("Blocks", fences, between="\n\n"),
    ]
    text = compose(sections, limit)
    assert len(text) <= limit
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    assert sum(token.type == "fence" for token in tokens) == sum(f"\n{block}\n" in f"\n{text}\n" for block in fences)
    assert text.count("```") % 2 == 0
    body_rows = [token for token in tokens if token.type == "tr_open"]
    assert len(body_rows) in (0, 1 + sum(line.startswith("| x") for line in text.splitlines()))
    for line in text.splitlines():
        assert not line.startswith("| x") or line in rows


@given(ROWS)
def test_what_fits_is_complete(rows: list[str]) -> None:
    text = compose([Section(HEAD, rows)])
    assert all(row in text for row in rows)
    assert len(text) <= LIMIT


@given(st.lists(st.integers(50, 400).map(lambda n: f"- {'x' * n}"), min_size=30, max_size=60))
def test_what_is_left_out_is_counted(rows: list[str]) -> None:
    text = compose([Section("List", rows)], 1_000)
    kept = sum(line.startswith("- ") for line in text.splitlines())
    assert f"_{len(rows) - kept} more in the run's report._" in text

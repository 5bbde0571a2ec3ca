"""A body fits GitHub's bound by whole rows."""

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from skillgrad_ci.document.inert_text import fenced
from skillgrad_ci.github.body import LIMIT, BodyPart, compose

ROWS = st.lists(st.integers(1, 400).map(lambda n: f"| {'x' * n} | y |"), max_size=60)
FENCES = st.lists(st.integers(1, 400), max_size=20, unique=True).map(lambda sizes: [fenced("z" * n) for n in sizes])
HEAD = "| a | b |\n| --- | --- |"


@given(ROWS, FENCES, st.integers(1_500, 12_000))
def test_what_does_not_fit_is_left_out_whole(rows: list[str], fences: list[str], limit: int) -> None:
    sections = [BodyPart("# Head", essential=True), BodyPart(HEAD, rows), BodyPart("Blocks", fences)]
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
    text = compose([BodyPart(HEAD, rows)])
    assert all(row in text for row in rows)
    assert len(text) <= LIMIT


@given(st.lists(st.integers(50, 400).map(lambda n: f"- {'x' * n}"), min_size=30, max_size=60))
def test_what_is_left_out_is_counted(rows: list[str]) -> None:
    text = compose([BodyPart("List", rows)], 1_000)
    kept = sum(line.startswith("- ") for line in text.splitlines())
    assert f"_{len(rows) - kept} more in the run's report._" in text

"""A command's output: bounded, and plain text."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.sandbox.supervise import Excerpt, plain

CHUNKS = st.lists(st.binary(max_size=50))


def fed(chunks: list[bytes], limit: int) -> Excerpt:
    excerpt = Excerpt(limit)
    for chunk in chunks:
        excerpt.feed(chunk)
    return excerpt


@given(CHUNKS, st.integers(1, 100))
def test_what_fits_is_whole_and_what_does_not_keeps_head_and_tail(chunks: list[bytes], limit: int) -> None:
    data = b"".join(chunks)
    excerpt = fed(chunks, limit)
    assert excerpt.total == len(data)
    if len(data) <= limit:
        assert excerpt.cut == 0
        assert excerpt.text() == plain(data.decode("utf-8", "replace"))
    else:
        assert excerpt.cut == len(data) - limit
        head, _, tail = excerpt.text().partition(f"\n[{excerpt.cut:,} bytes of output cut here]\n")
        assert head == plain(data[: limit - limit // 2].decode("utf-8", "replace"))
        assert tail == plain(data[len(data) - limit // 2 :].decode("utf-8", "replace"))


@given(CHUNKS, st.integers(1, 100))
def test_the_chunks_do_not_matter(chunks: list[bytes], limit: int) -> None:
    assert fed(chunks, limit).text() == fed([b"".join(chunks)], limit).text()


def test_memory_stays_bounded() -> None:
    excerpt = Excerpt(1000)
    for _ in range(200):
        excerpt.feed(b"x" * 65536)
        assert len(excerpt._head) + len(excerpt._tail) <= 1000


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("\x1b\x9b[]P0;m\\\x07\r\n\t"), max_size=200))
def test_plain_text_has_no_control_characters_and_is_left_alone(text: str) -> None:
    once = plain(text)
    assert not [c for c in once if unicodedata.category(c) == "Cc" and c not in "\n\t"]
    assert plain(once) == once


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.sampled_from("\n\t"), max_size=200))
def test_text_without_controls_is_kept(text: str) -> None:
    assert plain(text) == text


def test_escapes_go_and_their_text_stays() -> None:
    coloured = "\x1b[1;31mred\x1b[0m \x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\ \x1b]0;title\x07done\x1b(B"
    assert plain(coloured) == "red link done"
    assert plain("10%\r20%\r\nend") == "10%\n20%\nend"


def test_workflow_commands_are_left_to_the_log_writer() -> None:
    assert plain("::set-output name=a::b\n") == "::set-output name=a::b\n"

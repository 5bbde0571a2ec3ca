"""A command's output: bounded, and plain text."""

from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.document.inert_text import without_escapes
from skillgrad_ci.sandbox.supervise import Excerpt

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
        assert excerpt.text() == without_escapes(data.decode("utf-8", "replace"))
    else:
        assert excerpt.cut == len(data) - limit
        head, _, tail = excerpt.text().partition(f"\n[{excerpt.cut:,} bytes of output cut here]\n…")
        assert head == without_escapes(data[: limit - limit // 2].decode("utf-8", "replace"))
        assert tail == without_escapes(data[len(data) - limit // 2 :].decode("utf-8", "replace"))


@given(CHUNKS, st.integers(1, 100))
def test_the_chunks_do_not_matter(chunks: list[bytes], limit: int) -> None:
    assert fed(chunks, limit).text() == fed([b"".join(chunks)], limit).text()


def test_memory_stays_bounded() -> None:
    excerpt = Excerpt(1000)
    for _ in range(200):
        excerpt.feed(b"x" * 65536)
        assert len(excerpt._head) + len(excerpt._tail) <= 1000

"""A digest names a value by what it says."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.method.task import digest_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
)


def turned(value: object) -> object:
    """The same value, with the keys of every object in the opposite order."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(item) for item in value] if isinstance(value, list) else value


@given(VALUES)
def test_the_order_of_keys_is_no_difference(value: object) -> None:
    assert digest_of(turned(value)) == digest_of(value)
    assert digest_of([value]) != digest_of([value, value])


def test_a_path_counts_as_its_text() -> None:
    assert digest_of({"at": Path("evals/a")}) == digest_of({"at": "evals/a"})

"""What may be claimed of several settings that were looked at together."""

from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.report.comparison import holm

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_holm_as_published() -> None:
    """Step down: the smallest of m is multiplied by m, the next by m - 1, and none falls below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == [0.03, 0.06, 0.06, 0.02]
    assert holm([]) == []


@given(P_VALUES)
def test_a_correction_never_helps_a_claim_keeps_the_order_and_is_no_harder_than_bonferroni(values: list[float]) -> None:
    corrected = holm(values)
    for value, strict in zip(values, corrected, strict=True):
        assert value <= strict <= min(1.0, len(values) * value)
    ranks = sorted(range(len(values)), key=lambda at: values[at])
    assert [corrected[at] for at in ranks] == sorted(corrected)

"""Pairs equal rows where their order does not count: as many as can be, in time that a hostile file cannot stretch.

A greedy choice may leave a row without the only partner that it had, so pairs are mended along augmenting paths
(Kuhn's algorithm). Rows that agree in their texts are looked up by their first number.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from decimal import Decimal

Values = tuple[str | float, ...]  # a row, its numbers read
MAX_STEPS = 2_000_000  # pairs of rows that are looked at; beyond it what is paired stays so
_SLACK = 1e-12


def within(x: float, y: float, tolerance: float) -> bool:
    """Whether two numbers are at most `tolerance` apart, as they are written in decimals."""
    gap = abs(x - y)
    if abs(gap - tolerance) > _SLACK * max(1.0, abs(x), abs(y)):
        return gap <= tolerance
    return abs(Decimal(repr(x)) - Decimal(repr(y))) <= Decimal(repr(tolerance))


def matched(golden: Sequence[Values], given: Sequence[Values], tolerance: float) -> list[int | None]:
    """For each golden row the index of the given row that is paired with it; None for one without."""
    return _Matching(golden, given, tolerance).solve()


class _Matching:
    def __init__(self, golden: Sequence[Values], given: Sequence[Values], tolerance: float) -> None:
        self._golden, self._given, self._tolerance = golden, given, tolerance
        self._reach = tolerance * (1 + _SLACK) + _SLACK
        self._steps = 0
        self._partner: list[int | None] = [None] * len(golden)
        self._owner: list[int | None] = [None] * len(given)
        self._buckets: dict[object, list[tuple[float, int]]] = {}
        for index, row in enumerate(given):
            self._buckets.setdefault(_kind(row), []).append((_first(row), index))
        for bucket in self._buckets.values():
            bucket.sort()

    def solve(self) -> list[int | None]:
        self._pair_equal()
        if self._tolerance > 0:
            self._pair_sorted()
            for row in range(len(self._golden)):
                if self._partner[row] is None and self._steps < MAX_STEPS:
                    self._augment(row)
        return self._partner

    def _pair_equal(self) -> None:
        there: dict[Values, list[int]] = {}
        for index in range(len(self._given) - 1, -1, -1):
            there.setdefault(self._given[index], []).append(index)
        for row, values in enumerate(self._golden):
            if found := there.get(values):
                self._pair(row, found.pop())

    def _pair_sorted(self) -> None:
        """Go along both sides by their first numbers: nearly every row finds its partner so, at no cost."""
        rest: dict[object, list[tuple[float, int]]] = {}
        for row, values in enumerate(self._golden):
            if self._partner[row] is None:
                rest.setdefault(_kind(values), []).append((_first(values), row))
        for kind, rows in rest.items():
            free = [index for _, index in self._buckets.get(kind, []) if self._owner[index] is None]
            at = 0
            for first, row in sorted(rows):
                while at < len(free) and _first(self._given[free[at]]) < first - self._reach:
                    at += 1
                if at < len(free) and self._equal(self._golden[row], self._given[free[at]]):
                    self._pair(row, free[at])
                    at += 1

    def _pair(self, row: int, index: int) -> None:
        self._partner[row], self._owner[index] = index, row

    def _augment(self, start: int) -> None:
        """Look for a path from an unpaired golden row to a free given row, and turn its pairs over."""
        came_from: dict[int, int] = {}  # a given row: the golden row from which it was reached
        waiting = [start]
        while waiting:
            row = waiting.pop()
            for index in self._near(row):
                if index in came_from:
                    continue
                came_from[index] = row
                owner = self._owner[index]
                if owner is not None:
                    waiting.append(owner)
                    continue
                while True:  # back along the path
                    row = came_from[index]
                    before = self._partner[row]
                    self._pair(row, index)
                    if before is None:
                        return
                    index = before
            if self._steps >= MAX_STEPS:
                return

    def _near(self, row: int) -> list[int]:
        """The given rows that a golden row equals within the tolerance."""
        values, reach = self._golden[row], self._reach
        bucket = self._buckets.get(_kind(values), [])
        low = bisect_left(bucket, (_first(values) - reach, -1))
        high = bisect_right(bucket, (_first(values) + reach, len(self._given)))
        high = min(high, low + MAX_STEPS - self._steps)
        self._steps += high - low + 1
        return [index for _, index in bucket[low:high] if self._equal(values, self._given[index])]

    def _equal(self, a: Values, b: Values) -> bool:
        return all(
            x == y or (isinstance(x, float) and isinstance(y, float) and within(x, y, self._tolerance))
            for x, y in zip(a, b, strict=True)
        )


def _kind(row: Values) -> tuple[object, ...]:
    """What must be the same in two rows that equal each other: their texts, and where their numbers are."""
    return tuple(cell if isinstance(cell, str) else None for cell in row)


def _first(row: Values) -> float:
    return next((cell for cell in row if isinstance(cell, float)), 0.0)

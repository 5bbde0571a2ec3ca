"""A clock is not a verdict: executions that a time limit ended say how busy a machine was, not how good a skill is.

They are graded and counted like any other. But where they are many, or more under one skill than chance explains
(R. A. Fisher's exact test, two-sided), what separates the two skills may be the clock alone, and nothing is compared.
"""

from collections.abc import Sequence
from math import comb

from skillgrad_ci.method.evidence import Evidence

MOST = 5  # one in so many executions of either skill, at the most
LEVEL = 0.05  # of the test


def overrun(evidence: Sequence[Evidence]) -> str:
    """Why one skill's measurement can be compared with none; "" where it can."""
    rows = [row for row in evidence if row.measured]
    ended = sum(row.timed_out for row in rows)
    return f"{ended} of {len(rows)} executions ended at a time limit" if MOST * ended > len(rows) else ""


def incomparable(before: Sequence[Evidence], after: Sequence[Evidence]) -> str:
    """Why the clock forbids to compare two skills on the tasks that both were measured on; "" where it does not."""
    both = {row.task_id for row in before if row.measured} & {row.task_id for row in after if row.measured}
    old, new = ([row for row in rows if row.measured and row.task_id in both] for rows in (before, after))
    ended = [sum(row.timed_out for row in rows) for rows in (old, new)]
    if not (overrun(old) or overrun(new) or fisher(ended[0], len(old), ended[1], len(new)) < LEVEL):
        return ""
    return f"{ended[0]} of {len(old)} executions before and {ended[1]} of {len(new)} after ended at a time limit"


def fisher(first: int, of_first: int, second: int, of_second: int) -> float:
    """The exact two-sided p-value that two shares differ by chance alone.

    All splits of the same total count that are no more likely than the one that was seen.
    """
    total, size = first + second, of_first + of_second
    ways = {
        count: comb(of_first, count) * comb(of_second, total - count)
        for count in range(max(0, total - of_second), min(total, of_first) + 1)
    }
    return sum(way for way in ways.values() if way <= ways[first]) / comb(size, total)

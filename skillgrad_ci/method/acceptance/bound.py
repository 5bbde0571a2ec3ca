"""When a candidate's measurement may end: once it cannot win, whatever its other tasks show.

The bound is exact. At best every other task passes, with the full score. Where the gain over the incumbent is not above
zero even then, the full measurement rejects the candidate too: a task that cannot be measured adds nothing to a gain,
and too few measurements, a clock or noise only forbid a win. What wins is measured whole, for the next candidate is
held to it, and people are shown its interval.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil

from skillgrad_ci.method.acceptance import DecideBy, task_means
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.task import Task


def failed_first(tasks: Sequence[Task], incumbent: Sequence[Evidence], by: DecideBy = "pass") -> list[Task]:
    """The tasks that the incumbent fails, then the others: a candidate that wins on none of the first cannot win.

    Tasks on which the incumbent could not be measured decide nothing, and come last.
    """
    rates = task_means(incumbent, by)
    return sorted(tasks, key=lambda task: rates.get(task.id, Fraction(2)))


def until_lost(
    tasks: Sequence[Task], incumbent: Sequence[Evidence], by: DecideBy = "pass"
) -> Callable[[Sequence[Evidence]], int]:
    """How many of the tasks to come, taken in the order of `failed_first`, must fail until nothing can be won; 0: now.

    A task that fails instead of passing takes one whole task off the best that can still come.
    """
    known = task_means(incumbent, by)
    old = {task.id: known[task.id] for task in tasks if task.id in known}

    def fewest(done: Sequence[Evidence]) -> int:
        new, seen = task_means(done, by), {row.task_id for row in done}
        rest = [task.id for task in tasks if task.id not in seen]
        if not old:
            return len(rest)  # nothing can be compared, and that is to be said after a whole measurement
        gained = sum((new[task] - old[task] for task in new.keys() & old.keys()), Fraction())
        return max(0, ceil(gained + sum((1 - old[task] for task in rest if task in old), Fraction())))

    return fewest

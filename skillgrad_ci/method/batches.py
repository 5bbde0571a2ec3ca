"""Mini-batches: reshuffled epochs over the tasks that the initial skill failed."""

import random
from collections.abc import Iterator, Sequence

from skillgrad_ci.method.task import Task


def batches(pool: Sequence[Task], size: int, number: int, seed: int) -> Iterator[list[Task]]:
    """`number` batches of `size` tasks (all of them, where the pool is smaller); none from an empty pool.

    Every task comes once an epoch; a batch across two epochs holds no task twice.
    """
    order = random.Random(seed)  # noqa: S311  # reproducible, not secret
    queue: list[Task] = []
    for _ in range(number if pool else 0):
        batch: list[Task] = []
        while len(batch) < min(size, len(pool)):
            fresh = [task for task in queue if task not in batch]
            if not fresh:
                queue += order.sample(pool, len(pool))
                continue
            batch.append(fresh[0])
            queue.remove(fresh[0])
        yield batch

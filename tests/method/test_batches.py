"""Mini-batches: fair epochs, reproducible by seed."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.method.batches import batches
from skillgrad_ci.method.task import GraderSpec, Task


def pool(size: int) -> list[Task]:
    return [Task(f"t{n}", "do", [GraderSpec("text")]) for n in range(size)]


@given(st.integers(1, 20), st.integers(1, 6), st.integers(1, 12), st.integers(0, 99))
def test_batches_are_epochs_without_twins(size: int, batch: int, number: int, seed: int) -> None:
    drawn = list(batches(pool(size), batch, number, seed))
    assert drawn == list(batches(pool(size), batch, number, seed))
    assert [len(tasks) for tasks in drawn] == [min(batch, size)] * number
    assert all(len({task.id for task in tasks}) == len(tasks) for tasks in drawn)
    seen = Counter(task.id for tasks in drawn for task in tasks)
    assert max(seen.values()) - min(seen[f"t{n}"] for n in range(size)) <= 2  # a batch may straddle two epochs


def test_the_first_epoch_shows_every_task_once_and_the_seed_decides_the_order() -> None:
    tasks = pool(12)
    epoch = [task.id for batch in batches(tasks, 4, 3, seed=1) for task in batch]
    assert sorted(epoch) == sorted(task.id for task in tasks)
    assert epoch != [task.id for batch in batches(tasks, 4, 3, seed=2) for task in batch]
    assert list(batches([], 4, 3, seed=1)) == []

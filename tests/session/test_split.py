"""Splits are stable when tasks are added, mended where chance is unkind, and written down whole."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.errors import UserError
from skillgrad_ci.method.task import GraderSpec, Split, Suite, Task
from skillgrad_ci.session.split import (
    all_teach,
    assign,
    fold_sizes,
    folds_of,
    read_recorded,
    recorded_path,
    write_recorded,
)

SPLITS = st.sampled_from(list(Split))


def tasks(count: int, **splits: Split) -> list[Task]:
    ids = [f"t{number}" for number in range(count)]
    return [Task(task, "do", [GraderSpec("text")], split=splits.get(task)) for task in ids]


@given(st.integers(1, 80), st.integers(0, 5), st.data())
def test_own_splits_and_recorded_ones_win(count: int, seed: int, data: st.DataObject) -> None:
    own = data.draw(st.dictionaries(st.sampled_from([f"t{n}" for n in range(count)]), SPLITS))
    recorded = data.draw(st.dictionaries(st.sampled_from([f"t{n}" for n in range(count)]), SPLITS))
    splits = assign(tasks(count, **own), recorded=recorded, seed=seed).splits
    assert set(splits) == {f"t{n}" for n in range(count)}
    assert all(splits[task] is split for task, split in {**recorded, **own}.items())


@given(st.integers(20, 60), st.integers(1, 60), st.integers(0, 5))
def test_adding_tasks_moves_none_that_was_recorded(count: int, more: int, seed: int) -> None:
    first = assign(tasks(count), seed=seed).splits
    second = assign(tasks(count + more), recorded=first, seed=seed).splits
    assert {task: second[task] for task in first} == dict(first)


def test_without_a_record_adding_tasks_moves_hardly_any() -> None:
    """Only a mended stratum may move; a hash of ranks or a shuffle would move most."""
    first, second = assign(tasks(60)).splits, assign(tasks(61)).splits
    assert sum(first[task] is not second[task] for task in first) <= 2


@given(st.integers(0, 200), st.lists(st.booleans(), min_size=20, max_size=120))
def test_each_outcome_has_at_least_half_of_its_share_everywhere(seed: int, passed: list[bool]) -> None:
    suite = tasks(len(passed))
    outcomes = {task.id: outcome for task, outcome in zip(suite, passed, strict=True)}
    splits = assign(suite, outcomes, seed=seed).splits
    for outcome in (True, False):
        stratum = [task for task, value in outcomes.items() if value is outcome]
        counts = Counter(splits[task] for task in stratum)
        for split, share in ((Split.TRAIN, 0.5), (Split.VALIDATION, 0.2), (Split.HELDOUT, 0.3)):
            owed = share * len(stratum)
            assert owed < 1 or counts[split] >= owed / 2


@given(st.integers(1, 120), st.integers(0, 20))
def test_a_seed_gives_one_split(count: int, seed: int) -> None:
    assert assign(tasks(count), seed=seed) == assign(list(tasks(count)), seed=seed)


def test_seeds_differ_and_shares_are_right() -> None:
    assert assign(tasks(100), seed=1).splits != assign(tasks(100), seed=2).splits
    counts = Counter(assign(tasks(4000)).splits.values())
    assert counts[Split.TRAIN] / 4000 == pytest.approx(0.5, abs=0.03)
    assert counts[Split.VALIDATION] / 4000 == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize(
    ("count", "present", "notes"),
    [
        (9, {Split.TRAIN}, 2),
        (10, {Split.TRAIN, Split.HELDOUT}, 1),
        (19, {Split.TRAIN, Split.HELDOUT}, 1),
        (20, set(Split), 0),
    ],
)
def test_small_suites_lose_validation_then_heldout_and_say_so(count: int, present: set[Split], notes: int) -> None:
    assigned = assign(tasks(count))
    assert set(assigned.splits.values()) == present
    assert len(assigned.notes) == notes


def test_growing_past_twenty_never_turns_a_training_task_into_heldout() -> None:
    small, large = assign(tasks(19)).splits, assign(tasks(60)).splits
    assert not [task for task in small if small[task] is Split.TRAIN and large[task] is Split.HELDOUT]


@given(st.dictionaries(st.text(min_size=1), SPLITS))
def test_a_recorded_split_reads_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, splits: dict[str, Split]
) -> None:
    path = tmp_path_factory.mktemp("split") / "split.json"
    write_recorded(path, splits)
    assert read_recorded(path) == splits


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"tarin": []}', '{"train": [1]}', '{"train": ["a"], "heldout": ["a"]}']
)
def test_a_broken_record_says_which_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "split.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"split\.json: "):
        read_recorded(path)


def test_a_record_lies_beside_the_suite(tmp_path: Path) -> None:
    assert read_recorded(recorded_path(Suite("s", "native", tmp_path, tasks(1)))) is None
    file = tmp_path / "evals.json"
    file.touch()
    assert recorded_path(Suite("s", "evals", file, tasks(1))) == tmp_path / "split.json"


@given(
    st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.booleans(), min_size=4, max_size=30),
    st.integers(2, 10),
    st.integers(0, 3),
)
def test_folds_part_the_tasks_evenly_in_all_and_by_outcome(outcomes: dict[str, bool], number: int, seed: int) -> None:
    some = [Task(name, "x", [GraderSpec("text")]) for name in outcomes]
    folds = folds_of(some, outcomes, number, seed)
    assert sorted(task for fold in folds for task in fold) == sorted(outcomes)
    assert [len(fold) for fold in folds] == fold_sizes(len(some), number)
    assert len(folds) == min(number, len(some))
    for outcome in (True, False):
        counts = [sum(outcomes[task] is outcome for task in fold) for fold in folds]
        assert max(counts) - min(counts) <= 1
    assert folds == folds_of(some[::-1], outcomes, number, seed), "the order of the suite says nothing"


def test_a_task_that_was_held_out_does_not_teach_every_fold() -> None:
    some = Suite("s", "native", Path("evals"), tasks(6, t1=Split.TRAIN, t2=Split.HELDOUT))
    with pytest.raises(UserError, match=r"and 2 have a split of their own \(t2: heldout\); take these out"):
        all_teach(some, {"t4": Split.VALIDATION})


def test_unreviewed_tasks_teach_every_fold_and_are_in_none() -> None:
    some = [Task(str(number), "x", [GraderSpec("text")], unreviewed=number < 3) for number in range(9)]
    folds = folds_of(some, {}, 3, 0)
    assert sorted(task for fold in folds for task in fold) == ["3", "4", "5", "6", "7", "8"]
    crossed = all_teach(Suite("s", "native", Path("evals"), some), {})
    assert crossed.of(Split.TRAIN) == list(crossed.tasks)
    with pytest.raises(UserError, match="needs 4 tasks and the suite has 3 reviewed ones"):
        all_teach(Suite("s", "native", Path("evals"), some[:6]), {})

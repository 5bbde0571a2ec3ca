"""Which tasks train, which choose, which only report.

A task's own split wins, then a recorded one, then a hash of (seed, id) against 50 / 20 / 30. The
hash knows nothing of the other tasks, so adding one moves no other. Only where chance leaves a
split with less than half of its share of the passed or of the failed tasks is it mended; whoever
records the result keeps even that stable.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from skillgrad_ci.errors import UserError
from skillgrad_ci.method.task import NEEDED_FOR_HELDOUT, NEEDED_FOR_VALIDATION, Split, Suite, Task, position_of
from skillgrad_ci.report.headline import split_notes
from skillgrad_ci.skill.folder import write_atomically

FILE = "split.json"
NEEDED_FOR_FOLDS = 4  # reviewed tasks; below, what is left of them teaches next to nothing
SPLITS = (Split.TRAIN, Split.VALIDATION, Split.HELDOUT)
Shares = Mapping[Split, float]


@dataclass(frozen=True)
class Assignment:
    """Every task's split, and what a reader of the headline must know about it."""

    splits: Mapping[str, Split]
    notes: Sequence[str] = ()


def assign(
    tasks: Sequence[Task],
    outcomes: Mapping[str, bool] | None = None,
    recorded: Mapping[str, Split] | None = None,
    seed: int = 0,
) -> Assignment:
    """Split a suite. `outcomes` says by task id whether the initial skill passed, where it is known.

    Unreviewed tasks train, and count for nothing else: the shares are those of the reviewed ones.
    """
    shares = _shares(sum(not task.unreviewed for task in tasks))
    splits: dict[str, Split] = {}
    free = []
    for task in tasks:
        known = Split.TRAIN if task.unreviewed else task.split or (recorded or {}).get(task.id)
        splits[task.id] = known or _by_hash(position_of(seed, task.id), shares)
        if known is None:
            free.append(task.id)
    for outcome in (True, False):  # before the base run nothing is mended: what is shown then moves with no other task
        stratum = [task.id for task in tasks if not task.unreviewed and (outcomes or {}).get(task.id) is outcome]
        _mend(stratum, set(free), splits, shares, seed)
    return Assignment(splits, split_notes(splits, [task.id for task in tasks if task.unreviewed]))


def fold_sizes(tasks: int, folds: int) -> list[int]:
    """How many tasks each fold of a cross-fitting holds: the sizes differ by one at most."""
    number = min(folds, tasks)
    return [len(range(fold, tasks, number)) for fold in range(number)]


def folds_of(tasks: Sequence[Task], outcomes: Mapping[str, bool], folds: int, seed: int) -> list[list[str]]:
    """The reviewed tasks' ids in folds for cross-fitting, stratified by whether the initial skill passed.

    Each stratum is dealt out in the order of its tasks' own places, so a fold that holds all failures is not drawn.
    """
    order = [task.id for task in tasks if not task.unreviewed]
    order.sort(key=lambda task: (outcomes.get(task, False), position_of(seed, task), task))
    number = len(fold_sizes(len(order), folds))
    return [order[fold::number] for fold in range(number)]


def all_teach(suite: Suite, recorded: Mapping[str, Split]) -> Suite:
    """The suite of a cross-fitting, whose every task teaches. Raises UserError where that cannot be."""
    said = {task.id: task.split or recorded.get(task.id) for task in suite.tasks if not task.unreviewed}
    if kept := [task for task, split in said.items() if split not in (None, Split.TRAIN)]:
        raise UserError(
            f"{suite.root}: split: cross lets every task teach and measure, and {len(kept)} have a split of their own "
            f"({kept[0]}: {said[kept[0]]}); take these out, or leave split: cross out"
        )
    if len(said) < NEEDED_FOR_FOLDS:
        raise UserError(
            f"{suite.root}: split: cross needs {NEEDED_FOR_FOLDS} tasks and the suite has {len(said)} reviewed ones; "
            "add some, or leave it out"
        )
    return suite.with_splits({task.id: Split.TRAIN for task in suite.tasks})


def settled(tasks: Sequence[Task], recorded: Mapping[str, Split] | None = None) -> Mapping[str, Split]:
    """The splits that `assign` gives whatever the outcomes: the ones that are said, and all of a suite too small."""
    few = len(_shares(sum(not task.unreviewed for task in tasks))) == 1
    trains = {task.id for task in tasks if task.unreviewed}
    known = {
        task.id: Split.TRAIN
        if task.id in trains
        else task.split or (recorded or {}).get(task.id) or (Split.TRAIN if few else None)
        for task in tasks
    }
    return {task: split for task, split in known.items() if split is not None}


def _shares(size: int) -> Shares:
    if size < NEEDED_FOR_HELDOUT:
        return {Split.TRAIN: 1.0}
    if size < NEEDED_FOR_VALIDATION:
        return {Split.TRAIN: 0.7, Split.HELDOUT: 0.3}
    return {Split.TRAIN: 0.5, Split.VALIDATION: 0.2, Split.HELDOUT: 0.3}


def _bounds(shares: Shares) -> Mapping[Split, tuple[float, float]]:
    """Each split's interval of positions. Heldout's is last, so it is the same in any suite that has one."""
    bounds, low = {}, 0.0
    for split in SPLITS:
        if split in shares:
            bounds[split] = (low, low + shares[split])
            low += shares[split]
    return bounds


def _by_hash(position: float, shares: Shares) -> Split:
    return next((split for split, (_, high) in _bounds(shares).items() if position < high), [*shares][-1])


def _mend(stratum: Sequence[str], free: set[str], splits: dict[str, Split], shares: Shares, seed: int) -> None:
    """Move free tasks, the nearest to the threshold first, into splits with less than half their share.

    A stratum too small to owe a split one whole task owes it none.
    """
    fair = {split: share * len(stratum) for split, share in shares.items()}
    owed = {split: ceil(tasks / 2) if tasks >= 1 else 0 for split, tasks in fair.items()}
    bounds = _bounds(shares)

    def held(split: Split) -> list[str]:
        return [task for task in stratum if splits[task] is split]

    def distance(task: str, split: Split) -> tuple[float, str]:
        low, high = bounds[split]
        position = position_of(seed, task)
        return max(low - position, position - high), task

    for split in shares:
        while len(held(split)) < owed[split]:
            givers = [donor for donor in shares if len(held(donor)) > fair[donor]]
            candidates = [task for donor in givers for task in held(donor) if task in free]
            if not candidates:
                break
            splits[min(candidates, key=lambda task: distance(task, split))] = split


def recorded_path(suite: Suite) -> Path:
    """Where a suite's split is written down: beside its tasks."""
    return (suite.root if suite.root.is_dir() else suite.root.parent) / FILE


def read_recorded(path: Path) -> Mapping[str, Split] | None:
    """A recorded split by task id; None where there is none. Raises UserError for an unreadable one."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error}); delete it to split afresh") from None
    if not isinstance(content, dict):
        raise UserError(f'{path}: expected an object like {{"train": [task ids], …}}; delete it to split afresh')
    splits: dict[str, Split] = {}
    for name, ids in content.items():
        if name not in set(SPLITS) or not isinstance(ids, list) or not all(isinstance(task, str) for task in ids):
            raise UserError(f"{path}: {name!r} must be train, validation or heldout, with a list of task ids")
        for task in ids:
            if task in splits:
                raise UserError(f"{path}: task {task!r} stands twice; keep it in one split")
            splits[task] = Split(name)
    return splits


def write_recorded(path: Path, splits: Mapping[str, Split]) -> None:
    """Write a split down, whole or not at all."""
    content = {str(split): sorted(task for task, own in splits.items() if own is split) for split in SPLITS}
    write_atomically(path, f"{json.dumps(content, indent=2)}\n".encode())

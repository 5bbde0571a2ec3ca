"""A digest names a value by what it says."""

import re
import shutil
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.errors import UserError
from skillgrad_ci.method.task import Environment, GraderSpec, Split, Suite, Task, digest_of, folder_of, names_folder

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


def written(folder: Path, **files: str) -> Path:
    """A folder of files, whose names' `_` are slashes."""
    for name, text in files.items():
        path = folder / name.replace("_", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def whole(folder: Path) -> Task:
    """A task that uses everything a digest looks at, with its files in `folder`."""
    place = written(folder, input="a,b", golden="3", data_one="1", data_deep_two="2", image_Dockerfile="FROM x")
    grader = GraderSpec("text", {"regex": "3", "flags": "i"}, {"golden": place / "golden"}, 0.5)
    files = {"in.csv": place / "input", "data": place / "data"}
    environment = Environment("alpine", place / "image", "/work", 1 << 30, 2.0)
    return Task("one", "Do it.", [grader], files, ["out.csv"], executable=["in.csv"], environment=environment)


def test_whatever_can_change_an_execution_or_its_grade_changes_the_digest(tmp_path: Path) -> None:
    task = whole(tmp_path / "a")
    (grader,), environment = task.graders, task.environment
    assert environment
    changed = [
        replace(task, id="two"),
        replace(task, instruction="Do it now."),
        replace(task, outputs=["other.csv"]),
        replace(task, timeout=601.0),
        replace(task, network=True),
        replace(task, threshold=0.9),
        replace(task, executable=[]),
        replace(task, executable=["data/one"]),
        replace(task, probe=True),
        replace(task, environment=None),
        replace(task, environment=replace(environment, image="debian")),
        replace(task, environment=replace(environment, workdir="/")),
        replace(task, environment=replace(environment, memory=1 << 29)),
        replace(task, environment=replace(environment, cpus=1.0)),
        replace(task, environment=replace(environment, build=None)),
        replace(task, graders=[replace(grader, kind="command")]),
        replace(task, graders=[replace(grader, options={"regex": "4", "flags": "i"})]),
        replace(task, graders=[replace(grader, weight=1.0)]),
        replace(task, graders=[replace(grader, references={})]),
        replace(task, graders=[grader, grader]),
        replace(task, files={"in.csv": task.files["in.csv"]}),
        replace(task, files={**task.files, "renamed.csv": task.files["in.csv"]}),
    ]
    for number, name in enumerate(("input", "golden", "data_one", "data_deep_two", "image_Dockerfile", "data_more")):
        changed.append(whole(tmp_path / f"b{number}"))
        written(tmp_path / f"b{number}", **{name: "else"})
    renamed = whole(tmp_path / "d")
    shutil.move(tmp_path / "d" / "data" / "one", tmp_path / "d" / "data" / "zone")
    moved = whole(tmp_path / "c")
    shutil.move(tmp_path / "c" / "data" / "one", tmp_path / "c" / "data" / "deep" / "one")
    digests = [each.digest for each in (task, *changed, renamed, moved)]
    assert [pair for pair in combinations(range(len(digests)), 2) if len({digests[n] for n in pair}) == 1] == []


def test_what_changes_neither_is_no_difference(tmp_path: Path) -> None:
    """Where files lie, what a task is for, and in which order its parts are written."""
    task = whole(tmp_path / "a")
    (grader,) = task.graders
    turned = replace(grader, options={name: grader.options[name] for name in ("flags", "regex")})
    for same in (
        whole(tmp_path / "elsewhere"),
        replace(task, split=Split.HELDOUT, tags=["x"], trials=3, expected=["3"], unreviewed=True, format="harbor"),
        replace(task, graders=[turned], files={name: task.files[name] for name in ("data", "in.csv")}),
    ):
        assert same.digest == task.digest
    assert replace(task, executable=["a", "b"]).digest == replace(task, executable=["b", "a"]).digest


def test_a_suites_digest_is_that_of_its_tasks_in_any_order_and_of_its_marks() -> None:
    one, two = (Task(name, "Do it.", [GraderSpec("text")]) for name in ("one", "two"))
    suite = Suite("s", "native", Path("evals"), [one, two])
    assert replace(suite, tasks=[two, one]).digest == suite.digest
    assert replace(suite, tasks=[one]).digest != suite.digest
    assert replace(suite, tasks=[one, replace(two, instruction="Do more.")]).digest != suite.digest
    marked = replace(suite, tasks=[one, replace(two, unreviewed=True)])
    assert marked.digest != suite.digest
    assert [task.id for task in marked.reviewed().tasks] == ["one"]
    assert suite.reviewed() is suite


def test_splits_are_given_by_id() -> None:
    tasks = [Task(name, "Do it.", [GraderSpec("text")]) for name in ("one", "two")]
    suite = Suite("s", "native", Path("evals"), tasks)
    split = suite.with_splits({"two": Split.TRAIN, "one": Split.HELDOUT})
    assert [(task.id, task.split) for task in split.tasks] == [("one", Split.HELDOUT), ("two", Split.TRAIN)]
    assert split.of(Split.TRAIN) == [split.tasks[1]]
    assert (suite.of(Split.TRAIN), split.digest) == ([], suite.digest)


def test_suites_of_which_nobody_has_read_a_task_measure_nothing() -> None:
    tasks = [Task(name, "Do it.", [GraderSpec("text")], unreviewed=True) for name in ("two", "one")]
    suite = Suite("s", "native", Path("evals"), tasks)
    with pytest.raises(UserError, match="evals: all 2 tasks are unreviewed"):
        suite.reviewed()
    assert replace(suite, tasks=tasks[::-1]).digest == suite.digest


def test_results_are_compared_where_a_judge_prefers() -> None:
    judges = [GraderSpec("judge", {"prefer": True}), GraderSpec("judge"), GraderSpec("text", {"prefer": True})]
    assert [Task("one", "Do it.", [spec]).prefers for spec in judges] == [True, False, False]
    assert Task("one", "Do it.", judges[::-1]).prefers


def test_ids_are_unique_and_name_folders() -> None:
    def suite(*ids: str) -> Suite:
        return Suite("s", "native", Path("evals"), [Task(name, "Do it.", [GraderSpec("text")]) for name in ids])

    with pytest.raises(UserError, match="evals: the suite holds no task"):
        suite()
    with pytest.raises(UserError, match=r"evals: task id '\.\./up' cannot name a folder"):
        suite("one", "../up")
    with pytest.raises(UserError, match="evals: task id 'one' stands twice"):
        suite("one", "two", "one")


IDS = st.text(min_size=1, max_size=120).filter(names_folder)


@given(IDS, IDS)
def test_every_task_has_a_folder_of_its_own_that_every_system_can_make(one: str, other: str) -> None:
    name = folder_of(one)
    assert re.fullmatch(r"[A-Za-z0-9_-]([A-Za-z0-9._ -]*[A-Za-z0-9_-])?", name), "no end that some systems drop"
    assert (name == folder_of(other)) == (one == other)


@given(st.text(st.sampled_from("aZ09_-. "), min_size=1, max_size=90).filter(names_folder))
def test_an_id_that_is_plain_is_its_folders_name(name: str) -> None:
    if name == name.strip(". -"):
        assert folder_of(name) == name
    else:
        assert len(folder_of(name)) <= 87
        assert folder_of(name).startswith((name.strip(". -") or "task")[:80])

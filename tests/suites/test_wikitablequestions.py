"""WikiTableQuestions in its own layout: splits, canonical targets, escapes, and what is wrong with a file."""

import time
from pathlib import Path

import pytest

from skillgrad_ci.errors import UserError
from skillgrad_ci.method.task import Split
from skillgrad_ci.suites import load_suite, recognise
from skillgrad_ci.suites.wikitablequestions import target_values

HEADER = "id\tutterance\tcontext\ttargetValue"
TAGGED = HEADER + "\ttokens\ttargetCanon\ttargetCanonType"


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """Two training questions and one pristine one, on one table."""
    table = "csv/200-csv/1.csv"
    training = [HEADER, f"nt-1\twhich city?\t{table}\tBonn", f"nt-2\tall?\t{table}\ta\\pb|c", ""]
    pristine = f"ns-1\thow many?\t{table}\tfive"
    files = {
        table: '"City","People"\n"Bonn","five"\n',
        "data/training.tsv": "\n".join(training),
        "data/pristine-seen-tables.tsv": f"{HEADER}\n{pristine}\n",
        "tagged/data/pristine-seen-tables.tagged": f"{TAGGED}\n{pristine}\thow\t5.0\tnumber\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_the_real_sample_is_read_whole(samples: Path) -> None:
    suite = load_suite(samples / "wikitablequestions")
    assert suite.format == "wikitablequestions"
    assert len(suite.tasks) == 160
    training = [task for task in suite.tasks if task.id.startswith("nt-")]
    assert {task.split for task in training} == {Split.TRAIN, Split.VALIDATION}
    assert len(training) == 100
    assert {task.split for task in suite.tasks if task not in training} == {Split.HELDOUT}
    assert all("canonical" in task.graders[0].options for task in suite.tasks if task not in training)
    assert len(suite.warnings) == 1
    assert "training.tsv: 100 of 100" in suite.warnings[0]


def test_questions_become_tasks(suite: Path) -> None:
    first, second, third = load_suite(suite).tasks
    assert first.instruction.startswith("which city?\n")
    assert "`1.csv`" in first.instruction
    assert first.files == {"1.csv": (suite / "csv/200-csv/1.csv").resolve()}
    assert second.graders[0].options == {"targets": ["a|b", "c"]}
    assert third.graders[0].options == {"targets": ["five"], "canonical": ["5.0"]}
    assert (third.split, third.expected) == (Split.HELDOUT, ["five"])


def test_the_official_development_split_is_validation(suite: Path) -> None:
    (suite / "data" / "random-split-1-dev.tsv").write_text(f"{HEADER}\nnt-2\tall?\tcsv/200-csv/1.csv\ta\n")
    assert [task.split for task in load_suite(suite).tasks] == [Split.TRAIN, Split.VALIDATION, Split.HELDOUT]


def test_values_are_unescaped_in_the_official_order() -> None:
    assert target_values(r"a\nb|c\pd|e\\f") == ["a\nb", "c|d", "e\\f"]
    assert target_values(r"\\n") == ["\\\n"]  # newline first, as the evaluator does it


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("data/training.tsv", "utterance", "question", "training.tsv:1: expected the columns id, utterance"),
        ("data/training.tsv", "\tBonn", "", "training.tsv:2: expected 4 tab-separated fields, got 3"),
        ("data/training.tsv", "csv/200-csv/1.csv\ta", "csv/200-csv/9.csv\ta", "training.tsv:3: context: no such table"),
        (
            "data/training.tsv",
            "csv/200-csv/1.csv\ta",
            "csv/../data/training.tsv\ta",
            "training.tsv:3: context: no such",
        ),
        ("tagged/data/pristine-seen-tables.tagged", "targetCanon\t", "canon\t", "tagged:1: expected the columns"),
        ("tagged/data/pristine-seen-tables.tagged", "5.0", "5.0|6.0", "targetValue holds 1 values and tagged/ 2"),
        ("data/training.tsv", "nt-2", "nt-1", "'nt-1' stands twice"),
    ],
)
def test_a_broken_row_is_told_with_its_line(suite: Path, file: str, old: str, new: str, expected: str) -> None:
    path = suite / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UserError) as error:
        load_suite(suite)
    assert expected in str(error.value)


def test_files_without_an_official_name_are_refused(suite: Path) -> None:
    for file in (suite / "data").iterdir():
        file.rename(file.with_name(f"my-{file.name}"))
    with pytest.raises(UserError, match=r"none of the official files.*training.tsv"):
        load_suite(suite)


def test_the_whole_data_set_is_read_in_seconds(suite: Path) -> None:
    rows = [f"nt-{n}\twhich city is it?\tcsv/200-csv/1.csv\tBonn" for n in range(14_152)]
    (suite / "data" / "training.tsv").write_text("\n".join([HEADER, *rows]) + "\n")
    started = time.thread_time()
    reader, found = recognise(suite)
    assert len(reader.load(found).tasks) == 14_153
    assert time.thread_time() - started < 10

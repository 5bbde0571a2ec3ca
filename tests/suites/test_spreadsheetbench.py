"""SpreadsheetBench's layout in all its spellings, and what is said where it is broken."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci import suites
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.task import Suite
from skillgrad_ci.suites import spreadsheetbench
from skillgrad_ci.suites.goldens import MAX_VALUES, ExpectedValues
from tests.support.workbooks import book

ROW = {"id": 7, "instruction": "Fill it.", "spreadsheet_path": "spreadsheet/7", "answer_position": "B2:B9"}


def write(folder: Path, rows: Any, files: Mapping[str, Sequence[str]]) -> Path:
    """A suite on disk; `files` are the names in `spreadsheet/<id>/`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(rows if isinstance(rows, str) else json.dumps(rows))
    for task, names in files.items():
        (folder / "spreadsheet" / task).mkdir(parents=True)
        for name in names:
            (folder / "spreadsheet" / task / name).write_bytes(name.encode())
    return folder


def read(folder: Path, names: Sequence[str], row: Mapping[str, Any] = ROW) -> Suite:
    return suites.load_suite(write(folder, [row], {"7": names}))


SPELLINGS = {
    "verified": ["1_7_init.xlsx", "1_7_golden.xlsx"],
    "bare": ["initial.xlsx", "golden.xlsx"],
    "full set": ["1_7_input.xlsx", "1_7_answer.xlsx"],
    "space": ["1_7_input .xlsx", "1_7_answer .xlsx"],
    "macros": ["1_7_input.xlsm", "1_7_answer.xlsx"],
    "another id": ["1_7_init.xlsx", "1_8-1_golden.xlsx"],
    "other files": [
        "1_7_init.xlsx",
        "1_7_golden.xlsx",
        "1_7_output.xlsx",
        "prompt.txt",
        "~$1_7_init.xlsx",
        "1_8_golden.xlsx",
    ],
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_file_names_is_one_case(tmp_path: Path, spelling: str) -> None:
    names = SPELLINGS[spelling]
    [task] = read(tmp_path, names).tasks
    assert task.id == "7"
    assert task.outputs == ["1_7_output.xlsx"]
    assert {name: path.name for name, path in task.files.items()} == {names[0]: names[0]}
    [grader] = task.graders
    assert grader.options == {
        "answer_position": "B2:B9",
        "cases": [{"output": "1_7_output.xlsx", "input": names[0], "golden": "golden-1.xlsx"}],
    }
    assert {name: path.name for name, path in grader.references.items()} == {"golden-1.xlsx": names[1]}
    assert names[0] in task.instruction
    assert "1_7_output.xlsx" in task.instruction
    assert "B2:B9" in task.instruction
    assert names[1] not in task.instruction


def test_every_case_of_a_task_is_read_in_order(tmp_path: Path) -> None:
    names = [f"{case}_7_{role}.xlsx" for case in (10, 2, 1) for role in ("answer", "input")]
    [task] = read(tmp_path, names).tasks
    assert task.outputs == ["1_7_output.xlsx", "2_7_output.xlsx", "10_7_output.xlsx"]
    assert list(task.files) == ["1_7_input.xlsx", "2_7_input.xlsx", "10_7_input.xlsx"]
    cases = task.graders[0].options["cases"]
    assert [case["output"] for case in cases] == task.outputs
    assert "`10_7_input.xlsx` → `10_7_output.xlsx`" in task.instruction


def test_ids_are_numbers_or_texts_and_folder_or_file_names_the_suite(tmp_path: Path) -> None:
    rows = [ROW, {**ROW, "id": "13-1", "spreadsheet_path": None, "instruction_type": "Sheet-Level Manipulation"}]
    folder = write(tmp_path, rows, {"7": SPELLINGS["verified"], "13-1": ["1_13-1_init.xlsx", "1_13-1_golden.xlsx"]})
    suite = suites.load_suite(folder)
    assert [task.id for task in suite.tasks] == ["7", "13-1"]
    assert suite.tasks[1].tags == ["Sheet-Level Manipulation"]
    assert suites.load_suite(folder / "dataset.json").digest == suite.digest
    assert suite.format == spreadsheetbench.FORMAT


def test_excluded_rows_are_kept_and_named(tmp_path: Path) -> None:
    suite = read(tmp_path, SPELLINGS["verified"], {**ROW, "exclude": True})
    assert len(suite.tasks) == 1
    assert "7" in suite.warnings[0]


BROKEN = {
    "no JSON": ("[{", {}, r"dataset\.json:1: no valid JSON"),
    "no list": ({"id": 1}, {}, "expected a valid list"),
    "no rows": ([], {}, "no task"),
    "no position": ([{"id": 7, "instruction": "x"}], {}, r"\[0\]\.answer_position: is missing"),
    "empty position": ([{**ROW, "answer_position": ""}], {}, r"\[0\]\.answer_position"),
    "id of another kind": ([{**ROW, "id": 1.5}], {}, r"\[0\]\.id"),
    "misspelt key": ([{**ROW, "instructions": "x"}], {}, "did you mean instruction"),
    "id twice": ([ROW, {**ROW, "id": "7"}], {"7": SPELLINGS["verified"]}, "7' stands in line"),
    "no folder": ([ROW], {}, r"\[0\]\.spreadsheet_path: no such file"),
    "outside": ([{**ROW, "spreadsheet_path": "../.."}], {}, "leads out of"),
    "no workbook": ([ROW], {"7": ["prompt.txt"]}, "no workbook; expected 1_7_init.xlsx and 1_7_golden.xlsx"),
    "no golden": ([ROW], {"7": ["1_7_init.xlsx"]}, "the golden workbook of case 1.*1_7_golden.xlsx"),
    "no input": ([ROW], {"7": ["1_7_golden.xlsx"]}, "the workbook to change of case 1.*1_7_init.xlsx"),
    "ambiguous": ([ROW], {"7": ["1_7_init.xlsx", "1_8_golden.xlsx", "1_9_golden.xlsx"]}, "golden workbook of case 1"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_dataset_says_where_and_what(tmp_path: Path, fault: str) -> None:
    rows, files, message = BROKEN[fault]
    with pytest.raises(UserError, match=message) as raised:
        suites.load_suite(write(tmp_path / "suite", rows, files))
    assert "\n" not in str(raised.value)
    assert str(tmp_path) in str(raised.value)


def test_a_link_out_of_the_suite_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "suite", [ROW], {"7": ["1_7_init.xlsx"]})
    (tmp_path / "secret.xlsx").write_bytes(b"")
    (folder / "spreadsheet" / "7" / "1_7_golden.xlsx").symlink_to(tmp_path / "secret.xlsx")
    with pytest.raises(UserError, match="link out of"):
        suites.load_suite(folder)


def test_the_reference_and_the_untouched_result_fill_the_outputs(tmp_path: Path) -> None:
    suite = read(tmp_path / "suite", SPELLINGS["verified"])
    [task] = suite.tasks
    right, untouched = tmp_path / "right", tmp_path / "untouched"
    assert spreadsheetbench.reference_result(task, right)
    assert (right / "1_7_output.xlsx").read_bytes() == b"1_7_golden.xlsx"
    assert spreadsheetbench.untouched_result(task, untouched)
    assert (untouched / "1_7_output.xlsx").read_bytes() == b"1_7_init.xlsx"


def test_expected_answers_are_what_the_golden_alone_holds_read_when_asked_for(tmp_path: Path) -> None:
    given, golden = tmp_path / "given.xlsx", tmp_path / "golden.xlsx"
    expected = ExpectedValues([(given, golden)])  # nothing is read yet: the files are not there
    given.write_bytes(book({"Sheet1": {"A1": "in both books", "A2": 1234567}}))
    golden.write_bytes(
        book({"Sheet1": {"A1": "in both books", "A2": 1234567, "B1": "the answer", "B2": 7654.25, "B3": 5}})
    )
    assert list(expected) == ["the answer", "7654.25"]
    given.unlink()
    assert len(expected) == 2


def test_expected_answers_are_bounded(tmp_path: Path) -> None:
    given, golden = tmp_path / "given.xlsx", tmp_path / "golden.xlsx"
    given.write_bytes(book({"Sheet1": {}}))
    golden.write_bytes(book({"Sheet1": {f"A{row}": f"answer {row}" for row in range(1, 1000)}}))
    assert len(ExpectedValues([(given, golden)])) == MAX_VALUES


def test_the_real_sample_is_read_whole_and_fast(samples: Path) -> None:
    suite = suites.load_suite(samples / "spreadsheetbench")
    rows = json.loads((samples / "spreadsheetbench" / "dataset.json").read_text("utf-8"))
    assert [task.id for task in suite.tasks] == [str(row["id"]) for row in rows]
    assert not suite.warnings

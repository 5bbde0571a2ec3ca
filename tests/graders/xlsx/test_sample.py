"""The grader's verdicts against the evaluation's on real tasks: every task of the sample, in many disguises."""

import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook

from skillgrad_ci import suites
from skillgrad_ci.graders.xlsx.grader import XlsxGrader
from skillgrad_ci.graders.xlsx.libreoffice import Office
from skillgrad_ci.graders.xlsx.positions import areas
from skillgrad_ci.method.evidence import Outcome
from skillgrad_ci.method.ports import Result
from skillgrad_ci.method.task import Task
from tests.support import official_xlsx
from tests.support.workbooks import result


@pytest.fixture(scope="module")
def tasks(samples: Path) -> list[Task]:
    return list(suites.load_suite(samples / "spreadsheetbench").tasks)


@pytest.fixture(scope="module")
def office() -> Iterator[Office]:
    made = Office()
    yield made
    made.close()


@pytest.fixture(scope="module")
def grader(office: Office) -> Iterator[XlsxGrader]:
    made = XlsxGrader(office)
    yield made
    made.close()


def golden(task: Task) -> Path:
    return task.graders[0].references["golden-1.xlsx"]


def position(task: Task) -> str:
    return str(task.graders[0].options["answer_position"])


def passes(grader: XlsxGrader, task: Task, made: Result) -> bool:
    return grader.grade(task.graders[0], task, made).outcome is Outcome.PASSED


def given(task: Task, folder: Path, data: bytes) -> Result:
    return result(folder / task.id, {task.outputs[0]: data})


def official(task: Task, made: Result) -> bool:
    return official_xlsx.verdict(golden(task), made.work / task.outputs[0], position(task))


def test_each_golden_passes_and_each_untouched_input_fails(
    grader: XlsxGrader, tasks: list[Task], tmp_path: Path
) -> None:
    for task in tasks:
        right = given(task, tmp_path / "right", golden(task).read_bytes())
        assert passes(grader, task, right) is official(task, right) is True, task.id
        [source] = task.files.values()
        untouched = given(task, tmp_path / "untouched", source.read_bytes())
        assert passes(grader, task, untouched) is official(task, untouched) is False, task.id


def values_only(task: Task) -> Workbook:
    """The golden with its formulas' values in their place."""
    return load_workbook(golden(task), data_only=True)


def same(task: Task) -> Workbook:
    return values_only(task)


def one_cell_changed(task: Task) -> Workbook:
    made = values_only(task)
    chance = random.Random(task.id)
    area = chance.choice(areas(position(task), made.sheetnames))
    bottom = min(area.bottom, made[area.sheet].max_row + 1)
    cell = made[area.sheet].cell(chance.randint(area.top, max(area.top, bottom)), chance.randint(area.left, area.right))
    if hasattr(cell, "hyperlink"):  # not one that is hidden in a merged cell
        changes = [None, "", 0, "other", 3.14159, True, cell.value, str(cell.value), f"{cell.value} "]
        if isinstance(cell.value, int | float):
            changes += [cell.value + 0.004, cell.value + 0.006, str(cell.value)]
        cell.value = chance.choice(changes)
    return made


def cell_outside_changed(task: Task) -> Workbook:
    made = values_only(task)
    made[made.sheetnames[0]]["XFD1048576"] = "far away"
    return made


def first_sheet_renamed(task: Task) -> Workbook:
    made = values_only(task)
    made.worksheets[0].title = "Renamed"
    return made


def sheet_inserted_before(task: Task) -> Workbook:
    made = values_only(task)
    made.create_sheet("Inserted", 0)
    return made


def last_sheet_removed(task: Task) -> Workbook:
    made = values_only(task)
    made.create_sheet("Left")
    del made[made.sheetnames[-2]]
    return made


def numbers_as_text(task: Task) -> Workbook:
    made = values_only(task)
    for sheet in made.worksheets:
        for row in sheet.iter_rows():
            for cell in row:
                if isinstance(cell.value, int | float) and not isinstance(cell.value, bool):
                    cell.value = str(cell.value)
    return made


SOME = 3  # one task in so many, where all would take long


@pytest.mark.parametrize(
    ("disguise", "step"),
    [
        (same, 1),
        (one_cell_changed, 1),
        (cell_outside_changed, SOME),
        (first_sheet_renamed, SOME),
        (sheet_inserted_before, SOME),
        (last_sheet_removed, SOME),
        (numbers_as_text, SOME),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_workbooks_without_formulas_get_the_evaluation_s_verdict(
    grader: XlsxGrader, tasks: list[Task], tmp_path: Path, disguise: Callable[[Task], Workbook], step: int
) -> None:
    wrong = []
    for task in tasks[::step]:
        file = io.BytesIO()
        disguise(task).save(file)
        made = given(task, tmp_path, file.getvalue())
        if passes(grader, task, made) is not official(task, made):
            wrong.append(task.id)
    assert wrong == []


def test_damaged_workbooks_pass_no_more_than_in_the_evaluation(
    grader: XlsxGrader, tasks: list[Task], tmp_path: Path
) -> None:
    chance = random.Random(0)
    for task in tasks[1::SOME]:
        data = bytearray(golden(task).read_bytes())
        for _ in range(3):
            data[chance.randrange(len(data))] ^= 0xFF
        made = given(task, tmp_path, bytes(data))
        assert not passes(grader, task, made) or official(task, made), task.id


@pytest.mark.libreoffice
def test_saving_again_loses_no_verdict(grader: XlsxGrader, office: Office, tasks: list[Task], tmp_path: Path) -> None:
    """openpyxl saves no cached value: the verdict is that of the evaluation on LibreOffice's copy, unless
    recalculation was not needed, or only spoilt a constant.
    """
    recalculated = 0
    for task in tasks[::SOME]:
        file = io.BytesIO()
        load_workbook(golden(task)).save(file)
        made = given(task, tmp_path, file.getvalue())
        copy = given(task, tmp_path / "copies", office.recalculate(file.getvalue()))
        verdict = passes(grader, task, made)
        assert verdict or not official(task, copy), task.id
        recalculated += verdict and not official(task, made)
    assert recalculated > len(tasks) // SOME // 4

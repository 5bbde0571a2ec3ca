"""The grader's verdicts, where no formula needs recalculation: LibreOffice must not even be looked for."""

import io
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from openpyxl import Workbook
from openpyxl.chart import BarChart

from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.graders.xlsx.grader import XlsxGrader
from skillgrad_ci.graders.xlsx.libreoffice import Office
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.ports import Result
from skillgrad_ci.method.task import GraderSpec, Task
from tests.support.workbooks import book, cached, result, single, zip_bomb

GOLDEN = book({"Sheet1": {"A1": 1, "B1": "total", "A2": 2.5}})


class NoOffice(Office):
    """Stands where LibreOffice is not installed."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self._lock = threading.Lock()

    def recalculate(self, book: bytes) -> bytes:
        with self._lock:
            self.asked += 1
        raise EnvironmentFailure("formulas need recalculation and LibreOffice is not installed: install it")


@pytest.fixture(scope="module")
def office() -> NoOffice:
    return NoOffice()


@pytest.fixture(scope="module")
def grader(office: NoOffice) -> Iterator[XlsxGrader]:
    made = XlsxGrader(office)
    yield made
    made.close()


def grade(grader: XlsxGrader, task: Task, folder: Path, **files: bytes) -> Grade:
    return grader.grade(task.graders[0], task, result(folder / "work", {f"{n}.xlsx": d for n, d in files.items()}))


def test_equal_cells_pass_and_one_wrong_cell_fails(grader: XlsxGrader, tmp_path: Path) -> None:
    task = single(tmp_path, GOLDEN, "A1:B2")
    right = grade(grader, task, tmp_path, out=book({"Sheet1": {"A1": "1.001", "B1": "total", "A2": 2.5, "C9": "else"}}))
    assert (right.outcome, right.score) == (Outcome.PASSED, 1.0)
    wrong = grade(grader, task, tmp_path, out=book({"Sheet1": {"A1": 1, "B1": "Total"}}))
    assert (wrong.outcome, wrong.score) == (Outcome.FAILED, 0.0)
    assert "Sheet1!B1: expected 'total', got 'Total'" in wrong.feedback
    assert "Sheet1!A2: expected 2.5, got empty" in wrong.feedback
    assert "2 of 3" in wrong.feedback


def test_the_golden_s_first_sheet_is_looked_for_by_name(grader: XlsxGrader, tmp_path: Path) -> None:
    task = single(tmp_path, GOLDEN, "A1:B2")
    inserted = book({"Summary": {"A1": 0}, "Sheet1": {"A1": 1, "B1": "total", "A2": 2.5}})
    assert grade(grader, task, tmp_path, out=inserted).outcome is Outcome.PASSED
    renamed = grade(grader, task, tmp_path, out=book({"Result": {"A1": 1, "B1": "total", "A2": 2.5}}))
    assert renamed.outcome is Outcome.FAILED
    assert "no worksheet 'Sheet1'" in renamed.feedback


def test_feedback_is_bounded(grader: XlsxGrader, tmp_path: Path) -> None:
    many = {f"A{row}": "x" * 5_000 for row in range(1, 500)}
    task = single(tmp_path, book({"Sheet1": many}), "A1:A500")
    feedback = grade(grader, task, tmp_path, out=book({"Sheet1": {"A1": "y" * 30_000}})).feedback
    assert len(feedback) < 10_000
    assert "484 more" in feedback


def test_a_golden_range_that_is_empty_wants_it_emptied(grader: XlsxGrader, tmp_path: Path) -> None:
    task = single(tmp_path, book({"Sheet1": {"Z1": 1}}), "A1:B2", given=book({"Sheet1": {"A1": 5}}))
    assert grade(grader, task, tmp_path, out=book({"Sheet1": {"A1": 5}})).outcome is Outcome.FAILED
    assert grade(grader, task, tmp_path, out=book({"Sheet1": {"A1": None}})).outcome is Outcome.PASSED


def test_a_range_without_its_end_s_column_is_graded(grader: XlsxGrader, tmp_path: Path) -> None:
    """The evaluation grades no cell of it, so everything would pass there."""
    task = single(tmp_path, book({"Sheet1": {"B2": 1, "B3": 2}}), "B2:3")
    assert grade(grader, task, tmp_path, out=book({"Sheet1": {"B2": 1}})).outcome is Outcome.FAILED
    assert grade(grader, task, tmp_path, out=book({"Sheet1": {"B2": 1, "B3": 2}})).outcome is Outcome.PASSED


def test_whole_columns_are_graded_to_the_last_row_of_either(grader: XlsxGrader, tmp_path: Path) -> None:
    task = single(tmp_path, book({"Sheet1": {"A1": 1}}), "A:A")
    assert grade(grader, task, tmp_path, out=book({"Sheet1": {"A1": 1, "B70000": 3}})).outcome is Outcome.PASSED
    assert grade(grader, task, tmp_path, out=book({"Sheet1": {"A1": 1, "A70000": 3}})).outcome is Outcome.FAILED


FORMULA = book({"Sheet1": {"A1": "=1+1", "B1": "total", "C1": 7}})


def test_formulas_outside_the_graded_cells_need_nothing(grader: XlsxGrader, office: NoOffice, tmp_path: Path) -> None:
    before = office.asked
    task = single(tmp_path, FORMULA, "B1:C1")
    assert grade(grader, task, tmp_path, out=FORMULA).outcome is Outcome.PASSED
    assert office.asked == before


def test_a_wrong_constant_decides_without_recalculation(grader: XlsxGrader, office: NoOffice, tmp_path: Path) -> None:
    before = office.asked
    task = single(tmp_path, cached(FORMULA, "2"), "A1:C1")
    graded = grade(grader, task, tmp_path, out=book({"Sheet1": {"A1": "=1+1", "B1": "sum", "C1": 7}}))
    assert graded.outcome is Outcome.FAILED
    assert "Sheet1!A1" not in graded.feedback
    assert "not recalculated" in graded.feedback
    assert office.asked == before


def test_where_recalculation_is_needed_and_cannot_be_had_nothing_is_measured(
    grader: XlsxGrader, tmp_path: Path
) -> None:
    task = single(tmp_path, cached(FORMULA, "2"), "A1:C1")
    for given in (FORMULA, cached(FORMULA, "9")):  # without a cached value, and with one that may be stale
        with pytest.raises(EnvironmentFailure, match="install"):
            grade(grader, task, tmp_path, out=given)


def test_the_suite_s_own_workbooks_are_never_recalculated(grader: XlsxGrader, office: NoOffice, tmp_path: Path) -> None:
    """Their cached values are Excel's."""
    before = office.asked
    golden, untouched = cached(FORMULA, "2"), cached(FORMULA, "3")
    task = single(tmp_path, golden, "A1:C1", given=untouched)
    assert grade(grader, task, tmp_path, out=golden).outcome is Outcome.PASSED
    assert grade(grader, task, tmp_path, out=untouched).outcome is Outcome.FAILED
    assert office.asked == before


def test_the_only_other_workbook_is_graded_under_any_name(grader: XlsxGrader, tmp_path: Path) -> None:
    untouched = book({"Sheet1": {"A1": 0}})
    task = single(tmp_path, GOLDEN, "A1:B2", given=untouched)
    files = {"in": untouched, "solution": GOLDEN, "~$solution": b"lock"}
    assert grade(grader, task, tmp_path / "one", **files).outcome is Outcome.PASSED
    assert grade(grader, task, tmp_path / "in place", **{"in": GOLDEN}).outcome is Outcome.PASSED
    two = grade(grader, task, tmp_path / "two", a=GOLDEN, b=GOLDEN)
    assert two.outcome is Outcome.FAILED
    assert "not written" in two.feedback
    none = grade(grader, task, tmp_path / "none", **{"in": untouched})
    assert none.outcome is Outcome.FAILED
    beside = grade(grader, task, tmp_path / "beside", out=untouched, solution=GOLDEN)
    assert beside.outcome is Outcome.FAILED, "what was asked for is there, and wrong"


def test_a_link_to_the_golden_is_no_answer(grader: XlsxGrader, tmp_path: Path) -> None:
    task = single(tmp_path, GOLDEN, "A1:B2")
    for name in ("out.xlsx", "other.xlsx"):
        work = tmp_path / name
        work.mkdir()
        (work / name).symlink_to(tmp_path / "golden.xlsx")
        graded = grader.grade(task.graders[0], task, Result(work))
        assert graded.outcome is Outcome.FAILED


@pytest.mark.parametrize("data", [b"", b"text", GOLDEN[:500], zip_bomb()], ids=["empty", "text", "cut", "bomb"])
def test_what_is_no_workbook_fails_with_a_reason(grader: XlsxGrader, tmp_path: Path, data: bytes) -> None:
    graded = grade(grader, single(tmp_path, GOLDEN, "A1:B2"), tmp_path, out=data)
    assert graded.outcome is Outcome.FAILED
    assert graded.feedback.startswith("out.xlsx: ")


def test_the_score_is_the_share_of_right_cases(grader: XlsxGrader, tmp_path: Path) -> None:
    task = single(tmp_path, GOLDEN, "A1:B2")
    cases = [{"output": f"{n}.xlsx", "input": "in.xlsx", "golden": "golden"} for n in (1, 2, 3)]
    spec = GraderSpec("xlsx", {"answer_position": "A1:B2", "cases": cases}, task.graders[0].references)
    work = result(tmp_path / "work", {"1.xlsx": GOLDEN, "2.xlsx": GOLDEN, "4.xlsx": GOLDEN})
    graded = grader.grade(spec, task, work)
    assert graded.outcome is Outcome.FAILED
    assert graded.score == pytest.approx(2 / 3)
    assert "3.xlsx: " in graded.feedback


def test_a_golden_that_cannot_be_graded_against_is_the_suite_s_fault(grader: XlsxGrader, tmp_path: Path) -> None:
    made, file = Workbook(), io.BytesIO()
    made.create_chartsheet("Chart", 0).add_chart(BarChart())
    made.save(file)
    for golden, position in ((b"nothing", "A1"), (GOLDEN, "none!A1"), (GOLDEN, "?"), (file.getvalue(), "A1")):
        task = single(tmp_path, golden, position)
        with pytest.raises(UserError, match="golden"):
            grade(grader, task, tmp_path, out=GOLDEN)


def test_a_missing_golden_is_the_suite_s_fault(grader: XlsxGrader, tmp_path: Path) -> None:
    task = single(tmp_path, GOLDEN, "A1")
    (tmp_path / "golden.xlsx").unlink()
    with pytest.raises(UserError, match="golden workbook is missing"):
        grade(grader, task, tmp_path, out=GOLDEN)


def test_a_changed_golden_is_read_again(grader: XlsxGrader, tmp_path: Path) -> None:
    task = single(tmp_path, GOLDEN, "A1")
    assert grade(grader, task, tmp_path, out=GOLDEN).outcome is Outcome.PASSED
    (tmp_path / "golden.xlsx").write_bytes(book({"Sheet1": {"A1": 9}}))
    os.utime(tmp_path / "golden.xlsx", ns=(1, 1))
    assert grade(grader, task, tmp_path, out=GOLDEN).outcome is Outcome.FAILED


def test_many_threads_grade_at_once(grader: XlsxGrader, tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(24)]
    for number, folder in enumerate(folders):
        folder.mkdir()
        single(folder, book({"Sheet1": {"A1": number}}), "A1")

    def one(number: int) -> bool:
        task = single(folders[number], book({"Sheet1": {"A1": number}}), "A1")
        given = book({"Sheet1": {"A1": number if number % 2 else -1}})
        return grade(grader, task, folders[number], out=given).outcome is Outcome.PASSED

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(one, range(24))) == [bool(number % 2) for number in range(24)]


def test_libreoffice_is_warmed_where_a_golden_holds_a_formula(tmp_path: Path) -> None:
    class Warmed(NoOffice):
        warmed = 0

        def warm(self) -> None:
            self.warmed += 1

    office = Warmed()
    grader = XlsxGrader(office)
    folders = [tmp_path / name for name in "abcd"]
    for folder in folders:
        folder.mkdir()
    broken, plain = single(folders[0], b"nothing", "A1"), single(folders[1], GOLDEN, "A1")
    outside, inside = single(folders[2], FORMULA, "B1"), single(folders[3], FORMULA, "A1")
    grader.warm([broken, plain, outside]).join()
    assert office.warmed == 0
    grader.warm([inside, inside]).join()
    assert office.warmed == 1
    grader.close()


def test_identity_names_the_grader_and_libreoffice(grader: XlsxGrader) -> None:
    assert grader.identity.startswith("xlsx/")
    assert "LibreOffice" in grader.identity

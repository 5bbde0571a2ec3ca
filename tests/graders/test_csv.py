"""The CSV grader: cells, tolerance, order."""

import csv
import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.errors import UserError
from skillgrad_ci.graders.csv import CsvGrader
from skillgrad_ci.graders.row_matching import matched
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.ports import Result
from skillgrad_ci.method.task import GraderSpec, Task


def written(rows: Sequence[Sequence[str]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def graded(golden: str, given_text: str | bytes, folder: Path, **options: Any) -> Grade:
    (folder / "golden.csv").write_text(golden)
    content = given_text if isinstance(given_text, bytes) else given_text.encode()
    (folder / "out.csv").write_bytes(content)
    spec = GraderSpec("csv", {"output": "out.csv", **options}, {"golden": folder / "golden.csv"})
    return CsvGrader().grade(spec, Task("t", "?", [spec]), Result(folder))


@pytest.mark.parametrize(
    ("golden", "text", "options", "right"),
    [
        ("a,b\n1,x\n", "a,b\r\n1, x\r\n", {}, True),
        ("a,b\n1,x\n", '\ufeff"a","b"\n"1.0","x"\n\n', {}, True),
        ("a\n1234.5\n", 'a\n"1,234.50"\n', {}, True),
        ("a\n1.00\n", "a\n1.004\n", {"tolerance": 0.005}, True),
        ("a\n1.00\n", "a\n1.004\n", {}, False),
        ("a\nx\n", "a\nX\n", {}, False),
        ("a,b\n1,2\n", "b,a\n1,2\n", {}, False),
        ("a\n1\n2\n", "a\n2\n1\n", {}, False),
        ("a\n1\n2\n", "a\n2\n1\n", {"ignore_order": True}, True),
        ("a\n1\n1\n2\n", "a\n2\n2\n1\n", {"ignore_order": True}, False),
        ("a\n1\n2\n", "1\n2\na\n", {"ignore_order": True}, False),
        ("a\n1\n2\n", "2\na\n1\n", {"ignore_order": True, "header": False}, True),
        ("a\n1.001\n2\n", "a\n2.001\n1\n", {"ignore_order": True, "tolerance": 0.01}, True),
        ("a\n1\n", "a\n1\n2\n", {}, False),
        ("a\n1\n2\n", "a\n1\n", {"ignore_order": True}, False),
        ("a\n1\n2\n", "a\n2.0\n1.00\n", {"ignore_order": True}, True),
        ("a;b\n1;2\n", "a;b\n1;2\n", {"delimiter": ";"}, True),
        ("a\n1\n", "", {}, False),
        ("a\n1\n", 'a\n"1\n', {}, False),
        ("id\n007\n", "id\n7\n", {}, True),
        ("id\n007\n", "id\n7\n", {"text": ["id"]}, False),
        ("id\n007\n", "id\n007\n", {"text": "id"}, True),
        ("id\n12345678901234567890\n", "id\n12345678901234567891\n", {"text": [1]}, False),
        ("id\n12345678901234567890\n", "id\n12345678901234567890\n", {"text": [1]}, True),
        ("id,n\n007,1\n008,2\n", "id,n\n8,2\n7,1\n", {"text": ["id"], "ignore_order": True}, False),
        ("id,n\n007,1\n008,2\n", "id,n\n008,2.0\n007,1\n", {"text": ["id"], "ignore_order": True}, True),
        ("a\ncaf\u00e9\n", "a\ncafe\u0301\n", {}, True),
        ("a\ncaf\u00e9\n", "a\ncafe\n", {}, False),
        ("a\nin all\n", "a\nin\u00a0all\n", {}, True),
        ("a\n1.00\n", "a\n1.01\n", {"tolerance": 0.01}, True),
        ("a\n1.01\n1.00\n", "a\n1.00\n0.99\n", {"ignore_order": True, "tolerance": 0.01}, True),
        ("a\n1.01\n1.00\n", "a\n1.00\n0.98\n", {"ignore_order": True, "tolerance": 0.01}, False),
    ],
)
def test_cells(golden: str, text: str, options: dict[str, Any], right: bool, tmp_path: Path) -> None:
    verdict = graded(golden, text, tmp_path, **options)
    assert (verdict.outcome is Outcome.PASSED) is right
    assert (verdict.score == 1.0) is right


def test_mismatches_are_the_feedback(tmp_path: Path) -> None:
    verdict = graded("region,total\nNorth,150.5\nSouth,80\n", "region,total\nNorth,150.5\nSouth,81\nEast,1\n", tmp_path)
    assert "3 rows expected, 4 found" in verdict.feedback
    assert "row 3, column 'total': expected '80', got '81'" in verdict.feedback
    assert verdict.score == 5 / 8


@given(
    st.lists(st.lists(st.sampled_from(["", "1", "2.5", "x", "a,b", 'q"']), min_size=2, max_size=2), max_size=5),
    st.randoms(),
)
def test_order_matters_only_when_it_should(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], random: Any
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    table = [["h", "i"], *rows]
    shuffled = [table[0], *random.sample(rows, len(rows))]
    assert graded(written(table), written(table), folder).score == 1.0
    assert graded(written(table), written(shuffled), folder, ignore_order=True).score == 1.0
    filled = [row for row in rows if any(row)]
    same = filled == [row for row in shuffled[1:] if any(row)]
    assert (graded(written(table), written(shuffled), folder).score == 1.0) is same


def test_a_hostile_file_fails_in_bounded_time(tmp_path: Path) -> None:
    started = time.thread_time()
    golden = "a,b\n" + "".join(f"{n},{n}\n" for n in range(1_500))
    for text in (
        b"\xff\xfe",
        b'"' + b"x" * 1_000_000,
        b"1,2\n" * 200_000,
        b"1,2\n" * 3_000,
        b",".join([b"1"] * 100_000),
    ):
        assert graded(golden, text, tmp_path, ignore_order=True).outcome is Outcome.FAILED
    assert time.thread_time() - started < 10


def test_many_rows_in_another_order_and_form_are_graded_in_moments(tmp_path: Path) -> None:
    golden, given_text = (
        written([["n"], *([form.format(n)] for n in order)])
        for form, order in (("{}", range(3_000)), ("{}.0", range(2_999, -1, -1)))
    )
    start = time.thread_time()
    assert graded(golden, given_text, tmp_path, ignore_order=True).outcome is Outcome.PASSED
    assert time.thread_time() - start < 2


def test_many_rows_within_a_tolerance_are_paired_as_far_as_can_be(tmp_path: Path) -> None:
    count = 5_000
    golden = written([["n", "m"], *([f"{n}", f"{n}.5"] for n in range(count))])
    near = written([["n", "m"], *([f"{n}.004", f"{n}.496"] for n in reversed(range(count)))])
    assert graded(golden, near, tmp_path, ignore_order=True, tolerance=0.005).outcome is Outcome.PASSED
    off = near.replace("17.004,17.496", "17.004,17.49")
    assert graded(golden, off, tmp_path, ignore_order=True, tolerance=0.005).outcome is Outcome.FAILED


@given(st.lists(st.integers(0, 12), min_size=1, max_size=7), st.randoms(), st.integers(0, 3))
def test_rows_are_paired_whenever_some_order_pairs_them(values: list[int], random: Any, tolerance: int) -> None:
    """Over one column of numbers sorting both sides decides it."""
    other = [value + random.randint(-tolerance - 1, tolerance + 1) for value in values]
    random.shuffle(other)
    pairs = matched([(float(v),) for v in values], [(float(v),) for v in other], float(tolerance))
    possible = all(abs(a - b) <= tolerance for a, b in zip(sorted(values), sorted(other), strict=True))
    assert (None not in pairs) is possible
    taken = [pair for pair in pairs if pair is not None]
    assert len(set(taken)) == len(taken)


def test_rows_that_all_equal_each_other_end(tmp_path: Path) -> None:
    golden = [(float(n % 7), "x") for n in range(4_000)]
    given_rows = [(float(n % 5), "x") for n in range(4_000)]
    assert None not in matched(golden, given_rows, 10.0)


def test_a_cell_may_be_long(tmp_path: Path) -> None:
    cell = "x" * 200_000
    assert graded(f"a\n{cell}\n", f"a\n{cell}\n", tmp_path).outcome is Outcome.PASSED
    assert graded(f"a\n{cell}\n", f"a\n{cell[:-1]}y\n", tmp_path).outcome is Outcome.FAILED


def test_a_column_of_text_that_is_not_there_is_the_suites_fault(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"text: no column 'key'; there are a"):
        graded("a\n1\n", "a\n1\n", tmp_path, text=["key"])


def test_far_too_many_cells_are_not_compared(tmp_path: Path) -> None:
    assert graded("a\n1\n", "a\n" + "1\n" * 2_000, tmp_path).feedback == "out.csv: 2,001 cells where 2 are expected"


def test_a_golden_that_cannot_be_read_is_the_suites_fault(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"golden.csv: the golden CSV is empty"):
        graded("\n", "a\n", tmp_path)
    with pytest.raises(UserError, match=r"task 't': .*golden.csv: the golden CSV cannot be read \(.*\); mend the file"):
        graded('a\n"1\n', "a\n", tmp_path)

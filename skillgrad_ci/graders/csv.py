"""`csv`: a CSV file against a golden one, cell by cell."""

import csv
import io
import math
import re
import unicodedata
from collections.abc import Collection, Sequence

from skillgrad_ci.errors import UserError
from skillgrad_ci.graders.result_files import MAX_BYTES, Unusable, read_output
from skillgrad_ci.graders.row_matching import Values, matched, within
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.grader_options import CsvOptions
from skillgrad_ci.method.ports import Result
from skillgrad_ci.method.task import GraderSpec, Task

SPARE_CELLS = 1_000  # cells above four times the golden's that are still compared one by one
SHOWN = 10  # mismatches in the feedback
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d*)?(?:[eE][-+]?\d{1,3})?")
_SPACES = {ord(space): " " for space in "\u00a0\u2007\u202f"}
Row = Sequence[str]
csv.field_size_limit(MAX_BYTES)  # the module's own bound, 131,072, is smaller than a cell can be


class CsvGrader:
    """The score is the share of right cells; it is 1 only when nothing is missing or too much."""

    identity = "csv/2"

    def grade(self, spec: GraderSpec, task: Task, result: Result) -> Grade:
        options = CsvOptions.model_validate(spec.options)
        golden_file = spec.references["golden"]
        try:
            golden = _rows(golden_file.read_text(encoding="utf-8-sig"), options)
        except (Unusable, UnicodeDecodeError, OSError) as problem:
            raise UserError(
                f"task {task.id!r}: {golden_file}: the golden CSV cannot be read ({problem}); mend the file"
            ) from None
        if not golden:
            raise UserError(f"task {task.id!r}: {golden_file}: the golden CSV is empty; give it its rows")
        try:
            given = _rows(read_output(result, options.output), options)
        except Unusable as problem:
            return Grade(Outcome.FAILED, 0.0, str(problem))
        sizes = [sum(map(len, rows)) for rows in (golden, given)]
        if sizes[1] > 4 * sizes[0] + SPARE_CELLS:
            return Grade(Outcome.FAILED, 0.0, f"{options.output}: {sizes[1]:,} cells where {sizes[0]:,} are expected")
        texts = _text_columns(golden, options, f"task {task.id!r}: {golden_file}")
        if options.ignore_order:
            given = _aligned(golden, given, options, texts)
        return _compare(golden, given, options, texts)


def _text_columns(golden: Sequence[Row], options: CsvOptions, where: str) -> frozenset[int]:
    """The positions of the columns that are compared as text. Raises UserError for one that is not there."""
    names = list(golden[0]) if options.header else []
    found = set()
    for column in options.text:
        if isinstance(column, str) and column in names:
            found.add(names.index(column))
        elif isinstance(column, int) and 1 <= column <= max(map(len, golden)):
            found.add(column - 1)
        else:
            raise UserError(f"{where}: text: no column {column!r}; there are {', '.join(names) or 'numbers from 1'}")
    return frozenset(found)


def _rows(text: str, options: CsvOptions) -> list[Row]:
    """All rows but blank ones. Raises Unusable for what is not CSV."""
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=options.delimiter, strict=True)
        return [[_plain(cell) for cell in row] for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise Unusable(f"{options.output}: no valid CSV ({error})") from None


def _plain(cell: str) -> str:
    """The cell in Unicode's composed form, without white space around it, no-break spaces as spaces."""
    return unicodedata.normalize("NFC", cell).translate(_SPACES).strip()


def _aligned(golden: Sequence[Row], given: Sequence[Row], options: CsvOptions, texts: Collection[int]) -> list[Row]:
    """`given` in the order of `golden`, as many rows as can be next to one that they equal, then the rest."""
    top = 1 if options.header else 0
    rows = given[top:]
    partner = matched(
        [_read(row, texts) for row in golden[top:]], [_read(row, texts) for row in rows], options.tolerance
    )
    taken = {index for index in partner if index is not None}
    rest = iter([row for index, row in enumerate(rows) if index not in taken])
    return [*given[:top], *(next(rest, []) if index is None else rows[index] for index in partner), *rest]


def _read(row: Row, texts: Collection[int]) -> Values:
    """The row's cells, numbers as numbers but in columns of text."""
    numbers = [None if column in texts else _number(cell) for column, cell in enumerate(row)]
    return tuple(cell if number is None else number for cell, number in zip(row, numbers, strict=True))


def _equal(a: str, b: str, tolerance: float) -> bool:
    """The same text, or two numbers within the tolerance (1,234.50 is one)."""
    if a == b:
        return True
    x, y = _number(a), _number(b)
    return x is not None and y is not None and within(x, y, tolerance)


def _number(cell: str) -> float | None:
    if not _NUMBER.fullmatch(cell) or not any(c.isdigit() for c in cell):
        return None
    number = float(cell.replace(",", ""))
    return number if math.isfinite(number) else None


def _compare(golden: Sequence[Row], given: Sequence[Row], options: CsvOptions, texts: Collection[int]) -> Grade:
    right = total = 0
    wrong: list[str] = []
    for number in range(max(len(golden), len(given))):
        wanted = golden[number] if number < len(golden) else []
        got = given[number] if number < len(given) else []
        for column in range(max(len(wanted), len(got))):
            total += 1
            a = wanted[column] if column < len(wanted) else None
            b = got[column] if column < len(got) else None
            if a is not None and b is not None and (a == b if column in texts else _equal(a, b, options.tolerance)):
                right += 1
            elif len(wrong) < SHOWN:
                place = f"row {number + 1}, {_column(golden, column, options)}"
                wrong.append(f"{place}: expected {_cell(a)}, got {_cell(b)}")
    if right == total:
        return Grade(Outcome.PASSED, 1.0, f"all {total:,} cells are right")
    sizes = "" if len(golden) == len(given) else f"{len(golden):,} rows expected, {len(given):,} found\n"
    return Grade(
        Outcome.FAILED, right / total, f"{sizes}{total - right:,} of {total:,} cells differ\n" + "\n".join(wrong)
    )


def _column(golden: Sequence[Row], column: int, options: CsvOptions) -> str:
    named = options.header and golden and column < len(golden[0])
    return f"column {golden[0][column]!r}" if named else f"column {column + 1}"


def _cell(value: str | None) -> str:
    return "no cell" if value is None else repr(value[:100])

"""`csv`: a CSV file against a golden one, cell by cell."""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Sequence

from skillgrad_ci.errors import UserError
from skillgrad_ci.graders.result_files import Unusable, read_text
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.grader_options import CsvOptions
from skillgrad_ci.method.ports import Result
from skillgrad_ci.method.task import GraderSpec, Task

MAX_LOOSE_ROWS = 2_000  # rows that are matched one against one where order does not count
SPARE_CELLS = 1_000  # cells above four times the golden's that are still compared one by one
SHOWN = 10  # mismatches in the feedback
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d*)?(?:[eE][-+]?\d{1,3})?")
Row = Sequence[str]
Values = tuple[str | float, ...]  # a row, its numbers read


class CsvGrader:
    """The score is the share of right cells; it is 1 only when nothing is missing or too much."""

    identity = "csv/1"

    def grade(self, spec: GraderSpec, task: Task, result: Result) -> Grade:
        options = CsvOptions.model_validate(spec.options)
        golden_file = spec.references["golden"]
        try:
            golden = _rows(golden_file.read_text(encoding="utf-8-sig"), options)
        except (Unusable, UnicodeDecodeError, OSError) as problem:
            raise UserError(f"task {task.id!r}: {golden_file}: the golden CSV cannot be read ({problem})") from None
        if not golden:
            raise UserError(f"task {task.id!r}: {golden_file}: the golden CSV is empty, so everything would pass")
        try:
            given = _rows(read_text(result, options.output), options)
        except Unusable as problem:
            return Grade(Outcome.FAILED, 0.0, str(problem))
        sizes = [sum(map(len, rows)) for rows in (golden, given)]
        if sizes[1] > 4 * sizes[0] + SPARE_CELLS:
            return Grade(Outcome.FAILED, 0.0, f"{options.output}: {sizes[1]:,} cells where {sizes[0]:,} are expected")
        if options.ignore_order:
            given = _aligned(golden, given, options)
        return _compare(golden, given, options)


def _rows(text: str, options: CsvOptions) -> list[Row]:
    """All rows but blank ones. Raises Unusable for what is no CSV."""
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=options.delimiter, strict=True)
        return [[cell.strip() for cell in row] for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise Unusable(f"{options.output}: no valid CSV ({error})") from None


def _aligned(golden: Sequence[Row], given: Sequence[Row], options: CsvOptions) -> list[Row]:
    """`given` in the order of `golden`: equal rows first, then rows equal within the tolerance, then the rest."""
    top = 1 if options.header else 0
    wanted = [_read(row) for row in golden[top:]]
    both = Counter(_read(row) for row in given[top:]) & Counter(wanted)
    stock, left, found = both.copy(), list[Row](), dict[Values, list[Row]]()
    for given_row in given[top:]:
        numbers = _read(given_row)
        (found.setdefault(numbers, []) if _take(stock, numbers) else left).append(given_row)
    placed: list[Row | None] = [found[row].pop(0) if _take(both, row) else None for row in wanted]
    loose = [_read(row) for row in left]
    for position, row in enumerate(placed):
        if row is None and len(left) <= MAX_LOOSE_ROWS:
            match = next((i for i, other in enumerate(loose) if _near(wanted[position], other, options)), None)
            if match is not None:
                loose.pop(match)
            placed[position] = None if match is None else left.pop(match)
    rest = iter(left)
    return [*given[:top], *(next(rest, []) if row is None else row for row in placed), *rest]


def _read(row: Row) -> Values:
    """The row's cells, numbers as numbers."""
    numbers = [_number(cell) for cell in row]
    return tuple(cell if number is None else number for cell, number in zip(row, numbers, strict=True))


def _take(stock: Counter[Values], row: Values) -> bool:
    """Whether `row` is in stock; it is one fewer then."""
    there = stock[row] > 0
    stock[row] -= there
    return there


def _near(a: Values, b: Values, options: CsvOptions) -> bool:
    return len(a) == len(b) and all(
        x == y or (isinstance(x, float) and isinstance(y, float) and abs(x - y) <= options.tolerance)
        for x, y in zip(a, b, strict=True)
    )


def _equal(a: str, b: str, tolerance: float) -> bool:
    """The same text, or two numbers within the tolerance (1,234.50 is one)."""
    if a == b:
        return True
    x, y = _number(a), _number(b)
    return x is not None and y is not None and abs(x - y) <= tolerance


def _number(cell: str) -> float | None:
    if not _NUMBER.fullmatch(cell) or not any(c.isdigit() for c in cell):
        return None
    number = float(cell.replace(",", ""))
    return number if math.isfinite(number) else None


def _compare(golden: Sequence[Row], given: Sequence[Row], options: CsvOptions) -> Grade:
    right = total = 0
    wrong: list[str] = []
    for number in range(max(len(golden), len(given))):
        wanted = golden[number] if number < len(golden) else []
        got = given[number] if number < len(given) else []
        for column in range(max(len(wanted), len(got))):
            total += 1
            a = wanted[column] if column < len(wanted) else None
            b = got[column] if column < len(got) else None
            if a is not None and b is not None and _equal(a, b, options.tolerance):
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

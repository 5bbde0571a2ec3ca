"""`xlsx`: workbooks against goldens, at an answer position, by SpreadsheetBench's rules."""

import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache
from pathlib import Path

from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.graders.result_files import Unusable, files_of, read_bytes
from skillgrad_ci.graders.xlsx.compare import Difference, differences, places, with_results
from skillgrad_ci.graders.xlsx.installation import version
from skillgrad_ci.graders.xlsx.libreoffice import NotCalculated, Office
from skillgrad_ci.graders.xlsx.reader import MAX_BYTES, Cells, Reader, Unreadable
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.grader_options import XlsxCase, XlsxOptions
from skillgrad_ci.method.ports import Result
from skillgrad_ci.method.task import GraderSpec, Task

SHOWN = 15  # differences in the feedback on one workbook
BOOKS = (".xlsx", ".xlsm")


class Wrong(Exception):
    """The workbook is not right; the message says what is wrong with it."""


class XlsxGrader:
    """A case is right when every graded cell is; the score is the share of right cases. Thread-safe.

    LibreOffice starts at `warm` or at the first workbook that needs it, and ends at `close`.
    """

    def __init__(self, office: Office | None = None, reader: Reader | None = None) -> None:
        self._office = office or Office()
        self._reader = reader or Reader()
        self._goldens = lru_cache(maxsize=1024)(self._read_golden)
        self._closed = False

    @cached_property
    def identity(self) -> str:
        return f"xlsx/1 {f'LibreOffice {version()}' if version() else 'no LibreOffice'}"

    def warm(self, tasks: Iterable[Task]) -> threading.Thread:
        """Start LibreOffice in the background, while agents work, if a golden has formulas, as outputs will have then.

        What goes wrong is told when an output is graded.
        """
        cases = [
            (task, spec, options, case)
            for task in tasks
            for spec in task.graders
            if spec.kind == "xlsx"
            for options in [XlsxOptions.model_validate(spec.options)]
            for case in options.cases
        ]
        thread = threading.Thread(target=self._warm, args=(cases,), name="xlsx", daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        self._closed = True
        self._office.close()
        self._reader.close()

    def grade(self, spec: GraderSpec, task: Task, result: Result) -> Grade:
        options = XlsxOptions.model_validate(spec.options)
        right, told = 0, []
        for case in options.cases:
            try:
                name, data = _output(options.cases, case, task, result)
                told.append(f"{name}: {self._check(data, case, options, spec, task)}")
                right += 1
            except (Wrong, Unusable, Unreadable, NotCalculated) as problem:
                told.append(f"{case.output}: {str(problem).removeprefix(f'{case.output}: ')}")
        score = right / len(options.cases)
        return Grade(Outcome.PASSED if score == 1 else Outcome.FAILED, score, "\n".join(told), self.identity)

    def _check(self, data: bytes, case: XlsxCase, options: XlsxOptions, spec: GraderSpec, task: Task) -> str:
        """What is said of a right workbook. Raises Wrong, or what its reading raises.

        Formulas are recalculated only if that can change the verdict. It cannot if no graded cell has a formula, or if
        a cell without one is wrong already. The suite's own workbooks are not recalculated either: their cached values
        are right, and LibreOffice could only spoil them.
        """
        golden = self._golden(case, options, spec, task)
        given = self._reader.within(data, golden.areas)
        if given.missing:
            raise Wrong(f"it has no worksheet {' and no '.join(map(repr, given.missing))}")
        graded = places(golden, given)
        if not given.calculated or data in (_bytes_of(task, case), spec.references[case.golden].read_bytes()):
            return _verdict(graded, differences(golden, given, graded))
        constant = [place for place in graded if place not in given.calculated]
        if wrong := differences(golden, given, constant):
            left_out = (
                f"{len(given.calculated):,} cells with formulas were not recalculated, for these are wrong already"
            )
            return _verdict(graded, wrong, left_out)
        results = self._reader.within(self._office.recalculate(data), golden.areas)
        return _verdict(graded, differences(golden, with_results(given, results), graded))

    def _warm(self, cases: Sequence[tuple[Task, GraderSpec, XlsxOptions, XlsxCase]]) -> None:
        for task, spec, options, case in cases:
            if self._closed:
                return
            with suppress(UserError, EnvironmentFailure):
                if self._golden(case, options, spec, task).calculated:
                    self._office.warm()
                    return

    def _golden(self, case: XlsxCase, options: XlsxOptions, spec: GraderSpec, task: Task) -> Cells:
        """A golden's graded cells, read once for each version of the file. Raises UserError."""
        file = spec.references[case.golden]
        try:
            modified = file.stat().st_mtime_ns
        except OSError as error:
            raise UserError(
                f"task {task.id!r}: {file}: the golden workbook is missing ({error.strerror}); put it there"
            ) from None
        return self._goldens(task.id, file, modified, options.answer_position, options.answer_sheet)

    def _read_golden(self, task: str, file: Path, _modified: int, position: str, sheet: str | None) -> Cells:
        try:
            cells = self._reader.at(file.read_bytes(), position, sheet)
        except (OSError, Unreadable) as problem:
            raise UserError(
                f"task {task!r}: {file}: the golden workbook cannot be graded against ({problem}); mend the file"
            ) from None
        if cells.missing:
            raise UserError(
                f"task {task!r}: {file}: the graded sheet {cells.missing[0]!r} is a chart without cells; name another"
            )
        return cells


def _output(cases: Sequence[XlsxCase], case: XlsxCase, task: Task, result: Result) -> tuple[str, bytes]:
    """The workbook to grade: the one asked for, or the only other one that a task with a single case left.

    An untouched input does not count as one. Raises Unusable.
    """
    try:
        return case.output, read_bytes(result.work, case.output, MAX_BYTES)
    except Unusable:
        if len(cases) > 1 or (result.work / case.output).is_symlink() or (result.work / case.output).exists():
            raise
        untouched = {source.read_bytes() for source in task.files.values() if source.suffix.lower() in BOOKS}
        left = [
            (file.name, data)
            for file in files_of(result.work)
            if file.name.lower().endswith(BOOKS) and "/" not in file.name and not file.name.startswith(("~$", "."))
            if (data := read_bytes(result.work, file.name, MAX_BYTES)) not in untouched
        ]
        if len(left) != 1:
            raise
        return left[0]


def _bytes_of(task: Task, case: XlsxCase) -> bytes | None:
    """The untouched input of a case: the one that it names, or the task's only workbook."""
    books = [name for name in task.files if name.lower().endswith(BOOKS)]
    name = case.input or (books[0] if len(books) == 1 else "")
    return task.files[name].read_bytes() if name in task.files else None


def _verdict(graded: Sequence[object], wrong: Sequence[Difference], note: str = "") -> str:
    """Feedback on a right workbook. Raises Wrong with the first differences."""
    if not wrong:
        return f"all graded cells are right ({len(graded):,} hold something)"
    lines = [f"{len(wrong):,} of {len(graded):,} graded cells that hold something are wrong", *wrong[:SHOWN]]
    lines += [f"… and {len(wrong) - SHOWN:,} more"] if len(wrong) > SHOWN else []
    raise Wrong("\n".join(map(str, [*lines, note] if note else lines)))

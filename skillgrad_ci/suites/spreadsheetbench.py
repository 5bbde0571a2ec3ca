"""SpreadsheetBench (Ma et al., 2024) in its own layout: `dataset.json` and `spreadsheet/<id>/`.

A task's folder holds, for each test case, the workbook to change and the golden: `1_<id>_init.xlsx` and
`1_<id>_golden.xlsx`, or `_input` and `_answer` with three cases, or `initial.xlsx` and `golden.xlsx`. Some
file names bear another task's id, a space before `.xlsx`, or end in `.xlsm`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from skillgrad_ci.document.document import Document, Foreign
from skillgrad_ci.method.grader_options import XlsxCase, XlsxOptions
from skillgrad_ci.method.task import GraderSpec, Reference, Suite, Task
from skillgrad_ci.suites.goldens import ExpectedValues
from skillgrad_ci.suites.ids import check_ids
from skillgrad_ci.suites.paths import Files
from skillgrad_ci.suites.references import reference_result, untouched_result

__all__ = ["FORMAT", "READS", "load", "reference_result", "suite_at", "untouched_result"]

FORMAT = "spreadsheetbench"
READS = "dataset.json with spreadsheet/<id>/: SpreadsheetBench"
DATASET = "dataset.json"

_FILE = re.compile(r"(?:(?P<case>\d+)_)?(?:(?P<id>.+)_)?(?P<role>init|input|initial|golden|answer)", re.IGNORECASE)
_GOLDEN = {"golden", "answer"}
_BOOKS = {".xlsx", ".xlsm"}


class BenchmarkRow(Foreign):
    """One task, as `dataset.json` has it."""

    id: int | str
    instruction: str = Field(min_length=1)
    answer_position: str = Field(min_length=1)
    instruction_type: str = ""
    spreadsheet_path: str | None = None
    answer_sheet: Any = None  # not graded by: a position that names no sheet means the golden's first
    data_position: Any = None
    exclude: Any = None


@dataclass(frozen=True)
class Case:
    """One test case: the workbook to change and the right one."""

    number: int
    given: Path
    golden: Path


def suite_at(path: Path) -> Path | None:
    file = path / DATASET if path.is_dir() else path
    return file if file.name == DATASET and file.is_file() else None


def load(file: Path) -> Suite:
    document = Document.read(file)
    rows = document.parse_list(BenchmarkRow)
    check_ids(document, [str(row.id) for row in rows], [], "id")
    files = Files(document, document.path.parent)
    tasks = [_task(row, _cases(row, files, [position])) for position, row in enumerate(rows)]
    excluded = [str(row.id) for row in rows if row.exclude]
    warnings = [f"{document.path}: the benchmark marks {', '.join(excluded)} as excluded; they are kept"] * bool(
        excluded
    )
    root = document.path.parent
    return Suite(root.resolve().name, FORMAT, root, tasks, warnings, files.named)


def _task(row: BenchmarkRow, cases: Sequence[Case]) -> Task:
    names = {case.number: f"{case.number}_{row.id}_output.xlsx" for case in cases}
    options = XlsxOptions(
        answer_position=row.answer_position,
        cases=[
            XlsxCase(output=names[case.number], input=case.given.name, golden=f"golden-{case.number}.xlsx")
            for case in cases
        ],
    )
    goldens = {f"golden-{case.number}.xlsx": case.golden for case in cases}
    return Task(
        id=str(row.id),
        instruction=_instruction(row, {case.given.name: names[case.number] for case in cases}),
        graders=[GraderSpec("xlsx", options.model_dump(mode="json", exclude_unset=True), goldens)],
        files={case.given.name: case.given for case in cases},
        outputs=list(names.values()),
        expected=ExpectedValues([(case.given, case.golden) for case in cases]),
        tags=[row.instruction_type] if row.instruction_type else [],
        reference=Reference({names[case.number]: case.golden for case in cases}),
    )


def _instruction(row: BenchmarkRow, books: Mapping[str, str]) -> str:
    """The request, then what the benchmark's own prompt tells beside it: files, type and position."""
    if len(books) == 1:
        [(given, output)] = books.items()
        saving = f"The workbook is `{given}`. Save the changed workbook as `{output}`, and leave the input as it is."
    else:
        pairs = "\n".join(f"- `{given}` → `{output}`" for given, output in books.items())
        saving = f"Do the same in each of these workbooks, and save every result under its new name:\n{pairs}"
    lines = [row.instruction.strip(), saving]
    if row.instruction_type:
        lines.append(f"Kind of task: {row.instruction_type}.")
    widest = (
        "the widest range that needs to change" if row.instruction_type.startswith("Sheet") else "the cells to fill"
    )
    lines.append(f"Answer position: {row.answer_position} ({widest}). Cells elsewhere stay as they are.")
    return "\n\n".join(lines)


def _cases(row: BenchmarkRow, files: Files, where: Sequence[int]) -> list[Case]:
    """The test cases in a task's folder, by number. Raises UserError where a workbook is missing or ambiguous."""
    field = "id" if row.spreadsheet_path is None else "spreadsheet_path"
    folder = files.find(row.spreadsheet_path or f"spreadsheet/{row.id}", [*where, field])
    if not folder.is_dir():
        raise files.document.error([*where, field], f"{folder} is no folder; name the one with the workbooks")
    found: dict[tuple[int, bool], list[tuple[Path, bool]]] = {}
    for file in sorted(folder.iterdir()):
        match = _FILE.fullmatch(file.stem.strip())
        if match and file.suffix.lower() in _BOOKS:
            files.find_file(f"{folder.relative_to(files.base.resolve())}/{file.name}", [*where, field])
            key = int(match["case"] or 1), match["role"].lower() in _GOLDEN
            found.setdefault(key, []).append((file, match["id"] == str(row.id)))
    cases = []
    for number in sorted({number for number, _ in found}):
        pair = [_one(found.get((number, golden), [])) for golden in (False, True)]
        if pair[0] is None or pair[1] is None:
            what = "the golden workbook" if pair[0] else "the workbook to change"
            raise files.document.error(
                [*where, field],
                f"{folder} holds not exactly one file for {what} of case {number}: expected "
                f"{number}_{row.id}_{'golden' if pair[0] else 'init'}.xlsx",
            )
        cases.append(Case(number, pair[0], pair[1]))
    if not cases:
        raise files.document.error(
            [*where, field], f"{folder} holds no workbook; expected 1_{row.id}_init.xlsx and 1_{row.id}_golden.xlsx"
        )
    return cases


def _one(candidates: Sequence[tuple[Path, bool]]) -> Path | None:
    """The file of one role: the one that bears the task's id where there are several."""
    own = [file for file, matches in candidates if matches]
    rest = [file for file, _ in candidates]
    return own[0] if len(own) == 1 else rest[0] if len(rest) == 1 else None

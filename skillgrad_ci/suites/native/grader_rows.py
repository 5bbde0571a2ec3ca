"""The graders of a `tasks.yaml`, each as it is written there and as the `GraderSpec` it stands for.

A row extends its kind's options by what only a file can say: paths, and a weight.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from skillgrad_ci.document.document import Strict, Where, nearest
from skillgrad_ci.method.grader_options import CommandOptions, CsvOptions, JudgeOptions, TableOptions, TextOptions
from skillgrad_ci.method.task import GraderSpec
from skillgrad_ci.suites.paths import Files


class GraderFields(Strict):
    """What every grader may say."""

    weight: float = Field(1.0, gt=0, description="its share of the score when a task has several graders")

    def spec(self, files: Files, where: Where) -> GraderSpec:
        """The grader asked for; its paths are looked up, errors name the field's line."""
        return GraderSpec(self._kind, self._options(), self._references(files, where), self.weight)

    @property
    def _kind(self) -> str:
        return str(self.model_dump(include={"type"})["type"])

    def _options(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=self._beside_options())

    def _beside_options(self) -> set[str]:
        return {"type", "weight"}

    def _references(self, files: Files, where: Where) -> dict[str, Path]:  # noqa: ARG002 (most have none)
        return {}

    def expected(self) -> list[str]:
        """Answers as text, for the leak check."""
        return []


class CommandRow(GraderFields, CommandOptions):
    """A program run on a copy of the result; its files are in ../grader, read-only."""

    type: Literal["command"]
    files: list[str] = Field(default_factory=list, description="files and folders of the check, seen in ../grader")

    def _beside_options(self) -> set[str]:
        return {"type", "weight", "files"}

    def _references(self, files: Files, where: Where) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for position, name in enumerate(self.files):
            path = files.find(name, [*where, "files", position])
            if path.name in found:
                raise files.document.error(
                    [*where, "files", position], f"two files are called {path.name!r}; rename one"
                )
            found[path.name] = path
        for position, name in enumerate(self.workspace):
            if name not in found:
                known = nearest(name, list(found)) if found else "put it there"
                raise files.document.error([*where, "workspace", position], f"{name!r} is not among files; {known}")
        return found


class TextRow(GraderFields, TextOptions):
    """The last message or a text file: exact, contains, regex, number, json or choice."""

    type: Literal["text"]

    def expected(self) -> list[str]:
        return [text for text in [self.exact, self.choice, *(self.contains or [])] if text]


class TableRow(GraderFields, TableOptions):
    """Values as WikiTableQuestions compares them."""

    type: Literal["table"]

    def expected(self) -> list[str]:
        return list(self.targets)


class CsvRow(GraderFields, CsvOptions):
    """A CSV file, cell by cell."""

    type: Literal["csv"]
    golden: str = Field(min_length=1, description="path of the right CSV file")

    def _beside_options(self) -> set[str]:
        return {"type", "weight", "golden"}

    def _references(self, files: Files, where: Where) -> dict[str, Path]:
        return {"golden": files.find_file(self.golden, [*where, "golden"])}


class JudgeRow(GraderFields, JudgeOptions):
    """A model reads the result and grades assertions or a rubric."""

    type: Literal["judge"]


class XlsxBook(Strict):
    """One workbook to grade: the agent's `output` against `golden`."""

    output: str = Field(min_length=1, description="workbook that the agent writes")
    golden: str = Field(min_length=1, description="path of the right workbook")
    input: str = Field("", description="the untouched workbook's name in the work folder; none: the only input")


class XlsxRow(GraderFields):
    """A range of a workbook, cell by cell, as SpreadsheetBench grades it."""

    type: Literal["xlsx"]
    answer_position: str = Field(min_length=1, description="graded range, as in 'Sheet1'!A1:B5")
    answer_sheet: str | None = Field(None, description="the sheet, where answer_position names none")
    output: str | None = Field(None, description="workbook that the agent writes")
    golden: str | None = Field(None, description="path of the right workbook")
    input: str | None = Field(None, description="the untouched workbook's name in the work folder")
    cases: list[XlsxBook] | None = Field(None, min_length=1, description="several workbooks for one task")

    @model_validator(mode="after")
    def _one_form(self) -> "XlsxRow":
        if (self.cases is None) == (self.output is None or self.golden is None):
            raise ValueError("needs output and golden, or cases with these two each")
        return self

    def _all(self) -> list[XlsxBook]:
        single = XlsxBook(output=self.output or "?", golden=self.golden or "?", input=self.input or "")
        return self.cases or [single]

    def _options(self) -> dict[str, Any]:
        cases = [
            {"output": case.output, "input": case.input, "golden": f"golden-{number}.xlsx"}
            for number, case in enumerate(self._all(), 1)
        ]
        sheet = {"answer_sheet": self.answer_sheet} if self.answer_sheet else {}
        return {"answer_position": self.answer_position, **sheet, "cases": cases}

    def _references(self, files: Files, where: Where) -> dict[str, Path]:
        at = [*where, "cases"] if self.cases else where
        return {
            f"golden-{number}.xlsx": files.find_file(case.golden, [*at, number - 1, "golden"])
            for number, case in enumerate(self._all(), 1)
        }


GraderRow = Annotated[
    CommandRow | TextRow | TableRow | CsvRow | JudgeRow | XlsxRow,
    Field(discriminator="type"),
]


def _one_or_more(value: Any) -> Any:
    """A single grader stands for a list of one."""
    return [value] if isinstance(value, dict) else value


GraderRows = Annotated[
    list[GraderRow],
    Field(min_length=1),
    BeforeValidator(_one_or_more, json_schema_input_type=GraderRow | Annotated[list[GraderRow], Field(min_length=1)]),
]


def specs(rows: Sequence[GraderFields], files: Files, where: Where) -> list[GraderSpec]:
    """The graders of one task. A single mapping and a list are told apart by the document."""
    return [row.spec(files, [*where, position]) for position, row in enumerate(rows)]

"""What a suite can ask of a grader: the options of a `GraderSpec`, by its kind.

Suites write them, graders read them, and neither imports the other. Each model is one kind's
`GraderSpec.options`; files (goldens, check scripts) are in `GraderSpec.references` by name.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

ANSWER = "answer"  # an `output` of this value is the agent's last message


def _one_or_more(value: Any) -> Any:
    """A single text stands for a list of one."""
    return [value] if isinstance(value, str) else value


Passage = Annotated[str, Field(min_length=1, pattern=r"\S")]
Passages = Annotated[
    list[Passage], Field(min_length=1), BeforeValidator(_one_or_more, json_schema_input_type=list[Passage] | Passage)
]
Names = Annotated[list[str], BeforeValidator(_one_or_more, json_schema_input_type=list[str] | str)]


class Options(BaseModel):
    """Base of all options: unknown keys are refused, nothing is coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True, serialize_by_alias=True)


class CommandOptions(Options):
    """A program that checks a copy of the result."""

    run: str = Field(min_length=1, description="shell command, started in a copy of the agent's work folder")
    setup: str = Field("", description="command that runs first, in the same place; its failure is unmeasured")
    timeout: float = Field(120.0, gt=0, le=3600, description="seconds for setup and run, each")
    network: bool = Field(False, description="whether the check may use the network")
    crash: Literal["auto", "unmeasured", "failed"] = Field(
        "auto",
        description="what a check that crashes, times out or prints nonsense means; "
        "auto: failed while the agent's program runs ($RUN), else unmeasured",
    )
    verdict: Literal["auto", "json"] = Field(
        "auto", description="auto: JSON {score, details, checks} if it is printed, else the exit code; json: required"
    )
    workspace: list[str] = Field(
        default_factory=list, description="references that are also copied into the work folder before the check"
    )


class RewardOptions(Options):
    """A task's own tests in its own container."""

    timeout: float = Field(600.0, gt=0, description="seconds for the tests")
    network: bool = Field(False, description="whether the tests may use the network")
    env: dict[str, str] = Field(default_factory=dict, description="variables that are set for them")
    verdict: Literal["reward", "pytest"] = Field("reward", description="a file that they leave, or pytest's summary")


TEXT_CHECKS = ("exact", "contains", "not_contains", "regex", "number", "equals_json", "is_json", "choice", "exists")


class TextOptions(Options):
    """One check of a text: the agent's last message or a file that it left."""

    output: str = Field(ANSWER, min_length=1, description="answer (the last message) or a file in the work folder")
    exact: str | None = Field(None, description="the whole text, white space at both ends aside")
    contains: Passages | None = Field(None, description="every one of these stands in the text")
    not_contains: Passages | None = Field(None, description="none of these stands in the text")
    exists: Literal[True] | None = Field(None, description="the file is there, whatever it holds")
    regex: str | None = Field(None, description="a Python regular expression found somewhere in the text")
    number: float | None = Field(None, description="the last number in the text")
    tolerance: float = Field(
        1e-6, ge=0, description="how far `number` may be off, its edge included; with `json`, every number in it"
    )
    equals_json: Any = Field(None, alias="json", description="JSON value that the text must equal")
    is_json: Literal[True] | None = Field(None, description="the whole text is JSON")
    path: str = Field("", description="where in the text's JSON to look, as in items.0.name; keys may hold dots")
    choice: str | None = Field(None, description="the right one of `choices`")
    choices: list[str] | None = Field(None, min_length=2, description="all choices, as in [A, B, C, D]")
    ignore_case: bool = Field(False, description="compare without regard to case")

    @model_validator(mode="after")
    def _one_check(self) -> "TextOptions":
        asked = [name for name in TEXT_CHECKS if name in self.model_fields_set]
        if len(asked) != 1:
            said = ", ".join(name.replace("equals_json", "json") for name in TEXT_CHECKS)
            raise ValueError(f"needs exactly one of {said}")
        if self.exists is not None and self.output == ANSWER:
            raise ValueError("exists asks for a file; name it in output")
        if self.regex is not None:
            try:
                re.compile(self.regex)
            except re.error as error:
                raise ValueError(f"regex: {error}") from None
        if (self.choice is None) != (self.choices is None):
            raise ValueError("choice and choices go together")
        if self.choice is not None and self.choice not in (self.choices or []):
            raise ValueError(f"choice {self.choice!r} is not among choices")
        return self

    @property
    def kind(self) -> str:
        """Which check is asked for, in the suite's spelling."""
        asked = self.model_fields_set & set(TEXT_CHECKS)
        return asked.pop().replace("equals_json", "json")


class TableOptions(Options):
    """WikiTableQuestions' denotation: target values, and their canonical forms where known."""

    targets: Annotated[Names, Field(min_length=1)] = Field(description="the right values, in any order")
    canonical: list[str] | None = Field(None, description="canonical form of each target, as in tagged/")
    output: str = Field(ANSWER, min_length=1, description="answer (the last message) or a file in the work folder")

    @model_validator(mode="after")
    def _pairs(self) -> "TableOptions":
        if self.canonical is not None and len(self.canonical) != len(self.targets):
            raise ValueError("canonical needs one entry for each target")
        return self


class CsvOptions(Options):
    """A CSV file, cell by cell, against the reference `golden`."""

    output: str = Field(min_length=1, description="the file that the agent writes")
    delimiter: str = Field(",", min_length=1, max_length=1)
    tolerance: float = Field(1e-9, ge=0, description="how far two numbers may be apart")
    ignore_order: bool = Field(False, description="rows may stand in any order (the first stays the header)")
    header: bool = Field(True, description="whether the first row names columns")
    text: Annotated[
        list[str | int],
        BeforeValidator(
            lambda value: [value] if isinstance(value, str | int) else value,
            json_schema_input_type=list[str | int] | str | int,
        ),
    ] = Field(
        default_factory=list,
        description="columns compared as text, by name or number from 1: ids such as 007, which are no numbers",
    )


class XlsxCase(Options):
    """One workbook to grade: the agent's `output` against the reference called `golden`."""

    output: str = Field(min_length=1, description="the workbook that the agent writes")
    golden: str = Field(min_length=1, description="name of the reference")
    input: str = Field("", description="the untouched workbook in the work folder; none: the only one")


class XlsxOptions(Options):
    """Ranges of workbooks, cell by cell, as SpreadsheetBench grades them."""

    answer_position: str = Field(min_length=1, description="graded ranges, as in 'Sheet1'!A1:B5")
    answer_sheet: str | None = Field(
        None, description="sheet of a range that names none; without it the golden's first"
    )
    cases: list[XlsxCase] = Field(min_length=1, description="all must be right")


class JudgeOptions(Options):
    """Assertions or a rubric that a model grades; with `prefer`, what decides which of two results is better."""

    assertions: Annotated[
        list[Annotated[str, Field(min_length=1)]],
        BeforeValidator(_one_or_more, json_schema_input_type=list[str] | str),
    ] = Field(default_factory=list, description="statements that must hold for the result")
    rubric: str = Field("", description="criteria in prose, graded as one assertion")
    expected_output: str = Field("", description="what a good result looks like")
    outputs: Names = Field(
        default_factory=list, description="files the judge sees; none: all text files that are new or changed"
    )
    transcript: bool = Field(False, description="whether the judge also sees what the agent did")
    trials: int | None = Field(None, ge=1, le=15, description="how often to ask; the majority counts")
    prefer: bool = Field(
        False, description="compare with the initial skill's result: a win counts 1, a tie 0.5, a loss 0"
    )

    @model_validator(mode="after")
    def _something(self) -> "JudgeOptions":
        if not (self.prefer or self.assertions or self.rubric.strip() or self.expected_output.strip()):
            raise ValueError("needs assertions, a rubric or an expected_output")
        return self


class TriggerOptions(Options):
    """Whether the agent should activate the skill."""

    should_trigger: bool

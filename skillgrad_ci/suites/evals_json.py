"""Agent Skills evals: `<skill>/evals/evals.json`, graded by a judge and by program checks.

Read by content: rows with a prompt and something to grade by, under `evals`, `cases`, `tests` or `test_cases`, or as a
bare list. The statements' spellings (`assertions` of the Agent Skills guide, `expectations` of the skill-creator
skill, and others) are taken together. Files are relative to the skill's folder.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from skillgrad_ci.document.document import Document, Foreign, Where
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.grader_options import JudgeOptions
from skillgrad_ci.method.task import GraderSpec, Suite, Task, names_folder
from skillgrad_ci.suites.foreign import inline, one_or_more, plain_check
from skillgrad_ci.suites.ids import check_ids
from skillgrad_ci.suites.paths import Files, executable
from skillgrad_ci.suites.references import reference_result, untouched_result

__all__ = ["FORMAT", "READS", "load", "reference_result", "suite_at", "untouched_result"]

FORMAT = "agent-skills-evals"
READS = "evals/evals.json: Agent Skills evals"
NAME = "evals.json"
LISTS = ("evals", "cases", "tests", "test_cases", "testCases")
PROMPTS = ("prompt", "query", "input", "task", "instruction", "user_prompt")
STATEMENTS = ("assertions", "expectations", "expected_behavior", "expected_behaviors", "criteria", "checks")
OUTPUTS = ("expected_output", "expected", "expected_result")
SAYS = ("text", "statement", "assertion", "description", "check", "criterion", "expectation", "name")
JUDGED = ("criteria", "rubric", "value", "expected", "question", "prompt")  # what a statement of a judge's type says
_JUDGE = re.compile("llm|judge|rubric|semantic|model|manual|qualit", re.IGNORECASE)
TRIGGERS = ("should_trigger", "should_activate", "shouldTrigger", "expected_skill")
SHAPE = '{"evals": [{"id": 1, "prompt": "…", "assertions": ["…"]}]}'


def _output(value: Any) -> Any:
    """An expected output may be a list of lines or a JSON value."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "\n".join(value)
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class Eval(Foreign):
    """One eval. `id` may be a string or a number."""

    id: str | int | float | None = None
    prompt: str = Field(min_length=1)
    expected_output: Annotated[str, BeforeValidator(_output)] = ""
    files: Annotated[list[str | dict[str, Any]], BeforeValidator(one_or_more)] = Field(default_factory=list)
    assertions: Annotated[list[Any], BeforeValidator(one_or_more)] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _one_spelling(cls, value: Any) -> Any:
        """Other tools' names for a field, as this one; all spellings of the statements together, each once."""
        if not isinstance(value, dict):
            return value
        row = dict(value)
        for name, others in (("prompt", PROMPTS), ("expected_output", OUTPUTS), ("id", ("id", "name"))):
            spelling = next((other for other in others if row.get(other) is not None), None)
            if spelling is not None and spelling != name and row.get(name) is None:
                row[name] = row.pop(spelling)
        if isinstance(row.get("prompt"), dict):  # input: {prompt: …, files: […]}
            row = {**row["prompt"], **row}
            row["prompt"] = next((row["prompt"][key] for key in PROMPTS if key in row["prompt"]), row["prompt"])
        found: list[Any] = []
        for spelling in STATEMENTS:
            if spelling in row and (spelling in ("assertions", "expectations") or not isinstance(row[spelling], dict)):
                found += (one for one in one_or_more(row.pop(spelling)) or [] if one not in found)
        return row | ({"assertions": found} if found else {})

    @model_validator(mode="after")
    def _gradable(self) -> "Eval":
        if not (self.assertions or self.expected_output.strip()):
            raise ValueError("has nothing to grade by; give it assertions or an expected_output")
        return self


def rows_in(value: Any) -> tuple[list[Any], list[str | int]] | None:
    """The rows of a file and where they stand; None where it holds none."""
    if isinstance(value, list):
        return value, []
    if isinstance(value, dict) and "prompts" not in value:
        for key in LISTS:
            if isinstance(value.get(key), list):
                return value[key], [key]
    return None


def _is_eval(row: Any) -> bool:
    if not isinstance(row, dict) or any(key in row for key in TRIGGERS):
        return False
    return any(key in row for key in PROMPTS) and any(key in row for key in (*STATEMENTS, *OUTPUTS))


def is_evals(value: Any) -> bool:
    """Whether a file's content is evals, whatever it is called."""
    found = rows_in(value)
    return found is not None and any(map(_is_eval, found[0]))


def suite_at(path: Path) -> Path | None:
    """The `evals.json` that `path` is or holds; another JSON file by its content. A list of triggers does not count."""
    file = path / NAME if path.is_dir() else path
    if not file.is_file() or file.suffix != ".json":
        return None
    try:
        value: Any = Document.read(file).value
    except UserError:
        return file if file.name == NAME else None  # reading it says what is wrong
    if is_evals(value) or (isinstance(value, dict) and "evals" in value and not _of_triggers(value["evals"])):
        return file
    return file if file.name == NAME and not _of_triggers(value) and not _known_elsewhere(value) else None


def _of_triggers(value: Any) -> bool:
    rows = value if isinstance(value, list) else []
    return any(isinstance(row, dict) and any(key in row for key in TRIGGERS) for row in rows)


def _known_elsewhere(value: Any) -> bool:
    """Whether another reader takes it: a trigger set in another shape, a promptfoo configuration."""
    from skillgrad_ci.suites.triggers import is_trigger_set

    return is_trigger_set(value) or (isinstance(value, dict) and "prompts" in value and "tests" in value)


def load(file: Path) -> Suite:
    document = Document.read(file)
    found = rows_in(document.value)
    if found is None or not found[0]:
        at, what = (found[1], "is empty") if found else ((), f"no rows under {', '.join(LISTS[:4])}")
        raise document.error(at, f"{what}; write it in the shape {SHAPE}")
    rows, where = found
    evals = [document.validate(Eval, row, [*where, position]) for position, row in enumerate(rows)]
    skill = file.parent.parent if file.parent.resolve().name == "evals" else file.parent
    ids = [str(number if row.id in (None, "") else row.id).strip() for number, row in enumerate(evals, 1)]
    check_ids(document, ids, where, "id")
    files = Files(document, skill)
    tasks = [
        _task(files, name, row, [*where, position]) for position, (name, row) in enumerate(zip(ids, evals, strict=True))
    ]
    named = document.value.get("skill_name") if isinstance(document.value, dict) else None
    name = named if isinstance(named, str) and names_folder(named) else skill.resolve().name
    return Suite(name, FORMAT, file.parent, tasks, named=files.named)


def _task(files: Files, name: str, row: Eval, where: Where) -> Task:
    statements: list[str] = []
    graders: list[GraderSpec] = []
    for position, one in enumerate(row.assertions):
        grader = _check(one)
        if grader is not None:
            graders.append(grader)
        else:
            statements.append(_statement(files.document, one, [*where, "assertions", position]))
    if statements or not graders:
        options = JudgeOptions(assertions=statements, expected_output=row.expected_output, transcript=True)
        weight = float(len(statements) or 1)
        graders.append(GraderSpec("judge", options.model_dump(mode="json", exclude_unset=True), weight=weight))
    inputs = dict(_inputs(files, row, [*where, "files"]))
    return Task(
        id=name,
        instruction=row.prompt,
        graders=graders,
        files=inputs,
        executable=executable(inputs),
        expected=[row.expected_output] if row.expected_output.strip() else [],
    )


def _check(one: Any) -> GraderSpec | None:
    """A typed assertion as a program check, or one whose only key is its kind; None for a statement."""
    if isinstance(one, dict) and len(one) == 1 and not set(one) & set(SAYS):
        return plain_check(*next(iter(one.items())))
    if not isinstance(one, dict) or not isinstance(one.get("type"), str):
        return None
    value = next((one[key] for key in ("value", "expected", "pattern", "path", "file") if key in one), None)
    if "contains" in one["type"] and isinstance(one.get("path"), str) and "value" in one:
        value = {"path": one["path"], "value": one["value"]}
    return plain_check(one["type"], value) if value is not None else None


def _statement(document: Document, one: Any, where: Where) -> str:
    """What an assertion says, as text. Raises UserError for one that says nothing."""
    said = one if isinstance(one, str) else None
    if isinstance(one, dict):
        says = (*SAYS, *JUDGED) if _JUDGE.search(str(one.get("type", ""))) else SAYS
        said = next((one[key] for key in says if isinstance(one.get(key), str) and one[key].strip()), None)
    if said is None or not said.strip():
        kind = f" of the type {one['type']!r}" if isinstance(one, dict) and "type" in one else ""
        raise document.error(where, f"an assertion{kind} that is not read; write it as a text, or as {{text: …}}")
    return said


def _inputs(files: Files, row: Eval, where: Where) -> Iterator[tuple[str, Path]]:
    """Each file where the prompt says it is, else by its base name; a text given inline under its own path."""
    seen: set[str] = set()
    for position, source in enumerate(row.files):
        at = [*where, position]
        name, content = (source, None) if isinstance(source, str) else _described(files, source, at)
        if content is not None:
            copies = {files.work_name(name, at): inline(content)}
        else:
            copies = files.expand(_place(row.prompt, PurePosixPath(name).name), name, at)
        twice = sorted(set(copies) & seen)
        if twice:
            raise files.document.error(at, f"two files would be {twice[0]!r} in the work folder; rename one")
        seen |= set(copies)
        yield from copies.items()


def _described(files: Files, source: dict[str, Any], where: Where) -> tuple[str, str | None]:
    """Path and inline content of a file that is written as an object."""
    name = next((source[key] for key in ("path", "name", "file", "filename", "src") if source.get(key)), None)
    content = source.get("content")
    if not isinstance(name, str) or not (content is None or isinstance(content, str)):
        raise files.document.error(
            where, "a file that is not read; write a path, or {path: …} with content where it lies nowhere"
        )
    return name, content


def _place(prompt: str, name: str) -> str:
    """The relative path in `prompt` that ends with `name` (data/sales.csv), or `name` itself."""
    match = re.search(rf"(?<![\w./~-])((?:[\w-][\w.-]*/)*){re.escape(name)}(?![\w/])", prompt)
    return (match[1] if match else "") + name

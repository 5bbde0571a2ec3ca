"""`eval.yaml` of other tools than skillgrade: `scenarios:` with checks and rubrics, and `tasks:` that name files.

A scenario is a prompt with output checks, file checks and a rubric. A task file has its prompt in `inputs` (or beside
it), expectations in `expected`, and graders of its own or the file's. A check that needs what is not read here (a
tool's own Python, its behaviour limits) is named in a warning. If nothing else grades the task, it is an error.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from skillgrad_ci.document.document import Document, Foreign, Where
from skillgrad_ci.method.grader_options import JudgeOptions
from skillgrad_ci.method.task import GraderSpec, Suite, Task
from skillgrad_ci.suites.foreign import Seconds, Texts, inline, one_or_more, plain_check
from skillgrad_ci.suites.ids import check_ids
from skillgrad_ci.suites.paths import Files, executable, file_with
from skillgrad_ci.suites.references import reference_result, untouched_result

__all__ = ["FORMAT", "READS", "is_other", "load", "reference_result", "suite_at", "untouched_result"]

FORMAT = "scenarios"
READS = "eval.yaml with scenarios, or with tasks that name files"
NAME = "eval.yaml"
TIMEOUT = 300.0
Rows = Annotated[list[Any], BeforeValidator(one_or_more)]


class Scenario(Foreign):
    """One task, in either form; the fields of a task file's `inputs` are taken as its own."""

    id: str | int | None = None
    name: str | None = None
    prompt: Annotated[str, Field(min_length=1)]
    files: Rows = Field(default_factory=list)
    assertions: Rows = Field(default_factory=list)
    graders: Rows = Field(default_factory=list)
    rubric: Texts = Field(default_factory=list)
    expected: dict[str, Any] = Field(default_factory=dict)
    timeout: Seconds | None = None
    tags: Texts = Field(default_factory=list)


def is_other(value: Any) -> bool:
    """Whether the content of a YAML file is one of these two forms. promptfoo has scenarios of its own."""
    return isinstance(value, dict) and "prompts" not in value and (_scenarios(value) or _globs(value))


def _scenarios(value: dict[str, Any]) -> bool:
    rows = value.get("scenarios")
    rows = list(rows.values()) if isinstance(rows, dict) else rows
    return isinstance(rows, list) and any(isinstance(row, dict) for row in rows)


def _globs(value: dict[str, Any]) -> bool:
    rows = value.get("tasks")
    rows = [rows] if isinstance(rows, str) else rows
    return isinstance(rows, list) and bool(rows) and all(isinstance(row, str) for row in rows)


def suite_at(path: Path) -> Path | None:
    return file_with(path, [NAME], {".yaml", ".yml"}, is_other)


def load(file: Path) -> Suite:
    document = Document.read(file)
    files = Files(document, file.parent)
    warnings: list[str] = []
    tasks = []
    for source, row, where in _rows(document, files):
        inner = Files(source, file.parent, files.named)
        fields = _flat(row)
        read = source.validate(Scenario, fields, where)
        shared = document.value.get("graders") or []
        tasks.append(_task(inner, read, [*one_or_more(shared), *read.graders], where, _timeout(document), warnings))
    check_ids(document, [task.id for task in tasks], ["scenarios"], "name")
    return Suite(file.parent.resolve().name, FORMAT, file.parent, tasks, warnings, files.named)


def _rows(document: Document, files: Files) -> Iterator[tuple[Document, Any, list[str | int]]]:
    """Each task's row, the document that it is in, and where."""
    value = document.value
    if _scenarios(value):
        scenarios = value["scenarios"]
        named = scenarios.items() if isinstance(scenarios, dict) else enumerate(scenarios)
        for place, row in named:
            own = {"name": place} if isinstance(place, str) and isinstance(row, dict) else {}
            yield document, {**own, **row} if own else row, ["scenarios", place]
        return
    for position, pattern in enumerate(one_or_more(value["tasks"])):
        found = sorted(document.path.parent.glob(pattern)) if not Path(pattern).is_absolute() else []
        if not found:
            raise document.error(
                ["tasks", position], f"no file is called {pattern!r} beside {document.path.name}; correct the name"
            )
        for file in found:
            name = file.relative_to(document.path.parent).as_posix()
            yield Document.read(files.find_file(name, ["tasks", position])), Document.read(file).value, []


def _flat(row: Any) -> Any:
    """A row with the fields of its `inputs` as its own, and other spellings of the prompt."""
    if not isinstance(row, dict):
        return row
    inputs: Any = row["inputs"] if isinstance(row.get("inputs"), dict) else {}
    fields = {**row, **{key: value for key, value in inputs.items() if key in ("prompt", "files")}}
    for spelling in ("instruction", "input", "query", "user_prompt"):
        if "prompt" not in fields and isinstance(fields.get(spelling), str):
            fields["prompt"] = fields.pop(spelling)
    for spelling in ("expected", "expected_output", "expected_behavior"):
        if isinstance(fields.get(spelling), str | list):
            fields["rubric"] = [*(one_or_more(fields.get("rubric")) or []), *one_or_more(fields.pop(spelling))]
    for spelling in ("timeout_seconds", "timeout_sec"):
        if spelling in fields:
            fields.setdefault("timeout", fields.pop(spelling))
    return fields


def _timeout(document: Document) -> float:
    config = document.value.get("config")
    fields = {**document.value, **(config if isinstance(config, dict) else {})}
    given = next((fields[key] for key in ("timeout", "timeout_seconds") if key in fields), TIMEOUT)
    return document.validate(_Timeout, {"timeout": given}, ["config"]).timeout


class _Timeout(Foreign):
    timeout: Seconds = TIMEOUT


def _task(files: Files, row: Scenario, graders: list[Any], where: Where, timeout: float, warnings: list[str]) -> Task:
    specs: list[GraderSpec] = []
    statements = list(row.rubric)
    unread: list[str] = []
    for one in [*row.assertions, *_expected(row.expected), *graders]:
        if isinstance(one, str):
            statements.append(one)
            continue
        found, said = _read(one)
        specs += found
        statements += said
        if not found and not said:
            unread.append(str(one.get("type", ", ".join(map(str, one)))) if isinstance(one, dict) else str(one))
    name = str(row.name or row.id or "") or f"scenario-{where[-1] if where else 1}"
    if statements:
        options = JudgeOptions(assertions=statements, transcript=True).model_dump(mode="json", exclude_unset=True)
        specs.append(GraderSpec("judge", options, weight=float(len(statements))))
    if not specs:
        why = f"; not read: {', '.join(unread)}" if unread else ""
        raise files.document.error(where, f"task {name!r} has nothing to grade by{why}; add assertions or a rubric")
    if unread:
        warnings.append(f"{files.document.path}: task {name!r}: not read: {', '.join(unread)}")
    inputs = dict(_inputs(files, row.files, [*where, "files"]))
    return Task(
        id=str(row.id if row.id is not None and row.name is None else name).strip(),
        instruction=row.prompt,
        graders=specs,
        files=inputs,
        executable=executable(inputs),
        timeout=row.timeout or timeout,
        tags=row.tags,
    )


def _expected(expected: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Expectations as checks: `output_contains: [a]` is a check of this type."""
    for kind, value in expected.items():
        yield {"type": kind, "value": value}


def _read(one: Any) -> tuple[list[GraderSpec], list[str]]:
    """A check or a grader of another tool: program checks, or statements for the judge. A kind may be its only key."""
    if isinstance(one, dict) and len(one) == 1:
        kind, value = next(iter(one.items()))
        if isinstance(kind, str) and (only := plain_check(kind, value)) is not None:
            return [only], []
    if not isinstance(one, dict) or not isinstance(one.get("type"), str):
        said = (
            next((one[key] for key in ("text", "description", "rubric") if isinstance(one.get(key), str)), None)
            if (isinstance(one, dict))
            else None
        )
        return [], [said] if said else []
    config = one["config"] if isinstance(one.get("config"), dict) else {}
    fields = {**config, **{key: value for key, value in one.items() if key != "config"}}
    value = next((fields[key] for key in ("value", "values", "pattern", "path", "text") if key in fields), None)
    if value is not None and (spec := plain_check(one["type"], value)) is not None:
        return [spec], []
    found = [
        spec
        for key, kind in _CONFIGURED.items()
        if fields.get(key)
        for pattern in ([fields[key]] if kind in ("contains", "not_contains") else one_or_more(fields[key]))
        if (spec := plain_check(kind, pattern)) is not None
    ]
    said = fields.get("rubric") or fields.get("criteria")
    return found, [str(item) for item in one_or_more(said) or []] if not found else []


# Options of graders of these tools, as checks.
_CONFIGURED = {
    "contains": "contains",
    "must_contain": "contains",
    "not_contains": "not_contains",
    "must_not_contain": "not_contains",
    "must_match": "regex",
    "regex_match": "regex",
    "must_not_match": "not_regex",
    "regex_not_match": "not_regex",
    "must_exist": "file_exists",
}


def _inputs(files: Files, rows: list[Any], where: Where) -> Iterator[tuple[str, Path]]:
    for position, row in enumerate(rows):
        at = [*where, position]
        if isinstance(row, dict) and isinstance(row.get("path"), str) and isinstance(row.get("content"), str):
            yield files.work_name(row["path"], at), inline(row["content"])
            continue
        name = row.get("path") if isinstance(row, dict) else row
        if not isinstance(name, str):
            raise files.document.error(at, "a file that is not read; write a path, or {path: …, content: …}")
        yield from files.expand(Path(name).name, name, at).items()

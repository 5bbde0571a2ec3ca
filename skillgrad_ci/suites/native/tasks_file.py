"""The native format: a folder with `tasks.yaml` (docs/formats.md, docs/tasks.schema.json)."""

import functools
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from skillgrad_ci.document.document import Document, Strict, Where
from skillgrad_ci.method.grader_options import Names
from skillgrad_ci.method.task import Reference, Split, Suite, Task
from skillgrad_ci.suites.goldens import ExpectedValues
from skillgrad_ci.suites.ids import check_ids
from skillgrad_ci.suites.native.grader_rows import GraderRows, JudgeRow, specs
from skillgrad_ci.suites.paths import Files, executable
from skillgrad_ci.suites.references import reference_result, untouched_result, workbooks

__all__ = ["FORMAT", "READS", "load", "reference_result", "suite_at", "untouched_result"]

FORMAT = "native"
READS = "tasks.yaml: this project's own format"
NAME = "tasks.yaml"


def _id(value: Any) -> Any:
    """A bare number in YAML is an id too."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Timeout = Annotated[float, Field(gt=0, le=86_400, description="seconds for the whole execution")]
Trials = Annotated[int, Field(ge=1, le=100, description="how often the task is run")]
Threshold = Annotated[float, Field(gt=0, le=1, description="weighted score from which the task has passed")]
Network = Annotated[bool, Field(description="whether the agent's commands may use the network")]


class ReferenceRow(Strict):
    """A result that must pass: `suite --check` proves the graders with it."""

    answer: str = Field("", description="the last message")
    files: list[str] | dict[str, str] = Field(default_factory=list, description="files of the result, as in a task")
    command: str = Field("", description="shell command that makes the result in the work folder")

    @model_validator(mode="after")
    def _something(self) -> "ReferenceRow":
        if not (self.answer or self.files or self.command):
            raise ValueError("needs an answer, files or a command")
        return self


def _reference(value: Any) -> Any:
    """One path stands for a file or folder of the result."""
    return {"files": {"": value}} if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    """One path stands for a list of one."""
    return [value] if isinstance(value, str) else value


class TaskRow(Strict):
    """One task."""

    id: Annotated[str, BeforeValidator(_id, json_schema_input_type=str | int), Field(min_length=1)]
    instruction: str | None = Field(None, min_length=1, description="what the agent is asked")
    instruction_file: str | None = Field(None, min_length=1, description="a file that holds the instruction")
    files: Annotated[
        list[str] | dict[str, str],
        BeforeValidator(_listed, json_schema_input_type=list[str] | dict[str, str] | str),
    ] = Field(
        default_factory=list, description="inputs: paths (each keeps its base name), or {name in the work folder: path}"
    )
    outputs: Names = Field(default_factory=list, description="files that the instruction asks for")
    grader: GraderRows | None = Field(None, description="one grader, or a list of them with weights")
    split: Literal["train", "validation", "heldout"] | None = Field(None, description="where the task is used")
    tags: Names = Field(default_factory=list)
    timeout: Timeout | None = None
    network: Network | None = None
    trials: Trials | None = None
    threshold: Threshold | None = None
    reference: Annotated[
        ReferenceRow | None, BeforeValidator(_reference, json_schema_input_type=ReferenceRow | str | None)
    ] = None
    unreviewed: bool = Field(
        False, description="proposed by a model: it may teach, and claims nothing until this line is deleted"
    )
    origin: str = Field("", description="where a proposed task came from")

    @model_validator(mode="after")
    def _one_instruction(self) -> "TaskRow":
        if (self.instruction is None) == (self.instruction_file is None):
            raise ValueError("needs instruction or instruction_file, and not both")
        if self.unreviewed and self.split not in (None, "train"):
            raise ValueError(f"an unreviewed task only trains; delete `unreviewed: true`, or `split: {self.split}`")
        return self


class Defaults(Strict):
    """What holds for every task that does not say otherwise."""

    timeout: Timeout = 600.0
    network: Network = False
    trials: Trials | None = None
    threshold: Threshold = 1.0
    grader: GraderRows | None = None


class TasksFile(Strict):
    """tasks.yaml: the tasks that show whether a skill helps."""

    version: Literal[1] = Field(description="of this format")
    defaults: Defaults = Field(default_factory=lambda: Defaults())
    tasks: list[TaskRow] = Field(min_length=1)


def suite_at(path: Path) -> Path | None:
    """The `tasks.yaml` that `path` is or holds. Another file counts when its tasks have ids."""
    if path.is_dir():
        return path / NAME if (path / NAME).is_file() else None
    if path.name == NAME:
        return path
    if path.suffix not in {".yaml", ".yml"}:
        return None
    rows = _tasks_of(path)
    return path if any(isinstance(row, dict) and "id" in row for row in rows) else None


def _tasks_of(path: Path) -> list[Any]:
    value = Document.read(path).value
    rows = value.get("tasks") if isinstance(value, dict) else None
    return rows if isinstance(rows, list) else []


def load(file: Path) -> Suite:
    document = Document.read(file)
    content = document.parse(TasksFile)
    check_ids(document, [row.id for row in content.tasks], ["tasks"], "id")
    files = Files(document, file.parent)
    build = functools.partial(_task, files, content.defaults)
    tasks = [build(row, ["tasks", position]) for position, row in enumerate(content.tasks)]
    return Suite(file.parent.resolve().name, FORMAT, file.parent, tasks, named=files.named)


def _task(files: Files, defaults: Defaults, row: TaskRow, where: Where) -> Task:
    def own(name: str) -> Any:
        value = getattr(row, name)
        return getattr(defaults, name) if value is None else value

    rows = row.grader if row.grader is not None else defaults.grader
    if rows is None:
        raise files.document.error(where, f"task {row.id!r} has no grader; give it one, or one in defaults")
    at = [*where, "grader"] if row.grader is not None else ["defaults", "grader"]
    if sum(isinstance(one, JudgeRow) and one.prefer for one in rows) > 1:
        raise files.document.error(at, f"task {row.id!r} has two judges that prefer; leave one of them out")
    instruction = row.instruction or files.text(row.instruction_file or "", [*where, "instruction_file"])
    if not instruction.strip():
        field = "instruction" if row.instruction_file is None else "instruction_file"
        raise files.document.error([*where, field], "is blank; say what the agent is to do")
    inputs = _copies(files, row.files, [*where, "files"])
    task = Task(
        id=row.id,
        instruction=instruction,
        graders=specs(rows, files, at),
        files=inputs,
        outputs=[files.work_name(name, [*where, "outputs", i]) for i, name in enumerate(row.outputs)],
        split=Split(row.split) if row.split else None,
        timeout=own("timeout"),
        network=own("network"),
        threshold=own("threshold"),
        trials=own("trials"),
        tags=row.tags,
        executable=executable(inputs),
        reference=_result(files, row.reference, [*where, "reference"]),
        unreviewed=row.unreviewed,
    )
    texts = [text for one in rows for text in one.expected()]
    values = ExpectedValues([(given, golden) for _, given, golden in workbooks(task)])
    return replace(task, expected=[*texts, *values] if texts else values)


def _copies(files: Files, named: list[str] | dict[str, str], where: Where) -> dict[str, Path]:
    """`{path in the work folder: source}`; a list's entry keeps its base name, a folder its tree."""
    pairs = (
        [(name, source, [*where, name]) for name, source in named.items()]
        if isinstance(named, dict)
        else [(Path(source).name, source, [*where, position]) for position, source in enumerate(named)]
    )
    found: dict[str, Path] = {}
    for name, source, at in pairs:
        target = files.work_name(name, at) if name else ""
        new = files.expand(target, source, at)
        twice = sorted(set(new) & set(found))
        if twice:
            raise files.document.error(at, f"two files would be {twice[0]!r} in the work folder; name them apart")
        found |= new
        above = sorted(str(folder) for name in found for folder in PurePosixPath(name).parents if str(folder) in found)
        if above:
            raise files.document.error(at, f"{above[0]!r} would be a file and a folder in the work folder; rename one")
    return found


def _result(files: Files, row: ReferenceRow | None, where: Where) -> Reference | None:
    if row is None:
        return None
    if isinstance(row.files, dict) and set(row.files) == {""}:  # one path: a folder's tree, or a file by its name
        source = files.find(row.files[""], where)
        target = "" if source.is_dir() else source.name
        return Reference(files.expand(target, row.files[""], where))
    return Reference(_copies(files, row.files, [*where, "files"]), row.answer, row.command)

"""skillgrade's `eval.yaml`: tasks with a workspace, graded by programs and rubrics.

Its `deterministic` graders become `command` graders that must print JSON, its `llm_rubric` ones
`judge` graders that see the transcript. What says how skillgrade runs agents (agent, provider,
docker, environment, models) is the run's configuration here, and is left alone with a warning.
"""

import re
import shlex
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from skillgrad_ci.document.document import Document, Foreign, Where
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.grader_options import CommandOptions, JudgeOptions
from skillgrad_ci.method.task import GraderSpec, Reference, Suite, Task
from skillgrad_ci.suites import promptfoo, scenarios
from skillgrad_ci.suites.foreign import Seconds, one_or_more
from skillgrad_ci.suites.ids import check_ids
from skillgrad_ci.suites.paths import Files, executable
from skillgrad_ci.suites.references import reference_result, untouched_result

__all__ = ["FORMAT", "READS", "load", "reference_result", "suite_at", "untouched_result"]

FORMAT = "skillgrade"
READS = "eval.yaml: skillgrade"
NAME = "eval.yaml"
WORKSPACE = PurePosixPath("/workspace")  # where skillgrade's containers start
NOT_APPLIED = ("agent", "provider", "grader_model", "docker", "environment", "env", "trialConfig")


def _entry(value: Any) -> Any:
    """A bare path in a workspace keeps its base name."""
    return {"src": value, "dest": PurePosixPath(value).name} if isinstance(value, str) else value


class Placed(Foreign):
    """A file or folder of the workspace."""

    src: str = Field(min_length=1)
    dest: str = Field(min_length=1)
    chmod: str | int | None = None


class Deterministic(Foreign):
    type: Literal["deterministic"]
    run: str = Field(min_length=1)
    setup: str = ""
    weight: float = Field(1.0, ge=0)


class LlmRubric(Foreign):
    type: Literal["llm_rubric"]
    rubric: str = Field(min_length=1)
    model: str | None = None
    weight: float = Field(1.0, ge=0)


class EvalTask(Foreign):
    name: str = Field(min_length=1)
    instruction: str = Field(min_length=1)
    workspace: Annotated[
        list[Annotated[Placed, BeforeValidator(_entry)]],
        BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    ] = Field(default_factory=list)
    graders: Annotated[
        list[Annotated[Deterministic | LlmRubric, Field(discriminator="type")]], BeforeValidator(one_or_more)
    ] = Field(min_length=1)
    solution: str | None = None
    trials: int | None = Field(None, ge=1)
    timeout: Seconds | None = None

    @model_validator(mode="after")
    def _weighed(self) -> "EvalTask":
        if not any(grader.weight for grader in self.graders):
            raise ValueError("all weights are 0; at least one grader must count")
        return self


class EvalDefaults(Foreign):
    """skillgrade's own defaults, where a file gives none."""

    trials: int | None = Field(None, ge=1)
    timeout: Seconds = 300.0
    threshold: float = Field(0.8, gt=0, le=1)


class EvalFile(Foreign):
    version: str | int | float = "1"
    skill: str | None = None
    defaults: EvalDefaults = Field(default_factory=lambda: EvalDefaults())
    tasks: list[EvalTask] = Field(min_length=1)


def suite_at(path: Path) -> Path | None:
    """The `eval.yaml` that `path` is or holds, unless it is another tool's; another YAML file by its content."""
    file = path / NAME if path.is_dir() else path
    if not file.is_file() or file.suffix not in {".yaml", ".yml"}:
        return None
    try:
        value = Document.read(file).value
    except UserError:
        return file if file.name == NAME else None  # reading it says what is wrong
    rows = value.get("tasks") if isinstance(value, dict) else None
    if any(isinstance(row, dict) and {"name", "graders"} <= set(row) for row in rows or ()):
        return file
    return file if file.name == NAME and not scenarios.is_other(value) and not promptfoo.is_config(value) else None


def load(file: Path) -> Suite:
    document = Document.read(file)
    if isinstance(document.value, dict) and not set(EvalFile.model_fields) & set(document.value):
        holds = ", ".join(sorted(map(str, document.value))[:6]) or "nothing"
        raise document.error(
            [], f"is no format that is read: it holds {holds}; put what is asked under tasks, each with name, "
            "instruction and graders, or under scenarios, each with prompt and assertions"
        )  # fmt: skip
    content = document.parse(EvalFile)
    check_ids(document, [row.name for row in content.tasks], ["tasks"], "name")
    files = Files(document, file.parent)
    tasks = [_task(files, content.defaults, row, ["tasks", i]) for i, row in enumerate(content.tasks)]
    return Suite(file.parent.resolve().name, FORMAT, file.parent, tasks, _warnings(document), files.named)


def _warnings(document: Document) -> list[str]:
    """What the file asks for and this reader leaves to the run's configuration."""
    blocks = [document.value.get("defaults") or {}, *document.value["tasks"]]
    asked = [key for key in NOT_APPLIED if any(key in block for block in blocks)]
    models = any("model" in grader for task in document.value["tasks"] for grader in one_or_more(task["graders"]))
    warnings = []
    if asked or models:
        names = ", ".join([*asked, *(["a rubric's model"] if models else [])])
        warnings.append(f"{document.path}: not applied: {names}; models, sandbox and image stand in .skillgrad.yml")
    return warnings


def _task(files: Files, defaults: EvalDefaults, row: EvalTask, where: Where) -> Task:
    inputs: dict[str, Path] = {}
    runnable: list[str] = []
    notes: list[str] = []
    for position, placed in enumerate(row.workspace):
        at = [*where, "workspace", position]
        dest, note = _destination(files, placed, at)
        copies = files.expand(dest, placed.src, at)
        inputs |= copies
        notes += [note] if note else []
        runnable += copies if _makes_executable(placed.chmod) else executable(copies)
    graders = [
        _grader(files, grader, inputs, [*where, "graders", position]) for position, grader in enumerate(row.graders)
    ]
    return Task(
        id=row.name,
        instruction="\n\n".join([_content(files, row.instruction, [*where, "instruction"]), *notes]),
        graders=graders,
        files=inputs,
        timeout=row.timeout or defaults.timeout,
        threshold=defaults.threshold,
        trials=row.trials or defaults.trials,
        executable=runnable,
        reference=_solution(files, row.solution, [*where, "solution"]),
    )


def _destination(files: Files, placed: Placed, where: Where) -> tuple[str, str]:
    """Where a file goes in the work folder. One meant for the system goes to `bin/`, with a note to the agent."""
    dest = PurePosixPath(placed.dest)
    if dest.is_absolute() and not dest.is_relative_to(WORKSPACE):
        moved = files.work_name(f"bin/{dest.name or PurePosixPath(placed.src).name}", [*where, "dest"])
        return moved, f"(`{dest}` is at `{moved}` in your work folder.)"
    inside = dest.relative_to(WORKSPACE) if dest.is_absolute() else dest
    if placed.dest.endswith("/") or not inside.parts:
        inside = inside / ("" if (files.base / placed.src).is_dir() else PurePosixPath(placed.src).name)
    return ("" if not inside.parts else files.work_name(inside.as_posix(), [*where, "dest"])), ""


def _makes_executable(chmod: str | int | None) -> bool:
    """Whether `chmod` (+x, 755, 0755) gives a right to execute. YAML has read 0755 as a number in octal."""
    text = str(chmod or "")
    if re.fullmatch("[0-7]+", text):
        return bool(int(text, 8) & 0o111)
    return bool(int(text) & 0o111) if text.isdigit() else bool(re.search(r"[+=][rwst]*x", text))


def _content(files: Files, value: str, where: Where) -> str:
    """The content of the file that a one-line `value` names, else `value`. Raises UserError where it is blank."""
    text = line = value.strip()
    if "\n" not in line and len(line) <= 500 and (files.base / line).is_file():
        text = files.text(line, where).strip()
    if not text:
        raise files.document.error(
            where, "is blank" + (f" (the content of {line})" if line else "") + "; say something there"
        )
    return text


def _grader(files: Files, row: Deterministic | LlmRubric, inputs: dict[str, Path], where: Where) -> GraderSpec:
    if isinstance(row, LlmRubric):
        judge = JudgeOptions(rubric=_content(files, row.rubric, [*where, "rubric"]), transcript=True)
        return GraderSpec("judge", judge.model_dump(mode="json", exclude_unset=True), weight=row.weight)
    script = _script(files, row.run, [*where, "run"])
    beside = _named_folders(files, f"{row.setup}\n{row.run}\n{script}", inputs, [*where, "run"])
    command = CommandOptions(
        run=f"bash -c {shlex.quote(script)}",
        setup=f"bash -c {shlex.quote(row.setup)}" if row.setup.strip() else "",
        verdict="json",
        workspace=sorted(beside),
    )
    return GraderSpec("command", command.model_dump(mode="json", exclude_unset=True), beside, row.weight)


def _script(files: Files, run: str, where: Where) -> str:
    """`run` as a script; a file with arguments is its content with these arguments set."""
    text = _content(files, run, where)
    first, _, arguments = text.partition(" ")
    if "\n" not in text and arguments and first and (files.base / first).is_file():
        return f"set -- {arguments}\n{files.text(first, where).strip()}"
    return text


def _named_folders(files: Files, text: str, inputs: dict[str, Path], where: Where) -> dict[str, Path]:
    """Folders beside eval.yaml that a check names a file in (graders/check.sh): it runs from among them.

    The agent's own inputs are left out, or they would be laid over its result.
    """
    given = {PurePosixPath(name).parts[0] for name in inputs}
    found: dict[str, Path] = {}
    for name in re.findall(r"[\w-][\w./-]*/[\w.-]+\.\w{1,4}", text):
        top = PurePosixPath(name).parts[0]
        if top not in given and (files.base / name).exists():
            files.find(name, where)
            found[top] = files.find(top, where)
    return found


def _solution(files: Files, solution: str | None, where: Where) -> Reference | None:
    if solution is None:
        return None
    script = files.find_file(solution, where)
    return Reference({script.name: script}, command=f"bash {shlex.quote(script.name)}")

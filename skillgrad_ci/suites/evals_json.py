"""Agent Skills evals: `<skill>/evals/evals.json`, graded by a judge.

Both spellings of the statements are read: `assertions` (the Agent Skills guide) and `expectations`
(the skill-creator skill). Files are relative to the skill's folder.
"""

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import Field, model_validator

from skillgrad_ci.document import Document, Foreign, Where
from skillgrad_ci.method.grader_options import JudgeOptions
from skillgrad_ci.method.task import GraderSpec, Suite, Task, names_folder
from skillgrad_ci.suites.ids import check_ids
from skillgrad_ci.suites.paths import Files, executable
from skillgrad_ci.suites.references import reference_result, untouched_result

__all__ = ["FORMAT", "READS", "load", "recognises", "reference_result", "untouched_result"]

FORMAT = "agent-skills-evals"
READS = "evals/evals.json: Agent Skills evals"
NAME = "evals.json"
Statement = Annotated[str, Field(min_length=1)]


class Eval(Foreign):
    """One eval. `id` may be a string or an integer."""

    id: str | int | None = None
    prompt: str = Field(min_length=1)
    expected_output: str = ""
    files: list[str] = Field(default_factory=list)
    assertions: list[Statement] = Field(default_factory=list)
    expectations: list[Statement] = Field(default_factory=list)

    @model_validator(mode="after")
    def _gradable(self) -> "Eval":
        if self.assertions and self.expectations:
            raise ValueError("has assertions and expectations; these are two spellings of one field, keep one")
        if not (self.assertions or self.expectations or self.expected_output.strip()):
            raise ValueError("has nothing to grade by; give it assertions or an expected_output")
        return self


class EvalsFile(Foreign):
    skill_name: str = ""
    evals: list[Eval] = Field(min_length=1)


def file_of(path: Path) -> Path | None:
    """The `evals.json` that `path` is or holds; another JSON file by its content."""
    if path.is_dir():
        return path / NAME if (path / NAME).is_file() else None
    if path.suffix != ".json":
        return None
    value: Any = {"evals": []} if path.name == NAME else Document.read(path).value
    return path if isinstance(value, dict) and "evals" in value else None


def recognises(path: Path) -> bool:
    return file_of(path) is not None


def load(path: Path) -> Suite:
    file = file_of(path)
    assert file is not None, "load follows recognises"
    document = Document.read(file)
    content = document.parse(EvalsFile)
    skill = file.parent.parent if file.parent.resolve().name == "evals" else file.parent
    ids = [str(number if row.id is None else row.id) for number, row in enumerate(content.evals, 1)]
    check_ids(document, ids, ["evals"], "id")
    files = Files(document, skill)
    tasks = [
        _task(files, name, row, ["evals", position])
        for position, (name, row) in enumerate(zip(ids, content.evals, strict=True))
    ]
    name = content.skill_name if names_folder(content.skill_name) else skill.resolve().name
    return Suite(name, FORMAT, file.parent, tasks, named=files.named)


def _task(files: Files, name: str, row: Eval, where: Where) -> Task:
    options = JudgeOptions(
        assertions=[*row.assertions, *row.expectations], expected_output=row.expected_output, transcript=True
    )
    inputs = _inputs(files, row, [*where, "files"])
    return Task(
        id=name,
        instruction=row.prompt,
        graders=[GraderSpec("judge", options.model_dump(mode="json", exclude_unset=True))],
        files=inputs,
        executable=executable(inputs),
        expected=[row.expected_output] if row.expected_output.strip() else [],
    )


def _inputs(files: Files, row: Eval, where: Where) -> dict[str, Path]:
    """Each file where the prompt says it is, else by its base name."""
    found: dict[str, Path] = {}
    for position, source in enumerate(row.files):
        at = [*where, position]
        copies = files.expand(_place(row.prompt, PurePosixPath(source).name), source, at)
        twice = sorted(set(copies) & set(found))
        if twice:
            raise files.document.error(at, f"two files would be {twice[0]!r} in the work folder; rename one")
        found |= copies
    return found


def _place(prompt: str, name: str) -> str:
    """The relative path in `prompt` that ends with `name` (data/sales.csv), or `name` itself."""
    match = re.search(rf"(?<![\w./~-])((?:[\w-][\w.-]*/)*){re.escape(name)}(?![\w/])", prompt)
    return (match[1] if match else "") + name

"""The smallest suite: a folder of tasks, each `<id>/instruction.md` with `check.sh` or `check.py`.

`files/` holds the inputs, `reference/` the files of a result that must pass, `answer.md` its last
message. Everything else beside the check is seen by the check alone, in `../grader`.
"""

from pathlib import Path

from skillgrad_ci.document.document import Document
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.grader_options import CommandOptions
from skillgrad_ci.method.task import GraderSpec, Reference, Suite, Task
from skillgrad_ci.suites.paths import Files, executable
from skillgrad_ci.suites.references import reference_result, untouched_result

__all__ = ["FORMAT", "READS", "load", "reference_result", "suite_at", "untouched_result"]

FORMAT = "folder"
READS = "<id>/instruction.md with check.sh or check.py: one folder a task"
INSTRUCTION = "instruction.md"
HARBOR = "task.toml"  # beside an instruction: a task in Harbor's form
CHECKS = {"check.sh": "bash ../grader/check.sh", "check.py": "python3 ../grader/check.py"}
NOT_THE_CHECKS = {INSTRUCTION, "answer.md", "files", "reference", "__pycache__", ".DS_Store"}


def suite_at(path: Path) -> Path | None:
    files = path.glob(f"*/{INSTRUCTION}") if path.is_dir() else ()
    return path if any(not (file.parent / HARBOR).exists() for file in files) else None


def load(path: Path) -> Suite:
    folders = sorted(file.parent for file in path.glob(f"*/{INSTRUCTION}"))
    left_out = [
        folder.name
        for folder in sorted(path.iterdir())
        if folder not in folders and any((folder / check).is_file() for check in CHECKS)
    ]
    warnings = [f"{path / name}: a check without {INSTRUCTION}; it is no task" for name in left_out]
    return Suite(path.resolve().name, FORMAT, path, [_task(path, folder) for folder in folders], warnings, folders)


def _task(suite: Path, folder: Path) -> Task:
    file = folder / INSTRUCTION
    files = Files(Document(file, "", None), suite)
    instruction = files.text(f"{folder.name}/{INSTRUCTION}", ()).strip()
    if not instruction:
        raise UserError(f"{file}:1: the instruction is empty; say what the agent is to do")
    checks = [name for name in CHECKS if (folder / name).is_file()]
    if len(checks) != 1:
        seen = "both" if checks else "none"
        raise UserError(f"{folder}: a task needs one of {' and '.join(CHECKS)}; it has {seen}")
    beside = {
        item.name: files.find(f"{folder.name}/{item.name}", ())
        for item in sorted(folder.iterdir())
        if item.name not in NOT_THE_CHECKS
    }
    options = CommandOptions(run=CHECKS[checks[0]]).model_dump(exclude_unset=True)
    inputs = _tree(files, folder / "files")
    return Task(
        id=folder.name,
        instruction=instruction,
        graders=[GraderSpec("command", options, beside)],
        files=inputs,
        executable=executable(inputs),
        reference=_reference(files, folder),
    )


def _tree(files: Files, folder: Path) -> dict[str, Path]:
    return files.expand("", f"{folder.parent.name}/{folder.name}", ()) if folder.is_dir() else {}


def _reference(files: Files, folder: Path) -> Reference | None:
    answer = folder / "answer.md"
    if not answer.is_file() and not (folder / "reference").is_dir():
        return None
    text = files.text(f"{folder.name}/answer.md", ()).strip() if answer.is_file() else ""
    return Reference(_tree(files, folder / "reference"), text)

"""Results that no agent made: a task's reference, which must pass, and its untouched inputs."""

import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from skillgrad_ci.method.ports import Result
from skillgrad_ci.method.task import Task


def lay(files: Mapping[str, Path], work: Path, executable: Collection[str] = ()) -> None:
    """Copy `{relative path: source}` into `work`, writable, and executable where it is said."""
    for name, source in files.items():
        target = work / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        if name in executable:
            target.chmod(0o755)


def reference_result(task: Task, work: Path) -> Result | None:
    """Lay the task's reference into `work` (an empty folder), over its inputs. None: it has none."""
    if task.reference is None:
        return None
    lay(task.files, work, task.executable)
    lay(task.reference.files, work)
    return Result(work, task.reference.answer)


def untouched_result(task: Task, work: Path) -> Result | None:
    """What an agent leaves that did nothing; an untouched workbook stands for the one it should write."""
    lay(task.files, work, task.executable)
    for case, source, _ in workbooks(task):
        if not (work / case["output"]).exists():
            lay({case["output"]: source}, work)
    return Result(work)


def workbooks(task: Task) -> Iterator[tuple[Mapping[str, str], Path, Path]]:
    """Each case of the task's `xlsx` graders whose input is known: the case, its input and its golden."""
    inputs = [name for name in task.files if name.endswith((".xlsx", ".xlsm"))]
    for spec in task.graders:
        for case in spec.options["cases"] if spec.kind == "xlsx" else ():
            name = case.get("input") or (inputs[0] if len(inputs) == 1 else "")
            if name in task.files:
                yield case, task.files[name], spec.references[case["golden"]]

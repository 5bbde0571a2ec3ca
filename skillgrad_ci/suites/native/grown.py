"""Tasks that were proposed for a suite: `grown.yaml` beside it, in the native format whatever the suite's own is.

They belong to the suite as its own tasks do. Those that still bear the mark `unreviewed` teach and claim nothing.
"""

from dataclasses import replace
from pathlib import Path

from skillgrad_ci.errors import UserError
from skillgrad_ci.method.task import Suite

GROWN = "grown.yaml"  # the tasks; what they need lies in the folder `grown` beside it
FOLDER = "grown"


def folder_beside(suite: Suite) -> Path:
    """The folder that a suite's grown tasks lie in."""
    return suite.root if suite.root.is_dir() else suite.root.parent


def with_grown(suite: Suite) -> Suite:
    """The suite with the tasks that were proposed for it. Raises UserError for a file that cannot be read."""
    path = folder_beside(suite) / GROWN
    if not path.is_file():
        return suite
    from skillgrad_ci.suites.native import tasks_file  # late: it takes pydantic along

    grown = tasks_file.load(path)
    known = {task.id for task in suite.tasks}
    twice = next((task.id for task in grown.tasks if task.id in known), None)
    if twice is not None:
        raise UserError(f"{path}: the id {twice!r} is one of the suite's own; rename the task here")
    tasks = [*suite.tasks, *(replace(task, format=tasks_file.FORMAT) for task in grown.tasks)]
    named = {*suite.named, *grown.named, path.parent / FOLDER} if suite.named else ()  # (): its whole folder
    return replace(suite, tasks=tasks, warnings=[*suite.warnings, *grown.warnings], named=named)

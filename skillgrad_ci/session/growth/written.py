"""Grown tasks on disk: `grown.yaml` beside the suite, never half-written, a person's edits in it kept as they are."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from skillgrad_ci.document import Document
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.task import Task
from skillgrad_ci.session.growth.making import MadeTask
from skillgrad_ci.skill.folder import write_atomically
from skillgrad_ci.suites.native import tasks_file
from skillgrad_ci.suites.native.grown import GROWN

HEADER = """\
# Tasks that a model proposed for this suite, each with where it came from. They were tested: the right result passes,
# and an agent that does nothing fails. No person has read them: while a task says `unreviewed: true` it may teach,
# and no figure counts it. Read a task, correct it, and delete that line; or delete the task.
version: 1
tasks:
"""


@contextmanager
def on_trial(made: MadeTask) -> Iterator[Task]:
    """The task, read in a folder of its own as it would be read in the suite. Raises UserError if it is not one."""
    with tempfile.TemporaryDirectory(prefix="skillgrad-", ignore_cleanup_errors=True) as name:
        root = Path(name).resolve()
        _lay(root, made)
        (root / GROWN).write_text(HEADER + rows_of([made]), encoding="utf-8")
        try:
            suite = tasks_file.load(root / GROWN)
        except UserError as problem:
            raise UserError(str(problem).replace(f"{root}/", "")) from None
        yield suite.tasks[0]


def rows_of(made: Sequence[MadeTask]) -> str:
    """The rows as YAML: the entries of a block list, from column 0."""
    rows = [dict(one.row) for one in made]
    text = yaml.safe_dump(rows, sort_keys=False, allow_unicode=True, width=110)
    if yaml.safe_load(text) == rows:
        return text
    return yaml.safe_dump(rows, sort_keys=False, width=110)  # a line end of Unicode is lost unless it is escaped


def add_tasks(root: Path, made: Sequence[MadeTask]) -> Path:
    """Put tasks into the suite: first the files that they name, then all rows at once behind what is there.

    Raises UserError where the file that is there cannot be added to.
    """
    path = root / GROWN
    for one in made:
        _lay(root, one)
    before = path.read_text("utf-8") if path.is_file() else HEADER
    text = f"{before.rstrip()}\n{rows_of(made)}"
    _refuse_misread(path, before, text, made)
    write_atomically(path, text.encode())
    return path


def _lay(root: Path, made: MadeTask) -> None:
    for name, content in made.files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(root / name, content)


def _refuse_misread(path: Path, before: str, text: str, made: Sequence[MadeTask]) -> None:
    """What is written must read as what was there with the new rows behind it, whatever a person did to the file."""
    try:
        known = list(yaml.safe_load(before).get("tasks") or [])
        whole = yaml.safe_load(text)["tasks"] == [*known, *(dict(one.row) for one in made)]
    except (yaml.YAMLError, AttributeError, KeyError, TypeError):
        whole = False
    if not whole:
        raise UserError(f"{path}: nothing can be added here; let it end with `tasks:`, its entries at column 0")


def count_waiting(root: Path) -> int:
    """How many grown tasks wait for a person. Raises UserError for a file that cannot be read."""
    path = root / GROWN
    if not path.is_file():
        return 0
    value = Document.read(path).value
    rows = value.get("tasks") if isinstance(value, dict) else None
    return sum(isinstance(row, dict) and row.get("unreviewed") is True for row in rows or [])

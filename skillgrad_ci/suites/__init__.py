"""Suites that people already have, recognised by their content and read in place.

`native/` is our own format. Others' are `evals_json.py`, `eval_yaml.py`, `scenarios.py`, `promptfoo.py`, `harbor.py`,
`terminal_bench.py`, `folder.py`, `triggers.py`, `spreadsheetbench.py` and `wikitablequestions.py`; `foreign.py` is what
several of them have in common, and `unread.py` what is told of those that are not read. `ids.py` checks tasks' names,
`paths.py` finds files, `kept_out.py` says which of them no agent may see. `references.py` makes the results that must
pass, `goldens.py` the answers that no skill may learn by heart.
"""

import importlib
from pathlib import Path
from typing import Protocol, cast

from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.method.ports import Result, Sandbox, Workspace
from skillgrad_ci.method.task import Suite, Task
from skillgrad_ci.suites.native.grown import GROWN, with_grown
from skillgrad_ci.suites.unread import hint

# One module each, imported when a suite is read.
FORMATS = (
    "native.tasks_file",
    "evals_json",
    "eval_yaml",
    "spreadsheetbench",
    "wikitablequestions",
    "harbor",
    "terminal_bench",
    "scenarios",
    "promptfoo",
    "triggers",
    "folder",
)


class SuiteReader(Protocol):
    """What a format's module offers.

    `suite_at` says which file or folder is the suite that a path names; None where that is not of this format. `load`
    reads it, and raises UserError with file, line and field.
    The two results lay files into an empty folder: one that must pass (None: the suite has none),
    and what an agent leaves that did nothing, which should fail.
    """

    FORMAT: str
    READS: str  # what it reads, for a person who named something else

    def suite_at(self, path: Path, /) -> Path | None: ...

    def load(self, found: Path, /) -> Suite: ...

    def reference_result(self, task: Task, work: Path, /) -> Result | None: ...

    def untouched_result(self, task: Task, work: Path, /) -> Result | None: ...


def readers() -> list[SuiteReader]:
    return [cast(SuiteReader, importlib.import_module(f"{__name__}.{name}")) for name in FORMATS]


def recognise(path: Path) -> tuple[SuiteReader, Path]:
    """The one format that `path` is in, and what its reader loads. Raises UserError for none or several."""
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; name a suite")
    found = [(reader, place) for reader in readers() if (place := reader.suite_at(path))]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(reader.READS for reader, _ in found)
        raise UserError(f"{path}: this could be several suites ({names}); name the file instead of the folder")
    if advice := hint(path):
        raise UserError(f"{path}: no suite is recognised here: {advice}")
    reads = "; ".join(reader.READS for reader in readers())
    raise UserError(f"{path}: no suite is recognised here; read are {reads}. Seen: {_seen(path)}")


def is_suite(path: Path) -> bool:
    """Whether some format is recognised at `path`, as `load_suite` looks for it."""
    return _recognised(_looked_at(path))


def load_suite(path: Path) -> Suite:
    """Read the suite at `path`. Where a skill's own folder is named, its `evals/` counts too."""
    path = _looked_at(path)
    reader, found = recognise(path)
    suite = reader.load(found)
    if path.name != GROWN:
        suite = with_grown(suite)
    refuse_case_twins(suite)
    return suite


def _looked_at(path: Path) -> Path:
    """`path`, the `evals/` in it, or there the tasks that a suite began with."""
    if _recognised(path):
        return path
    inside = path / "evals" if (path / "evals").is_dir() else path
    begun = inside / GROWN
    return begun if begun.is_file() and not _recognised(inside) else inside


def _recognised(path: Path) -> bool:
    return any(reader.suite_at(path) for reader in readers())


def refuse_case_twins(suite: Suite) -> None:
    """An id is a folder: on many disks two that differ in case alone are one. Raises UserError that names them."""
    seen: dict[str, str] = {}
    for task in suite.tasks:
        twin = seen.setdefault(task.id.casefold(), task.id)
        if twin != task.id:
            raise UserError(f"{suite.root}: the ids {twin!r} and {task.id!r} differ in case alone; rename one")


def reference_result(suite: Suite, task: Task, work: Path, sandbox: Sandbox | None) -> Result | None:
    """A result of `task` that must pass, made in `work`; None where the suite has none.

    A reference's command runs in `sandbox`, which may be None where the task has no such command.
    Raises UserError when it fails: the suite is wrong then.
    """
    result = _reader(suite, task).reference_result(task, work)
    if result is None or task.reference is None or not task.reference.command:
        return result
    assert sandbox is not None, "a reference's command needs a sandbox"
    place = Workspace(work, task.reference.beside, environment=task.environment, fresh=True)
    with sandbox.open(place, network=task.network) as session:
        done = session.run(task.reference.command, timeout=task.timeout)
    if done.timed_out:
        raise EnvironmentFailure(
            f"{task.id}: the reference's command took longer than {task.timeout:g} s; mend it, or raise the timeout"
        )
    if done.exit_code != 0:
        tail = done.output.strip()[-200:] or "no output"
        raise UserError(
            f"{suite.root}: task {task.id!r}: the reference's command failed ({done.exit_code}); mend it. Said: {tail}"
        )
    return result


def untouched_result(suite: Suite, task: Task, work: Path) -> Result | None:
    """What an agent leaves that did nothing: a task that passes so cannot teach."""
    return _reader(suite, task).untouched_result(task, work)


def _reader(suite: Suite, task: Task) -> SuiteReader:
    return next(reader for reader in readers() if (task.format or suite.format) == reader.FORMAT)


def _seen(path: Path) -> str:
    """The first names in a folder, or what a file starts with."""
    if path.is_dir():
        names = sorted(item.name + ("/" if item.is_dir() else "") for item in path.iterdir())
        return ", ".join(names[:8] + (["…"] if len(names) > 8 else [])) or "an empty folder"
    with path.open("rb") as file:
        start = file.read(60)
    return f"a file that starts with {start.decode('utf-8', 'replace')!r}"

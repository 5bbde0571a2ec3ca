"""What of a skill's folder belongs to its suites: no agent may see it, and it is not part of the skill.

Decided by what suites name, wherever they lie: those that a run measures by, and any other that can be
recognised beside `SKILL.md` or in a folder of the skill.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from skillgrad_ci.errors import UserError
from skillgrad_ci.method.task import Suite
from skillgrad_ci.skill.membership import EVALS, MAIN, Membership
from skillgrad_ci.skill.pointers import FOLDERS, mentions
from skillgrad_ci.suites import readers

BESIDE = ("split.json", "rehearsal.yaml", "grown.yaml", "grown")  # what this program keeps beside a suite
MAX_BYTES = 1_000_000  # of a file that is looked into for a suite


def kept_out(skill: Path, suites: Sequence[Suite] = ()) -> frozenset[Path]:
    """Real paths of the files and folders in `skill` that are its suites'.

    Raises UserError where the skill would not be itself without them: its `SKILL.md` points to a grader.
    """
    top = skill.resolve()
    text = _main_text(top)
    out: set[Path] = set()
    for suite in [*suites, *_beside(top)]:
        out |= _of(suite, top, text)
    return frozenset(out)


def _of(suite: Suite, top: Path, text: str) -> set[Path]:
    """What one suite keeps out of the skill at `top`, whose `SKILL.md` says `text`."""
    out: set[Path] = set()
    root = suite.root.resolve()
    if root.is_relative_to(top) and root != top:
        out |= _widened(root, top, text)
    inputs = {source.resolve() for task in suite.tasks for source in task.files.values()}
    secrets = {path.resolve() for path in [*suite.named, *(suite.root / name for name in BESIDE)]} - inputs
    for path in secrets:
        if not path.is_relative_to(top) or path == top / MAIN or not path.exists():
            continue
        if path == top or (path.parent == top and path.name in FOLDERS):
            continue  # a folder of the skill that a check also sees; what it names there follows by itself
        _refuse_pointed_to(suite, path, top, text)
        out |= _widened(path, top, text)
    return out | {path for path in inputs if path.is_relative_to(top) and not _is_the_skills(path, top, text)}


def _widened(path: Path, top: Path, text: str) -> set[Path]:
    """`path`, or the whole folder of the skill that it lies in, where the skill does not speak of that folder."""
    first = path.relative_to(top).parts[0]
    folder = top / first
    if folder == path or first in FOLDERS or f"{first}/" in text:
        return {path}
    return {folder}


def _refuse_pointed_to(suite: Suite, path: Path, top: Path, text: str) -> None:
    name = path.relative_to(top).as_posix()
    if path.is_file() and name.split("/")[0] in FOLDERS and mentions(text, name):
        raise UserError(
            f"{suite.root}: {name} grades the skill, and {MAIN} points to it: an agent would read its grader; "
            "give the suite a copy of its own, outside the skill"
        )


def _is_the_skills(path: Path, top: Path, text: str) -> bool:
    """Whether a task's input is also a file of the skill: one that `SKILL.md` names."""
    return mentions(text, path.relative_to(top).as_posix())


def _main_text(top: Path) -> str:
    try:
        return (top / MAIN).read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _beside(top: Path) -> Iterator[Suite]:
    """Suites that lie in the skill's folder or one below it; one that cannot be read keeps nothing out."""
    member = Membership(top)
    places = [top]
    for item in sorted(top.iterdir()) if top.is_dir() else []:
        if item.is_symlink() or item.name in FOLDERS or item.name == EVALS:
            continue
        is_text = item.suffix in {".json", ".yaml", ".yml"} and item.is_file() and item.stat().st_size <= MAX_BYTES
        if is_text or (item.is_dir() and not item.name.startswith(".") and member.enters(item)):
            places.append(item)
    for place in places:
        for reader in readers():
            try:
                if found := reader.suite_at(place):
                    yield reader.load(found)
            except UserError:
                continue

"""Whether a proposed task says again what one of the suite says: in its instruction and in what is right for it.

Two tasks of one wording whose answers differ are two tasks: another question, or other inputs. Two that also have the
same answer, or the same inputs and no fixed answer, measure one thing twice. So do two with the same words in another
order, where the answer is fixed and the same: with no fixed answer, `from A to B` may well differ from `from B to A`.
"""

import hashlib
import io
import re
import struct
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from difflib import SequenceMatcher
from pathlib import Path

from skillgrad_ci.method.task import Task

ALIKE = 0.8  # share of the words of two instructions that are in both, in one order
REORDERED = 0.9  # the same share in any order
_WORD = re.compile(r"\w+")


def near_duplicate(task: Task, others: Iterable[Task]) -> str:
    """The id of a task that `task` repeats; '' where there is none."""
    return next((other.id for other in others if _repeats(task, other)), "")


def alike(first: str, second: str) -> float:
    """How far two texts agree, from 0 to 1: twice the words in common over all words, whatever their case."""
    one, two = _words(first), _words(second)
    return SequenceMatcher(None, one, two, autojunk=False).ratio()


def _words(text: str) -> list[str]:
    """The words, folded. Signs that nobody sees (a zero-width space, a soft hyphen) part none."""
    seen = "".join(sign for sign in text if unicodedata.category(sign) != "Cf")
    return _WORD.findall(unicodedata.normalize("NFKC", seen).casefold())


def _reordered(first: str, second: str) -> float:
    """As `alike`, in whatever order the words stand."""
    one, two = Counter(_words(first)), Counter(_words(second))
    return 2 * (one & two).total() / max(1, one.total() + two.total())


def _repeats(task: Task, other: Task) -> bool:
    right, known = _right(task), _right(other)
    if alike(task.instruction, other.instruction) < ALIKE:
        return bool(right) and right == known and _reordered(task.instruction, other.instruction) >= REORDERED
    same_inputs = _contents(task.files.values()) == _contents(other.files.values())
    if same_inputs and _words(task.instruction) == _words(other.instruction):
        return True
    return right == known if right and known else same_inputs


def _right(task: Task) -> frozenset[str]:
    """What is right for a task, as far as it is fixed: expected answers and the contents of right files.

    A statement that a judge reads fixes nothing.
    """
    if any(spec.kind in ("judge", "trigger") for spec in task.graders):
        return frozenset()
    goldens = [path for spec in task.graders if spec.kind in ("xlsx", "csv") for path in spec.references.values()]
    given = task.reference
    right = goldens or list(given.files.values() if given else ())
    answer = [f"answer {' '.join(_words(given.answer))}"] if given and given.answer and not goldens else []
    return frozenset([*answer, *_contents(right)])


def _contents(paths: Iterable[Path]) -> frozenset[str]:
    return frozenset(_content(path) for path in paths)


def _content(path: Path) -> str:
    """A file's content by digest. Of a workbook or a document its parts count, not when and by whom it was saved."""
    data = path.read_bytes() if path.is_file() else b""
    no_archive = (zipfile.BadZipFile, struct.error, NotImplementedError, ValueError)  # or a damaged one
    with suppress(*no_archive), zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(item.filename, item.CRC) for item in archive.infolist() if "docProps" not in item.filename]
        return f"archive {sorted(members)}"
    return hashlib.sha256(data).hexdigest()

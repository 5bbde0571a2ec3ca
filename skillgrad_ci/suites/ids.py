"""What identifies tasks, checked where it is in a suite's file."""

from collections.abc import Sequence

from skillgrad_ci.document.document import Document, Where
from skillgrad_ci.method.task import names_folder


def check_ids(document: Document, ids: Sequence[str], where: Where, field: str) -> None:
    """Task ids are unique and name folders. Raises UserError at the first that does not."""
    for position, name in enumerate(ids):
        if not names_folder(name):
            problem = f"{name[:60]!r} cannot name a folder; use letters, digits, - and _ (at most 122)"
            raise document.error([*where, position, field], problem)
    refuse_repeats(document, ids, where, field)


def refuse_repeats(document: Document, ids: Sequence[str], where: Where, field: str) -> None:
    """What identifies tasks is unique. Raises UserError at the second of two equal ones."""
    first: dict[str, int] = {}
    for position, name in enumerate(ids):
        if name in first:
            line = document.line([*where, first[name], field])
            raise document.error(
                [*where, position, field], f"{name!r} stands in line {line} already; ids are unique, so rename one"
            )
        first[name] = position

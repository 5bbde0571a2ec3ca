"""The pull request's rows, one for each edit: what it says, where it stands, which tasks taught it.

Edits of which nothing is left, because later ones replaced it, stand apart with those that were refused.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from skillgrad_ci.bot.pull_request.branch import lines_of, steps
from skillgrad_ci.document.inert_text import code, shown
from skillgrad_ci.report.document import EditFacts, IterationFacts, Report
from skillgrad_ci.skill.edit import Edit
from skillgrad_ci.skill.skill import Skill

LAYERS = {"H": "description", "B": "body", "Q": "resource"}


@dataclass(frozen=True)
class Row:
    """One edit that is in the branch, as the reader meets it."""

    edit: EditFacts
    link: str
    says: str
    place: str
    tasks: str


def edit_rows(
    report: Report, dropped: Container[str], replaced: Container[str], commits: Mapping[str, str]
) -> tuple[list[Row], list[tuple[EditFacts, str, str]]]:
    """The edits whose words are in the branch, and the others: each with its outcome, and why.

    `dropped` and `replaced` are ids of edits; `commits` are the addresses of the edits' commits by edit id.
    """
    standing, others = [], []
    for step in report.iterations:
        for edit in step.edits:
            if edit.id in dropped:
                continue
            if edit.status != "accepted":
                others.append((edit, edit.status, edit.reason))
            elif edit.id in replaced:
                others.append((edit, "superseded", "later edits replaced what it said"))
            else:
                standing.append(_row(report, step, edit, commits.get(edit.id)))
    return standing, others


def superseded(initial: Skill, edits: Sequence[Edit]) -> set[str]:
    """The edits of whose lines nothing is left in the end."""
    replayed = list(steps(initial, edits))
    final = replayed[-1][2] if replayed else initial
    counted_ = ((edit.id, lines_of(before, after, final)) for edit, before, after in replayed)
    return {name for name, (kept, wanted) in counted_ if wanted and not kept}


def _row(report: Report, step: IterationFacts, edit: EditFacts, address: str | None) -> Row:
    """`fixed` are tasks that taught the edit and passed afterwards, in a later batch or at the end."""
    later = {task for other in report.iterations if other.number > step.number for task in other.contrastive}
    later |= {task.id for task in report.tasks if task.final is not None and task.final > (task.baseline or 0)}
    fixed = [task for task in edit.tasks if task in later]
    lead = "fixed " if fixed else "learned from " if edit.tasks else ""
    return Row(
        edit=edit,
        link=f"[{edit.id}]({address})" if address else edit.id,
        says=_says(edit),
        place=_place(edit, list(takewhile(lambda other: other.id != edit.id, report.accepted))),
        tasks=lead + (_few(fixed or edit.tasks) or shown(edit.taught_in, 200) or "—"),
    )


def _place(edit: EditFacts, earlier: Sequence[EditFacts]) -> str:
    """The layer, or the resource; and what an edit replaces, or under which heading it is.

    Words of an `earlier` edit of the same run are in no diff, so that edit is named in their place.
    """
    where = code(edit.file, 80) if edit.layer == "Q" else LAYERS[edit.layer]
    address = code(edit.address.lstrip("#- "), 70)
    heading = code(edit.under, 70) or (address if edit.target == "heading" else "")
    if edit.target == "text" and edit.op == "replace":
        author = next((other.id for other in reversed(earlier) if edit.address.strip() in other.content), "")
        return f"{where}, instead of {f'what {author} said' if author else address}"
    return f"{where}, under {heading}" if heading else where


def _says(edit: EditFacts) -> str:
    """The sentence that an edit adds: its first line that is no heading, without a list's mark, and how many follow."""
    if edit.op == "delete":
        return f"(removed) {edit.address or edit.file}"
    lines = [line.strip() for line in edit.content.splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("#", "```", "---"))] or lines[:1] or [""]
    more = f" (and {len(told) - 1} more line{'s' if len(told) > 2 else ''})" if len(told) > 1 else ""
    return told[0].removeprefix("- ").removeprefix("* ") + more


def _few(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(code(name, 40) for name in names[:4]) + more

"""The table of tasks: each task's outcomes under both skills, its prompt, and what its grader said, cut to bounds."""

from collections.abc import Iterable, Mapping, Sequence

from skillgrad_ci.method.acceptance import pass_rates
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.run import Run
from skillgrad_ci.report.document import TaskFacts

TEXT_BOUND = 2_000  # characters of a prompt, and of what a grader said before or after
FEEDBACK_BOUND = 300  # characters of a grader's feedback in the table of tasks


def task_rows(run: Run, split_of: Mapping[str, str]) -> Iterable[TaskFacts]:
    """A row for each task of the suite, in its order; `split_of` maps a task id to its split."""
    before, after = pass_rates(run.baseline), pass_rates(run.measured)
    feedback = {row.task_id: row.feedback for row in [*run.baseline, *run.measured] if not row.passed}
    sides = [_by_task(run.baseline), _by_task(run.measured)]
    for task in run.suite.tasks:
        old, new = before.get(task.id), after.get(task.id)
        said = "" if new == 1 else feedback.get(task.id, "")
        yield TaskFacts(
            id=task.id,
            split=split_of[task.id],
            baseline=None if old is None else float(old),
            final=None if new is None else float(new),
            feedback=_cut(said, FEEDBACK_BOUND),
            prompt=_cut(task.instruction, TEXT_BOUND),
            scores=(_score(sides[0].get(task.id, ())), _score(sides[1].get(task.id, ()))),
            said=(_said(sides[0].get(task.id, ())), _said(sides[1].get(task.id, ()))),
        )


def _by_task(evidence: Sequence[Evidence]) -> dict[str, list[Evidence]]:
    rows: dict[str, list[Evidence]] = {}
    for row in evidence:
        rows.setdefault(row.task_id, []).append(row)
    return rows


def _score(rows: Sequence[Evidence]) -> float | None:
    scores = [row.score for row in rows if row.measured]
    return sum(scores) / len(scores) if scores else None


def _said(rows: Sequence[Evidence]) -> str:
    return _cut(next((row.feedback for row in rows if row.measured), ""), TEXT_BOUND)


def _cut(text: str, bound: int) -> str:
    return text[:bound] + ("…" if len(text) > bound else "")

"""Graders, and how several of them make one verdict. Imported light: each adapter loads what it needs.

`grade` below is where a result becomes a verdict. `text.py` (with `number_in_text.py` and `json_in_text.py`), `csv.py`
and `table.py` (with `row_matching.py`) and `xlsx/` compare with what is right. `command.py` runs a check, and what it
asks to run beside it (`guest.py`); `reward.py` runs a task's own tests. `judge.py` asks a model about what
`judge_exhibit.py` shows, `preference.py` which of two results is better. `trigger.py` looks at what was activated.
`result_files.py` opens what agents left.
"""

from collections.abc import Mapping

from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.ports import Grader, Result
from skillgrad_ci.method.task import GraderSpec, Task

SLACK = 1e-9  # weights like 0.7 and 0.3 do not add up exactly


def grade(task: Task, result: Result, graders: Mapping[str, Grader]) -> Grade:
    """One verdict: Σ weight × score / Σ weight against the task's threshold.

    A part that could not be measured leaves the whole unmeasured: half a signal would teach wrongly.
    """
    parts = [_part(spec, task, result, graders) for spec in task.graders]
    version = "; ".join(dict.fromkeys(part.version for part in parts if part.version))
    missing = [part.feedback for part in parts if part.outcome is Outcome.UNMEASURED]
    if missing:
        return Grade(Outcome.UNMEASURED, 0.0, "; ".join(missing), version)
    weights = [spec.weight for spec in task.graders]
    total = sum(weights)
    if total <= 0:
        raise UserError(f"task {task.id!r}: the weights of its graders add up to {total:g}; at least one must count")
    score = sum(weight * part.score for weight, part in zip(weights, parts, strict=True)) / total
    passed = score >= task.threshold - SLACK
    if len(parts) == 1:
        feedback = parts[0].feedback
    else:
        lines = [
            f"{spec.kind} (weight {spec.weight:g}): {part.score:.2f}{': ' if part.feedback else ''}{part.feedback}"
            for spec, part in zip(task.graders, parts, strict=True)
        ]
        feedback = "\n".join([f"score {score:.2f}, passes from {task.threshold:.2f}", *lines])
    return Grade(Outcome.PASSED if passed else Outcome.FAILED, min(score, 1.0), feedback, version)


def _part(spec: GraderSpec, task: Task, result: Result, graders: Mapping[str, Grader]) -> Grade:
    grader = graders.get(spec.kind)
    if grader is None:
        raise UserError(
            f"task {task.id!r}: no grader of kind {spec.kind!r} here; there are {', '.join(sorted(graders))}"
        )
    try:
        part = grader.grade(spec, task, result)
    except EnvironmentFailure as failure:
        return Grade(Outcome.UNMEASURED, 0.0, str(failure), grader.identity)
    return part if part.version else Grade(part.outcome, part.score, part.feedback, grader.identity)

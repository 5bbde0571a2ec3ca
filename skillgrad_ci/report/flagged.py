"""What a reviewer is told of added lines: which of them to look at by hand, and why.

`skill/review_flags.py` finds commands and addresses, `method/leaks/` what comes near a grader, or may win on these
tasks alone.
"""

from collections.abc import Iterable

from skillgrad_ci.method.leaks import gaming, leaks
from skillgrad_ci.method.run import Run
from skillgrad_ci.method.task import Split
from skillgrad_ci.report.document import Report
from skillgrad_ci.skill.review_flags import Flag, flags

NEAR = "comes near a grader"  # a flag's kind


def flagged(run: Run) -> Iterable[Flag]:
    """Added lines to look at: commands and addresses, what may win on these tasks alone, what comes near a grader."""
    yield from flags(run.initial, run.candidate)
    yield from gaming.gaming(run.initial, run.candidate, run.suite.of(Split.TRAIN))
    yield from _near_graders(run)


def _near_graders(run: Run) -> Iterable[Flag]:
    """Added lines that come near a training task's grader; those that repeat one were refused."""
    for item in leaks(run.initial, run.candidate, run.suite.of(Split.TRAIN)):
        text = run.candidate.read(item.file).split("\n")[item.line - 1]
        yield Flag(kind=NEAR, file=item.file, line=item.line, text=text.strip())


def on_graders(report: Report) -> Iterable[str]:
    """What a reviewer may rely on: no edit that repeats a grader was taken; and what they must judge themselves."""
    if not report.accepted:
        return
    near = sum(flag.kind == NEAR for flag in report.flags)
    lines = f"{near} added line{'s come' if near > 1 else ' comes'} near"
    yield (
        f"{lines} a training task's grader: look at them by hand."
        if near
        else "No added line repeats a training task's grader, or comes near one."
    )
    taught = [flag for flag in report.flags if flag.kind in gaming.KINDS]
    if taught:
        number, found = len({(flag.file, flag.line) for flag in taught}), {flag.kind for flag in taught}
        kinds = ", ".join(kind for kind in gaming.KINDS if kind in found)
        lines = f"{number} added line{'s' if number > 1 else ''} may teach the test and not the work"
        yield f"{lines} ({kinds}): look at them by hand."

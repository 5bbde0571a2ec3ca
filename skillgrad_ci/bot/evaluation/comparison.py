"""Accuracy of base and head side by side: the comment of an evaluation, and its check's title."""

from collections.abc import Sequence

from skillgrad_ci.bot.pull_request.page import TESTS
from skillgrad_ci.document.inert_text import code
from skillgrad_ci.github.body import BodyPart, compose
from skillgrad_ci.method.acceptance.clock import incomparable
from skillgrad_ci.method.evidence import Accuracy, Evidence
from skillgrad_ci.method.task import Split
from skillgrad_ci.report.headline import percent, points
from skillgrad_ci.report.statistics import Delta, paired
from skillgrad_ci.session.inputs import Inputs
from skillgrad_ci.session.split import assign
from skillgrad_ci.skill.skill import Skill


def verdict(accuracy: Accuracy, threshold: float | None, clock: str = "") -> tuple[str, str]:
    """A check's conclusion and title. What could not be measured, or a clock ended, neither passes nor fails."""
    if accuracy.value is None:
        return "neutral", "nothing could be measured"
    if clock:
        return "neutral", f"unmeasured: {clock}"
    shown = f"{percent(accuracy.value)} of {accuracy.measured} executions passed"
    if threshold is None:
        return "neutral", shown
    passed = accuracy.value >= threshold
    return ("success" if passed else "failure"), f"{shown}; {percent(threshold)} is asked"


def comparison_text(
    inputs: Inputs, head: Skill, before: Sequence[Evidence], after: Sequence[Evidence], offered: str = ""
) -> str:
    """Accuracy of base and head, how sure the change is, which tasks changed; `offered` is Markdown of ours."""
    delta = paired(before, after, inputs.job.settings.decide_by)
    sides = [("base", inputs.skill, Accuracy.of(before)), ("head", head, Accuracy.of(after))]
    table = [
        f"### Skill {code(inputs.job.name)}",
        "",
        "| | accuracy | passed | unmeasured | at a time limit | skill |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {side} | {percent(a.value)} | {a.passed}/{a.measured} | {a.unmeasured} | {a.timed_out} "
            f"| `{skill.digest[:12]}` |"
            for side, skill, a in sides
        ),
    ]
    sections = [BodyPart("\n".join(table), essential=True)]
    sections += [BodyPart(_change(delta, incomparable(before, after)), essential=True)]
    if apart := _apart(inputs, before, after):
        sections.append(BodyPart(apart, essential=True))
    if offered:
        sections.append(BodyPart(offered, essential=True))
    if delta is not None:
        sections.append(BodyPart("**Broken**\n", [f"- {code(task, 60)}" for task in delta.broken]))
        sections.append(BodyPart("**Fixed**\n", [f"- {code(task, 60)}" for task in delta.fixed]))
    sections.append(BodyPart(_measured_on(inputs), essential=True))
    return compose(sections, 60_000)


def _measured_on(inputs: Inputs) -> str:
    """Which tasks were measured: those that a model proposed and no person has read claim nothing."""
    tasks, unreviewed = len(inputs.suite.tasks), len(inputs.suite.unreviewed)
    what = f"all {tasks} tasks"
    if unreviewed:
        what = f"{tasks - unreviewed} of {tasks} tasks (the other {unreviewed} are not reviewed, and measure nothing)"
    return f"Measured on {what} of the suite on the base branch, with this repository's configuration there."


def _apart(inputs: Inputs, before: Sequence[Evidence], after: Sequence[Evidence]) -> str:
    """By split: the skill may have learned from the training tasks, from the others it has not."""
    splits = assign(inputs.suite.tasks, None, inputs.recorded, inputs.job.settings.seed).splits
    rows = []
    for split in (Split.HELDOUT, Split.VALIDATION, Split.TRAIN):
        sides = [Accuracy.of([row for row in rows_ if splits.get(row.task_id) is split]) for rows_ in (before, after)]
        if any(side.measured for side in sides):
            cells = [f"{percent(side.value)} ({side.passed}/{side.measured})" for side in sides]
            rows.append(f"| {split} | {cells[0]} | {cells[1]} |")
    head = "| tasks | base | head |\n| --- | --- | --- |\n"
    return f"{head}{chr(10).join(rows)}" if len(rows) > 1 else ""


def _change(delta: Delta | None, clock: str) -> str:
    if clock:
        return f"The two are not compared, for a clock is not a verdict: {clock}."
    if delta is None:
        return "No task was measured on both sides, so there is no comparison."
    low, high = delta.interval
    sure = f"95% interval {points(low, unit='')} to {points(high)}, {TESTS[delta.test]}, p = {delta.p_value:.2g}"
    figures = f"{points(delta.change)} ({sure})"
    doubt = "" if delta.clear else " The suite is too small to tell this from chance."
    what = "Change in score" if delta.by == "score" else "Change"
    return f"{what} over {delta.tasks} tasks measured on both sides: {figures}.{doubt}"

"""Whether a schedule has anything to do for a skill, from its fingerprint and its last run's record."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from skillgrad_ci.bot.state import Fingerprint, SkillState
from skillgrad_ci.method.acceptance import DecideBy, check_tasks, task_means
from skillgrad_ci.method.acceptance.clock import overrun
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.task import Task, digest_of
from skillgrad_ci.session.inputs import Inputs
from skillgrad_ci.session.split import assign

ROUNDING = 1e-9  # a record's mean is a float: sums of thirds differ in their last digits


@dataclass(frozen=True)
class Due:
    """`optimize`, `measure` (first, and optimize if the skill lost) or `nothing`; `why` is for people."""

    act: Literal["optimize", "measure", "nothing"]
    why: str


def fingerprint_of(inputs: Inputs) -> Fingerprint:
    """What a result depends on. What a run may spend and how it is delivered is not in it."""
    settings = inputs.job.settings
    models = settings.models.model_dump(mode="json")
    rest = settings.model_copy(update={"models": type(settings.models)()})
    return Fingerprint(skill=inputs.skill.digest, suite=inputs.measure, models=digest_of(models), settings=rest.digest)


def due(record: SkillState, now: Fingerprint, moment: datetime, reevaluate_days: int | None) -> Due:
    """What a schedule should do. A skill that is the result of the bot's own merged run is not a change."""
    last = record.fingerprint
    if last is None:
        return Due("optimize", "it has no run yet")
    changed = now.changed(last)
    if "skill" in changed and now.skill == record.result:
        changed.remove("skill")
    if changed == ["models"]:
        return Due("measure", "the model changed since its last run")
    if changed:
        return Due("optimize", f"{' and '.join(changed)} changed since its last run")
    when = datetime.fromisoformat(record.measured_at)
    if reevaluate_days is not None and moment - when >= timedelta(days=reevaluate_days):
        return Due("measure", f"its last measurement is {(moment - when).days} days old")
    return Due("nothing", f"skill, suite, models and settings are as in its last run ({when:%Y-%m-%d})")


def lost(record: SkillState, skill_digest: str, fresh: Sequence[Evidence], by: DecideBy = "pass") -> tuple[bool, str]:
    """Whether a fresh measurement is worse than the recorded one of the same skill, task by task.

    Without a recorded one there is nothing to lose against, and the skill is optimized. The record holds means of what
    decides, as `fresh` is read here: another `decide_by` is a change of the settings, so such a skill is optimized.
    """
    if clock := overrun(fresh):
        return False, f"a clock is not a verdict: {clock}"
    before, after = record.measured.get(skill_digest, {}), task_means(fresh, by)
    both = [task for task in before if task in after]
    if not both:
        return True, "no earlier measurement of it is known"
    old, new = sum(before[task] for task in both), sum(float(after[task]) for task in both)
    what = " in score" if by == "score" else ""
    share = f"{old / len(both):.0%} → {new / len(both):.0%}{what} on {len(both)} tasks"
    worse = new < old - ROUNDING * len(both)
    return worse, f"it lost: {share}" if worse else f"it did not lose: {share}"


def deciding_tasks(inputs: Inputs) -> list[Task]:
    """The tasks that choose between skills, as the run splits the suite: validation, else heldout, else all."""
    splits = assign(inputs.suite.tasks, None, inputs.recorded, inputs.job.settings.seed).splits
    suite = inputs.suite.with_splits(splits)
    return check_tasks(suite)


def means(evidence: Sequence[Evidence], by: DecideBy) -> dict[str, float]:
    """Each task's mean of what decides, for the record."""
    return {task: float(mean) for task, mean in task_means(evidence, by).items()}

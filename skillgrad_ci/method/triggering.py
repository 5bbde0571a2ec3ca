"""The trigger check: an edit of the description (layer H) must not make agents activate the skill wrongly.

A description is read before any body, so body and resources cannot change what is activated: only a
patch that edits the description is measured. Where triggering got worse, or where too little of it
could be measured to say, the patch is made again without those edits. What passes is never unchecked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from skillgrad_ci.method.acceptance import Verdict, compare, pass_rates
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.patch import EditResult, replay
from skillgrad_ci.skill.skill import Skill

Triggers = Callable[[Skill, str], Sequence[Evidence]]  # a skill, and the measurement's name


@dataclass(frozen=True)
class Checked:
    """What is left of a patch, and the trigger evidence of its skill's description.

    `rejected` says why edits were rejected; it is empty where none was.
    """

    skill: Skill
    edits: list[EditResult]
    triggers: Sequence[Evidence]
    rejected: str = ""


def check_triggers(
    measure: Triggers | None,
    name: str,
    skill: Skill,
    candidate: Skill,
    edits: list[EditResult],
    known: Sequence[Evidence],
) -> Checked:
    """A patch from `skill` to `candidate`, without its description edits if these make triggering worse.

    `known` is the evidence of `skill`. Without a trigger set (`measure` is None) nothing is checked.
    """
    if measure is None or candidate.description == skill.description:
        return Checked(candidate, edits, known)
    fresh = measure(candidate, name)
    verdict = compare(fresh, known)
    if verdict in (Verdict.BETTER, Verdict.TIE):
        return Checked(candidate, edits, fresh)
    reason = _reason(verdict, fresh, known)
    accepted = [result.edit for result in edits if result.status == "accepted"]
    without, replayed = replay(skill, accepted, {edit.id for edit in accepted if edit.layer == "H"})
    left = {result.edit.id: result for result in replayed}
    settled = [
        result if result.status != "accepted"
        else left.get(result.edit.id) or replace(result, status="rejected", reason=reason)
        for result in edits
    ]  # fmt: skip
    return Checked(without, settled, known, f"rejected: {reason}")


def _reason(verdict: Verdict, fresh: Sequence[Evidence], known: Sequence[Evidence]) -> str:
    """Why description edits are rejected. It tells no query: a patcher reads it."""
    new, old = pass_rates(fresh), pass_rates(known)
    paired = new.keys() & old.keys()
    queries = len({row.task_id for row in fresh})
    if verdict is Verdict.UNCHECKED:
        return f"triggering is unknown: {len(paired)} of {queries} trigger queries could be measured"
    before, after = (float(100 * sum(rates[task] for task in paired) / len(paired)) for rates in (old, new))
    return f"trigger accuracy fell from {before:.1f}% to {after:.1f}% ({len(paired)} queries)"

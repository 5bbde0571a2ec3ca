"""The trigger check: edits of the description may not make agents activate the skill wrongly more often.

A description is read before any body, so body and resources cannot change what is activated: only a
patch that edits the description (layer H) is measured on the trigger set. Where triggering got worse, or
where too little of it could be measured to say, the patch is made again without those edits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from skillgrad_ci.method.acceptance import Incumbent, Verdict, compare, pass_rates, untold
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.patch import EditResult, replay
from skillgrad_ci.method.task import Task
from skillgrad_ci.skill.skill import Skill

MIN_QUERIES = 2  # that should fire: one that does not says nothing of the set
Triggers = Callable[[Skill, str], Sequence[Evidence]]  # a skill, and the measurement's name


@dataclass(frozen=True)
class Checked:
    """What is left of a patch, and the trigger evidence of its skill's description.

    `rejected` says why edits were rejected; it is empty where none was.
    """

    skill: Skill
    edits: Sequence[EditResult]
    triggers: Sequence[Evidence]
    rejected: str = ""


def check_triggers(
    measure: Triggers | None, name: str, incumbent: Incumbent, candidate: Skill, edits: Sequence[EditResult]
) -> Checked:
    """A patch from the incumbent to `candidate`, without its description edits if these make triggering worse.

    Without a trigger set (`measure` is None) nothing is checked.
    """
    skill, known = incumbent.skill, incumbent.triggers
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
    settled = [left.get(result.edit.id) or result.rejected(reason) for result in edits]
    return Checked(without, settled, known, f"rejected: {reason}")


def _reason(verdict: Verdict, fresh: Sequence[Evidence], known: Sequence[Evidence]) -> str:
    """Why description edits are rejected. It tells no query: a patcher reads it."""
    if verdict is Verdict.UNCHECKED:
        return f"triggering is unknown: {untold(fresh, known, 'trigger queries')}"
    new, old = pass_rates(fresh), pass_rates(known)
    paired = new.keys() & old.keys()
    before, after = (float(100 * sum(rates[task] for task in paired) / len(paired)) for rates in (old, new))
    return f"trigger accuracy fell from {before:.1f}% to {after:.1f}% ({len(paired)} queries)"


@dataclass(frozen=True)
class TriggerQuality:
    """Counts over measured executions: the skill fired or stayed out, where it should or should not have.

    Accuracy alone hides a skill that never fires: of twenty queries of which five should fire it is right on fifteen.
    """

    fired_rightly: int = 0
    fired_wrongly: int = 0
    stayed_wrongly: int = 0
    stayed_rightly: int = 0

    @classmethod
    def of(cls, queries: Sequence[Task], evidence: Sequence[Evidence]) -> "TriggerQuality":
        """The counts of the rows that belong to a query."""
        known = {query.id: query for query in queries}
        counts = [0, 0, 0, 0]
        for row in evidence:
            if row.measured and row.task_id in known:
                wanted = any(spec.options.get("should_trigger") for spec in known[row.task_id].graders)
                fired = wanted if row.passed else not wanted
                counts[(0 if wanted else 1) if fired else (2 if wanted else 3)] += 1
        return cls(*counts)

    @property
    def precision(self) -> float | None:
        """The share of activations that were right; None where the skill never fired."""
        fired = self.fired_rightly + self.fired_wrongly
        return self.fired_rightly / fired if fired else None

    @property
    def recall(self) -> float | None:
        """The share of the queries that should fire on which it did; None where there are none."""
        wanted = self.fired_rightly + self.stayed_wrongly
        return self.fired_rightly / wanted if wanted else None

    @property
    def sentence(self) -> str:
        """Both shares in words."""
        shares = ((self.precision, "it never fired"), (self.recall, "no query should fire"))
        precision, recall = (why if share is None else f"{100 * share:.0f}%" for share, why in shares)
        return f"triggering: precision {precision}, recall {recall}"

    @property
    def broken(self) -> str:
        """Why nothing can be learned from the set, with the likely cause; "" where something can."""
        if self.recall != 0 or self.stayed_wrongly < MIN_QUERIES:
            return ""
        return (
            f"the skill was activated on none of {self.stayed_wrongly} executions whose query should activate it: more "
            "likely the agent cannot see or activate skills here, or the queries need none, than that the description "
            "is at fault on all of them; look at one trajectory"
        )

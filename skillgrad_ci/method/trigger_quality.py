"""How well a description triggers: precision and recall, for accuracy alone hides a skill that never fires.

Of twenty queries of which five should fire, a skill that stays out always is right on fifteen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.task import Task

MIN_QUERIES = 2  # that should fire: one that does not says nothing of the set


@dataclass(frozen=True)
class TriggerQuality:
    """Counts over measured executions: the skill fired or stayed out, where it should or should not have."""

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

"""What a suite holds, whether it can teach, and what it can show."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from skillgrad_ci.method.task import Split, Suite
from skillgrad_ci.report.power import detectable_change, tasks_needed, trials_needed
from skillgrad_ci.session.check import Proof, Standing, of
from skillgrad_ci.session.split import Assignment


def suite_facts(suite: Suite, assigned: Assignment) -> dict[str, Any]:
    """The suite as JSON: its format, graders, splits, and what an owner should know."""
    counts = Counter(assigned.splits.values())
    return {
        "name": suite.name,
        "format": suite.format,
        "root": str(suite.root),
        "tasks": len(suite.tasks),
        "graders": dict(Counter(spec.kind for task in suite.tasks for spec in task.graders)),
        "counts": {str(split): counts[split] for split in Split},
        "network": [task.id for task in suite.tasks if task.network],
        "warnings": [*suite.warnings, *assigned.notes],
    }


def split_facts(assigned: Assignment) -> dict[str, list[str]]:
    return {str(split): [task for task, own in assigned.splits.items() if own is split] for split in Split}


def check_facts(proofs: Sequence[Proof]) -> dict[str, Any]:
    """How many tasks stand how, and each task's own check: every task is accounted for."""
    return {
        "tasks": len(proofs),
        "standing": {str(standing): len(of(proofs, standing)) for standing in Standing},
        "proofs": [asdict(proof) for proof in proofs],
    }


def power_facts(tasks: int, churn: float | None) -> dict[str, Any]:
    """What a comparison on so many tasks can show, at 80% power and the 5% level."""
    known: Mapping[str, float] = {} if churn is None else {"churn": churn}
    return {
        "tasks": tasks,
        "churn": churn,
        "detectable_change": detectable_change(tasks, **known),
        "tasks_for_5_points": tasks_needed(0.05, **known),
        "trials_for_5_points": trials_needed(0.05, tasks, **known) if tasks else None,
    }

"""What `suite`, `grade` and `agree` print of a suite, its graders, its triggers and its growth."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from skillgrad_ci.method.evidence import Outcome
from skillgrad_ci.method.task import Split, Suite
from skillgrad_ci.report.document import Cost, Facts
from skillgrad_ci.report.power import detectable_change, tasks_needed, trials_needed
from skillgrad_ci.session.proof.check import Proof, Standing, of
from skillgrad_ci.session.split import Assignment


class GradedTask(Facts):
    id: str
    verdict: Outcome
    score: float
    feedback: str
    version: str


class GradeDocument(Facts):
    """`grade`: outputs that were there already."""

    suite: str
    passed: int
    measured: int
    unmeasured: int
    accuracy: float | None
    tasks: tuple[GradedTask, ...]


class Reliability(Facts):
    """Several trials a task: pass@k, pass^k, and which tasks always pass, always fail or flicker."""

    k: int
    pass_at_k: float
    pass_all_k: float
    always_pass: tuple[str, ...]
    always_fail: tuple[str, ...]
    flicker: tuple[str, ...]
    can_teach: float
    churn: float


class SuiteCheck(Facts):
    """`suite --check`: how many tasks stand how, and each task's own check."""

    tasks: int
    standing: Mapping[str, int]
    proofs: tuple[Proof, ...]


class Power(Facts):
    """What a comparison on the heldout tasks can show, at 80% power and the 5% level; `churn` is their noise."""

    tasks: int
    churn: float | None
    detectable_change: float | None
    tasks_for_5_points: int
    trials_for_5_points: int | None


class SuiteDocument(Facts):
    """`suite`. `split`, `written`, `check` and `trials` are there where the command was asked for them."""

    name: str
    format: str
    root: str
    tasks: int
    graders: Mapping[str, int]
    counts: Mapping[str, int]
    network: tuple[str, ...]
    warnings: tuple[str, ...]
    split: Mapping[str, tuple[str, ...]] | None = None
    written: str | None = None
    check: SuiteCheck | None = None
    trials: Reliability | None = None
    power: Power


class Disagreement(Facts):
    """One output that passes with one grader and fails with the other."""

    task: str
    kind: str
    ours: bool
    theirs: bool
    feedback: str


class Untold(Facts):
    """One output of which a grader says nothing."""

    task: str
    kind: str
    why: str


class AgreementDocument(Facts):
    """`agree`: our verdicts against another grader's, in all and by the kind of output. `cut`: why some are missing."""

    suite: str
    outputs: int
    compared: int
    agree: int
    both_pass: int
    kinds: Mapping[str, Mapping[str, int]]
    disagreements: tuple[Disagreement, ...]
    untold: tuple[Untold, ...]
    cut: str


class FiringSkill(Facts):
    """One skill among others: its queries, and over all executions what fired on them (`fired` by skill's name)."""

    skill: str
    source: str
    queries: int
    executions: int
    fired: Mapping[str, int]
    none: int
    precision: float | None
    recall: float | None
    broken: str


class StolenQuery(Facts):
    """A query on which another skill fired in place of its own, so many times."""

    query: str
    owner: str
    thief: str
    times: int


class TriggersDocument(Facts):
    """`suite --triggers`: which skills fire on whose queries. `cut` says why executions are missing."""

    skills: tuple[FiringSkill, ...]
    stolen: tuple[StolenQuery, ...]
    warnings: tuple[str, ...]
    rehearsal: bool
    cost: Cost
    cut: str


class GrownTask(Facts):
    id: str
    origin: str


class GrowthDocument(Facts):
    """`suite --grow`. `refused` says why, `waiting` counts the tasks that wait for a person, `ended` why it is less."""

    suite: str
    written: str
    read: str
    added: tuple[GrownTask, ...]
    refused: tuple[str, ...]
    waiting: int
    ended: str
    rehearsal: bool
    cost: Cost


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

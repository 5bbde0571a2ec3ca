"""What the commands print with `--json`, but for `optimize`, which prints `report.json`: public, with a schema.

`docs/output.schema.json` is made of these models. Rates are in [0, 1]; None where nothing was measured.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from skillgrad_ci.method.evidence import Outcome
from skillgrad_ci.method.task import Split, Suite
from skillgrad_ci.report.comparison import SettingsCompared
from skillgrad_ci.report.document import Change, Cost, Facts, Measured, Report
from skillgrad_ci.report.power import detectable_change, tasks_needed, trials_needed
from skillgrad_ci.report.provenance.blame import BlameDocument
from skillgrad_ci.session.check import Proof, Standing, of
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


class ArmFacts(Measured):
    """One arm of an evaluation, `interval` at 95%; costs are means over tasks."""

    interval: tuple[float, float] | None
    tokens_per_task: int
    cached_tokens_per_task: int
    usd_per_task: float | None
    turns_per_task: float
    activated: int
    trials: Reliability | None


class SkillTokens(Facts):
    """About how many tokens each layer takes."""

    description: int
    body: int
    resources: int


class EvaluatedTask(BaseModel):
    """One task; beside these fields its pass rate stands under each arm's name."""

    model_config = ConfigDict(extra="allow", frozen=True)

    __pydantic_extra__: dict[str, float | None]
    id: str
    tokens: Mapping[str, int | None]
    feedback: str


class EvaluationDocument(Facts):
    """`evaluate`. `delta` is from without the skill to with it, `changes` from each other arm to it.

    `refused` says by arm why it is not compared, where a clock ended too many executions. `cut` says why
    executions are missing.
    """

    skill: str
    suite: str
    agent: str
    models: Mapping[str, str]
    rehearsal: bool
    sandbox: str
    warnings: tuple[str, ...]
    cost: Cost
    arms: Mapping[str, ArmFacts]
    delta: Change | None
    changes: Mapping[str, Change | None]
    refused: Mapping[str, str] = Field(default_factory=dict)
    skill_tokens: SkillTokens | None
    tasks: tuple[EvaluatedTask, ...]
    cut: str
    reproduce: str = ""


class ComparisonDocument(Facts):
    """`evaluate` with several agents, and `transfer`: each setup's own evaluation, on `tasks` of the suite's `of`."""

    skill: str
    suite: str
    tasks: int
    of: int
    setups: tuple[EvaluationDocument, ...]
    cut: str
    reproduce: str


class PlannedShard(Facts):
    shard: str
    executions: int
    share: float


class PlanDocument(Facts):
    run: str
    folder: str
    executions: int
    shards: Sequence[PlannedShard]


class ShardDocument(Facts):
    shard: str
    executions: int
    outcomes: Mapping[str, int]
    folder: str
    stopped: str


class MergeDocument(Facts):
    folder: str
    records: int


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


DOCUMENTS: Mapping[str, type[BaseModel]] = {
    "optimize": Report,
    "evaluate": EvaluationDocument,
    "evaluate, several agents": ComparisonDocument,
    "blame": BlameDocument,
    "compare": SettingsCompared,
    "transfer": ComparisonDocument,
    "grade": GradeDocument,
    "suite": SuiteDocument,
    "suite, with --grow": GrowthDocument,
    "agree": AgreementDocument,
    "suite, with --triggers": TriggersDocument,
    "plan": PlanDocument,
    "execute": ShardDocument,
    "merge": MergeDocument,
}


def as_printed(model: type[BaseModel], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts as a document of the schema, ready for JSON; what was not asked for is left out."""
    return model.model_validate(facts).model_dump(mode="json", exclude_unset=True)


def output_schema() -> dict[str, Any]:
    """The JSON Schema of all documents, by the command that prints them."""
    places, schema = models_json_schema([(model, "serialization") for model in DOCUMENTS.values()])
    by_command = {command: places[model, "serialization"] for command, model in DOCUMENTS.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What the commands print with --json",
        "commands": by_command,
        "anyOf": list(by_command.values()),
        **schema,
    }

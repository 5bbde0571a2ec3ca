"""What `evaluate` and `transfer` print of a skill's executions."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from skillgrad_ci.report.document import Change, Cost, Facts, Measured
from skillgrad_ci.session.json_documents.of_suites import Reliability


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

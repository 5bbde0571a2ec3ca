"""The settings of one skill's run: what a configuration file, a skill's entry and flags decide."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from skillgrad_ci.errors import UserError
from skillgrad_ci.method.budget import Cap
from skillgrad_ci.method.task import digest_of

if TYPE_CHECKING:
    from skillgrad_ci.models.prices import Price as ModelPrice

DEFAULT_USD = 10.0
DEFAULT_TOKENS = 5_000_000  # stands for the default dollars where a model's price is unknown
REHEARSAL = "rehearsal"

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]


class Strict(BaseModel):
    """A border: unknown keys are errors, values do not change after they were read."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Accept(StrEnum):
    """When a candidate becomes the next skill: the paper's rule, SkillOpt's, or the bot's."""

    ALWAYS = "always"
    VALIDATE = "validate"
    FINAL = "final"


class Price(Strict):
    """A model's price in US dollars per million tokens."""

    prompt: Annotated[float, Field(ge=0)]
    cached: Annotated[float, Field(ge=0)] | None = None
    """Prompt tokens read from the provider's cache; without it they cost as much as others."""
    completion: Annotated[float, Field(ge=0)]

    def as_price(self) -> "ModelPrice":
        from skillgrad_ci.models.prices import Price as ModelPrice

        return ModelPrice(self.prompt, self.completion, self.cached)


class Models(Strict):
    """Which models play the roles, in litellm's spelling: `provider/model`."""

    executor: str | None = None
    """Works on the tasks."""
    optimizer: str | None = None
    """Diagnoses, keeps the memory, writes edits; without it the executor's model."""
    judge: str | None = None
    """Grades assertions and rubrics; without it the optimizer's model."""
    api_base: str | None = None
    """The address of an OpenAI-compatible server, for all roles."""
    prices: Mapping[str, Price] = Field(default_factory=dict)
    """By model: for models whose price litellm does not know."""
    parameters: Mapping[Literal["executor", "optimizer", "judge"], Mapping[str, Any]] = Field(default_factory=dict)
    """By role: sampling parameters that are passed on, like `temperature`."""

    def of(self, role: Literal["executor", "optimizer", "judge"]) -> str:
        """The model of a role. Raises UserError where none is named."""
        fallbacks = {"executor": [self.executor], "optimizer": [self.optimizer, self.executor]}
        names = fallbacks.get(role, [self.judge, self.optimizer, self.executor])
        for name in names:
            if name:
                return name
        raise UserError("no model is named: give --model, or models.executor in .skillgrad.yml")

    @property
    def named(self) -> list[str]:
        """The models that a person named."""
        return [name for name in (self.executor, self.optimizer, self.judge) if name]

    @property
    def rehearsal(self) -> bool:
        """Whether any role is played by the rehearsal, whose accuracy says nothing about a real model."""
        return any(name.split("/")[0] == REHEARSAL for name in self.named)


class Budget(Strict):
    """One cap over all roles. Without `usd` and `tokens`, 10 dollars."""

    usd: Positive | None = None
    tokens: Count | None = None
    minutes: Positive | None = None

    def cap(self, unpriced: Collection[str] = ()) -> tuple[Cap, list[str]]:
        """The cap to keep, and what to say about it. `unpriced` are the models whose price is unknown.

        Raises UserError for a cap in dollars that cannot be kept.
        """
        names = " and ".join(sorted(unpriced))
        if self.usd is not None and unpriced:
            raise UserError(
                f"budget.usd: the price of {names} is unknown; check the spelling, give it in models.prices, "
                "or set budget.tokens instead"
            )
        if self.usd is not None or self.tokens is not None:
            return Cap(self.usd, self.tokens, self.minutes), []
        if not unpriced:
            return Cap(DEFAULT_USD, None, self.minutes), [f"no budget is set: the cap is {DEFAULT_USD:g} USD"]
        note = f"no budget is set and the price of {names} is unknown: the cap is {DEFAULT_TOKENS:,} tokens"
        return Cap(None, DEFAULT_TOKENS, self.minutes), [note]


class Settings(Strict):
    """How one skill is optimized and measured."""

    models: Models = Field(default_factory=Models)
    iterations: Count = 10
    batch_size: Count = 4
    """Training tasks per iteration."""
    train_tasks: Count = 40
    """The most failed training tasks that batches are drawn from."""
    accept: Accept = Accept.FINAL
    """`always`: every valid patch; `validate`: each must win on validation; `final`: the last must."""
    seed: int = 0
    concurrency: Count = 4
    """Executions at once."""
    trials: Count = 1
    """Executions per task and measurement."""
    judge_trials: Annotated[int, Field(ge=1, le=15)] = 1
    """Readings of a result by a judge; the majority counts."""
    max_turns: Count = 30
    """The most turns of the executor on a task."""
    command_timeout: Positive = 120.0
    """Seconds that one command of the executor may take."""
    budget: Budget = Field(default_factory=Budget)
    sandbox: Literal["auto", "sandlock", "docker", "none"] = "auto"
    """`none` runs commands chosen by a model unprotected, and shows in every report."""
    image: str | None = None
    """The container image for `sandbox: docker`, where tasks need other tools."""
    allow_scripts: bool = False
    """Whether edits may touch `scripts/`."""
    momentum: bool = True
    """Ablation: without it no pattern memory is kept."""
    contrastive: bool = True
    """Ablation: without it only failures are diagnosed."""
    reevaluate_days: Count | None = None
    """Measure an unchanged skill again after so many days."""
    with_skills: tuple[str, ...] = ()
    """Paths of skills that are present beside this one, which may be among them."""
    trigger: str | None = None
    """Path of a trigger set, `[{"query": …, "should_trigger": …}]`; `{name}` stands for the skill's folder name."""
    rehearsal: str | None = None
    """Path of the rehearsal model's script; without it `rehearsal.yaml` beside the suite."""

    @property
    def digest(self) -> str:
        """Content address of everything here that can change a result, for fingerprints and resuming.

        How much a run may take and how many executions run at once change none.
        """
        return digest_of(self.model_dump(mode="json", exclude={"budget", "concurrency", "reevaluate_days"}))

"""The settings of one skill's run: what a configuration file, a skill's entry and flags decide."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from skillgrad_ci.document.document import Known
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.budget import Cap
from skillgrad_ci.method.optimizers.choices import Count
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import digest_of

if TYPE_CHECKING:
    from skillgrad_ci.models.prices import Price

DEFAULT_USD = 10.0
DEFAULT_TOKENS = 5_000_000  # stands for the default dollars where a model's price is unknown
REHEARSAL = "rehearsal"
RETIRED = "github/"  # GitHub Models, in litellm's spelling

Player = Literal["executor", "optimizer", "judge"]
Positive = Annotated[float, Field(gt=0)]


def _named(name: str) -> str:
    if not name.strip() or name.strip().endswith("/"):
        raise ValueError(f"{name!r} names no model; write provider/model, as litellm names it")
    return name


ModelName = Annotated[str, AfterValidator(_named)]


class KnownPrice(Known):
    """A model's price in US dollars per million tokens."""

    prompt: Annotated[float, Field(ge=0)]
    cached: Annotated[float, Field(ge=0)] | None = None
    """Prompt tokens read from the provider's cache; without it they cost as much as others."""
    completion: Annotated[float, Field(ge=0)]

    def as_price(self) -> "Price":
        from skillgrad_ci.models.prices import Price

        return Price(self.prompt, self.completion, self.cached)


class Models(Known):
    """Which models play the roles, in litellm's spelling: `provider/model`."""

    executor: ModelName | None = None
    """The model that works on the tasks, as litellm names it; or `rehearsal`."""
    optimizer: ModelName | None = None
    """The model that diagnoses, keeps the memory and writes edits; without it the executor's."""
    judge: ModelName | None = None
    """The model that grades assertions and rubrics; without it the optimizer's."""
    api_base: str | None = None
    """The address of a server of your own, for all roles; it speaks as the provider in the models' names."""
    prices: Mapping[str, KnownPrice] = Field(default_factory=dict)
    """By model: for models whose price litellm does not know."""
    parameters: Mapping[Player, Mapping[str, Any]] = Field(default_factory=dict)
    """By role: sampling parameters that are passed on, like `temperature`."""

    def of(self, role: Player) -> str:
        """The model of a role. Raises UserError where none is named."""
        fallbacks = {"executor": [self.executor], "optimizer": [self.optimizer, self.executor]}
        names = fallbacks.get(role, [self.judge, self.optimizer, self.executor])
        for name in names:
            if name and name.startswith(RETIRED):
                raise UserError(
                    f"model {name}: GitHub Models was retired on 30 July 2026; name a model of another provider "
                    "(without a stored key: docs/action.md)"
                )
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


class Budget(Known):
    """One cap over all roles. Without `usd` and `tokens`, 10 dollars."""

    usd: Positive | None = None
    """The most US dollars to spend; without `usd` and `tokens`, 10."""
    tokens: Count | None = None
    """The most tokens to take."""
    minutes: Positive | None = None
    """The most minutes to run."""

    def cap(self, unpriced: Collection[str] = ()) -> tuple[Cap, list[str]]:
        """The cap to keep, and what to say about it. `unpriced` are the models whose price is unknown.

        Raises UserError for a cap in dollars that cannot be kept.
        """
        names = " and ".join(sorted(unpriced))
        if self.usd is not None and unpriced:
            raise UserError(
                f"budget.usd: the price of {names} is unknown; check the spelling, give it in models.prices, "
                "or take usd out of the budget and set budget.tokens in its place"
            )
        if self.usd is not None or self.tokens is not None:
            return Cap(self.usd, self.tokens, self.minutes), []
        if not unpriced:
            return Cap(DEFAULT_USD, None, self.minutes), [f"no budget is set: the cap is {DEFAULT_USD:g} USD"]
        note = f"no budget is set and the price of {names} is unknown: the cap is {DEFAULT_TOKENS:,} tokens"
        return Cap(None, DEFAULT_TOKENS, self.minutes), [note]


class Settings(LoopSettings):
    """How one skill is optimized and measured: the loop's settings, and what the world around it is made of."""

    models: Models = Field(default_factory=Models)
    agent: Annotated[str, Field(min_length=1)] = "loop"
    """Who works on the tasks: loop (the built-in tool loop), chat (one call without tools), claude-code, codex, gemini,
    opencode, copilot, goose, or the path of a description."""
    split: Literal["shares", "cross"] = "shares"
    """Which tasks teach and which report: `shares` of the suite; or `cross`, for small suites: all teach the skill that
    is delivered, and cross-fitting estimates what a run like this one gains."""
    folds: Annotated[int, Field(ge=2, le=10)] = 3
    """Parts of the suite for `split: cross`: each is measured under a skill that learned from the others alone."""
    concurrency: Count = 4
    """Executions at once."""
    judge_trials: Annotated[int, Field(ge=1, le=15)] = 1
    """Readings of a result by a judge; the majority counts."""
    max_turns: Count = 30
    """The most turns of the executor on a task."""
    command_timeout: Positive = 120.0
    """Seconds that one command of the executor may take."""
    budget: Budget = Field(default_factory=Budget)
    sandbox: Literal["auto", "sandlock", "docker", "none"] = "auto"
    """`auto`, `sandlock` or `docker`; `none` runs commands chosen by a model unprotected, and shows in every report."""
    image: str | None = None
    """The container image for `sandbox: docker`, where tasks need other tools."""
    reevaluate_days: Count | None = None
    """Measure an unchanged skill again after so many days."""
    reuse_baseline: bool = True
    """Take the final measurement of the run whose skill was merged as the next run's baseline on validation and heldout
    tasks, where skill, task, agent, model, sandbox and grader are the same."""
    with_skills: tuple[str, ...] = ()
    """Paths of skills that are present beside this one, which may be among them."""
    trigger_trials: Count = 3
    """Executions of each trigger query."""
    trigger_turns: Count | None = None
    """The most turns until a trigger query's verdict; without it as many as of any task."""
    trigger: str | None = None
    """Path of a trigger set, `[{"query": …, "should_trigger": …}]`; `{name}` stands for the skill's folder name."""
    rehearsal: str | None = None
    """Path of the rehearsal model's script; without it `rehearsal.yaml` beside the suite, else a generic one."""

    @property
    def digest(self) -> str:
        """Content address of everything here that can change a result, for fingerprints and resuming.

        How much a run may take, how many executions run at once and which of them were made before change none.
        """
        besides = {"budget", "concurrency", "reevaluate_days", "reuse_baseline"}
        return digest_of(self.model_dump(mode="json", exclude=besides))

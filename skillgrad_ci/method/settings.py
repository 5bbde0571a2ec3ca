"""What a person may turn in the loop. The configuration's settings are these and more; the defaults are the paper's."""

from collections.abc import Callable
from typing import Annotated, Any, Self

from pydantic import Field, PlainSerializer, WithJsonSchema, WrapValidator, model_validator

from skillgrad_ci.document.document import Known
from skillgrad_ci.method.acceptance import DecideBy, Mode
from skillgrad_ci.method.acceptance.noise import Gate
from skillgrad_ci.method.optimizers.choices import LOOP, Count, OptimizerParts, Share, filled

AUTO = "auto"


class Chosen(int):
    """A number of trials that is chosen for the suite; 0 until it is. It is written down as `auto`: a larger budget may
    choose more, and what was measured with fewer is of the same run."""


def _trials(value: Any, handler: Callable[[Any], int]) -> int:
    return value if isinstance(value, Chosen) else Chosen() if value == AUTO else handler(value)


Trials = Annotated[
    int,
    Field(ge=1),
    WrapValidator(_trials),
    PlainSerializer(lambda number: AUTO if isinstance(number, Chosen) else number, return_type=int | str),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": AUTO}]}),
]


class LoopSettings(Known):
    """The settings that the loop reads. The text under a field is its help on the command line."""

    iterations: Count = 10
    """Iterations of the loop; where they are not said, no more than three epochs of the tasks that fail."""
    batch_size: Count = 4
    """Training tasks per iteration."""
    train_tasks: Count = 40
    """The most failed training tasks that batches are drawn from."""
    accept: Mode = "final"
    """`always`: every valid patch; `validate`: each must win on validation; `final`: the last must;
    `no-worse`: each may not lose more than a margin."""
    decide_by: DecideBy = "pass"
    """What decides and is reported: `pass`, whether tasks pass; `score`, their graders' scores, so that a statement or
    cell more counts in a task that still fails."""
    flicker: Share | None = None
    """The chance that two runs of the same skill disagree on a task, as `suite --trials` tells it. Where it is known,
    or with several trials, `accept: validate` asks for a gain beyond noise."""
    gate_level: Share = 0.2
    """The one-sided level at which that gain is beyond noise."""
    seed: int = 0
    """Decides splits and batches."""
    trials: Trials = 1
    """Executions per task and measurement; or `auto`: as many as make smaller gains visible on so few tasks, within the
    budget."""
    momentum: bool = True
    """Ablation: without it no pattern memory is kept."""
    contrastive: bool = True
    """Ablation: without it only failures are diagnosed."""
    allow_scripts: bool = False
    """Whether edits may touch `scripts/`."""
    optimizer: OptimizerParts = Field(default_factory=OptimizerParts)
    """`skillgrad`, `skillopt`, `evoskill`, `trace2skill`, `shrink` or `rewrite`; or its parts, one by one. A preset
    brings its own iterations, batch size and acceptance where these are not said."""

    @property
    def gate(self) -> Gate:
        """What `accept: validate` asks of a step."""
        return Gate(self.decide_by, self.flicker, self.gate_level)

    @model_validator(mode="wrap")
    @classmethod
    def _of_the_preset(cls, value: Any, handler: Callable[[Any], Self]) -> Self:
        if not isinstance(value, dict):
            return handler(value)
        chosen = value.get("optimizer", {})
        name = chosen.get("preset", "skillgrad") if isinstance(chosen, dict) else getattr(chosen, "preset", chosen)
        return filled(value, next((said for preset, said in LOOP.items() if preset == name), {}), handler)

    @model_validator(mode="after")
    def _a_frontier_is_measured(self) -> Self:
        if self.optimizer.frontier > 1 and self.accept != "validate":
            raise ValueError("expected accept: validate with a frontier, for a child enters it by a measured score")
        return self

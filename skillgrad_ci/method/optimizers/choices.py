"""What an optimizer is made of, as plain choices: a preset names one of each, a configuration may change any.

The functions behind the choices are in `presets.py`. The table in `docs/method.md` says which default is a
paper's and which is our reading of it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, Field, model_validator

from skillgrad_ci.document.document import Known

Made = TypeVar("Made", bound=BaseModel)
Preset = Literal["skillgrad", "skillopt", "evoskill", "trace2skill", "shrink", "rewrite"]
Count = Annotated[int, Field(ge=1)]
Number = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]

PARTS: Mapping[Preset, Mapping[str, Any]] = MappingProxyType(
    {
        "skillgrad": {},
        "skillopt": {
            "evidence": "epochs", "gradient": "reflection", "aggregation": "merge", "rate": "cosine",
            "rejected": "epoch", "slow_tasks": 20, "meta_notes": True,
        },
        "evoskill": {
            "evidence": "epochs", "gradient": "reflection", "successes": False, "aggregation": "merge",
            "frontier": 3, "rejected": "epoch", "epochs": 100, "meta_notes": True,
        },
        "trace2skill": {
            "evidence": "all", "gradient": "reflection", "aggregation": "merge", "minibatch": 1, "merge": 5,
            "references": 5, "epochs": 1,
        },
        "shrink": {"evidence": "none", "gradient": "none", "aggregation": "shrink"},
        "rewrite": {"evidence": "none", "gradient": "none", "aggregation": "rewrite"},
    }
)  # fmt: skip
LOOP: Mapping[Preset, Mapping[str, Any]] = MappingProxyType(
    {
        "skillgrad": {},
        "skillopt": {"accept": "validate", "batch_size": 40, "iterations": 100},
        "evoskill": {"accept": "validate", "batch_size": 8, "iterations": 7},
        "trace2skill": {"accept": "always", "iterations": 1},
        "shrink": {"accept": "no-worse", "iterations": 5},
        "rewrite": {"accept": "always", "iterations": 1},
    }
)


class OptimizerParts(Known):
    """The parts of an optimizer. What is left out is the preset's."""

    preset: Preset = "skillgrad"
    """The published optimizer whose parts these are: they fill in what is not said."""
    evidence: Literal["failures", "epochs", "all", "none"] = "failures"
    """What batches are drawn from: the tasks that the initial skill fails, all training tasks epoch by epoch, the
    base run's trajectories all at once, or nothing."""
    gradient: Literal["diagnosis", "reflection", "none"] = "diagnosis"
    """One diagnosis a task, or reflection on minibatches of trajectories."""
    aggregation: Literal["momentum", "merge", "shrink", "rewrite"] = "momentum"
    """How edits come about: by the patterns of the memory, by a merge with support counts, or without evidence."""
    epochs: Count = 4
    """Passes over the training tasks, for `evidence: epochs`."""
    minibatch: Count = 8
    """Trajectories that one reflection reads."""
    successes: bool = True
    """Whether reflection reads successes too, to protect what works."""
    merge: Annotated[int, Field(ge=2)] = 8
    """Lists of proposals that one merge makes into one."""
    rate: Literal["none", "constant", "linear", "cosine"] = "none"
    """The edit budget of a step (a textual learning rate): from `most_edits` down to `least_edits`."""
    most_edits: Count = 4
    least_edits: Count = 2
    frontier: Count = 1
    """Skills that are kept as parents; a child enters by a measured score alone."""
    rejected: Literal["memory", "epoch"] = "memory"
    """Which rejected edits an agent is shown: those of the memory, or those of this epoch."""
    slow_tasks: Number = 0
    """Training tasks that an epoch's end compares under the skill before and after it; 0: no slow update."""
    meta_notes: bool = False
    """Whether agents are shown which kinds of edits were accepted and rejected so far."""
    references: Count | None = None
    """The most files under `references/` that edits may lead to."""
    margin: Share = 0.1
    """For `accept: no-worse`: the loss of accuracy that the evidence must rule out."""

    @model_validator(mode="wrap")
    @classmethod
    def _of_the_preset(cls, value: Any, handler: Callable[[Any], Self]) -> Self:
        value = {"preset": value} if isinstance(value, str) else value
        if not isinstance(value, dict):
            return handler(value)
        name = value.get("preset", "skillgrad")
        return filled(value, next((said for preset, said in PARTS.items() if preset == name), {}), handler)

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if (self.aggregation == "merge") != (self.gradient == "reflection"):
            raise ValueError("expected gradient: reflection with aggregation: merge, and only there")
        if (self.gradient == "none") != (self.aggregation in ("shrink", "rewrite")):
            raise ValueError("expected gradient: none with aggregation: shrink or rewrite, and only there")
        if (self.evidence == "none") != (self.gradient == "none"):
            raise ValueError("expected evidence: none with gradient: none, and only there")
        if self.least_edits > self.most_edits:
            raise ValueError("expected least_edits up to most_edits")
        return self


def filled(value: Mapping[str, Any], preset: Mapping[str, Any], make: Callable[[Any], Made]) -> Made:
    """A model of `value` over a preset's defaults; only what `value` says counts as said."""
    made = make({**preset, **value})
    made.model_fields_set.intersection_update(value)
    return made

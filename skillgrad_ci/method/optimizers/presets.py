"""Presets: the published optimizers as choices of the same parts. What is chosen is in `choices.py`."""

from collections.abc import Mapping, Set

from skillgrad_ci.method.evidence import Flat
from skillgrad_ci.method.optimizers.choices import OptimizerParts
from skillgrad_ci.method.optimizers.diagnosis import by_diagnosis
from skillgrad_ci.method.optimizers.draw import epochs, every_task, everything, failures, nothing, pool_size
from skillgrad_ci.method.optimizers.merge import by_support
from skillgrad_ci.method.optimizers.optimizer import Draw, Optimizer, Propose, Teach
from skillgrad_ci.method.optimizers.plain import rewrite, shorten, untaught
from skillgrad_ci.method.optimizers.reflection import by_reflection
from skillgrad_ci.method.optimizers.slow import slow_update
from skillgrad_ci.method.optimizers.update import by_pattern

EVIDENCE: Mapping[str, Draw] = {"failures": failures, "epochs": epochs, "all": everything, "none": nothing}
GRADIENT: Mapping[str, Teach] = {"diagnosis": by_diagnosis, "reflection": by_reflection, "none": untaught}
AGGREGATION: Mapping[str, Propose] = {
    "momentum": by_pattern, "merge": by_support, "shrink": shorten, "rewrite": rewrite,
}  # fmt: skip
GOES_ON: Mapping[str, Set[Flat]] = {"shrink": {Flat.PASSED}}  # where a base run that leaves nothing to gain ends others


def optimizer_of(parts: OptimizerParts) -> Optimizer:
    """The functions behind a choice of parts."""
    return Optimizer(
        enough=pool_size if parts.evidence == "failures" else every_task,
        draw=EVIDENCE[parts.evidence],
        teach=GRADIENT[parts.gradient],
        propose=AGGREGATION[parts.aggregation],
        slow=slow_update if parts.slow_tasks else None,
        patience=4 if parts.evidence in ("failures", "epochs") else None,
        ends_on=set(Flat) - GOES_ON.get(parts.aggregation, set()),
    )

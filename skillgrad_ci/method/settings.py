"""What a person may turn in the loop. The configuration's settings are these and more; the defaults are the paper's."""

from typing import Annotated

from pydantic import Field

from skillgrad_ci.document import Known
from skillgrad_ci.method.acceptance import Mode

Count = Annotated[int, Field(ge=1)]


class LoopSettings(Known):
    """The settings that the loop reads. The text under a field is its help on the command line."""

    iterations: Count = 10
    """Iterations of the loop."""
    batch_size: Count = 4
    """Training tasks per iteration."""
    train_tasks: Count = 40
    """The most failed training tasks that batches are drawn from."""
    accept: Mode = "final"
    """`always`: every valid patch; `validate`: each must win on validation; `final`: the last must."""
    seed: int = 0
    """Decides splits and batches."""
    trials: Count = 1
    """Executions per task and measurement."""
    momentum: bool = True
    """Ablation: without it no pattern memory is kept."""
    contrastive: bool = True
    """Ablation: without it only failures are diagnosed."""
    allow_scripts: bool = False
    """Whether edits may touch `scripts/`."""

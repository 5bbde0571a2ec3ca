"""What optimizing agents are told of the run so far: rejected edits, and which kinds of edits helped.

It is for them alone: nothing of it goes into the skill.
"""

from collections import Counter

from skillgrad_ci.method.run import Iteration, Run

SHOWN = 20  # rejected edits in a prompt


def rejected_edits(run: Run, step: Iteration) -> list[str]:
    """A prompt's part on edits that did not work: those of this epoch, or those of the memory across runs."""
    if run.settings.optimizer.rejected == "epoch":
        steps = [past for past in run.iterations if past.epoch == step.epoch]
        rows = [result for past in steps for result in past.edits if result.status != "accepted"]
        told = [f"- {row.edit.summary} (for {', '.join(row.edit.patterns)}): {row.published}" for row in rows]
    else:
        told = [f"- {edit.summary} (for {', '.join(edit.patterns)}): {edit.reason}" for edit in run.memory.rejected]
    return ["## Edits that were rejected\n\n" + "\n".join(told[-SHOWN:])] if told else []


def notes(run: Run) -> list[str]:
    """A prompt's part on kinds of edits, by layer and operation: how many were accepted, and how many were not."""
    if not run.settings.optimizer.meta_notes:
        return []
    results = [result for past in run.iterations for result in past.edits]
    accepted = Counter(f"{row.edit.op} in layer {row.edit.layer}" for row in results if row.status == "accepted")
    rejected = Counter(f"{row.edit.op} in layer {row.edit.layer}" for row in results if row.status == "rejected")
    kinds = sorted({*accepted, *rejected})
    rows = [f"- {kind}: {accepted[kind]} accepted, {rejected[kind]} rejected by measurement" for kind in kinds]
    return ["## Which kinds of edits were kept so far\n\n" + "\n".join(rows)] if rows else []

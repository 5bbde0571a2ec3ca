"""Patches without evidence: `shrink` makes a skill shorter, `rewrite` is the control that a comparison needs."""

from collections import Counter
from dataclasses import replace

from pydantic import BaseModel

from skillgrad_ci.method.optimizers.notes import rejected_edits
from skillgrad_ci.method.optimizers.optimizer import Batch, Candidate
from skillgrad_ci.method.optimizers.update import EditFields
from skillgrad_ci.method.patch import EditResult, Rules, try_patch
from skillgrad_ci.method.prompting import fill, load_prompt, render_skill
from skillgrad_ci.method.run import Iteration, Run
from skillgrad_ci.method.world import World

MAX_EDITS = 6
SHORTER = "## Asked for\n\nA shorter skill that serves its tasks as well."


class PlainEdit(EditFields):
    """One edit of the skill, at one place of one file."""


class PlainReply(BaseModel):
    """The edits, in the order in which they are made; none if none is warranted."""

    edits: list[PlainEdit]


def untaught(run: Run, world: World, step: Iteration, batch: Batch) -> Iteration:  # noqa: ARG001  # the seam's form
    """No evidence, no gradient."""
    return step


def shorten(run: Run, world: World, step: Iteration) -> tuple[Iteration, Candidate]:
    """Edits each of which makes the skill shorter; what reads which file says what nobody needs."""
    reads = Counter(file for row in run.baseline for file in set(row.trajectory.references_read))
    rows = [f"- {file}: read in {reads[file]} of {len(run.baseline)} executions" for file in step.skill.resources]
    used = ["## How often its files are read\n\n" + "\n".join(rows)] if rows else []
    user = "\n\n".join([f"## The skill\n\n{render_skill(step.skill)}", *used, *rejected_edits(run, step), SHORTER])
    return _patched(run, world, step, ("shrink", user), replace(run.rules(world.probes, {"shrink"}), shorten=True))


def rewrite(run: Run, world: World, step: Iteration) -> tuple[Iteration, Candidate]:
    """Edits from nothing but the skill and what the model knows already."""
    user = f"## The skill\n\n{render_skill(step.skill)}\n\n## Asked for\n\nA better skill."
    return _patched(run, world, step, ("rewrite", user), run.rules(world.probes, {"rewrite"}))


def _patched(
    run: Run, world: World, step: Iteration, asked: tuple[str, str], rules: Rules
) -> tuple[Iteration, Candidate]:
    """One call with the prompt of a name; the name stands for the pattern too."""
    name, user = asked
    reply = world.agent("patcher", fill(load_prompt(name), max_edits=str(MAX_EDITS)), user, PlainReply)
    said = [edit.edit(step.number, (name,), ()) for edit in reply.edits]
    edits = [replace(edit, id=f"E{run.next_edit + n}") for n, edit in enumerate(said)]
    candidate, results = try_patch(step.skill, edits[:MAX_EDITS], rules)
    late = [EditResult(edit, "refused", f"a patch has at most {MAX_EDITS} edits") for edit in edits[MAX_EDITS:]]
    return step, Candidate(candidate, [*results, *late])

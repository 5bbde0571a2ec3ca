"""The slow update: at an epoch's end, what the whole epoch did to the same tasks (SkillOpt).

The same sampled training tasks are executed under the skill before the epoch and the one in hand. What improved,
regressed, still fails and still passes becomes a short block in a protected region of the body, which the edits
of steps cannot touch. It goes through the same acceptance as any patch.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

from pydantic import BaseModel, Field

from skillgrad_ci.document.inert_text import fence, printable
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.memory import Overlay, OverlayEntry
from skillgrad_ci.method.optimizers.notes import notes, rejected_edits
from skillgrad_ci.method.optimizers.optimizer import Candidate
from skillgrad_ci.method.patch import BLOCK_BEGIN, BLOCK_END, block_of, try_patch
from skillgrad_ci.method.prompting import cut_middle, load_prompt, render_skill
from skillgrad_ci.method.run import Iteration, Run
from skillgrad_ci.method.task import Split, Task
from skillgrad_ci.method.world import World
from skillgrad_ci.skill.edit import Edit
from skillgrad_ci.skill.skill import MAIN, Skill

PATTERN = "slow-update"
MAX_LINES = 12  # of the block
TEXT_BOUND = 1_500  # characters of an instruction, and of a grader's feedback
GROUPS = ("regressed", "still fails", "improved", "still passes")


class SlowReply(BaseModel):
    """The block as it should be now."""

    lines: list[str] = Field(description=f"at most {MAX_LINES} lines of guidance in Markdown; empty keeps the block")
    why: str = Field(description="one sentence for the reviewer")


def slow_update(run: Run, world: World, step: Iteration) -> tuple[Iteration, Candidate]:
    """Compare the epoch's two skills on the same tasks, and propose the block; nothing where they are the same."""
    before = epoch_start(run, step.epoch)
    if before.digest == step.skill.digest:
        return replace(step, verdict="the epoch changed nothing"), Candidate(step.skill, ())
    tasks = run.suite.of(Split.TRAIN)
    dice = random.Random(f"{run.settings.seed} {step.epoch}")  # noqa: S311  # reproducible, not secret
    sample = dice.sample(tasks, min(run.settings.optimizer.slow_tasks, len(tasks)))
    old = world.measure(before, sample, f"slow-{step.epoch}-before")
    new = world.measure(step.skill, sample, f"slow-{step.epoch}-after")
    groups = _grouped(old, new)
    taught = [(name, row) for name in GROUPS[:3] for row in groups[name]]
    step = replace(step, batch=new, overlay=Overlay(tuple(OverlayEntry(r.task_id, (PATTERN,), n) for n, r in taught)))
    if not taught:
        return replace(step, verdict="nothing to learn from"), Candidate(step.skill, ())
    reply = world.agent("patcher", load_prompt("slow"), _user_part(run, step, sample, groups), SlowReply)
    lines = [line.rstrip() for said in reply.lines for line in said.splitlines() if line.strip()][:MAX_LINES]
    if not lines:
        return step, Candidate(step.skill, ())
    edit = _edit(step, lines, reply.why)
    rules = replace(run.rules(world.probes, {PATTERN}), in_block=True)
    return step, Candidate(*try_patch(step.skill, [replace(edit, id=f"E{run.next_edit}")], rules))


def epoch_start(run: Run, epoch: int) -> Skill:
    """The skill in hand when the epoch began."""
    earlier = [past for past in run.iterations if past.epoch < epoch]
    return earlier[-1].skill if earlier else run.initial


def _grouped(old: Sequence[Evidence], new: Sequence[Evidence]) -> dict[str, list[Evidence]]:
    """The rows under the skill in hand, by what became of their task; what either run could not measure is in none."""
    before = {row.task_id: row for row in old if row.measured}
    groups: dict[str, list[Evidence]] = {name: [] for name in GROUPS}
    for row in new:
        if row.measured and (known := before.get(row.task_id)) is not None:
            names = {(True, False): 0, (False, False): 1, (False, True): 2, (True, True): 3}
            groups[GROUPS[names[known.passed, row.passed]]].append(row)
    return groups


def _edit(step: Iteration, lines: Sequence[str], why: str) -> Edit:
    """The edit that writes the block: in the place of the old one, or at the body's end."""
    old = block_of(step.skill.body)
    return Edit(
        id="",
        iteration=step.number,
        layer="B",
        file=MAIN,
        op="replace" if old else "append",
        target="text" if old else "file",
        address=old,
        content="\n".join([BLOCK_BEGIN, *lines, BLOCK_END]),
        patterns=(PATTERN,),
        tasks=step.overlay.tasks_of((PATTERN,)),
        why=printable(why),
    )


def _user_part(run: Run, step: Iteration, sample: Sequence[Task], groups: dict[str, list[Evidence]]) -> str:
    instructions = {task.id: task.instruction for task in sample}
    parts = [f"## The skill in force\n\n{render_skill(step.skill)}", *rejected_edits(run, step), *notes(run)]
    block = block_of(step.skill.body)
    parts.append(f"## The block as it stands\n\n{fence(block) if block else 'There is none yet.'}")
    for name in GROUPS[:3]:
        for row in groups[name]:
            told = fence(cut_middle(instructions[row.task_id], TEXT_BOUND))
            said = fence(cut_middle(row.feedback, TEXT_BOUND))
            parts.append(f"## Task {row.task_id}\n\n{told}\n\nIt {name}. Grader:\n{said}")
    counts = ", ".join(f"{len(groups[name])} {name}" for name in GROUPS)
    return "\n\n".join([*parts, f"## Asked for\n\nThe block after this epoch ({counts})."])

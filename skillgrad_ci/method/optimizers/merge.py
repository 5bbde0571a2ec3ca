"""Aggregation by merging: lessons become one list of edits, ranked by the tasks that support them.

The proposals of several readers are merged into one list, and such lists again, until one is left: duplicates
become one proposal that counts the support of all, contradictions go. Failures come before successes. The edit
budget L_t, a textual learning rate, then takes the best supported ones.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from math import cos, pi

from pydantic import BaseModel, Field

from skillgrad_ci.document.inert_text import fence
from skillgrad_ci.errors import EnvironmentFailure, ReplyError
from skillgrad_ci.method.events import Dropped
from skillgrad_ci.method.gradient import Lesson
from skillgrad_ci.method.optimizers.draw import planned
from skillgrad_ci.method.optimizers.notes import notes, rejected_edits
from skillgrad_ci.method.optimizers.optimizer import Candidate
from skillgrad_ci.method.optimizers.update import EditFields
from skillgrad_ci.method.patch import EditResult, try_patch
from skillgrad_ci.method.prompting import further_files, in_force, load_prompt
from skillgrad_ci.method.run import Iteration, Run
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import Split
from skillgrad_ci.method.world import World


class MergedReply(EditFields):
    """One edit that stands for one or more proposals."""

    proposals: list[int] = Field(description="numbers of the proposals that it stands for, at least one")


class MergeReply(BaseModel):
    """The edits that are left, each for the proposals that it stands for; a proposal that is in none is dropped."""

    edits: list[MergedReply]


def budget(settings: LoopSettings, step: int, steps: int) -> int | None:
    """L_t: how many edits step `step` (from 1) of `steps` may make; None where there is no bound."""
    parts = settings.optimizer
    most, least = parts.most_edits, parts.least_edits
    past = (step - 1) / max(1, steps - 1)
    falls = {"constant": 0.0, "linear": past, "cosine": (1 - cos(pi * past)) / 2}
    return None if parts.rate == "none" else round(most - (most - least) * falls[parts.rate])


def by_support(run: Run, world: World, step: Iteration) -> tuple[Iteration, Candidate]:
    """Merge the step's lessons, take those that the edit budget allows, and make them."""
    if not step.lessons:
        return step.taught_nothing(), Candidate(step.skill, ())
    lessons = merged(run, world, step)
    ranked = sorted(lessons, key=lambda lesson: (-len(lesson.tasks), lesson.kind != "failure"))
    steps = planned(run.settings, len(run.suite.of(Split.TRAIN))).steps
    bound = budget(run.settings, step.number - run.slow_steps, steps)
    edits = [
        replace(lesson.edit, id=f"E{run.next_edit + number}", patterns=(lesson.label,), tasks=lesson.tasks)
        for number, lesson in enumerate(ranked)
    ]
    candidate, results = try_patch(
        step.skill, edits[:bound], run.rules(world.probes, {lesson.label for lesson in lessons})
    )
    late = [EditResult(edit, "refused", f"the edit budget of this step is {bound}") for edit in edits[len(results) :]]
    return step, Candidate(candidate, [*results, *late])


def merged(run: Run, world: World, step: Iteration) -> list[Lesson]:
    """The step's lessons as one list: the lists of several readers are merged into one, and those again.

    Readers of failures come first. A list that could not be merged stays as it was.
    """
    size, readers = run.settings.optimizer.merge, dict.fromkeys(lesson.reader for lesson in step.lessons)
    lists = [[lesson for lesson in step.lessons if lesson.reader == reader] for reader in readers]
    while len(lists) > 1:
        groups = [lists[start : start + size] for start in range(0, len(lists), size)]
        lists = world.all(partial(_merge, run, world, step), groups)
    return lists[0] if lists else []


def _merge(run: Run, world: World, step: Iteration, lists: Sequence[Sequence[Lesson]]) -> list[Lesson]:
    """One call. The support of an edit is the tasks of all proposals that it stands for."""
    group = [lesson for several in lists for lesson in several]
    if len(lists) == 1:
        return group
    shared = in_force(step.skill)
    try:
        reply = world.agent("momentum", load_prompt("merge"), _user_part(run, step, group), MergeReply, shared=shared)
    except (ReplyError, EnvironmentFailure) as error:
        world.observe(Dropped(f"a merge of iteration {step.number}", str(error)))
        return group
    kept = []
    for said in reply.edits:
        parents = [group[number - 1] for number in dict.fromkeys(said.proposals) if 0 < number <= len(group)]
        if parents:
            tasks = tuple(dict.fromkeys(task for parent in parents for task in parent.tasks))
            edit = said.edit(step.number, (parents[0].label,), tasks)
            kept.append(replace(parents[0], tasks=tasks, edit=edit))
    return kept


def _user_part(run: Run, step: Iteration, group: Sequence[Lesson]) -> str:
    parts = [*further_files(step.skill), *rejected_edits(run, step), *notes(run)]
    for number, lesson in enumerate(group, 1):
        edit, seen = lesson.edit, "failures" if lesson.kind == "failure" else "successes"
        place = f"{edit.op} in {edit.file}, target {edit.target}, address {edit.address!r}"
        support = f"{lesson.label}; {len(lesson.tasks)} {seen}"
        parts.append(f"## Proposal {number} ({support})\n\n{lesson.finding}\n\n{place}\n\n{fence(edit.content)}")
    return "\n\n".join([*parts, f"## Asked for\n\nOne list of edits from these {len(group)} proposals."])

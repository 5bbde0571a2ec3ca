"""Gradients by reflection: a call reads a minibatch of trajectories and proposes edits (SkillOpt, Trace2Skill).

Failures come first, then successes, whose lessons protect what works. A lesson is a proposed edit with the
tasks that support it; how often a lesson is supported is counted by code.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from pydantic import BaseModel, Field, field_validator

from skillgrad_ci.document.inert_text import fence, printable
from skillgrad_ci.errors import EnvironmentFailure, ReplyError
from skillgrad_ci.method.events import Dropped
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.gradient import MAX_TEXT, Diagnosis, Kind, Lesson, slug
from skillgrad_ci.method.memory import Overlay, OverlayEntry
from skillgrad_ci.method.optimizers.notes import notes, rejected_edits
from skillgrad_ci.method.optimizers.optimizer import Batch
from skillgrad_ci.method.optimizers.update import EditFields
from skillgrad_ci.method.prompting import cut_middle, fill, further_files, in_force, load_prompt
from skillgrad_ci.method.run import Iteration, Run
from skillgrad_ci.method.task import Task
from skillgrad_ci.method.trajectory import BOUND, render_trajectory
from skillgrad_ci.method.world import World

TRAJECTORIES_BOUND = 2 * BOUND  # characters of all trajectories of one minibatch
TEXT_BOUND = 4_000  # characters of one instruction, and of one grader's feedback
MAX_LESSONS = 8


class LessonReply(EditFields):
    """One proposed edit, and the tasks that support it."""

    label: str = Field(description="kebab-case name of the mechanism, fit for any similar task")
    finding: str = Field(description="what the executions show, in one or two sentences")
    tasks: list[str] = Field(description="ids of the tasks here that support it")

    @field_validator("label")
    @classmethod
    def _label_is_a_name(cls, value: str) -> str:
        if not slug(value):
            raise ValueError("a label needs letters or digits")
        return slug(value)


class ReflectionReply(BaseModel):
    """What a minibatch of executions teaches; an empty list if nothing."""

    lessons: list[LessonReply]


@dataclass(frozen=True)
class _Minibatch:
    kind: Kind
    rows: Sequence[tuple[Task, Evidence]]


def by_reflection(run: Run, world: World, step: Iteration, batch: Batch) -> Iteration:
    """The step with its batch's evidence, the lessons of all minibatches, and the overlay that follows from them."""

    def execute(task: Task) -> Evidence:
        return batch.known.get(task.id) or world.rollout(step.skill, task, iteration=str(step.number))

    rows = list(zip(batch.tasks, world.all(execute, batch.tasks), strict=True))
    step = replace(step, batch=[evidence for _, evidence in rows])
    groups = _minibatches(run, rows) if step.usable else []
    found = world.all(partial(_reflect, run, world, step), groups)
    lessons = [replace(lesson, reader=reader) for reader, (several, _) in enumerate(found) for lesson in several]
    diagnoses = [diagnosis for lesson in lessons for diagnosis in _told(lesson)]
    dropped = {task: why for _, lost in found for task, why in lost.items()}
    return replace(step, lessons=lessons, diagnoses=diagnoses, dropped=dropped, overlay=overlay_of(lessons))


def _minibatches(run: Run, rows: Sequence[tuple[Task, Evidence]]) -> list[_Minibatch]:
    size, groups = run.settings.optimizer.minibatch, []
    failed = [row for row in rows if row[1].failed]
    passed = [row for row in rows if row[1].passed and run.settings.optimizer.successes]
    kinds: tuple[tuple[Kind, list[tuple[Task, Evidence]]], ...] = (("failure", failed), ("contrastive", passed))
    for kind, several in kinds:
        groups += [_Minibatch(kind, several[start : start + size]) for start in range(0, len(several), size)]
    return groups


def _reflect(run: Run, world: World, step: Iteration, group: _Minibatch) -> tuple[list[Lesson], dict[str, str]]:
    """One call: its lessons, or why its tasks have none. A lesson that names no task that it saw does not count."""
    system, shared = fill(load_prompt("reflect"), max_lessons=str(MAX_LESSONS)), in_force(step.skill)
    try:
        reply = world.agent("diagnoser", system, _user_part(run, step, group), ReflectionReply, shared=shared)
    except (ReplyError, EnvironmentFailure) as error:
        world.observe(Dropped(", ".join(task.id for task, _ in group.rows), str(error)))
        return [], {task.id: str(error) for task, _ in group.rows}
    here, lessons = [task.id for task, _ in group.rows], []
    for said in reply.lessons[:MAX_LESSONS]:
        tasks = tuple(task for task in here if task in said.tasks)
        if tasks:
            edit = said.edit(step.number, (said.label,), tasks)
            lessons.append(Lesson(said.label, group.kind, printable(said.finding, MAX_TEXT), tasks, edit))
    return lessons, {}


def _user_part(run: Run, step: Iteration, group: _Minibatch) -> str:
    """Stable parts first: the skill and what was tried are the same for all minibatches of a step."""
    verdict = "failed" if group.kind == "failure" else "passed"
    parts = [*further_files(step.skill), *rejected_edits(run, step), *notes(run)]
    bound = min(BOUND, TRAJECTORIES_BOUND // len(group.rows))
    for task, evidence in group.rows:
        told = render_trajectory(evidence.trajectory, evidence.feedback, bound)
        parts.append(f"## Task {task.id}\n\n{fence(cut_middle(task.instruction, TEXT_BOUND))}")
        parts.append(f"### Its execution, which {verdict}\n\n{told}")
        parts.append(f"Grader:\n{fence(cut_middle(evidence.feedback, TEXT_BOUND))}")
    parts.append(f"## Asked for\n\nThe lessons of these {len(group.rows)} executions, which {verdict}.")
    return "\n\n".join(parts)


def _told(lesson: Lesson) -> list[Diagnosis]:
    """A lesson as the report tells it: one diagnosis for each task that supports it."""
    return [
        Diagnosis(task, lesson.kind, lesson.label, lesson.finding, printable(lesson.edit.why), "missing")
        for task in lesson.tasks
    ]


def overlay_of(lessons: Sequence[Lesson]) -> Overlay:
    """Which labels are at work in which task: an edit's provenance."""
    tasks = dict.fromkeys(task for lesson in lessons for task in lesson.tasks)
    entries = []
    for task in tasks:
        mine = [lesson for lesson in lessons if task in lesson.tasks]
        labels = tuple(dict.fromkeys(lesson.label for lesson in mine))
        entries.append(OverlayEntry(task, labels, mine[0].finding, change=mine[0].edit.summary))
    return Overlay(tuple(entries))

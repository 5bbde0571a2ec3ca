"""The gradient: one diagnosis per task, not averaged.

A failed task gets a *failure* diagnosis (why it failed). A task that the initial skill failed and the
current one passes gets a *contrastive* diagnosis (what made the difference, robust or lucky).
Both are conditioned on the current skill: does it lack the guidance, state it too weakly, or was it
ignored?
"""

import re
from dataclasses import dataclass
from textwrap import indent
from typing import Literal

from pydantic import BaseModel, Field, field_validator

from skillgrad_ci.document.inert_text import fence, one_line, printable
from skillgrad_ci.method.evidence import Evidence, Trajectory
from skillgrad_ci.method.ports import Agent
from skillgrad_ci.method.prompting import cut_middle, further_files, in_force, load_prompt
from skillgrad_ci.method.task import Task
from skillgrad_ci.method.trajectory import FEEDBACK_BOUND, render_both, render_trajectory, said_by
from skillgrad_ci.skill.edit import Edit
from skillgrad_ci.skill.skill import Skill

Kind = Literal["failure", "contrastive"]
Guidance = Literal["missing", "weak", "ignored"]
INSTRUCTION_BOUND = 20_000  # characters of a task's instruction in a prompt
MAX_TEXT, MAX_SNIPPET = 1_200, 1_500  # characters of one field of a diagnosis


def slug(text: str) -> str:
    """`text` as lower-case words joined by hyphens, at most 60 characters."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].strip("-")


def _brief(text: str) -> str:
    """A model's sentences on one printable line, so short that no field can crowd out the others."""
    return printable(text, MAX_TEXT)


class DiagnosisReply(BaseModel):
    """What the diagnoser found in one execution."""

    label: str = Field(description="kebab-case name of the mechanism, fit for any similar task")
    summary: str = Field(description="what happened, one or two sentences")
    cause: str = Field(description="why it failed, or what made the difference")
    guidance: Guidance = Field(description="the skill lacks the guidance, states it too weakly, or it was ignored")
    skipped_step: str = Field(description="a reasoning step that was skipped; empty if none")
    robust: bool = Field(description="contrastive: true if it would pass again, false if it was luck")
    approach: str = Field(
        default="", description="the approach that is right for any such task, as a rule: when …, do …, because …"
    )
    snippet: str = Field(
        default="", description="where code matters: a short generic snippet of the approach; otherwise empty"
    )
    quote: str = Field(description="the few words of the trajectory that show it, copied exactly")

    @field_validator("label")
    @classmethod
    def _label_is_a_name(cls, value: str) -> str:
        name = slug(value)
        if not name:
            raise ValueError("a label needs letters or digits")
        return name


@dataclass(frozen=True)
class Diagnosis:
    """The gradient of one task. `quote` is empty where the model's quote stands nowhere."""

    task_id: str
    kind: Kind
    label: str
    summary: str
    cause: str
    guidance: Guidance
    skipped_step: str = ""
    robust: bool = False
    approach: str = ""
    snippet: str = ""
    quote: str = ""

    def render(self) -> str:
        """The diagnosis as lines of a prompt, and of the run folder."""
        verdict = "" if self.kind == "failure" else " (robust)" if self.robust else " (perhaps luck)"
        lines = [
            f"- task {self.task_id}: {self.kind}{verdict}: {self.label}",
            f"  - what happened: {self.summary}",
            f"  - cause: {self.cause}",
            f"  - guidance in the skill: {self.guidance}",
        ]
        if self.skipped_step:
            lines.append(f"  - skipped step: {self.skipped_step}")
        if self.approach:
            lines.append(f"  - right approach: {self.approach}")
        if self.snippet:
            lines.append("  - in code:\n" + indent(fence(self.snippet), "    "))
        if self.quote:
            lines.append(f"  - seen in the trajectory: {self.quote!r}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Lesson:
    """A gradient that is a proposed edit already, with the tasks that support it (reflection, not diagnosis).

    `reader` numbers the minibatch in which it was seen.
    """

    label: str
    kind: Kind
    finding: str
    tasks: tuple[str, ...]
    edit: Edit
    reader: int = 0


def diagnose(agent: Agent, skill: Skill, task: Task, evidence: Evidence, initial: Evidence) -> Diagnosis | None:
    """Diagnose one execution by one structured call.

    `initial` is the same task's evidence under the initial skill. Returns None for an execution that
    teaches nothing: unmeasured, or passed both times, or passed once and failed once under one and the same
    skill, which is chance. Raises what the agent raises.
    """
    contrast = initial.failed and initial.skill_digest != evidence.skill_digest
    if not evidence.measured or (evidence.passed and not contrast):
        return None
    kind: Kind = "failure" if evidence.failed else "contrastive"
    user = _user_part(kind, skill, task, evidence, initial)
    reply = agent("diagnoser", load_prompt("diagnose"), user, DiagnosisReply, shared=in_force(skill))
    return Diagnosis(
        task_id=task.id,
        kind=kind,
        label=reply.label,
        summary=_brief(reply.summary),
        cause=_brief(reply.cause),
        guidance=reply.guidance,
        skipped_step=_brief(reply.skipped_step),
        robust=reply.robust and kind == "contrastive",
        approach=_brief(reply.approach),
        snippet=cut_middle(reply.snippet.strip("\n"), MAX_SNIPPET),
        quote=_verified(reply.quote, evidence.trajectory),
    )


def _user_part(kind: Kind, skill: Skill, task: Task, evidence: Evidence, initial: Evidence) -> str:
    """What the skill's part leaves out is there where the execution read it. All parts together are bounded."""
    parts = [
        *further_files(skill, evidence.trajectory.references_read),
        f"## Task {task.id}\n\n{fence(cut_middle(task.instruction, INSTRUCTION_BOUND))}",
    ]
    said = f"Grader:\n{fence(cut_middle(evidence.feedback, FEEDBACK_BOUND))}"
    if kind == "failure":
        shown = render_trajectory(evidence.trajectory, evidence.feedback)
        parts.append(f"## The execution under the skill in force, which failed\n\n{shown}\n\n{said}")
    else:
        alike, before, now = render_both(initial.trajectory, evidence.trajectory, initial.feedback)
        complaint = f"Grader:\n{fence(cut_middle(initial.feedback, FEEDBACK_BOUND))}"
        parts += [f"## How both executions begin\n\n{alike}"] if alike else []
        parts.append(f"## The execution under the initial skill, which failed\n\n{before}\n\n{complaint}")
        parts.append(f"## The execution under the skill in force, which passed\n\n{now}\n\n{said}")
    parts.append(f"## Asked for\n\nA {kind} diagnosis of task {task.id}.")
    return "\n\n".join(parts)


def _verified(quote: str, trajectory: Trajectory) -> str:
    """The quote, if it really is in what an event shows in the prompt (white space folded); else nothing."""
    wanted = one_line(quote)
    seen = one_line(" ".join(map(said_by, trajectory.events)))
    return wanted[:300] if wanted and wanted in seen else ""

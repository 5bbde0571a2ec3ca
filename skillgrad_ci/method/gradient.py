"""The gradient: one diagnosis per task, not averaged.

A failed task gets a *failure* diagnosis (why it failed). A task that the initial skill failed and the
current one passes gets a *contrastive* diagnosis (what made the difference, robust or lucky).
Both are conditioned on the current skill: does it lack the guidance, state it too weakly, or was it
ignored?
"""

import re
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, Field, field_validator

from skillgrad_ci.method.evidence import Evidence, Trajectory
from skillgrad_ci.method.ports import Agent
from skillgrad_ci.method.prompting import OUTPUTS_BOUND, fence, load, render_skill, render_trajectory
from skillgrad_ci.method.task import Task
from skillgrad_ci.skill.skill import Skill

Kind = Literal["failure", "contrastive"]
Guidance = Literal["missing", "weak", "ignored"]
FEEDBACK_BOUND = 4_000  # characters of grader's feedback in a prompt


def slug(text: str) -> str:
    """`text` as lower-case words joined by hyphens, at most 60 characters."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].strip("-")


def one_line(text: str) -> str:
    return " ".join(text.split())


class DiagnosisReply(BaseModel):
    """What the diagnoser found in one execution."""

    label: str = Field(description="kebab-case name of the mechanism, fit for any similar task")
    summary: str = Field(description="what happened, one or two sentences")
    cause: str = Field(description="why it failed, or what made the difference")
    guidance: Guidance = Field(description="the skill lacks the guidance, states it too weakly, or it was ignored")
    skipped_step: str = Field(description="a reasoning step that was skipped; empty if none")
    robust: bool = Field(description="contrastive: true if it would pass again, false if it was luck")
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
        if self.quote:
            lines.append(f"  - seen in the trajectory: {self.quote!r}")
        return "\n".join(lines)


def diagnose(agent: Agent, skill: Skill, task: Task, evidence: Evidence, initial: Evidence) -> Diagnosis | None:
    """Diagnose one execution by one structured call.

    `initial` is the same task's evidence under the initial skill. Returns None for an execution that
    teaches nothing: unmeasured, or passed both times. Raises what the agent raises.
    """
    if not evidence.measured or (evidence.passed and not initial.failed):
        return None
    kind: Kind = "failure" if evidence.failed else "contrastive"
    reply = agent("diagnoser", load("diagnose"), _user_part(kind, skill, task, evidence, initial), DiagnosisReply)
    return Diagnosis(
        task_id=task.id,
        kind=kind,
        label=reply.label,
        summary=one_line(reply.summary),
        cause=one_line(reply.cause),
        guidance=reply.guidance,
        skipped_step=one_line(reply.skipped_step),
        robust=reply.robust and kind == "contrastive",
        quote=_verified(reply.quote, evidence.trajectory),
    )


def _user_part(kind: Kind, skill: Skill, task: Task, evidence: Evidence, initial: Evidence) -> str:
    """Stable parts first: the skill is the same for the whole batch."""
    parts = [
        f"## The skill in force\n\n{render_skill(skill, only=evidence.trajectory.references_read)}",
        f"## Task {task.id}\n\n{fence(task.instruction)}",
    ]
    if kind == "contrastive":
        half = render_trajectory(initial.trajectory, OUTPUTS_BOUND // 4)
        feedback = fence(initial.feedback[:FEEDBACK_BOUND])
        parts.append(f"## The execution under the initial skill, which failed\n\n{half}\n\nGrader:\n{feedback}")
    verdict = "failed" if kind == "failure" else "passed"
    parts.append(
        f"## The execution under the skill in force, which {verdict}\n\n{render_trajectory(evidence.trajectory)}"
    )
    parts.append(f"Grader:\n{fence(evidence.feedback[:FEEDBACK_BOUND])}")
    parts.append(f"## Asked for\n\nA {kind} diagnosis of task {task.id}.")
    return "\n\n".join(parts)


def _verified(quote: str, trajectory: Trajectory) -> str:
    """The quote, if it really stands in the trajectory (white space folded); else nothing."""
    wanted = one_line(quote)
    seen = one_line(" ".join(str(event.get(key, "")) for event in trajectory.events for key in _QUOTABLE))
    return wanted[:300] if wanted and wanted in seen else ""


_QUOTABLE = ("text", "arguments", "output")

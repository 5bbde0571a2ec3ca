"""What a model is asked for when a suite grows, and what it replies: tasks as data, checked before any is believed."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from skillgrad_ci.document.inert_text import fence
from skillgrad_ci.method.ports import Agent
from skillgrad_ci.method.prompting import cut_middle, load_prompt, render_skill
from skillgrad_ci.method.task import Task
from skillgrad_ci.session.growth.material import Material
from skillgrad_ci.skill.skill import Skill

ROLE = "proposer"
AT_ONCE = 4  # tasks asked for in one call
SHOWN = 600  # characters of an existing task's instruction
REMEMBERED = 30  # refused proposals that a prompt names


class _Proposed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ProposedFile(_Proposed):
    name: str = Field(description="relative path in the work folder")
    content: str


class ProposedGrader(_Proposed):
    """One grader. Only the fields of its type count."""

    type: Literal["text", "csv", "xlsx", "command", "judge"]
    output: str = Field("", description="the file that is graded; empty: the last message (text)")
    check: Literal["exact", "contains", "regex", "number", "json", "choice", ""] = Field(
        "", description="text: which check"
    )
    value: str = Field("", description="text: what the check wants; several values of contains stand on lines")
    choices: list[str] = Field(default_factory=list, description="text: all choices, for the check choice")
    ignore_case: bool = False
    answer_position: str = Field("", description="xlsx: the graded range, as in 'Sheet1'!A1:B5")
    program: str = Field("", description="command: a Python program that exits with 0 where the result is right")
    statements: list[str] = Field(default_factory=list, description="judge: statements that hold for a good result")


class ProposedTask(_Proposed):
    id: str = Field(description="two to five words in kebab-case")
    instruction: str
    inputs: list[ProposedFile] = Field(default_factory=list)
    make_inputs: str = Field("", description="a Python program that writes inputs which are no text")
    answer: str = Field("", description="the right last message")
    results: list[ProposedFile] = Field(default_factory=list, description="the right files, in text")
    make_results: str = Field("", description="a Python program that makes the right files from the inputs")
    grader: ProposedGrader
    quote: str = Field(description="words of the material that the task is about, exactly")


class ProposalReply(_Proposed):
    tasks: list[ProposedTask]


def ask(
    agent: Agent, skill: Skill | None, material: Material, tasks: Sequence[Task], refused: Sequence[str], turn: int
) -> ProposalReply:
    """Proposals from one piece of material. `refused` says what became of earlier ones; `turn` counts the calls."""
    known = "\n".join(f"- {task.id}: {cut_middle(' '.join(task.instruction.split()), SHOWN)}" for task in tasks)
    refusals = "\n".join(f"- {line}" for line in refused[-REMEMBERED:])
    parts = [
        f"## The skill\n\n{render_skill(skill)}" if skill else "",
        f"## Tasks that exist\n\n{fence(known or '(none)')}",
        f"## Proposals that were refused\n\n{fence(refusals)}" if refused else "",
        f"## The material ({material.origin})\n\n{fence(material.text)}",
        f"Propose up to {AT_ONCE} new tasks from the material. This is call {turn}.",
    ]
    return agent(ROLE, load_prompt("propose"), "\n\n".join(filter(None, parts)), ProposalReply)

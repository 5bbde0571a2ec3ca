"""Edits without a gradient: what is asked, and how many edits of a reply count."""

from dataclasses import dataclass, field
from typing import Any, cast

from skillgrad_ci.method.acceptance import Incumbent
from skillgrad_ci.method.evidence import Evidence, Outcome, Trajectory
from skillgrad_ci.method.memory import PatternMemory, RejectedEdit, Stamp
from skillgrad_ci.method.optimizers.plain import MAX_EDITS, PlainReply, rewrite, shorten
from skillgrad_ci.method.patch import EditResult
from skillgrad_ci.method.ports import Reply
from skillgrad_ci.method.run import Iteration, Run
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.skill.skill import Skill
from tests.support.worlds import SKILL, edit, suite, world

PAIR = SKILL.with_file("references/a.md", "First.\n").with_file("references/b.md", "Second.\n")
REJECTED = RejectedEdit("E1", Stamp("old", 1), "append x", ("shrink",), "lint", "too long")


@dataclass
class Editor:
    """A patcher that appends so many rules; keeps what it was asked."""

    number: int = 0
    asked: list[str] = field(default_factory=list)

    def __call__(self, role: str, system: str, user: str, reply: type[Reply], *, shared: str = "") -> Reply:
        assert (role, reply) == ("patcher", PlainReply)
        self.asked.append(user)
        edits = [edit(f"Rule {n}.") for n in range(self.number)]
        for one in edits:
            del one["patterns"]
        return cast("Reply", PlainReply.model_validate({"edits": edits}))


def begun(skill: Skill, preset: str, **parts: Any) -> tuple[Run, Iteration]:
    config = LoopSettings.model_validate({"optimizer": preset})
    memory = PatternMemory("s").with_rejected([REJECTED])
    run = Run(skill, skill, skill, suite(), config, memory, **parts)
    return run, Iteration(1, Incumbent(skill), memory)


def read(*files: str) -> Evidence:
    return Evidence("task-1", "d", Outcome.PASSED, trajectory=Trajectory(references_read=files))


def test_a_file_counts_once_for_each_execution_that_read_it() -> None:
    agent, baseline = Editor(), [read("references/a.md", "references/a.md"), read("references/a.md"), read()]
    run, step = begun(PAIR, "shrink", baseline=baseline)
    shorten(run, world(agent=agent), step)
    [asked] = agent.asked
    assert asked.startswith("## The skill\n\n")
    assert "Be careful." in asked
    reads = "- references/a.md: read in 2 of 3 executions\n- references/b.md: read in 0 of 3 executions"
    refused = "## Edits that were rejected\n\n- append x (for shrink): too long"
    wanted = "## Asked for\n\nA shorter skill that serves its tasks as well."
    assert asked.endswith(f"\n\n## How often its files are read\n\n{reads}\n\n{refused}\n\n{wanted}")
    bare, step = begun(SKILL, "shrink", baseline=baseline)
    shorten(bare, world(agent=agent), step)
    assert "How often" not in agent.asked[1]


def test_a_patch_has_so_many_edits_at_most_and_they_are_numbered_over_the_run() -> None:
    run, step = begun(SKILL, "rewrite")
    _, first = rewrite(run, world(agent=Editor(2)), step)
    past = Iteration(1, Incumbent(SKILL), PatternMemory("s"), edits=first.edits)
    run, step = begun(SKILL, "rewrite", iterations=[past])
    _, candidate = rewrite(run, world(agent=Editor(MAX_EDITS + 2)), step)
    assert [result.edit.id for result in candidate.edits] == [f"E{number}" for number in range(3, MAX_EDITS + 5)]
    assert [result.status for result in candidate.edits] == ["accepted"] * MAX_EDITS + ["refused"] * 2
    late = candidate.edits[-1]
    assert late == EditResult(late.edit, "refused", f"a patch has at most {MAX_EDITS} edits")
    assert [f"Rule {n}." in candidate.skill.text for n in (0, MAX_EDITS - 1, MAX_EDITS)] == [True, True, False]


def test_an_edit_that_makes_the_skill_longer_does_not_shorten_it() -> None:
    run, step = begun(SKILL, "shrink")
    _, candidate = shorten(run, world(agent=Editor(1)), step)
    assert [result.status for result in candidate.edits] == ["refused"]
    assert candidate.skill == SKILL

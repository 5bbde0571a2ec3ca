"""What agents are told of the run so far: what did not work, in bounds, and which kinds of edits were kept."""

from typing import Literal

from skillgrad_ci.method.acceptance import Incumbent
from skillgrad_ci.method.memory import PatternMemory, RejectedEdit, Stamp
from skillgrad_ci.method.optimizers.notes import SHOWN, notes, rejected_edits
from skillgrad_ci.method.patch import EditResult
from skillgrad_ci.method.run import Iteration, Run
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.skill.edit import Edit, Op
from tests.support.worlds import SKILL, suite

Status = Literal["accepted", "refused", "rejected"]


def result(number: int, status: Status, op: Op = "append") -> EditResult:
    edit = Edit(f"E{number}", 1, "B", "SKILL.md", op, "file", "", f"Rule {number}.", (f"rule-{number}",), (), "")
    return EditResult(edit, status, "" if status == "accepted" else f"reason {number}")


def step(number: int, *edits: EditResult, epoch: int = 1) -> Iteration:
    return Iteration(number, Incumbent(SKILL), PatternMemory("s"), edits=edits, epoch=epoch)


def run(*past: Iteration, memory: PatternMemory | None = None, **parts: object) -> Run:
    config = LoopSettings.model_validate({"optimizer": {"preset": "skillopt", **parts}})
    return Run(SKILL, SKILL, SKILL, suite(), config, memory or PatternMemory("s"), iterations=past)


def test_edits_of_this_epoch_that_did_not_work_are_told_and_no_others() -> None:
    past = [
        step(1, result(1, "rejected")),
        step(2, result(2, "accepted"), result(3, "refused"), epoch=2),
        step(3, result(4, "rejected"), epoch=2),
    ]
    told = "- append SKILL.md, the file: Rule {0}. (for rule-{0}): reason {0}"
    begun = "## Edits that were rejected\n\n"
    assert rejected_edits(run(*past, rejected="epoch"), step(4, epoch=2)) == [
        f"{begun}{told.format(3)}\n{told.format(4)}"
    ]
    assert rejected_edits(run(*past, rejected="epoch"), step(4, epoch=3)) == []


def test_the_latest_are_told_where_they_are_many() -> None:
    many = step(1, *(result(number, "rejected") for number in range(SHOWN + 5)))
    [part] = rejected_edits(run(many, rejected="epoch"), step(2))
    assert [line.rsplit(" ", 1)[1] for line in part.split("\n")[2:]] == [str(number) for number in range(5, SHOWN + 5)]


def test_the_memorys_rejected_edits_are_told_across_runs() -> None:
    memory = PatternMemory("s").with_rejected(
        [RejectedEdit("E1", Stamp("old", 1), "append x", ("p", "q"), "lint", "bad")]
    )
    assert rejected_edits(run(memory=memory, rejected="memory"), step(1)) == [
        "## Edits that were rejected\n\n- append x (for p, q): bad"
    ]


def test_kinds_of_edits_are_counted_by_what_measurement_said_of_them() -> None:
    past = step(
        1, result(1, "rejected", "replace"), result(2, "accepted"), result(3, "accepted"),
        result(4, "refused", "delete"), result(5, "rejected"),
        result(6, "accepted", "insert_after"), result(7, "rejected", "delete"),
    )  # fmt: skip
    assert notes(run(past, meta_notes=True)) == [
        "## Which kinds of edits were kept so far\n\n"
        "- append in layer B: 2 accepted, 1 rejected by measurement\n"
        "- delete in layer B: 0 accepted, 1 rejected by measurement\n"
        "- insert_after in layer B: 1 accepted, 0 rejected by measurement\n"
        "- replace in layer B: 0 accepted, 1 rejected by measurement"
    ]
    assert notes(run(past, meta_notes=False)) == []
    assert notes(run(step(1, result(4, "refused")), meta_notes=True)) == []

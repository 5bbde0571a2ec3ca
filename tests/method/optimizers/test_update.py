"""The patcher's step: what it is asked, what it may answer, and where an edit's provenance comes from."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from pydantic import BaseModel

from skillgrad_ci.errors import EnvironmentFailure, ReplyError
from skillgrad_ci.method.acceptance import Incumbent
from skillgrad_ci.method.gradient import Diagnosis
from skillgrad_ci.method.memory import Overlay, OverlayEntry, Pattern, PatternMemory, Stamp
from skillgrad_ci.method.optimizers.update import MAX_EDITS, READ_BACK, STUCK, EditReply, PatchReply, update
from skillgrad_ci.method.patch import EditResult, Rules
from skillgrad_ci.method.ports import Reply
from skillgrad_ci.method.prompting import load_prompt
from skillgrad_ci.method.run import Iteration
from skillgrad_ci.method.task import Task
from skillgrad_ci.skill.edit import apply_edit
from skillgrad_ci.skill.skill import MAIN, Skill
from tests.support.skills import skill_of

SKILL = skill_of("# Demo\n\n## Steps\n\n- Look.\n", {"references/a.md": "{{scripts}} ```` fence\n"})
MEMORY = PatternMemory("demo", (Pattern("checks-late", "workflow", "l"), Pattern("wrong-unit", "operation", "l")))
OVERLAY = Overlay(
    (
        OverlayEntry(task="task-one", patterns=("checks-late",), note="n"),
        OverlayEntry(task="task-two", patterns=("checks-late", "wrong-unit"), note="n"),
        OverlayEntry(task="task-six", patterns=(), note="n"),
    )
)
DIAGNOSES = [Diagnosis("task-one", "failure", "checks-late", "s", "c", "missing")]
TASKS = [Task("task-one", "Do it.", ())]
STEP = Iteration(2, Incumbent(SKILL), MEMORY, diagnoses=DIAGNOSES, overlay=OVERLAY)


@dataclass
class Patcher:
    """A patcher with prepared answers, in order; it keeps what it was asked."""

    answers: Sequence[PatchReply | Exception]
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def __call__(self, role: str, system: str, user: str, reply: type[Reply], *, shared: str = "") -> Reply:
        user = f"{shared}\n\n{user}" if shared else user
        self.asked.append((role, system, user))
        answer = self.answers[len(self.asked) - 1]
        if isinstance(answer, Exception):
            raise answer
        return reply.model_validate(answer.model_dump())


def edit(content: str = "- Think.", patterns: Sequence[str] = ("checks-late",), **fields: str) -> EditReply:
    given = {"op": "append", "file": MAIN, "target": "heading", "address": "Steps", "why": "so", **fields}
    return EditReply.model_validate({**given, "content": content, "patterns": list(patterns)})


def stepped(
    *answers: Sequence[EditReply] | Exception, allow_scripts: bool = False
) -> tuple[Skill, list[EditResult], Patcher]:
    patcher = Patcher([a if isinstance(a, Exception) else PatchReply(edits=list(a)) for a in answers])
    after, results = update(patcher, STEP, Rules(TASKS, MEMORY.slugs, allow_scripts), 5)
    return after, results, patcher


def test_edits_are_numbered_layered_and_taught_by_the_overlay() -> None:
    pointer = "Read `references/b.md` when unsure. Skip when not."
    after, results, patcher = stepped(
        [
            edit("When asked.", target="description", op="replace", address=""),
            edit(pointer, ["wrong-unit", "Checks late", "invented"]),
            edit("# B\n", ["wrong-unit"], file="./references/b.md", target="file", address="", why="a\nb"),
        ]
    )
    made = [result.edit for result in results]
    assert [(e.id, e.iteration, e.layer, e.file) for e in made] == [
        ("E5", 2, "H", MAIN),
        ("E6", 2, "B", MAIN),
        ("E7", 2, "Q", "references/b.md"),
    ]
    assert [e.patterns for e in made] == [("checks-late",), ("wrong-unit", "checks-late"), ("wrong-unit",)]
    assert [e.tasks for e in made] == [("task-one", "task-two"), ("task-one", "task-two"), ("task-two",)]
    assert made[2].why == "a b"
    assert after.description == "When asked."
    assert len(patcher.asked) == 1


def test_the_prompt_has_a_stable_system_part_and_stable_parts_first() -> None:
    _, _, patcher = stepped([])
    role, system, user = patcher.asked[0]
    assert role == "patcher"
    assert "task-one" not in system
    assert "{{" not in system
    order = ["- Look.", "````", "## checks-late", "- task-two: checks-late, wrong-unit", "- task task-one: failure"]
    places = [user.index(part) for part in order]
    assert places == sorted(places)
    assert "{{scripts}} ```` fence" in user  # data is never filled in
    assert stepped([], allow_scripts=True)[2].asked[0][1] != system


def test_a_refused_edit_is_shown_with_its_place() -> None:
    there, nowhere = edit("- Think.", address="Steps"), edit("- Act.", address="Nowhere")
    gone = edit("- Act.", file="references/none.md", target="file", address="", op="delete")
    _, _, patcher = stepped([there, nowhere, gone], [])
    shown = patcher.asked[1][2]
    assert "Made already, not to be sent again: append in SKILL.md (for checks-late)." in shown
    assert "Refused: append in SKILL.md, target heading, address 'Nowhere'\n" in shown
    assert "Refused: delete in references/none.md, target file\n" in shown


def test_nothing_warranted_is_a_good_answer_and_costs_one_call() -> None:
    after, results, patcher = stepped([])
    assert (after, results, len(patcher.asked)) == (SKILL, [], 1)


def test_without_a_pattern_nothing_is_asked() -> None:
    patcher = Patcher([])
    assert update(patcher, replace(STEP, memory=PatternMemory()), Rules(TASKS, ()), 1) == (SKILL, [])


def test_refused_edits_are_shown_once_and_corrected() -> None:
    after, results, patcher = stepped(
        [edit("- Think."), edit("- As in task-one.", ["wrong-unit"])], [edit("- Mind the unit.", ["wrong-unit"])]
    )
    assert [(r.edit.id, r.status) for r in results] == [("E5", "accepted"), ("E6", "refused"), ("E7", "accepted")]
    assert after.body.endswith("- Look.\n- Think.\n- Mind the unit.\n")
    (_, system, first), (_, again, second) = patcher.asked
    assert (again, second.startswith(first)) == (system, True)  # a provider's cache hits
    shown = second[len(first) :]
    assert results[1].reason in shown
    assert "- As in task-one." in shown
    assert shown.count("- Think.") == 1  # in the resulting skill, and not among what was refused


def test_an_edit_that_was_made_is_not_made_again_by_the_repair() -> None:
    after, results, _ = stepped([edit("- Think."), edit("x", ["invented"])], [edit("- Think."), edit("- Act.")])
    assert [(r.edit.id, r.status) for r in results] == [("E5", "accepted"), ("E6", "refused"), ("E7", "accepted")]
    assert after.body.count("- Think.") == 1


def test_a_large_patch_is_read_back_as_a_whole_and_may_be_mended_once() -> None:
    long = "\n".join(f"- Rule {n}." for n in range(READ_BACK + 1))
    mend = edit("- One rule.", op="replace", target="text", address="- Rule 3.")
    after, results, patcher = stepped([edit(long)], [mend])
    assert [(r.edit.id, r.status) for r in results] == [("E5", "accepted"), ("E6", "accepted")]
    assert "- One rule." in after.body
    (_, system, first), (_, again, second) = patcher.asked
    assert again == system
    assert "## The skill after your edits" in second
    assert f"- Rule {READ_BACK}." in second
    assert "for checks-late" in second  # what a mending edit may name
    assert "task-one" in first
    assert "task-one" not in second  # the batch is not told again


def test_a_small_patch_is_not_read_back() -> None:
    short = "\n".join(f"- Rule {n}." for n in range(READ_BACK))
    assert len(stepped([edit(short)])[2].asked) == 1


def test_a_pattern_that_words_did_not_mend_is_due_for_a_structural_move() -> None:
    stamps = tuple(Stamp("r", n) for n in range(STUCK))
    stuck = Pattern("comes-back", "mixed", "l", appeared_in=stamps, absorption="unresolved")
    calm = replace(stuck, slug="is-calm", absorption="absorbed")
    new = replace(stuck, slug="is-new", appeared_in=stamps[1:])
    patcher = Patcher([PatchReply(edits=[])])
    memory = PatternMemory("demo", (stuck, calm, new))
    update(patcher, replace(STEP, memory=memory), Rules(TASKS, memory.slugs), 1)
    due = patcher.asked[0][2].partition("## Due for a structural move")[2].partition("\n## ")[0]
    assert "comes-back: appeared 3 times" in due
    assert "is-calm" not in due
    assert "is-new" not in due


def test_what_is_refused_twice_stays_refused() -> None:
    bad = edit("x", address="Nowhere")
    after, results, patcher = stepped([bad], [bad])
    assert after.digest == SKILL.digest
    assert [r.status for r in results] == ["refused", "refused"]
    assert len(patcher.asked) == 2


@pytest.mark.parametrize("fault", [ReplyError("no usable reply"), EnvironmentFailure("no network")])
def test_a_fault_of_the_repair_keeps_the_first_edits_and_one_of_the_first_call_is_raised(fault: Exception) -> None:
    after, results, _ = stepped([edit(), edit("x", address="Nowhere")], fault)
    assert [r.status for r in results] == ["accepted", "refused"]
    assert "- Think." in after.body
    with pytest.raises(type(fault)):
        stepped(fault)


def test_a_patch_is_small() -> None:
    after, results, _ = stepped([edit(f"- {n}.") for n in range(MAX_EDITS + 2)], [])
    assert [r.status for r in results] == ["accepted"] * MAX_EDITS + ["refused"] * 2
    assert len({r.edit.id for r in results}) == MAX_EDITS + 2
    assert f"- {MAX_EDITS}." not in after.body


def test_accepted_edits_made_one_by_one_give_the_skill() -> None:
    after, results, _ = stepped([edit("- a"), edit("x", ["invented"])], [edit("- b"), edit("- c", address="Demo")])
    skill = SKILL
    for result in results:
        skill = apply_edit(skill, result.edit) if result.status == "accepted" else skill
    assert skill.digest == after.digest


def test_the_schema_tells_the_model_what_each_field_means() -> None:
    def descriptions(model: type[BaseModel]) -> list[str | None]:
        return [f.description for f in model.model_fields.values()]

    assert all(descriptions(EditReply))
    assert PatchReply.model_json_schema()["required"] == ["edits"]


def test_the_prompt_is_for_any_domain_and_names_what_code_enforces() -> None:
    text = load_prompt("patch")
    assert not [word for word in ("spreadsheet", "excel", "cell", "workbook") if word in text.lower()]
    for promise in ("Read `references/topic.md` when", "Skip when", "slug", "task ids", "{{max_edits}}", "{{scripts}}"):
        assert promise in text

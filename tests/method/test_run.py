"""What a run remembers of its edits: what worked, what was rejected, and never the text of a leak."""

import pytest

from skillgrad_ci.method.acceptance import Incumbent
from skillgrad_ci.method.memory import Pattern, PatternMemory, Stamp
from skillgrad_ci.method.patch import EditResult, replay
from skillgrad_ci.method.run import Iteration, Run, forget, remember
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.skill.edit import Edit
from tests.support.worlds import SKILL, suite

AT = Stamp("r", 1)
MEMORY = PatternMemory("s", (Pattern("known", "mixed", "a line"),))
SECRET = "the answer is 48151"
REASON = "L003 SKILL.md:9: '48151' is an expected answer of a training task; say what holds for any such task instead"


def made(status: str, **fields: str) -> EditResult:
    known = {"id": "E1", "op": "append", "target": "heading", "address": "Steps", "content": SECRET} | fields
    edit = Edit(iteration=1, layer="B", file="SKILL.md", patterns=("known",), **known)  # type: ignore[arg-type]
    return EditResult(edit, status, REASON)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [{}, {"op": "replace"}, {"target": "text", "op": "replace", "address": SECRET}, {"target": "file", "address": ""}],
)
def test_what_the_lint_refused_leaves_its_place_and_reason_and_no_text(fields: dict[str, str]) -> None:
    memory = remember(MEMORY, [made("refused", **fields)], AT)
    [rejected] = memory.rejected
    assert (rejected.id, rejected.at, rejected.by) == ("E1", AT, "lint")
    assert rejected.reason == "L003: an added line holds a training task's expected answer"
    assert "SKILL.md" in rejected.summary
    assert "48151" not in memory.render()
    assert not memory.patterns[0].remedy_log


def test_an_address_that_is_not_there_is_not_published_either() -> None:
    missing = made("refused", target="text", op="replace", address=f"{SECRET}\nand so on")
    _, [result] = replay(SKILL, [missing.edit])
    assert "48151" in result.reason
    [rejected] = remember(MEMORY, [result], AT).rejected
    assert rejected.reason.startswith("SKILL.md: the text of its address is not there")
    assert "48151" not in rejected.reason


def test_what_a_measurement_rejected_keeps_its_words_and_what_was_accepted_joins_the_remedies() -> None:
    rejected = remember(MEMORY, [made("rejected")], AT)
    assert SECRET in rejected.rejected[0].summary
    assert rejected.rejected[0].by == "validation"
    accepted = remember(MEMORY, [made("accepted")], AT)
    assert accepted.rejected == ()
    [remedy] = accepted.patterns[0].remedy_log
    assert remedy.at == AT
    assert remedy.text.startswith("E1: the answer")


def test_forgetting_rejects_what_was_accepted_under_its_own_iteration() -> None:
    steps = [
        Iteration(number, Incumbent(SKILL), MEMORY, edits=[made(status, id=f"E{number}")])
        for number, status in ((1, "accepted"), (2, "refused"), (3, "accepted"))
    ]
    run = Run(SKILL, SKILL, SKILL, suite(), LoopSettings(), MEMORY, iterations=steps, name="r")
    memory = forget(run, "tie")
    assert [(str(edit.at), edit.id, edit.reason) for edit in memory.rejected] == [
        ("r#1", "E1", "tie"),
        ("r#3", "E3", "tie"),
    ]


def test_a_run_counts_its_edits_and_holds_the_last_iterations_skill_and_memory() -> None:
    run = Run(SKILL, SKILL, SKILL, suite(), LoopSettings(), PatternMemory())
    assert (run.next_edit, run.incumbent.skill) == (1, SKILL)
    better = SKILL.with_description("Better.")
    after = run.after(Iteration(1, Incumbent(better), MEMORY, edits=[made("accepted"), made("refused")]))
    assert (after.next_edit, after.incumbent.skill, after.candidate, after.memory) == (3, better, better, MEMORY)

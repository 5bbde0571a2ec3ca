"""What a run remembers of its edits: what worked, what was rejected, and never the text of a leak."""

from dataclasses import replace

import pytest

from skillgrad_ci.method.acceptance import Incumbent
from skillgrad_ci.method.evidence import Evidence, Outcome
from skillgrad_ci.method.memory import Pattern, PatternMemory, Stamp
from skillgrad_ci.method.patch import EditResult, Rules, replay
from skillgrad_ci.method.run import Iteration, Run, forget, of_the_line, remember
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import GraderSpec, Split, Task
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


def test_a_step_without_a_patch_says_why_without_the_words_of_a_leak() -> None:
    step = Iteration(1, Incumbent(SKILL), MEMORY)
    assert step.left_the_skill().verdict == "no patch: no edit is proposed"
    one = replace(step, edits=[made("refused")]).left_the_skill().verdict
    assert one == "no patch: E1 is refused (L003: an added line holds a training task's expected answer)"
    three = replace(step, edits=[made("refused"), made("accepted"), made("refused", id="E3"), made("refused", id="E4")])
    assert three.left_the_skill().verdict == f"{one}, and 2 more"
    assert replace(step, edits=[made("accepted")]).left_the_skill().verdict == "no patch: the edits change nothing"


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


def step_of(number: int, *edits: EditResult, line: tuple[int, ...] = (), slow: bool = False) -> Iteration:
    return Iteration(number, Incumbent(SKILL, line=line), MEMORY, edits=edits, slow=slow)


def test_edits_of_other_lines_are_rejected_under_their_own_iteration_and_no_others() -> None:
    steps = [
        step_of(1, made("accepted", id="E1")),
        step_of(2, made("accepted", id="E2"), made("refused", id="E3")),
        step_of(3),
        step_of(4, made("accepted", id="E4"), line=(1, 4)),
    ]
    run = Run(SKILL, SKILL, SKILL, suite(), LoopSettings(), MEMORY, iterations=steps, name="r")
    after = of_the_line(run)
    assert [[result.status for result in step.edits] for step in after.iterations] == [
        ["accepted"],
        ["rejected", "refused"],
        [],
        ["accepted"],
    ]
    reason = "its line of skills was not the best at the end"
    assert [(str(edit.at), edit.id, edit.by, edit.reason) for edit in after.memory.rejected] == [
        ("r#2", "E2", "validation", reason)
    ]
    assert of_the_line(replace(run, iterations=())) == replace(run, iterations=())


def test_a_batch_is_used_from_a_half_on_and_failed_where_one_task_did() -> None:
    def batch(ways: str) -> Iteration:
        known = {"p": Outcome.PASSED, "f": Outcome.FAILED, "u": Outcome.UNMEASURED}
        return replace(step_of(1), batch=[Evidence(f"t{n}", "d", known[way]) for n, way in enumerate(ways)])

    assert [batch(ways).usable for ways in ("pu", "puu", "fu", "uu", "")] == [True, False, True, False, True]
    assert [batch(ways).failed for ways in ("pf", "fu", "pp", "uu", "")] == [True, True, False, False, False]


def test_a_step_that_was_taught_nothing_says_what_was_lost() -> None:
    assert step_of(1).taught_nothing().verdict == "nothing to learn from"
    lost = replace(step_of(1), dropped={"t1": "no reply", "t2": "no network"})
    assert lost.taught_nothing().verdict == "no diagnosis: no reply"


def test_edits_are_held_to_the_training_tasks_and_the_queries_and_to_what_is_allowed() -> None:
    config = LoopSettings.model_validate({"allow_scripts": True, "optimizer": {"preset": "skillgrad", "references": 3}})
    tasks = suite()
    run = Run(SKILL, SKILL, SKILL, tasks, config, MEMORY)
    probe = Task("trigger-1", "Sum it.", [GraderSpec("trigger")], probe=True)
    rules = run.rules([probe], {"known"})
    assert rules == Rules([*tasks.of(Split.TRAIN), probe], {"known"}, True, 3)


def test_the_initial_skill_is_the_first_incumbent_with_all_that_is_known_of_it() -> None:
    known = [Evidence("t1", "d", Outcome.PASSED)]
    run = Run(SKILL, SKILL, SKILL, suite(), LoopSettings(), MEMORY, baseline=known, triggers=known)
    assert run.frontier == [Incumbent(SKILL, known, known)]
    best, other = Incumbent(SKILL.with_description("A."), line=(1,)), Incumbent(SKILL.with_description("B."), line=(2,))
    kept = run.after(replace(step_of(1), incumbent=best, frontier=[best, other]))
    assert (kept.frontier, kept.incumbent) == ([best, other], best)
    assert kept.after(step_of(2, slow=True)).slow_steps == 1

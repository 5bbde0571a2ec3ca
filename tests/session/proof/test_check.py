"""A suite's graders are proved by its own answers, and every task is accounted for."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.config.settings import Settings
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.events import Event, Starting
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.session.json_documents.of_suites import check_facts, power_facts
from skillgrad_ci.session.outputs.grade_outputs import grade_outputs
from skillgrad_ci.session.parts import Parts
from skillgrad_ci.session.proof.check import Standing, check_suite, standing_of, told_on_the_way
from skillgrad_ci.suites import load_suite

GRADES = st.none() | st.builds(Grade, st.sampled_from(Outcome))
TASKS: Mapping[str, str] = {
    "proved": "grader: {type: text, output: a.txt, exact: yes it is}, reference: {files: {a.txt: right.txt}}",
    "answered": "grader: {type: text, exact: yes it is}, reference: {answer: yes it is}",
    "made": "grader: {type: text, output: a.txt, exact: hi}, reference: {command: printf hi > a.txt}",
    "broken": "grader: {type: text, output: a.txt, exact: hi}, reference: {command: exit 3}",
    "wrong": "grader: {type: text, output: a.txt, exact: 'no'}, reference: {files: {a.txt: right.txt}}",
    "open": "grader: {type: text, output: a.txt, exact: 'no'}",
    "free": "files: [right.txt], grader: {type: text, output: right.txt, contains: ['yes']}",
    "judged": "grader: {type: judge, rubric: It is good.}, reference: {answer: good}",
}


@dataclass
class Bench:
    """Parts over a suite with one task of each standing."""

    root: Path
    settings: dict[str, Any] = field(default_factory=lambda: {"sandbox": "none"})

    def parts(self, names: Mapping[str, str] = TASKS) -> Parts:
        (self.root / "right.txt").write_text("yes it is")
        rows = "".join(f"  - {{id: {name}, instruction: Do it., {rest}}}\n" for name, rest in names.items())
        (self.root / "tasks.yaml").write_text(f"version: 1\ntasks:\n{rows}")
        job = SkillRun(Path(), self.root, Settings.model_validate(self.settings), self.root)
        return Parts(job, load_suite(self.root), lambda event: None, threading.Event())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@given(st.integers(0, 400))
def test_a_long_proof_is_told_on_its_way_and_a_short_one_once(total: int) -> None:
    told: list[Event] = []
    tell = told_on_the_way(told.append, total, "tasks are checked")
    assert [tell(number) for number in range(total)] == list(range(total))
    stages = [event.stage for event in told if isinstance(event, Starting)]
    assert stages[:1] == [f"0 of {total} tasks are checked"] * (total > 0)
    assert (len(stages) > 1) == (total > 25)
    assert len(stages) <= 16


def test_each_task_has_its_standing(bench: Bench) -> None:
    made = bench.parts()
    proofs = {proof.task: proof for proof in check_suite(made.suite, made, map)}
    assert {task: proof.standing for task, proof in proofs.items()} == {
        "proved": Standing.PROVED,
        "answered": Standing.PROVED,
        "made": Standing.PROVED,
        "broken": Standing.WRONG,
        "wrong": Standing.WRONG,
        "open": Standing.UNPROVED,
        "free": Standing.CANNOT_TEACH,
        "judged": Standing.UNMEASURED,
    }
    assert "--model" in proofs["judged"].said
    assert "failed (3)" in proofs["broken"].said
    facts = check_facts(list(proofs.values()))
    assert sum(facts["standing"].values()) == facts["tasks"] == len(TASKS)


def test_no_sandbox_is_asked_for_where_no_command_runs(bench: Bench) -> None:
    bench.settings = {"sandbox": "sandlock", "image": "x"}  # cannot be had: an image needs Docker
    harmless = {name: TASKS[name] for name in ("proved", "answered", "free")}
    made = bench.parts(harmless)
    assert len(check_suite(made.suite, made, map)) == 3
    made = bench.parts({"made": TASKS["made"]})
    with pytest.raises(UserError, match="sandbox"):
        check_suite(made.suite, made, map)


@given(GRADES, GRADES)
def test_a_task_is_proved_only_by_a_reference_that_passes_and_nothing_that_contradicts(
    reference: Grade | None, untouched: Grade | None
) -> None:
    standing, _ = standing_of(reference, untouched)
    sides = [side.outcome for side in (reference, untouched) if side is not None]
    if standing is Standing.PROVED:
        assert reference is not None
        assert reference.outcome is Outcome.PASSED
        assert untouched is None or untouched.outcome is Outcome.FAILED
    assert (standing is Standing.UNMEASURED) == (Outcome.UNMEASURED in sides)


def test_an_answer_lies_beside_the_outputs(bench: Bench) -> None:
    made = bench.parts()
    outputs = bench.root / "outputs"
    (outputs / "answered").mkdir(parents=True)
    (outputs / "answered" / "answer.txt").write_text("yes it is\n")
    made = bench.parts({name: TASKS[name] for name in ("answered", "proved")})
    grades = {row.task: row.grade for row in grade_outputs(made.suite, outputs, made, map)}
    assert grades["answered"].outcome is Outcome.PASSED
    assert grades["proved"] == Grade(Outcome.UNMEASURED, feedback=f"no output found at {outputs / 'proved'}")
    (outputs / "proved").mkdir()
    again = {row.task: row.grade.outcome for row in grade_outputs(made.suite, outputs, made, map)}
    assert again["proved"] is Outcome.UNMEASURED


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ([], "outputs: no such folder; it holds one folder per task, named by the task's id"),
        (["Proved"], "no folder in it is named by a task's id, as 'proved' would be"),
    ],
)
def test_a_folder_of_outputs_is_laid_out_by_task(bench: Bench, made: list[str], said: str) -> None:
    for name in made:
        (bench.root / "outputs" / name).mkdir(parents=True)
    parts = bench.parts({"proved": TASKS["proved"]})
    with pytest.raises(UserError, match=said):
        grade_outputs(parts.suite, bench.root / "outputs", parts, map)


def test_an_output_that_cannot_lie_over_the_inputs_is_not_measured(bench: Bench) -> None:
    """A folder where the task has a file."""
    parts = bench.parts({"free": TASKS["free"]})
    (bench.root / "outputs/free/right.txt").mkdir(parents=True)
    (row,) = grade_outputs(parts.suite, bench.root / "outputs", parts, map)
    assert row.grade.outcome is Outcome.UNMEASURED
    assert "outputs/free: cannot be copied (" in row.grade.feedback
    assert row.grade.feedback.endswith("; name its files as the task does")


def test_power_is_said_of_the_tasks_that_report() -> None:
    facts = power_facts(40, None)
    assert facts["detectable_change"] == pytest.approx(0.257)
    assert facts["tasks_for_5_points"] > 40
    assert power_facts(0, None)["detectable_change"] is None
    assert power_facts(400, 0.3)["trials_for_5_points"] > 1

"""The final measurement of a run is the next run's baseline, as far as nothing else would be executed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci.config.settings import Settings
from skillgrad_ci.method.evidence import Evidence, Outcome
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.run import Run
from skillgrad_ci.method.task import GraderSpec, Split, Suite, Task
from skillgrad_ci.method.world import Earlier
from skillgrad_ci.session.estimate import planned_executions
from skillgrad_ci.session.journal.earlier import (
    FinalMeasurement,
    final_measurement,
    known_baseline,
    newest_final,
)
from skillgrad_ci.skill.skill import Skill
from tests.support.worlds import SKILL, Oracle, Synthetic, suite, world

NOW = datetime.now(UTC)
SETTINGS = Settings.model_validate({"iterations": 4, "trials": 2, "models": {"executor": "openai/m"}})


class Patient(Oracle):
    """An oracle whose first patch of a run is one mechanism alone, so that a second run finds something to mend."""

    word = "alpha"

    def _patch(self, user: str) -> dict[str, Any]:
        said = super()._patch(user)
        return {"edits": [edit for edit in said["edits"] if self.word in edit["content"]]}


class Trials(Synthetic):
    def __call__(self, skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        row = super().__call__(skill, task, iteration=iteration, trial=trial)
        return replace(row, trial=trial, versions="loop/1; box/1", seconds=2.0)


def run(skill: Skill, word: str, rollout: Synthetic, earlier: Earlier | None = None, said: Settings = SETTINGS) -> Run:
    agent = Patient()
    agent.word = word
    return optimize(skill, suite(24), said, PatternMemory("s"), world(rollout, agent, earlier=earlier))


def versions(task: Task) -> str:  # the seam's form
    return "loop/1; box/1"


@pytest.fixture(scope="module")
def first() -> Run:
    done = run(SKILL, "alpha", Trials())
    assert done.final.digest == done.candidate.digest != SKILL.digest
    return done


@pytest.fixture(scope="module")
def kept(first: Run) -> FinalMeasurement:
    measured = final_measurement(first, SETTINGS, NOW)
    assert measured is not None
    return measured.model_copy(update={"pull_request": "https://github.com/o/r/pull/12"})


def reported(tasks: Suite) -> list[Task]:
    return [task for task in tasks.tasks if task.split is not Split.TRAIN]


@pytest.mark.parametrize("accept", ["final", "validate", "always"])
def test_the_next_run_measures_its_candidate_alone_and_finds_the_same(
    first: Run, kept: FinalMeasurement, accept: str
) -> None:
    said = SETTINGS.model_copy(update={"accept": accept})
    rollout, whole = Trials(), Trials()
    next_run = run(first.final, "beta", rollout, known_baseline(kept, first.final, said, versions), said)
    as_before = run(first.final, "beta", whole, said=said)
    unseen = {task.id for task in reported(next_run.suite)}
    assert not [task for name, task in rollout.done if name == "base" and task in unseen]
    assert len(whole.done) - len(rollout.done) == 2 * len(unseen)
    assert {task for task, _ in next_run.reused.items()} == unseen
    assert set(next_run.reused.values()) == {f"the run of {NOW:%Y-%m-%d} (pull request 12)"}

    def outcomes(one: Run) -> list[tuple[str, int, Outcome, float]]:
        return sorted((row.task_id, row.trial, row.outcome, row.score) for row in one.baseline)

    assert outcomes(next_run) == outcomes(as_before)
    assert (next_run.verdict, next_run.final) == (as_before.verdict, as_before.final)


def test_what_was_measured_is_there_again_and_nothing_of_a_graders_words(first: Run, kept: FinalMeasurement) -> None:
    known = known_baseline(kept, first.final, SETTINGS, versions)
    assert known is not None
    rows = {(row.task_id, row.trial): row for row in first.measured}
    for task in reported(first.suite):
        for row in known.of(task, 2):
            old = rows[task.id, row.trial]
            assert (row.outcome, row.score, row.seconds) == (old.outcome, old.score, old.seconds)
            assert (row.versions, row.skill_digest) == (old.versions, first.final.digest)
            assert (row.trajectory.usage, row.trajectory.stopped) == (old.trajectory.usage, old.trajectory.stopped)
        assert known.of(task, 3) == [], "a task's rate is of one run"
    assert "lacks" not in kept.model_dump_json()


TASK = next(task for task in suite(24).tasks if task.split is Split.HELDOUT)
OTHER = Skill("s", {"SKILL.md": SKILL.files["SKILL.md"] + b"\nMore.\n"})
SAMPLED = {"models": {"executor": "openai/m", "parameters": {"executor": {"temperature": 0.5}}}}


@pytest.mark.parametrize(
    ("change", "known"),
    [
        ({}, True),
        ({"settings": Settings.model_validate({"models": {"executor": "openai/m", "optimizer": "openai/o"}})}, True),
        ({"skill": OTHER}, False),
        ({"task": replace(TASK, instruction="Needs delta.")}, False),
        ({"task": replace(TASK, graders=[GraderSpec("text", {"equals": "4"})])}, False),
        ({"versions": lambda task: "loop/1; box/2"}, False),
        ({"settings": Settings.model_validate(SAMPLED)}, False),
        ({"settings": Settings.model_validate({"models": {"executor": "openai/m", "api_base": "http://x"}})}, False),
        ({"settings": SETTINGS.model_copy(update={"reuse_baseline": False})}, False),
        ({"settings": SETTINGS.model_copy(update={"reevaluate_days": 7}), "days": 8}, False),
        ({"settings": SETTINGS.model_copy(update={"reevaluate_days": 7}), "days": 6}, True),
    ],
    ids=["same", "optimizer", "skill", "task", "grader", "version", "sampling", "server", "unwanted", "old", "young"],
)
def test_one_part_that_differs_and_it_is_executed(
    first: Run, kept: FinalMeasurement, change: dict[str, Any], known: bool
) -> None:
    measured = kept.model_copy(update={"ended": (NOW - timedelta(days=change.get("days", 0))).isoformat()})
    skill = change.get("skill", first.final)
    found = known_baseline(measured, skill, change.get("settings", SETTINGS), change.get("versions", versions))
    assert bool(found and found.of(change.get("task", TASK), 1)) is known


def test_an_initial_skill_and_what_was_not_measured_are_not_kept(first: Run) -> None:
    assert final_measurement(replace(first, candidate=first.initial), SETTINGS, NOW) is None
    lost = [replace(row, outcome=Outcome.UNMEASURED) for row in first.measured]
    assert final_measurement(replace(first, measured=lost), SETTINGS, NOW) is None


def test_the_newest_run_folder_that_measured_the_skill_counts(
    first: Run, kept: FinalMeasurement, tmp_path: Path
) -> None:
    assert newest_final(tmp_path / "none", first.final) is None
    for name, days in (("a", 3), ("b", 1), ("c", 2)):
        kept.model_copy(update={"ended": (NOW - timedelta(days=days)).isoformat()}).write(tmp_path / name)
    kept.model_copy(update={"skill": "another"}).write(tmp_path / "d")
    (tmp_path / "e").mkdir()
    (tmp_path / "e/final.json").write_text("{")
    found = newest_final(tmp_path, first.final)
    assert found is not None
    assert found.ended == (NOW - timedelta(days=1)).isoformat()


@pytest.mark.parametrize("accept", ["final", "validate"])
def test_the_estimate_and_the_reserve_leave_it_out(first: Run, kept: FinalMeasurement, accept: str) -> None:
    said = SETTINGS.model_copy(update={"accept": accept})
    tasks = reported(first.suite)
    whole = planned_executions(first.suite, said)
    less = planned_executions(first.suite, said, known=[task.id for task in tasks])
    assert whole.total - less.total == 2 * len(tasks)
    reserves = []
    for earlier in (None, known_baseline(kept, first.final, said, versions)):
        parts = world(Trials(), Oracle(fails=lambda role, number: True), earlier=earlier)
        optimize(first.final, suite(24), said, PatternMemory("s"), parts)
        reserves.append(parts.ledger.reserve.usd)
    reported_at_the_end = tasks if accept == "final" else first.suite.of(Split.HELDOUT)
    assert reserves[0] - reserves[1] == pytest.approx(1.2 * 2 * len(reported_at_the_end) * 0.01)

"""What is not executed changes no result: counts of executions, and runs against the full measurement."""

import random
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillgrad_ci.method.acceptance import DecideBy, Verdict, check_split, compare, score
from skillgrad_ci.method.budget import Cap, Ledger
from skillgrad_ci.method.evidence import Evidence, Outcome
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.run import Run, Stop
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import GraderSpec, Split, Suite, Task
from skillgrad_ci.report.statistics import paired
from skillgrad_ci.skill.skill import Skill
from tests.support.worlds import SKILL, Oracle, Synthetic, as_json, world

WORDS = ("alpha", "beta", "gamma")


@dataclass
class Chancy(Synthetic):
    """A deterministic rollout in which a skill's text moves outcomes in both directions, and loses some.

    `flips` and `losses` are shares of (skill, task) pairs whose outcome is turned round, or cannot be measured.
    """

    flips: float = 0.0
    losses: float = 0.0
    seed: int = 0
    skills: dict[str, Skill] = field(default_factory=dict)  # by the measurement's name

    def __call__(self, skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        row = super().__call__(skill, task, iteration=iteration, trial=trial)
        assert skill is not None
        self.skills[iteration] = skill
        chance = random.Random(f"{self.seed} {skill.digest} {task.id}")
        if chance.random() < self.losses:
            return replace(row, outcome=Outcome.UNMEASURED, score=0.0)
        if chance.random() < self.flips:
            outcome = Outcome.FAILED if row.passed else Outcome.PASSED
            return replace(row, outcome=outcome, score=float(outcome is Outcome.PASSED))
        return row


def suite_of(train: int, validation: int, heldout: int, easy: int = 0) -> Suite:
    """Tasks of three mechanisms in turn; every `easy`-th task passes from the start."""
    kinds = [Split.TRAIN] * train + [Split.VALIDATION] * validation + [Split.HELDOUT] * heldout
    tasks = []
    for n, kind in enumerate(kinds):
        word = "careful" if easy and n % easy == 0 else WORDS[n % 3]
        tasks.append(Task(f"task-{n}", f"Needs {word}.", [GraderSpec("text")], split=kind))
    return Suite("s", "native", Path("evals"), tasks)


CAREFUL = Skill("s", {"SKILL.md": SKILL.files["SKILL.md"] + b"\nUse always careful.\n"})


def run(config: LoopSettings, tasks: Suite, rollout: Synthetic, **parts: Any) -> Run:
    return optimize(CAREFUL, tasks, config, PatternMemory("s"), world(rollout, **parts))


def counts(rollout: Synthetic, tasks: Suite) -> Counter[tuple[str, str]]:
    """Executions by measurement (iterations as one) and split."""
    split_of = {task.id: str(task.split) for task in tasks.tasks}
    names = ["batches" if name.isdigit() else name for name, _ in rollout.done]
    return Counter((name, split_of[task]) for name, (_, task) in zip(names, rollout.done, strict=True))


def test_the_base_run_ends_when_the_pool_is_full_and_measures_no_other_task() -> None:
    tasks, rollout = suite_of(200, 80, 120, easy=2), Synthetic()
    result = run(LoopSettings(iterations=10), tasks, rollout, agent=Oracle(fails=lambda role, number: True))
    base = counts(rollout, tasks)
    assert sum(row.failed for row in result.baseline) == 40
    assert base["base", "train"] == len(result.baseline) < 100
    assert {split for name, split in base} == {"train"}


@pytest.mark.parametrize(
    ("preset", "accept"),
    [("skillgrad", "always"), ("skillgrad", "validate"), ("skillgrad", "final"), ("skillopt", "validate")],
)
def test_a_run_without_a_candidate_pays_for_no_heldout_task(preset: str, accept: str) -> None:
    """Also where an optimizer asks for every training task."""
    tasks, rollout = suite_of(12, 8, 8, easy=2), Synthetic()
    config = LoopSettings.model_validate({"iterations": 3, "accept": accept, "optimizer": preset})
    result = run(config, tasks, rollout, agent=Oracle(fails=lambda role, number: True))
    assert result.final == CAREFUL
    assert not [key for key in counts(rollout, tasks) if key[1] == "heldout"]


@pytest.mark.parametrize("reports_ties", [True, False])
def test_a_tie_pays_for_heldout_only_where_it_is_shown(reports_ties: bool) -> None:
    tasks = suite_of(12, 8, 8)
    idle = replace(
        tasks, tasks=[replace(t, instruction="Needs delta.") if t.split is not Split.TRAIN else t for t in tasks.tasks]
    )
    rollout = Synthetic()
    result = run(LoopSettings(iterations=3), idle, rollout, reports_ties=reports_ties)
    assert result.verdict is Verdict.TIE
    heldout = {key: number for key, number in counts(rollout, idle).items() if key[1] == "heldout"}
    assert heldout == ({("base", "heldout"): 8, ("final", "heldout"): 8} if reports_ties else {})


def test_both_skills_are_measured_side_by_side_on_heldout_tasks() -> None:
    """A provider that drifts in the middle hits both alike."""
    tasks, rollout = suite_of(12, 8, 8), Synthetic()
    result = run(LoopSettings(iterations=3), tasks, rollout)
    assert result.verdict is Verdict.BETTER
    heldout = {task.id for task in tasks.of(Split.HELDOUT)}
    rows = [row for row in rollout.done if row[1] in heldout]
    assert [name for name, _ in rows] == ["base", "final"] * 8
    assert [task for _, task in rows[::2]] == [task for _, task in rows[1::2]]


def test_a_broken_grader_is_not_called_one_from_a_full_pool_alone() -> None:
    """Where all failures of the pool are alike, the other training tasks are asked before the signal is called flat."""

    def alike(row: Evidence) -> Evidence:
        return replace(row, feedback="wrong", trajectory=replace(row.trajectory))

    class Alike(Synthetic):
        def __call__(self, skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
            return alike(super().__call__(skill, task, iteration=iteration, trial=trial))

    tasks = suite_of(30, 0, 0, easy=29)
    few = LoopSettings(iterations=1, batch_size=3)
    for seed in range(5):
        assert run(few.model_copy(update={"seed": seed}), tasks, Alike()).stop is not Stop.FLAT
    broken = Alike()
    assert run(few, suite_of(30, 0, 0), broken).stop is Stop.FLAT
    assert len(broken.done) == 30


worlds = st.fixed_dictionaries(
    {
        "flips": st.sampled_from([0.0, 0.2, 0.5]),
        "losses": st.sampled_from([0.0, 0.0, 0.3]),
        "seed": st.integers(0, 10**6),
    }
)
sizes = st.tuples(st.integers(1, 24), st.integers(0, 9), st.integers(0, 9))


@given(worlds, sizes, st.sampled_from([1, 2, 3, 4, 7]), st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_the_pool_is_the_same_however_many_run_at_once(
    chances: dict[str, Any], size: tuple[int, int, int], at_once: int, seed: int
) -> None:
    config, tasks = LoopSettings(iterations=2, batch_size=3, seed=seed), suite_of(*size, easy=3)
    one = run(config, tasks, Chancy(**chances))
    with ThreadPoolExecutor(at_once) as pool:
        several = run(config, tasks, Chancy(**chances), each=pool.map, at_once=at_once)
    assert as_json(one) == as_json(several)


@given(worlds, sizes, st.sampled_from(["always", "final", "validate"]), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_verdict_and_interval_are_those_of_the_full_measurement(
    chances: dict[str, Any], size: tuple[int, int, int], accept: str, steps: int
) -> None:
    tasks = suite_of(*size, easy=3)
    if accept == "validate" and not tasks.of(Split.VALIDATION):
        return
    rollout = Chancy(**chances)
    result = run(LoopSettings(iterations=steps, batch_size=3, accept=accept), tasks, rollout)
    if result.candidate == CAREFUL:
        return
    asked = Chancy(**chances)

    def full(skill: Skill, split: Split) -> Sequence[Evidence]:
        return [asked(skill, task, iteration="full") for task in tasks.of(split)]

    chosen = check_split(tasks)
    verdict = compare(full(result.candidate, chosen), full(CAREFUL, chosen))
    assert result.verdict is verdict
    assert (result.final == result.candidate) == (accept != "final" or verdict is Verdict.BETTER)
    if result.final == result.candidate and tasks.of(Split.HELDOUT):
        known = {task.id for task in tasks.of(Split.HELDOUT)}
        before, after = ([row for row in rows if row.task_id in known] for rows in (result.baseline, result.measured))
        shown = paired(before, after)
        assert shown == paired(full(CAREFUL, Split.HELDOUT), full(result.candidate, Split.HELDOUT))


@given(worlds, sizes, st.sampled_from(["always", "final", "validate"]))
@settings(max_examples=30, deadline=None)
def test_where_no_execution_is_saved_before_the_end_the_run_is_that_of_a_whole_base_run(
    chances: dict[str, Any], size: tuple[int, int, int], accept: str
) -> None:
    """A suite whose splits look at outcomes is measured whole; the same splits, said before, give the same skill."""
    tasks = suite_of(*size, easy=3)
    if accept == "validate" and not tasks.of(Split.VALIDATION):
        return
    unsaid = replace(tasks, tasks=[replace(task, split=None) for task in tasks.tasks])
    config = LoopSettings(iterations=9, batch_size=3, accept=accept)
    whole = run(config, unsaid, Chancy(**chances), split=lambda suite, baseline: tasks)
    late = run(config, tasks, Chancy(**chances))
    if whole.stop is not Stop.FLAT is not late.stop and {Stop.UNMEASURED} != {whole.stop, late.stop}:
        assert late.final == whole.final
        assert [step.verdict for step in late.iterations] == [step.verdict for step in whole.iterations]


def test_a_small_pool_is_taken_three_times_where_nobody_said_how_often() -> None:
    """Five failing tasks in batches of four: four steps, and not ten."""
    agent = Oracle(fails=lambda role, number: role == "patcher")
    small, rollout = run(LoopSettings(), suite_of(10, 4, 6, easy=2), Synthetic(), agent=agent), Synthetic()
    assert (len(small.iterations), small.why) == (4, "all 4 iterations are done, three epochs of a small pool")
    assert max(Counter(row.task_id for step in small.iterations for row in step.batch).values()) <= 4
    said = run(LoopSettings(iterations=10), suite_of(10, 4, 6, easy=2), rollout, agent=agent)
    assert len(said.iterations) == 10


def unfixable() -> Suite:
    """The validation tasks that the skill fails need what no patch brings."""
    tasks = suite_of(12, 20, 8, easy=2)

    def unfixed(task: Task) -> Task:
        hard = task.split is Split.VALIDATION and "careful" not in task.instruction
        return replace(task, instruction="Needs delta.") if hard else task

    return replace(tasks, tasks=[*map(unfixed, tasks.tasks)])


def test_a_candidate_that_cannot_win_is_measured_on_half_of_the_validation_tasks() -> None:
    """A patch that fixes nothing there: once the tasks that the skill fails are through, nothing can be won."""
    rollout = Synthetic()
    result = run(LoopSettings(iterations=3, accept="validate"), unfixable(), rollout)
    verdicts = [step.verdict for step in result.iterations]
    assert set(verdicts) == {"rejected: no better on validation"}
    checks = [task for name, task in rollout.done if name.startswith("validate-")]
    assert len(checks) == 10 * len(verdicts)
    assert result.final == CAREFUL


def test_what_decides_also_ends_a_measurement() -> None:
    """A patch that brings half of what the failing tasks ask: by passes nothing can be won, by scores it wins."""

    class Halved(Synthetic):
        def __call__(self, skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
            row = super().__call__(skill, task, iteration=iteration, trial=trial)
            return replace(row, score=0.5) if row.failed and skill != CAREFUL else row

    def verdict(by: DecideBy) -> str:
        config = LoopSettings(iterations=1, accept="validate", decide_by=by)
        return run(config, unfixable(), Halved()).iterations[0].verdict

    assert [verdict("pass"), verdict("score")] == ["rejected: no better on validation", "accepted"]


@given(worlds, sizes, st.integers(2, 5), st.integers(1, 2), st.sampled_from([1, 4]))
@settings(max_examples=60, deadline=None)
def test_who_is_accepted_is_what_the_full_measurement_says(
    chances: dict[str, Any], size: tuple[int, int, int], steps: int, trials: int, at_once: int
) -> None:
    tasks = suite_of(size[0], size[1] + 1, size[2], easy=3)
    rollout = Chancy(**chances)
    config = LoopSettings(iterations=steps, batch_size=2, accept="validate", trials=trials)
    result = run(config, tasks, rollout, at_once=at_once)
    asked, held = Chancy(**chances), CAREFUL

    def full(skill: Skill) -> Sequence[Evidence]:
        return [asked(skill, t, iteration="full", trial=n) for t in tasks.of(Split.VALIDATION) for n in range(trials)]

    for step in result.iterations:
        candidate = rollout.skills.get(f"validate-{step.number}")
        if candidate is not None:
            better = not config.gate.refusal(full(candidate), full(held))
            assert (step.verdict == "accepted") == better
            held = candidate if better else held
        assert step.skill == held


@given(worlds, sizes, st.integers(3, 6))
@settings(max_examples=40, deadline=None)
def test_a_frontier_is_entered_by_what_beats_its_weakest_skill(
    chances: dict[str, Any], size: tuple[int, int, int], steps: int
) -> None:
    """A candidate that cannot beat the best one is measured whole all the same: the bound is of one skill in hand."""
    tasks, rollout = suite_of(size[0], size[1] + 4, size[2], easy=3), Chancy(**chances)
    config = LoopSettings.model_validate(
        {"iterations": steps, "batch_size": 2, "accept": "validate", "optimizer": {"frontier": 2}}
    )
    result = run(config, tasks, rollout)
    asked, held = Chancy(**chances), [CAREFUL]

    def full(skill: Skill) -> Sequence[Evidence]:
        return [asked(skill, task, iteration="full") for task in tasks.of(Split.VALIDATION)]

    for step in result.iterations:
        candidate = rollout.skills.get(f"validate-{step.number}")
        if candidate is not None:
            weakest = min(held, key=lambda skill: score(full(skill)))
            assert (step.verdict == "accepted") == (not config.gate.refusal(full(candidate), full(weakest)))
        held = [one.skill for one in step.frontier]


def test_the_reserve_is_what_the_end_will_take() -> None:
    """Both skills on the tasks that report; after a line search the candidate's validation is known already."""
    for accept, wanted in (("final", 2 * (8 + 10)), ("validate", 2 * 10)):
        ledger = Ledger(Cap(usd=1000.0))
        rollout = Synthetic(ledger=ledger)
        run(LoopSettings(iterations=1, accept=accept), suite_of(12, 8, 10), rollout, ledger=ledger)
        assert ledger.reserve.usd == pytest.approx(1.2 * wanted * 0.01 + 0.01)
        base = counts(rollout, suite_of(12, 8, 10))
        assert base["base", "heldout"] + base["final", "heldout"] == 20

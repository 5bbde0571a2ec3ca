"""The loop's invariants, held over synthetic worlds."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillgrad_ci.errors import Cancelled
from skillgrad_ci.method.acceptance import Verdict
from skillgrad_ci.method.budget import Cap, Ledger, Reserve
from skillgrad_ci.method.events import BatchBegun, Dropped, Event
from skillgrad_ci.method.evidence import Evidence, Outcome, Trajectory, Usage
from skillgrad_ci.method.memory import Pattern, PatternMemory, Stamp
from skillgrad_ci.method.optimize import PATIENCE, optimize
from skillgrad_ci.method.optimizers.draw import batches
from skillgrad_ci.method.run import Run, Stop
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import GraderSpec, Split, Suite, Task
from skillgrad_ci.skill.skill import Skill
from tests.support.worlds import SKILL, Oracle, Synthetic, as_json, suite, world

QUICK = LoopSettings(iterations=6, accept="final")


def run(config: LoopSettings = QUICK, tasks: Suite | None = None, **parts: Any) -> Run:
    return optimize(SKILL, tasks or suite(), config, PatternMemory("s"), world(**parts))


def outage(*seeds: int) -> Callable[[str, Task], bool]:
    """Some executions, chosen by their place and the seeds, cannot be measured."""
    return lambda iteration, task: sum(map(ord, iteration + task.id)) % 7 in seeds


def test_the_loop_repairs_what_the_tasks_need_and_measures_it_on_unseen_ones() -> None:
    result = run()
    assert result.verdict is Verdict.BETTER
    assert result.final is result.candidate
    assert all(f"Use always {word}." in result.final.text for word in ("alpha", "beta", "gamma"))
    assert {row.task_id for row in result.measured} == {
        task.id for task in result.suite.tasks if task.split is not Split.TRAIN
    }
    assert all(row.passed for row in result.measured)
    assert result.stop is Stop.NO_FAILURES or len(result.iterations) == 6


@given(st.integers(0, 50), st.sampled_from(["always", "validate", "final"]), st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_the_same_seed_gives_the_same_run_whatever_runs_at_once(seed: int, mode: str, size: int) -> None:
    config = LoopSettings(iterations=4, accept=mode, seed=seed, batch_size=size)
    with ThreadPoolExecutor(4) as pool:
        parallel = run(config, each=pool.map)
    assert as_json(run(config)) == as_json(parallel)


def test_no_optimizing_agent_ever_sees_a_heldout_or_validation_task() -> None:
    agent = Oracle()
    result = run(agent=agent)
    unseen = [task.id for task in result.suite.tasks if task.split is not Split.TRAIN]
    text = "\n".join(prompt for _, prompt in agent.prompts) + result.memory.render()
    assert text.count("task-") > 10
    assert not [task for task in unseen if f"{task}:" in text or f"{task}\n" in text or f"{task}," in text]


def test_a_batch_of_four_takes_six_calls_outside_execution() -> None:
    agent = Oracle()
    result = run(LoopSettings(iterations=1), agent=agent)
    assert len(result.iterations[0].batch) == 4
    assert [role for role, _ in agent.prompts].count("diagnoser") == 4
    assert len(agent.prompts) == 6


def test_momentum_comes_before_the_patcher_in_every_iteration() -> None:
    agent = Oracle()
    run(agent=agent)
    roles = [role for role, _ in agent.prompts if role != "diagnoser"]
    assert roles[::2] == ["momentum"] * len(roles[::2])
    assert roles[1::2] == ["patcher"] * len(roles[1::2])


@given(st.sets(st.integers(0, 6), max_size=4))
@settings(max_examples=30, deadline=None)
def test_an_outage_is_never_diagnosed_and_never_a_failure(seeds: set[int]) -> None:
    agent = Oracle()
    result = run(rollout=Synthetic(outage=outage(*seeds)), agent=agent)
    assert "no network" not in "".join(prompt for _, prompt in agent.prompts)
    for step in result.iterations:
        unmeasured = {row.task_id for row in step.batch if not row.measured}
        assert not unmeasured & {diagnosis.task_id for diagnosis in step.diagnoses}
        if 2 * len(unmeasured) > len(step.batch):
            assert step.verdict.startswith("not used")
            assert step.edits == ()


def test_a_total_outage_changes_nothing_and_is_named() -> None:
    result = run(rollout=Synthetic(outage=lambda iteration, task: True))
    assert (result.stop, result.final) == (Stop.UNMEASURED, SKILL)
    assert "no network" in result.why
    late = run(rollout=Synthetic(outage=lambda iteration, task: iteration != "base"))
    steps = 1 + PATIENCE  # what the base run showed teaches the first
    assert (late.stop, late.final, len(late.iterations)) == (Stop.UNMEASURED, SKILL, steps)


@pytest.mark.parametrize("role", ["diagnoser", "momentum", "patcher"])
def test_an_agent_that_cannot_reply_leaves_skill_and_record_as_they_were(role: str) -> None:
    result = run(agent=Oracle(fails=lambda name, number: name == role))
    assert result.final == SKILL
    assert all(step.edits == () for step in result.iterations)
    if role != "patcher":
        assert result.memory == PatternMemory("s")
    assert not any(pattern.remedy_log for pattern in result.memory.patterns)


def test_one_lost_diagnosis_costs_one_task_of_the_batch() -> None:
    result = run(LoopSettings(iterations=1), agent=Oracle(fails=lambda *call: call == ("diagnoser", 2)))
    step = result.iterations[0]
    assert (len(step.batch), len(step.diagnoses), step.verdict) == (4, 3, "accepted")


def test_what_is_lost_is_told_once_and_stands_in_the_step() -> None:
    told: list[Event] = []
    agent = Oracle(fails=lambda *call: call in {("diagnoser", 2), ("patcher", 1)})
    [step] = run(LoopSettings(iterations=1), agent=agent, observe=told.append).iterations
    [(task, why)] = step.dropped.items()
    assert (why, step.verdict) == ("diagnoser: no reply", "no patch: patcher: no reply")
    assert {row.task_id for row in step.batch} - {diagnosis.task_id for diagnosis in step.diagnoses} == {task}
    lost = [event for event in told if isinstance(event, Dropped)]
    assert lost == [Dropped(task, why), Dropped("iteration 1", "patcher: no reply")]
    [step] = run(LoopSettings(iterations=1), agent=Oracle(fails=lambda role, _: role == "diagnoser")).iterations
    assert step.verdict == "no diagnosis: diagnoser: no reply"


@pytest.mark.parametrize("momentum", [True, False])
def test_each_step_has_an_overlay_and_the_record_bears_its_run_and_number(momentum: bool) -> None:
    config = QUICK.model_copy(update={"momentum": momentum})
    result = optimize(SKILL, suite(), config, PatternMemory("s"), world(), "run-7")
    taught = [step for step in result.iterations if step.diagnoses]
    assert len(taught) > 1
    for step in taught:
        seen = {diagnosis.task_id: diagnosis for diagnosis in step.diagnoses}
        assert {entry.task for entry in step.overlay.entries} == set(seen)
        for entry in step.overlay.entries:
            assert (entry.patterns, entry.note) == ((seen[entry.task].label,), seen[entry.task].cause)
    stamps = {stamp for pattern in result.memory.patterns for stamp in pattern.appeared_in}
    assert stamps == ({Stamp("run-7", step.number) for step in taught} if momentum else set())


def test_four_batches_without_a_failure_end_the_run_and_still_teach() -> None:
    result = run(LoopSettings(iterations=10, batch_size=8))
    assert result.stop is Stop.NO_FAILURES
    last = result.iterations[-4:]
    assert all(not row.failed for step in last for row in step.batch)
    assert all(diagnosis.kind == "contrastive" for step in last for diagnosis in step.diagnoses)
    assert any(step.diagnoses for step in last)


def test_a_batch_that_could_not_be_measured_is_no_quiet_one() -> None:
    """Every second batch is lost: patience with batches that have no failure counts the others."""

    def rollout(skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        row = Synthetic()(skill, task, iteration=iteration)
        if not iteration.isdigit():
            return row
        return replace(row, outcome=Outcome.PASSED if int(iteration) % 2 else Outcome.UNMEASURED)

    result = run(LoopSettings(iterations=20), rollout=rollout)
    assert (result.stop, len(result.iterations)) == (Stop.NO_FAILURES, 2 * PATIENCE - 1)


def test_a_batch_of_which_half_is_measured_is_used() -> None:
    batches_seen: dict[str, Sequence[str]] = {}

    def observe(event: Event, /) -> None:
        if isinstance(event, BatchBegun):
            batches_seen[str(event.number)] = event.tasks

    def rollout(skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        row = Synthetic()(skill, task, iteration=iteration)
        lost = iteration == "2" and task.id in batches_seen["2"][:2]
        return replace(row, outcome=Outcome.UNMEASURED) if lost else row

    step = run(LoopSettings(iterations=2, seed=3), rollout=rollout, observe=observe).iterations[-1]
    assert (len(step.batch), len(step.diagnoses), step.verdict) == (4, 2, "accepted")


def test_a_lost_batch_with_a_failure_ends_no_patience_with_lost_batches() -> None:
    """One of four tasks is measured in every batch but the base run's, and fails: after four such the run ends."""
    firsts: set[tuple[str, str]] = set()

    def observe(event: Event, /) -> None:
        if isinstance(event, BatchBegun):
            firsts.add((str(event.number), event.tasks[0]))

    def rollout(skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        row = Synthetic()(skill, task, iteration=iteration)
        lost = iteration != "base" and (iteration, task.id) not in firsts
        outcome = row.outcome if iteration == "base" else Outcome.UNMEASURED if lost else Outcome.FAILED
        return replace(row, outcome=outcome)

    result = run(LoopSettings(iterations=20), suite(80), rollout=rollout, observe=observe)
    assert (result.stop, len(result.iterations)) == (Stop.UNMEASURED, 1 + PATIENCE)


def test_validate_takes_only_what_is_strictly_better_and_rejects_a_tie() -> None:
    tasks = suite(16, ["alpha"])
    others = [replace(t, instruction="Needs beta.") if t.split is Split.VALIDATION else t for t in tasks.tasks]
    idle = replace(tasks, tasks=others)
    result = run(LoopSettings(iterations=3, accept="validate"), idle)
    assert result.final == SKILL
    assert {step.verdict for step in result.iterations} == {"rejected: tie on validation"}
    assert all(edit.by == "validation" for edit in result.memory.rejected)
    assert run(LoopSettings(iterations=3, accept="validate"), tasks).final.text.count("always alpha") == 1


def test_a_final_skill_that_is_no_better_is_not_kept_and_its_edits_are_remembered_as_rejected() -> None:
    tasks = suite(16, ["alpha"])
    elsewhere = [replace(t, instruction="Needs beta.") if t.split is not Split.TRAIN else t for t in tasks.tasks]
    result = run(QUICK, replace(tasks, tasks=elsewhere))
    assert (result.verdict, result.final) == (Verdict.TIE, SKILL)
    assert "always alpha" in result.candidate.text
    assert [edit.id for edit in result.memory.rejected] == ["E1"]
    always = QUICK.model_copy(update={"accept": "always"})
    assert run(always, replace(tasks, tasks=elsewhere)).final.text == result.candidate.text


def test_a_heldout_end_check_leaves_no_trace_in_the_memory() -> None:
    tasks = suite(16, ["alpha"])
    halves = [
        replace(t, split=Split.TRAIN) if t.split is Split.TRAIN
        else replace(t, split=Split.HELDOUT, instruction="Needs beta.") for t in tasks.tasks
    ]  # fmt: skip
    result = run(QUICK, replace(tasks, tasks=halves))
    assert (result.verdict, result.final) == (Verdict.TIE, SKILL)
    assert result.memory.rejected == ()


def test_at_the_cap_the_last_accepted_skill_is_measured_with_the_reserve() -> None:
    ledger = Ledger(Cap(usd=0.33))
    result = run(LoopSettings(iterations=30, batch_size=4), rollout=Synthetic(ledger=ledger), ledger=ledger)
    assert result.stop is Stop.BUDGET
    assert "budget.usd" in result.why
    assert result.iterations
    assert result.candidate == result.iterations[-1].skill
    assert {row.outcome for row in result.measured} <= {Outcome.PASSED, Outcome.FAILED}
    assert len(result.measured) == sum(task.split is not Split.TRAIN for task in result.suite.tasks)
    assert ledger.spent.usd is not None
    assert ledger.spent.usd <= 0.33


@dataclass
class Talking(Synthetic):
    """Executions of two calls. In iteration 2 the first of the batch is refused while the others are between theirs."""

    ledger: Ledger = field(default_factory=lambda: Ledger(Cap(tokens=10**6)))
    first: str = ""
    measuring: threading.Event = field(default_factory=threading.Event)
    beside: list[str] = field(default_factory=list)  # who went on while the final measurement was made

    def observe(self, event: Event, /) -> None:
        if isinstance(event, BatchBegun):
            self.first = event.tasks[0]

    def __call__(self, skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        if iteration == "final":
            self.measuring.set()
        if iteration == "2":
            self.ledger.hold(Usage(1, 10**9 if task.id == self.first else 1))
            self.ledger.settle("executor", Usage(1, 1), Usage(1, 1))
            if self.measuring.wait(0.5):
                self.beside.append(task.id)
        return super().__call__(skill, task, iteration=iteration, trial=trial)


def test_nothing_of_a_refused_batch_runs_on_beside_the_final_measurement() -> None:
    rollout = Talking(cost=Usage(1, 1))
    with ThreadPoolExecutor(4) as pool:
        result = run(rollout=rollout, ledger=rollout.ledger, each=pool.map, observe=rollout.observe)
    assert result.stop is Stop.BUDGET
    assert rollout.measuring.is_set()
    assert rollout.beside == []


def test_a_third_of_the_cap_is_kept_before_the_base_run() -> None:
    """Until anything is measured, so that the base run cannot take what the final measurement needs."""
    ledger = Ledger(Cap(usd=30.0, tokens=900, minutes=60))
    kept: list[Reserve] = []

    def rollout(skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        kept.append(ledger.reserve)
        return Synthetic()(skill, task, iteration=iteration)

    run(LoopSettings(iterations=1), rollout=rollout, ledger=ledger)
    assert kept[0] == Reserve(10.0, 300.0, 20.0)
    dear = Ledger(Cap(usd=0.12))
    untold = Synthetic(ledger=dear)  # 16 executions at 0.01 each, of an agent that does not say what each took
    short = run(rollout=lambda *of, **where: replace(untold(*of, **where), trajectory=Trajectory()), ledger=dear)
    assert short.stop is Stop.BUDGET
    assert dear.spent.usd == pytest.approx(0.08)


def test_the_reserve_is_what_both_skills_take_on_unseen_tasks_with_their_own_trials() -> None:
    def three(task: Task) -> Task:
        return task if task.split is Split.TRAIN else replace(task, trials=3)

    tasks = suite()
    tasks = replace(tasks, tasks=[three(task) for task in tasks.tasks])
    unseen = 2 * 3 * sum(task.split is not Split.TRAIN for task in tasks.tasks)
    ledger = Ledger(Cap(usd=100.0))
    run(LoopSettings(iterations=1), tasks, rollout=Synthetic(ledger=ledger), ledger=ledger, at_once=unseen - 1)
    assert ledger.reserve.usd == pytest.approx(1.2 * unseen * 0.01 + 0.01)


def test_the_reserved_minutes_are_whole_rounds_of_executions() -> None:
    def slow(skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        return replace(Synthetic()(skill, task, iteration=iteration), seconds=60.0)

    ledger = Ledger(Cap(minutes=1000))
    unseen = 2 * sum(task.split is not Split.TRAIN for task in suite().tasks)
    run(LoopSettings(iterations=1), rollout=slow, ledger=ledger, at_once=unseen - 1)
    assert ledger.reserve.minutes == pytest.approx(1.2 * 2)


def test_a_cap_below_the_base_run_changes_nothing() -> None:
    ledger = Ledger(Cap(tokens=100))
    result = run(rollout=Synthetic(ledger=ledger, cost=Usage(1, 10, 0, 10)), ledger=ledger)
    assert (result.stop, result.final, result.iterations) == (Stop.BUDGET, SKILL, ())


def test_batches_that_could_not_be_measured_end_the_run_as_such_even_if_one_task_passed() -> None:
    firsts: set[tuple[str, str]] = set()

    def observe(event: Event, /) -> None:
        if isinstance(event, BatchBegun):
            firsts.add((str(event.number), event.tasks[0]))

    def rollout(skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        row = Synthetic()(skill, task, iteration=iteration)
        if iteration == "base":
            return row
        return replace(row, outcome=Outcome.PASSED if (iteration, task.id) in firsts else Outcome.UNMEASURED)

    result = run(LoopSettings(iterations=8), suite(80), rollout=rollout, observe=observe)
    assert (result.stop, len(result.iterations)) == (Stop.UNMEASURED, 1 + PATIENCE)


def test_the_ablation_leaves_the_record_of_earlier_runs_alone() -> None:
    old = PatternMemory("s", (Pattern("old", "mixed", "kept"),))
    result = optimize(SKILL, suite(), LoopSettings(iterations=2, momentum=False), old, world())
    assert result.memory.patterns == old.patterns
    assert result.memory.skill == "s"
    assert any(step.edits for step in result.iterations)


def test_a_cancelled_run_keeps_what_it_has_and_starts_nothing_more() -> None:
    def stop(iteration: str, task: Task) -> bool:
        if iteration == "2":
            raise Cancelled("stopped")
        return False

    rollout = Synthetic(outage=stop)
    result = run(rollout=rollout)
    assert (result.stop, len(result.iterations)) == (Stop.CANCELLED, 1)
    assert "final" not in {iteration for iteration, _ in rollout.done}


def test_the_ablations() -> None:
    agent = Oracle()
    plain = run(QUICK.model_copy(update={"momentum": False}), agent=agent)
    assert "momentum" not in {role for role, _ in agent.prompts}
    assert plain.final.text.count("Use always") == 3
    contrast = run(QUICK.model_copy(update={"contrastive": False}))
    assert all(diagnosis.kind == "failure" for step in contrast.iterations for diagnosis in step.diagnoses)


def test_every_edit_carries_pattern_and_teaching_tasks_from_the_overlay() -> None:
    result = run()
    for step in result.iterations:
        for outcome in step.edits:
            assert set(outcome.edit.patterns) <= step.memory.slugs
            assert outcome.edit.tasks == step.overlay.tasks_of(outcome.edit.patterns)
            assert outcome.edit.tasks
    ids = [outcome.edit.id for step in result.iterations for outcome in step.edits]
    assert len(ids) == len(set(ids)) == 3


def test_several_trials_measure_each_task_so_often() -> None:
    rollout = Synthetic()
    result = run(LoopSettings(iterations=2, trials=3), rollout=rollout)
    taught = {row.task_id for row in result.baseline if row.task_id in {t.id for t in result.suite.of(Split.TRAIN)}}
    assert len(result.baseline) == 3 * (len(taught) + sum(t.split is not Split.TRAIN for t in result.suite.tasks))
    assert len([1 for iteration, _ in rollout.done if iteration == "2"]) == 4


def pool(size: int) -> list[Task]:
    return [Task(f"t{n}", "do", [GraderSpec("text")]) for n in range(size)]


@given(st.integers(1, 20), st.integers(1, 6), st.integers(1, 12), st.integers(0, 99))
def test_batches_are_epochs_without_twins(size: int, batch: int, number: int, seed: int) -> None:
    drawn = list(batches(pool(size), batch, number, seed))
    assert drawn == list(batches(pool(size), batch, number, seed))
    assert [len(tasks) for tasks in drawn] == [min(batch, size)] * number
    assert all(len({task.id for task in tasks}) == len(tasks) for tasks in drawn)
    seen = Counter(task.id for tasks in drawn for task in tasks)
    assert max(seen.values()) - min(seen[f"t{n}"] for n in range(size)) <= 2  # a batch may straddle two epochs


def test_the_seed_chooses_which_failed_tasks_teach_and_not_the_order_of_the_suite() -> None:
    """On a suite sorted by kind the first ones would all be of one kind."""
    kinds = [*["alpha"] * 30, *["beta"] * 30]
    tasks = [
        Task(f"task-{n}", f"Needs {kind}.", [GraderSpec("text")], split=Split.TRAIN) for n, kind in enumerate(kinds)
    ]
    sorted_suite = Suite("s", "native", Path("evals"), tasks)

    def taught(seed: int) -> list[str]:
        agent = Oracle(fails=lambda role, number: role == "patcher")
        config = LoopSettings(iterations=4, batch_size=4, train_tasks=16, accept="always", seed=seed)
        return sorted(row.task_id for step in run(config, sorted_suite, agent=agent).iterations for row in step.batch)

    for seed in range(5):
        assert len(set(taught(seed))) == 16
        assert 3 <= sum(int(task.split("-")[1]) < 30 for task in taught(seed)) <= 13
        assert taught(seed) == taught(seed) != taught(seed + 1)


def test_the_first_epoch_shows_every_task_once_and_the_seed_decides_the_order() -> None:
    tasks = pool(12)
    epoch = [task.id for batch in batches(tasks, 4, 3, seed=1) for task in batch]
    assert sorted(epoch) == sorted(task.id for task in tasks)
    assert epoch != [task.id for batch in batches(tasks, 4, 3, seed=2) for task in batch]
    assert list(batches([], 4, 3, seed=1)) == []

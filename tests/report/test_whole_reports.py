"""Whole reports of random suites: counts, warnings, figures and headline speak of the same tasks."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from skillgrad_ci.config.settings import Models, Settings
from skillgrad_ci.method.evidence import Evidence, Outcome
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.run import Run
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import GraderSpec, Split, Suite, Task
from skillgrad_ci.report.document import Comparison, Report
from skillgrad_ci.report.headline import percent
from skillgrad_ci.report.report import Circumstances, report_of
from skillgrad_ci.session.split import assign
from skillgrad_ci.skill.skill import Skill
from tests.support.worlds import SKILL, Synthetic, world

WORDS = ["alpha", "beta", "careful"]  # a task of the last one passes under the initial skill, which says it
CAREFUL = Skill("s", {"SKILL.md": SKILL.files["SKILL.md"] + b"\nUse always careful.\n"})
own_splits = st.sampled_from([None, None, None, *Split])


@st.composite
def suites(draw: st.DrawFn) -> Suite:
    """Up to 30 tasks; some have a split of their own."""
    size = draw(st.integers(1, 30))
    words = draw(st.lists(st.sampled_from(WORDS), min_size=size, max_size=size))
    splits = draw(st.lists(own_splits, min_size=size, max_size=size))
    tasks = [
        Task(f"task-{n}", f"Needs {word}.", [GraderSpec("text")], split=split)
        for n, (word, split) in enumerate(zip(words, splits, strict=True))
    ]
    return Suite("s", "native", Path("evals"), tasks)


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """A run over a suite whose splits are made as a session makes them: from the base run and what is recorded."""
    whole, seed = draw(suites()), draw(st.integers(0, 9))
    ids = [task.id for task in whole.tasks]
    recorded = draw(st.dictionaries(st.sampled_from(ids), st.sampled_from([*Split]), max_size=4))
    lost = draw(st.sets(st.sampled_from(ids), max_size=3))

    def split(suite: Suite, baseline: Sequence[Evidence]) -> Suite:
        outcomes = {row.task_id: row.passed for row in baseline if row.measured}
        return suite.with_splits(assign(suite.tasks, outcomes, recorded, seed).splits)

    rollout = Synthetic(outage=lambda iteration, task: task.id in lost)
    config = LoopSettings(iterations=2, accept=draw(st.sampled_from(["always", "final"])), seed=seed)
    return optimize(CAREFUL, whole, config, PatternMemory("s"), world(rollout, split=split))


def reported(run: Run) -> Report:
    around = Circumstances(Settings(models=Models(executor="p/m")), "skills/s", "evals", "sandlock 1", "skillgrad-ci")
    return report_of(run, around)


@given(runs())
@settings(max_examples=60, deadline=None)
def test_the_split_that_is_spoken_of_is_the_split_that_was_used(run: Run) -> None:
    report = reported(run)
    rows: Mapping[str, int] = Counter(task.split for task in report.tasks)
    assert {split: number for split, number in report.suite.counts.items() if number} == dict(rows)
    assert sum(report.suite.counts.values()) == report.suite.tasks == len(run.suite.tasks)
    for split, number in report.suite.counts.items():
        said = [warning for warning in report.warnings if warning.startswith(("no " + split, f"no {split}ing"))]
        assert bool(said) == (number == 0), (split, number, report.warnings)
        side = report.of(split).baseline
        assert side.measured + side.unmeasured == sum(row.task_id in _of(run, split) for row in run.baseline)
    assert set(report.warnings) <= set(report.remarks)
    unlooked = "heldout tasks were not measured, for no candidate survived" in report.remarks
    assert (report.heldout_looks > 0 or unlooked) == (report.suite.counts["heldout"] > 0)
    assert not (report.heldout_looks and unlooked)


@given(runs())
@settings(max_examples=60, deadline=None)
def test_the_headline_says_the_figures_of_the_split_that_it_names(run: Run) -> None:
    report = reported(run)
    named = re.match(r"(Heldout|Validation|Train) accuracy \w+ from (\S+) to (\S+?)(?:,|:)", report.headline)
    if named is None:
        assert not re.search(r"accuracy (rose|fell)", report.headline)
        return
    comparison: Comparison = report.of(named[1].lower())
    assert comparison.delta is not None
    assert (percent(comparison.delta.baseline), percent(comparison.delta.final)) == (named[2], named[3])
    assert comparison.delta.tasks <= report.suite.counts[named[1].lower()]
    assert f"{comparison.delta.tasks} tasks" in report.headline
    better = [split for split in ("heldout", "validation", "train") if report.of(split).delta is not None]
    assert better[0] == named[1].lower(), "the most independent tasks speak"


def test_unmeasured_tasks_are_counted_and_named_in_the_remarks() -> None:
    tasks = [Task(f"t{n}", f"Needs {WORDS[n % 2]}.", [GraderSpec("text")], split=[*Split][n % 3]) for n in range(24)]
    rollout = Synthetic(outage=lambda iteration, task: iteration == "final" and task.id == "t2")
    whole = Suite("s", "native", Path("evals"), tasks)
    run = optimize(SKILL, whole, LoopSettings(iterations=3), PatternMemory("s"), world(rollout))
    lost = [row for row in run.measured if row.outcome is Outcome.UNMEASURED]
    assert [row.task_id for row in lost] == ["t2"]
    assert "Executions that could not be measured are left out: 1 after." in reported(run).remarks
    spoiled = replace(run, measured=[replace(row, outcome=Outcome.PASSED) for row in run.measured])
    assert not [remark for remark in reported(spoiled).remarks if "left out" in remark]


def _of(run: Run, split: str) -> set[str]:
    return {task.id for task in run.suite.tasks if task.split == split}

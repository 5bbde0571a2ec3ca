"""Where a clock forbids a comparison, every page says so, with the cause, and none shows a change."""

from pathlib import Path

from skillgrad_ci.config.settings import Models, Settings
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import Split, Task
from skillgrad_ci.report.document import Report
from skillgrad_ci.report.page import render_page
from skillgrad_ci.report.pages import as_markdown
from skillgrad_ci.report.report import Circumstances, report_of
from tests.support.worlds import SKILL, Synthetic, suite, world

NOWHERE = Path("/nonexistent")


def report(rollout: Synthetic, accept: str = "final") -> Report:
    config = LoopSettings.model_validate({"iterations": 3, "accept": accept})
    run = optimize(SKILL, suite(48), config, PatternMemory("s"), world(rollout))
    return report_of(run, Circumstances(Settings(models=Models(executor="p/m")), "skills/s", "evals/s", "none", "x"))


def late(split: Split) -> Synthetic:
    """The candidate's executions on a split all end at the clock."""
    return Synthetic(late=lambda iteration, task: iteration == "final" and task.split is split)


def test_a_comparison_on_heldout_that_the_clock_decides_is_refused_with_its_cause() -> None:
    document = report(late(Split.HELDOUT))
    assert document.headline == (
        "Heldout accuracy is unmeasured, for a clock is not a verdict: 0 of 12 executions before and 12 of 12 after "
        "ended at a time limit; the edited skill is kept."
    )
    assert document.heldout.delta is None
    assert document.validation.delta is not None
    assert document.stopped == "unmeasured"
    assert document.heldout.final is not None
    assert (document.heldout.baseline.timed_out, document.heldout.final.timed_out) == (0, 12)
    for page in (as_markdown(document), render_page(document, NOWHERE)):
        assert "not compared" in page
        assert "12 of 12 after" in page
        assert "fell" not in page
    assert "Give tasks more time, or run fewer at once, and start it again." in document.remarks


def test_a_choice_that_the_clock_would_make_is_not_made() -> None:
    document = report(late(Split.VALIDATION))
    assert not document.kept
    assert document.verdict == "unchecked"
    assert "12 of 12 after ended at a time limit; the original skill is kept." in document.headline


def test_a_few_that_ended_late_are_counted_and_named() -> None:
    def one(iteration: str, task: Task) -> bool:
        return task.split is Split.HELDOUT and iteration in ("base", "final") and task.id == "task-9"

    document = report(Synthetic(late=one))
    assert document.heldout.delta is not None
    assert "Executions that ended at a time limit are graded as they were: 1 of 12 before, 1 of 12 after." in (
        document.remarks
    )
    assert "1 at a time limit" in render_page(document, NOWHERE)


def test_a_run_whose_base_ends_at_the_clock_says_what_to_do() -> None:
    document = report(Synthetic(late=lambda iteration, task: True))
    assert document.headline.startswith("Not optimized: 12 of 12 executions ended at a time limit with the initial")
    assert "give tasks more time, or run fewer at once" in document.headline

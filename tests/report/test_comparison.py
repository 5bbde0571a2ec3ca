"""What may be claimed of several settings that were looked at together."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.config.settings import Models, Settings
from skillgrad_ci.method.evidence import Outcome
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.run import Run
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import Split
from skillgrad_ci.report.comparison import SettingRun, compared, ended_with, foot, holm
from skillgrad_ci.report.document import Report
from skillgrad_ci.report.report import Circumstances, report_of
from tests.support.worlds import SKILL, suite, world


def row_of(name: str, run: Run, report: Report) -> SettingRun:
    return SettingRun(name, name == "none", report, ended_with(run, Split.HELDOUT, run.baseline), name)


P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_holm_as_published() -> None:
    """Step down: the smallest of m is multiplied by m, the next by m - 1, and none falls below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == [0.03, 0.06, 0.06, 0.02]
    assert holm([]) == []


@given(P_VALUES)
def test_a_correction_never_helps_a_claim_keeps_the_order_and_is_no_harder_than_bonferroni(values: list[float]) -> None:
    corrected = holm(values)
    for value, strict in zip(values, corrected, strict=True):
        assert value <= strict <= min(1.0, len(values) * value)
    ranks = sorted(range(len(values)), key=lambda at: values[at])
    assert [corrected[at] for at in ranks] == sorted(corrected)


def test_a_change_that_is_clear_alone_is_not_clear_among_many() -> None:
    """All of six heldout tasks were fixed: a mid-p of 1/64, clear in one look, and not in four."""
    run = optimize(SKILL, suite(24), LoopSettings(iterations=3), PatternMemory("s"), world())
    around = Circumstances(Settings(models=Models(executor="p/m")), "skills/s", "evals/s", "synthetic", "")
    report, control = report_of(run, around), replace(run, final=run.initial)

    def claims(settings: int) -> set[tuple[float | None, bool]]:
        rows = [row_of("none", control, report), *(row_of(f"s{n}", run, report) for n in range(settings))]
        return {(claim.corrected, claim.clear) for row in compared(rows, Split.HELDOUT) for claim in row.claims}

    assert claims(1) == {(1 / 64, True)}
    assert claims(4) == {(4 / 64, False)}


def test_changes_are_of_what_decides_where_it_is_one_and_the_same() -> None:
    run = optimize(SKILL, suite(24), LoopSettings(iterations=3, decide_by="score"), PatternMemory("s"), world())
    run = replace(run, measured=[replace(row, outcome=Outcome.FAILED, score=0.5) for row in run.measured])
    around = Circumstances(Settings(models=Models(executor="p/m"), decide_by="score"), "skills/s", "evals/s", "s", "")
    report, control = report_of(run, around), replace(run, final=run.initial)
    both = [row_of("none", control, report), row_of("s", run, report)]
    rows = compared(both, Split.HELDOUT, "score")
    (claim,) = rows[1].claims
    assert claim.change is not None
    assert (claim.change.by, claim.change.change) == ("score", 0.5)
    assert any("of mean scores" in line for line in foot(rows, "heldout"))
    rows = compared(both, Split.HELDOUT)
    assert [claim.change and claim.change.by for claim in rows[1].claims] == ["pass"]
    assert not any("of mean scores" in line for line in foot(rows, "heldout"))

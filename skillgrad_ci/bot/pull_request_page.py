"""The pull request's title and body: what changed, why, how sure it is and what it cost.

Everything is read from the run's report and memory. Text of models and of the suite goes through
`shown`, `code` or `fenced`, so it is inert.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from skillgrad_ci.bot.pull_tables import (
    EDITS_HEAD,
    EDITS_TAIL,
    LAYERS,
    MEMORY_HEAD,
    accuracy_table,
    chart,
    cost_table,
    counted,
    dollars,
    edit_row,
    flag_row,
    pattern_row,
    task_section,
)
from skillgrad_ci.github.body import Section, compose
from skillgrad_ci.github.text import code, shown, trailer
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.report.document import Report
from skillgrad_ci.report.headline import points

RUN_CHECKS = """\
GitHub starts no workflows for a pull request that was made with `GITHUB_TOKEN`. To run this repository's \
checks here, close this pull request and open it again, or give the action a GitHub App's token."""


@dataclass(frozen=True)
class Around:
    """What the body says that no report holds.

    `dropped` are edits taken out on request, with the reasons; `after_drop` says in Markdown what was measured then.
    """

    run_url: str = ""
    issue: int | None = None
    starts_workflows: bool = False
    dropped: Mapping[str, str] | None = None
    after_drop: str = ""


def title(report: Report, dropped: Iterable[str] = ()) -> str:
    """One line; a figure stands in it only where these edits were measured on tasks that did not choose them."""
    delta, name = report.heldout.delta, trailer(report.skill, 64)
    if without := ", ".join(dropped):
        return f"Optimize skill {name}, without {without}"
    if report.verdict == "tie" or not report.kept:
        return f"{name}: edits with no measured change"
    if delta and report.chosen_on != "heldout":
        return f"Optimize skill {name}: {points(delta.change)} on heldout tasks"
    return f"Optimize skill {name}"


def body(report: Report, memory: PatternMemory, around: Around) -> str:
    """The whole body, within GitHub's bound."""
    dropped = around.dropped or {}
    edits = [edit for edit in report.accepted if edit.id not in dropped]
    sections = [
        Section(
            _lead(report, around), [f"- {shown(remark)}" for remark in report.remarks], _origin(around), essential=True
        ),
        Section(accuracy_table(report), essential=True),
        Section(chart(report.iterations), essential=True),
        Section(EDITS_HEAD, [edit_row(edit) for edit in edits], EDITS_TAIL, weight=4, essential=True),
        Section(
            "**Dropped by reviewers**\n", [f"- {i}: {shown(why) or 'no reason given'}" for i, why in dropped.items()]
        ),
        Section("### To look at by hand\n", list(map(flag_row, report.flags)), weight=2),
        task_section(report),
        Section(MEMORY_HEAD, list(map(pattern_row, memory.patterns)), weight=2),
        Section(cost_table(report.cost, report.minutes), essential=True),
        Section(_settings(report), essential=True),
        Section(_checks(around), essential=True),
    ]
    return compose(sections)


def _lead(report: Report, around: Around) -> str:
    """The headline. Where an edit was dropped since, its figures are not of these edits, and that comes first."""
    headline = f"**{shown(report.headline, 800)}**"
    if not around.dropped:
        return headline
    gone = ", ".join(around.dropped)
    return f"{around.after_drop}\n\nThe figures that follow are of the run, with {gone} still in it.\n\n{headline}"


def _origin(around: Around) -> str:
    origin = []
    if around.issue is not None:
        origin.append(f"Asked for in #{around.issue}.")
    if around.run_url:
        origin.append(f"Made by [this workflow run]({around.run_url}), where the full report is an artifact.")
    return " ".join(origin)


def _settings(report: Report) -> str:
    counts = ", ".join(f"{number} {split}" for split, number in report.suite.counts.items())
    models = ", ".join(f"{role} {code(name)}" for role, name in report.models.items())
    versions = ", ".join(map(code, [report.optimizer, *report.versions]))
    lines = [
        f"- models: {models}",
        f"- suite: {code(report.suite.path)} ({code(report.suite.format)}; {counts})",
        f"- seed {report.seed}, accept {report.accept}, {counted(len(report.iterations), 'iteration')}",
        f"- sandbox {code(report.sandbox)}; made with {versions}",
        f"- to repeat it: {code(report.reproduce, 600)}",
    ]
    return "### Settings\n\n" + "\n".join(lines)


def _checks(around: Around) -> str:
    return "" if around.starts_workflows else f"### Running the checks\n\n{RUN_CHECKS}"


def result_text(report: Report, url: str = "", note: str = "") -> str:
    """For the issue and the job's summary: what came of a run, and what was tried."""
    lead = (f"Pull request: {url}\n\n" if url and not note else "") + f"**{shown(report.headline, 800)}**"
    tried = [
        f"| {edit.id} | {LAYERS[edit.layer]} | {code(edit.file)} | {edit.status} "
        f"| {shown(edit.reason or edit.why, 200)} |"
        for step in report.iterations
        for edit in step.edits
    ]
    sections = [
        Section(lead, [f"- {shown(remark)}" for remark in report.remarks], essential=True),
        Section(f"{note}: {url}" if note else "", essential=True),
        Section("| edit | layer | file | outcome | why |\n| --- | --- | --- | --- | --- |", tried),
        Section(f"Cost: {dollars(report.cost.usd)}.", essential=True),
    ]
    return compose(sections, 30_000)

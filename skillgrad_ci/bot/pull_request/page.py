"""The pull request's title and body: what changed, why, how sure it is and what it cost.

Everything is read from the run's report and memory. Text of models and of the suite goes through
`shown`, `code` or `fenced`, so it is inert.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from skillgrad_ci.bot.slash_commands import HELP
from skillgrad_ci.github.text import Section, code, compose, shown, trailer
from skillgrad_ci.method.memory import Pattern, PatternMemory
from skillgrad_ci.report.document import Comparison, Cost, EditFacts, FlagFacts, IterationFacts, Report
from skillgrad_ci.report.headline import percent, points

TESTS = {"mcnemar mid-p": "mid-p McNemar test", "sign flip mid-p": "mid-p sign-flip test"}
LAYERS = {"H": "metadata (H)", "B": "body (B)", "Q": "resource (Q)"}
EDITS_HEAD = """\
### Edits

One commit each. An edit answers a pattern: a cause that failures of tasks share.

| edit | layer | where | new text | why | pattern | taught by |
| --- | --- | --- | --- | --- | --- | --- |"""
EDITS_TAIL = f"""\
Comment on this pull request to drop or explain an edit:

{HELP.strip()}"""
MEMORY_HEAD = """\
### What the memory holds

| pattern | kind | state | seen in | in one line |
| --- | --- | --- | --- | --- |"""
RUN_CHECKS = """\
GitHub starts no workflows for a pull request that was made with `GITHUB_TOKEN`. To run this repository's \
checks here, push a commit of your own to this branch, or give the action a GitHub App (`app_id`, `private_key`)."""


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
    if delta and delta.clear and delta.change > 0 and report.chosen_on != "heldout":
        return f"Optimize skill {name}: {points(delta.change)} on heldout tasks"
    return f"Optimize skill {name}"


def confirmed(report: Report) -> bool:
    """Whether tasks that taught no edit show a gain that chance does not explain, and heldout ones no loss."""
    heldout, validation = report.heldout.delta, report.validation.delta
    if heldout is not None and heldout.change < 0:
        return False
    return any(delta is not None and delta.clear and delta.change > 0 for delta in (heldout, validation))


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
        f"- agent {code(report.agent)}; models: {models}",
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


def accuracy_table(report: Report) -> str:
    rows = [
        "### Accuracy",
        "",
        "| tasks | before | after | change | 95% interval | p-value | unmeasured |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(_accuracy_row(name, report.of(name)) for name in ("heldout", "validation") if _has_tasks(report.of(name))),
    ]
    if len(rows) == 4:
        rows.append(_accuracy_row("train", report.train))
    return "\n".join(rows) + f"\n\n{_legend(report)}"


def _legend(report: Report) -> str:
    """Which tasks did what: a figure is worth what its tasks were not used for."""
    told = ["Edits were learned from training tasks alone."]
    if report.chosen_on in ("heldout", "validation") and report.accept != "always":
        told.append(f"The {report.chosen_on} tasks decided whether they are proposed.")
    if report.heldout_looks:
        looks = "once" if report.heldout_looks == 1 else f"{report.heldout_looks} times"
        told.append(f"Heldout tasks were executed {looks} in this run; no agent that edits saw them.")
    return " ".join(told)


def _has_tasks(comparison: Comparison) -> bool:
    return bool(comparison.baseline.measured or comparison.baseline.unmeasured)


def _accuracy_row(name: str, comparison: Comparison) -> str:
    before, after, delta = comparison.baseline, comparison.final, comparison.delta
    unmeasured = f"{before.unmeasured} → {after.unmeasured if after else '—'}"
    change, interval, p_value = "—", "—", "—"
    if delta is not None:
        change = points(delta.change) + ("" if delta.clear else ", within chance")
        interval = f"{points(delta.interval[0])} to {points(delta.interval[1])}"
        p_value = f"{delta.p_value:.2g} ({TESTS.get(delta.test, delta.test)})"
    old = f"{percent(before.accuracy)} ({before.passed}/{before.measured})"
    new = f"{percent(after.accuracy)} ({after.passed}/{after.measured})" if after else "not measured"
    return f"| {name} | {old} | {new} | {change} | {interval} | {p_value} | {unmeasured} |"


def chart(iterations: Sequence[IterationFacts]) -> str:
    """Accuracy by iteration: on validation where each was measured there, else on its own batch."""
    if len(iterations) < 2:
        return ""
    checked = [step for step in iterations if step.validation and step.validation.accuracy is not None]
    values, what = [], "each mini-batch (tasks that the initial skill failed)"
    if len(checked) > 1:
        iterations, what = checked, "validation tasks"
        values = [step.validation.accuracy or 0.0 for step in checked if step.validation]
    else:
        for step in iterations:
            measured = len(step.batch) - len(step.unmeasured)
            values.append((measured - len(step.failed)) / measured if measured else 0.0)
    numbers = ", ".join(str(step.number) for step in iterations)
    points_ = ", ".join(f"{100 * value:.1f}" for value in values)
    return "\n".join([
        f"Accuracy by iteration, on {what}:", "",
        "```mermaid", "xychart-beta", f'  x-axis "iteration" [{numbers}]', '  y-axis "passed, %" 0 --> 100',
        f"  line [{points_}]", "```",
    ])  # fmt: skip


def edit_row(edit: EditFacts) -> str:
    place = "description" if edit.target == "description" else code(edit.address.lstrip("# "), 60) or "whole file"
    where = f"{code(edit.file)}, {place} ({edit.op.replace('_', ' ')})"
    why, text = shown(edit.why, 300), shown(edit.content, 200) or "—"
    return (
        f"| {edit.id} | {LAYERS[edit.layer]} | {where} | {text} | {why} | {_few(edit.patterns)} | {_few(edit.tasks)} |"
    )


def _few(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return (", ".join(code(name, 64) for name in names[:6]) or "—") + more


def flag_row(flag: FlagFacts) -> str:
    return f"- {shown(flag.kind)}: {code(flag.file)}, line {flag.line}: {code(flag.text)}"


def task_section(report: Report) -> Section:
    """Tasks whose result changed, broken ones first, and how many of each kind there are."""
    changed = [t for t in report.tasks if t.baseline is not None and t.final is not None and t.baseline != t.final]
    changed.sort(key=lambda task: ((task.final or 0) > (task.baseline or 0), task.id))
    fixed = sum((task.final or 0) > (task.baseline or 0) for task in changed)
    head = f"### Tasks: {fixed} fixed, {len(changed) - fixed} broken"
    table = "\n\n| task | split | before | after | what the grader says now |\n| --- | --- | --- | --- | --- |"
    rows = [
        f"| {code(task.id, 60)} | {task.split} | {percent(task.baseline)} | {percent(task.final)} "
        f"| {shown(task.feedback, 200) or '—'} |"
        for task in changed
    ]
    return Section(head + (table if rows else ""), rows, weight=2, essential=True)


def pattern_row(pattern: Pattern) -> str:
    seen = f"{counted(len(pattern.appeared_in), 'iteration')}, {counted(len(pattern.evidence), 'task')}"
    return f"| {code(pattern.slug)} | {pattern.kind} | {pattern.absorption} | {seen} | {shown(pattern.line, 200)} |"


def cost_table(cost: Cost, minutes: float) -> str:
    rows = [
        f"### Cost: {dollars(cost.usd)}, {counted(max(1, round(minutes)), 'minute')}",
        "",
        "| role | calls | prompt tokens | of them cached | completion tokens | cost |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for role, spent in [*cost.by_role.items(), ("all", cost)]:
        tokens = f"{spent.prompt_tokens:,} | {spent.cached_tokens:,} | {spent.completion_tokens:,}"
        rows.append(f"| {role} | {spent.calls} | {tokens} | {dollars(spent.usd)} |")
    return "\n".join(rows)


def counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def dollars(usd: float | None) -> str:
    return "price unknown" if usd is None else f"${usd:.2f}"

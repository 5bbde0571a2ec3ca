"""The pull request's title and body: what changed, why, how sure it is; all else folded away.

Everything is read from the run's report and memory, and laid out in one template. Text of models and of the
suite goes through `shown`, `code` or `fenced`, so it is inert.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from skillgrad_ci.bot.pull_request.branch import steps
from skillgrad_ci.bot.pull_request.edit_rows import LAYERS, edit_rows, superseded
from skillgrad_ci.bot.slash_commands import BOXES, HELP, box
from skillgrad_ci.document.inert_text import code, fenced, shown, trailer
from skillgrad_ci.github.body import LIMIT, MARGIN, BodyPart, compose
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.report.diff import skill_patch
from skillgrad_ci.report.document import Comparison, IterationFacts, Report, TaskFacts
from skillgrad_ci.report.headline import percent, points
from skillgrad_ci.report.templating import duration, score_words, usd
from skillgrad_ci.skill.edit import Edit
from skillgrad_ci.skill.skill import Skill

if TYPE_CHECKING:
    from jinja2 import Template

TESTS = {"mcnemar mid-p": "mid-p McNemar test", "sign flip mid-p": "mid-p sign-flip test"}
ROWS = 200  # the most rows of a table, where there is room
SHORT = 60  # lines of a diff that is shown open
LONGEST = 12_000  # characters of a diff
RUN_CHECKS = """\
GitHub starts no workflows for a pull request that was made with `GITHUB_TOKEN`. To run this repository's \
checks here, push an empty commit (`git commit --allow-empty`) or press "Update branch", both of which leave the \
branch the bot's; or give the action a GitHub App (`app_id`, `private_key`)."""


@dataclass(frozen=True)
class Around:
    """What the body says that no report holds.

    `dropped` are edits taken out on request, with the reasons; `after_drop` says in Markdown what was measured then.
    `commits` are the addresses of the edits' commits by edit id. `initial` and `edits` lead to what the branch holds.
    """

    run_url: str = ""
    issue: int | None = None
    starts_workflows: bool = False
    dropped: Mapping[str, str] = field(default_factory=dict)
    after_drop: str = ""
    commits: Mapping[str, str] = field(default_factory=dict)
    initial: Skill | None = None
    edits: Sequence[Edit] = ()


def title(report: Report, dropped: Iterable[str] = ()) -> str:
    """One line; a figure is in it only where tasks that did not choose these edits show it clearly."""
    delta, name = report.heldout.delta, trailer(report.skill, 64)
    if report.rehearsal:  # in a dry run: whoever reads this line alone must not take it for a gain
        return f"Rehearsal: skill {name}, measured with no real model"
    if without := ", ".join(dropped):
        return f"Optimize skill {name}, without {without}"
    if report.verdict == "tie" or not report.kept:
        return f"{name}: edits with no measured change"
    if delta and delta.clear and delta.change > 0 and report.chosen_on != "heldout":
        unit = " points in score" if delta.by == "score" else " points"
        return f"Optimize skill {name}: {points(delta.change, unit)} on heldout tasks"
    return f"Optimize skill {name}"


def confirmed(report: Report) -> bool:
    """Whether tasks that taught no edit show a gain that chance does not explain, and heldout ones no loss.

    An estimate by cross-fitting confirms nothing: it is of other skills, that runs like this one made.
    """
    heldout, validation = report.heldout.delta, report.validation.delta
    return not denied(report) and any(
        delta is not None and delta.clear and delta.change > 0 for delta in (heldout, validation)
    )


def denied(report: Report) -> bool:
    """Whether heldout accuracy fell, or could not be told for the clock: such a proposal is never ready for review.

    With `split: cross`, whether the estimate of the procedure shows no gain, or is not there.
    """
    if report.cross is not None:
        gain = report.cross.comparison.delta
        return gain is None or gain.change <= 0
    heldout = report.heldout
    return bool(heldout.refused) or (heldout.delta is not None and heldout.delta.change < 0)


def page(report: Report, memory: PatternMemory, around: Around) -> str:
    """The whole pull request as one text, for those who read it elsewhere than on GitHub."""
    return as_page(title(report), body(report, memory, around))


def as_page(title: str, body: str) -> str:
    return f"# {title}\n\n{body}"


def body(report: Report, memory: PatternMemory, around: Around) -> str:
    """The whole body, within GitHub's bound."""
    facts, template = _facts(report, memory, around), _template()

    def with_rows(rows: int) -> str:
        return _tidy(template.render(facts | _bounded(rows)))

    return fitted(with_rows, LIMIT - MARGIN)


def fitted(page: Callable[[int], str], limit: int) -> str:
    """The page with as many rows in each of its tables as fit in `limit` characters: whole rows, or none."""
    low, high = 0, ROWS
    if len(page(high)) <= limit:
        return page(high)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(page(middle)) <= limit else (low, middle - 1)
    return page(low)


def _bounded(rows: int) -> dict[str, Any]:
    """For the template: the first rows of a list, by its weight, and a word about those left out."""

    def few(items: Sequence[Any], weight: int = 1) -> Sequence[Any]:
        return items[: rows * weight]

    def more(items: Sized, weight: int = 1) -> str:
        left = len(items) - rows * weight
        return f"_{left} more in the run's report._" if left > 0 else ""

    return {"few": few, "more": more}


def _tidy(text: str) -> str:
    """Without the gaps that the template's unused parts leave; inside a fence everything stays."""
    kept: list[str] = []
    fence = ""
    for line in text.splitlines():
        mark = line[: len(line) - len(line.lstrip("`"))]
        if len(mark) >= 3 and (not fence or line == fence):
            fence = "" if fence else mark
        if fence or line or (kept and kept[-1]):
            kept.append(line)
    return "\n".join(kept).strip() + "\n"


def _facts(report: Report, memory: PatternMemory, around: Around) -> dict[str, Any]:
    replaced = superseded(around.initial, around.edits) if around.initial else set()
    standing, others = edit_rows(report, around.dropped, replaced, around.commits)
    changed = _changed(report)
    return {
        "report": report,
        "memory": memory,
        "around": around,
        "measured": _measured(report),
        "origin": _origin(around),
        "standing": standing,
        "others": others,
        "diff": _diff(around),
        "changed": changed,
        "moved": [*changed, *(task for task in report.tasks if task not in changed and _moved(task))],
        "fixed": sum((task.final or 0) > (task.baseline or 0) for task in changed),
        "tests": TESTS,
        "legend": _legend(report),
        "chart": chart(report.iterations),
        "spent": [*report.cost.by_role.items(), ("all", report.cost)],
        "versions": [report.optimizer, *report.versions],
        "boxes": BOXES,
        "box": box,
        "help": HELP.strip(),
        "run_checks": RUN_CHECKS,
    }


def _measured(report: Report) -> list[tuple[str, Comparison]]:
    """The splits that say something of others; the training tasks where there is nothing else."""
    if report.cross is not None:
        return [(name, part) for name, _, part in report.rows]
    parts = [(name, report.of(name)) for name in ("heldout", "validation")]
    shown_ = [(name, part) for name, part in parts if part.baseline.measured or part.baseline.unmeasured]
    return shown_ or [("train", report.train)]


def _origin(around: Around) -> str:
    origin = []
    if around.issue is not None:
        origin.append(f"Asked for in #{around.issue}.")
    if around.run_url:
        origin.append(f"Made by [this workflow run]({around.run_url}), where the full report is an artifact.")
    return " ".join(origin)


def _diff(around: Around) -> dict[str, Any] | None:
    """The change from the skill on the base to the branch's, as a reader of patches knows it."""
    if around.initial is None:
        return None
    final = [around.initial, *(after for _, _, after in steps(around.initial, around.edits))][-1]
    text = skill_patch(around.initial, final).decode("utf-8", errors="replace")
    text = re.sub(r"^(new file|deleted file) mode \d+\n|^index .*\n", "", text, flags=re.MULTILINE)
    kept = re.sub(r"^diff --git .*$", "", text, flags=re.MULTILINE).strip("\n").splitlines()  # a gap between files
    added = sum(line.startswith("+") and not line.startswith("+++ ") for line in kept)
    removed = sum(line.startswith("-") and not line.startswith("--- ") for line in kept)
    size = f"{added} lines added, {removed} removed"
    return {"text": fenced("\n".join(kept), "diff", LONGEST), "size": size, "long": len(kept) > SHORT}


def _legend(report: Report) -> str:
    """Which tasks did what: a figure is worth what its tasks were not used for."""
    told = ["Edits were learned from training tasks alone."]
    if report.cross is not None:
        told = ["Edits were learned from all tasks. The tasks left out were unknown to the runs of their folds alone."]
    if report.chosen_on in ("heldout", "validation") and report.accept != "always":
        told.append(f"The {report.chosen_on} tasks decided whether they are proposed.")
    if report.heldout_looks:
        looks = "once" if report.heldout_looks == 1 else f"{report.heldout_looks} times"
        told.append(f"Heldout tasks were executed {looks} in this run; no agent that edits saw them.")
    return " ".join(told)


def chart(iterations: Sequence[IterationFacts]) -> dict[str, str] | None:
    """Accuracy by iteration: on validation where each was measured there, else on its own batch."""
    if len(iterations) < 2:
        return None
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
    return {"what": what, "numbers": numbers, "values": ", ".join(f"{100 * value:.1f}" for value in values)}


def _moved(task: TaskFacts) -> bool:
    """Whether a score moved, though no verdict did."""
    before, after = task.scores
    return before is not None and after is not None and before != after


def _changed(report: Report) -> list[TaskFacts]:
    """Tasks whose result changed, broken ones first."""
    changed = [t for t in report.tasks if t.baseline is not None and t.final is not None and t.baseline != t.final]
    return sorted(changed, key=lambda task: ((task.final or 0) > (task.baseline or 0), task.id))


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
        BodyPart(lead, [f"- {shown(remark)}" for remark in report.remarks], essential=True),
        BodyPart(f"{note}: {url}" if note else "", essential=True),
        BodyPart("| edit | layer | file | outcome | why |\n| --- | --- | --- | --- | --- |", tried),
        BodyPart(f"Cost: {usd(report.cost.usd)}.", essential=True),
    ]
    return compose(sections, 30_000)


def counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


@cache
def _template() -> "Template":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("skillgrad_ci.bot.pull_request"),
        autoescape=False,  # noqa: S701  # Markdown is made safe by `shown`, `code` and `fenced`
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"shown": shown, "code": code, "percent": percent, "points": points}
    environment.filters |= {"counted": counted, "usd": usd, "score": score_words, "duration": duration}
    return environment.get_template("pull_request.md")

"""`/skillgrad drop E3 E5 because …`: the branch without those edits, measured again."""

from collections.abc import Sequence

from skillgrad_ci.bot.bot import Bot
from skillgrad_ci.bot.money import measured
from skillgrad_ci.bot.progress import Progress
from skillgrad_ci.bot.pull_request.proposal import Remade, Reviewed, moved_by, remade, rewrite_branch, with_dropped
from skillgrad_ci.bot.pull_request.review_lessons import edits_of, rejected_by_people
from skillgrad_ci.bot.schedule import deciding_tasks
from skillgrad_ci.document.inert_text import inbound, one_line, shown
from skillgrad_ci.method.acceptance import DecideBy, compare
from skillgrad_ci.method.acceptance.clock import incomparable
from skillgrad_ci.method.evidence import Accuracy, Evidence
from skillgrad_ci.report.headline import percent
from skillgrad_ci.report.statistics import paired
from skillgrad_ci.session.inputs import read_inputs


def drop(bot: Bot, reviewed: Reviewed, edits: Sequence[str], actor: str, reason: str) -> str:
    """Do it, and say what came of it. Where it cannot be done, nothing is changed."""
    proposal, names = reviewed.proposal, _list(edits)
    if known := [edit for edit in edits if edit in proposal.dropped]:
        return f"{_list(known)} {_is(known)} dropped already."
    head, why_not = moved_by(bot, reviewed)
    if why_not:
        return f"{why_not}, so I leave it to you; drop {names} there by hand."
    base = proposal.base if head == proposal.head else bot.base()
    reviewed = with_dropped(reviewed, proposal.dropped | dict.fromkeys(edits, reason))
    made = remade(bot, reviewed, base, list(reviewed.proposal.dropped))
    if made.refused:
        lines = "\n".join(f"- {result.edit.id} {shown(result.reason)}" for result in made.refused)
        return f"{names} cannot be dropped alone, and nothing was changed:\n\n{lines}\n\nDrop what stands on it first."
    if made.final.digest == made.initial.digest:
        return f"Without {names} nothing is left of this pull request; close it instead, and I remember why."
    bot.refuse_rehearsal(reviewed.job)
    before, after = _measure(bot, reviewed, made)
    told = _told(edits, actor, reason, before, after, reviewed.job.settings.decide_by)
    words = one_line(inbound(reason))
    rejected = [rejected_by_people(edit, proposal, words) for edit in edits_of(proposal) if edit.id in edits]
    rewrite_branch(bot, reviewed, made, head, rejected, told)
    return told


def _list(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _measure(bot: Bot, reviewed: Reviewed, made: Remade) -> tuple[list[Evidence], list[Evidence]]:
    """Both skills on the tasks that decide. The journal of the run, where a cache kept it, is used again."""
    inputs = read_inputs(reviewed.job, reviewed.record.splits)
    progress, arms = Progress(bot.log, reviewed.job.name, verbose=bot.context.debug), [made.initial, made.final]
    before, after = measured(bot, inputs, arms, deciding_tasks(inputs), progress)
    return before, after


def _told(
    edits: Sequence[str], actor: str, reason: str, before: Sequence[Evidence], after: Sequence[Evidence], by: DecideBy
) -> str:
    delta, old, new = paired(before, after, by), Accuracy.of(before), Accuracy.of(after)
    figures = f"{percent(old.value)} → {percent(new.value)}"
    if delta is not None and by == "score":
        figures = f"{percent(delta.baseline)} → {percent(delta.final)} in score"
    lost = f"not compared: {incomparable(before, after) or 'nothing was measured on both sides'}"
    change = lost if delta is None else f"{compare(after, before, by)!s} than the original"
    if delta is not None and delta.change == 0:
        change = "no measured change"
    because = f", because: {shown(reason)}" if reason else ""
    was, it = ("was", "it") if len(edits) == 1 else ("were", "them")
    return (
        f"{_list(edits)} {was} dropped by {shown(actor)}{because}. Without {it}, on the tasks that decide: "
        f"{figures} ({change})."
    )

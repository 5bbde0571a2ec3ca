"""`/skillgrad drop E3`: the branch without that edit, measured again."""

from collections.abc import Sequence

from skillgrad_ci.bot import state
from skillgrad_ci.bot.bot import Bot
from skillgrad_ci.bot.progress import Progress
from skillgrad_ci.bot.pull_request.branch import BranchContent, foreign_commits, push_to
from skillgrad_ci.bot.pull_request.page import Around, body, title
from skillgrad_ci.bot.pull_request.review_lessons import edits_of, rejected_by_people, skill_at
from skillgrad_ci.bot.schedule import deciding_tasks
from skillgrad_ci.bot.state import Proposal, Record
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.errors import UserError
from skillgrad_ci.github.git_data import branch_head, commit_at, file_at
from skillgrad_ci.github.text import inbound, shown
from skillgrad_ci.method.acceptance import compare
from skillgrad_ci.method.evidence import Accuracy, Evidence
from skillgrad_ci.method.memory import PatternMemory, RejectedEdit
from skillgrad_ci.method.memory_file import parse as parse_memory
from skillgrad_ci.method.patch import replay
from skillgrad_ci.report.document import Report
from skillgrad_ci.report.headline import percent
from skillgrad_ci.report.statistics import paired
from skillgrad_ci.session.inputs import memory_path, read_inputs
from skillgrad_ci.skill.edit import Edit
from skillgrad_ci.skill.skill import Skill


def drop(bot: Bot, job: SkillRun, record: Record, proposal: Proposal, edit_id: str, actor: str, reason: str) -> str:
    """Do it, and say what came of it. Where it cannot be done, nothing is changed."""
    if edit_id in proposal.dropped:
        return f"{edit_id} is dropped already."
    head = branch_head(bot.api, proposal.branch)
    if head != proposal.head:
        others = foreign_commits(bot.api, proposal.base, head) if head else []
        commits = ", ".join(map(shown, others)) or "it was rewritten"
        return f"This branch is not as I left it ({commits}), so I leave it to you; drop {edit_id} there by hand."
    initial = skill_at(bot.api, proposal.base, bot.path(job), job.path.resolve().name)
    if initial is None:
        raise UserError(f"{bot.path(job)}: not a skill at {proposal.base[:7]}, on which this pull request is based")
    dropped = proposal.dropped | {edit_id: reason}
    final, outcomes = replay(initial, edits_of(proposal), drop=set(dropped))
    standing = [outcome for outcome in outcomes if outcome.status != "accepted"]
    if standing:
        lines = "\n".join(f"- {outcome.edit.id} {shown(outcome.reason)}" for outcome in standing)
        return (
            f"{edit_id} cannot be dropped alone, and nothing was changed:\n\n{lines}\n\nDrop what stands on it first."
        )
    if final.digest == initial.digest:
        return f"Without {edit_id} nothing is left of this pull request; close it instead, and I remember why."
    bot.refuse_rehearsal(job)
    before, after = _measure(bot, job, record, initial, final)
    edits = [outcome.edit for outcome in outcomes]
    told = _told(edit_id, actor, reason, before, after)
    _rewrite(bot, job, record, proposal.model_copy(update={"dropped": dropped}), initial, final, edits, edit_id, told)
    return told


def _measure(
    bot: Bot, job: SkillRun, record: Record, initial: Skill, final: Skill
) -> tuple[list[Evidence], list[Evidence]]:
    """Both skills on the tasks that decide. The journal of the run, where a cache kept it, is used again."""
    inputs = read_inputs(job, record.splits)
    progress = Progress(bot.log, job.name)
    before, after = bot.engine.measure(inputs, [initial, final], deciding_tasks(inputs), bot.folder(inputs), progress)
    return before, after


def _told(edit_id: str, actor: str, reason: str, before: Sequence[Evidence], after: Sequence[Evidence]) -> str:
    delta, old, new = paired(before, after), Accuracy.of(before), Accuracy.of(after)
    figures = f"{percent(old.value)} → {percent(new.value)}"
    change = "could not be compared" if delta is None else f"{compare(after, before)!s} than the original"
    if delta is not None and delta.change == 0:
        change = "no measured change"
    because = f", because: {shown(reason)}" if reason else ""
    return (
        f"{edit_id} was dropped by {shown(actor)}{because}. Without it, on the tasks that decide: {figures} ({change})."
    )


def _rewrite(
    bot: Bot,
    job: SkillRun,
    record: Record,
    proposal: Proposal,
    initial: Skill,
    final: Skill,
    edits: Sequence[Edit],
    edit_id: str,
    told: str,
) -> None:
    """The branch, the memory on it, the body and the record."""
    dropped = next(edit for edit in edits_of(proposal) if edit.id == edit_id)
    reason = " ".join(inbound(proposal.dropped[edit_id]).split())
    rejected = rejected_by_people(dropped, proposal, reason)
    memory = _memory(bot, job, proposal, rejected)
    change = BranchContent(
        skill=job.name,
        path=bot.path(job),
        initial=initial,
        final=final,
        edits=edits,
        memory=memory.render(),
        memory_path=bot.relative(memory_path(job)),
        run=proposal.run,
    )
    head = push_to(bot.api, change, commit_at(bot.api, proposal.base), proposal.branch, proposal.head)
    if proposal.report is not None:
        report = Report.model_validate(proposal.report)
        around = Around(
            bot.context.run_url, proposal.issue, bot.starts_workflows, dropped=proposal.dropped, after_drop=told
        )
        text = {"title": title(report, proposal.dropped), "body": body(report, memory, around)}
        bot.api.write("PATCH", f"/pulls/{proposal.number}", text)
    kept = proposal.model_copy(update={"head": head})
    facts = {"result": final.digest, "rejected": [*record.rejected, rejected]}
    state.write(bot.api, record.with_proposal(kept).model_copy(update=facts))


def _memory(bot: Bot, job: SkillRun, proposal: Proposal, rejected: RejectedEdit) -> PatternMemory:
    """The branch's memory with the edit among the rejected ones."""
    path = bot.relative(memory_path(job))
    text = file_at(bot.api, commit_at(bot.api, proposal.head), path)
    memory = parse_memory(text.decode("utf-8"), path) if text is not None else PatternMemory(job.name)
    return memory.with_rejected([rejected])

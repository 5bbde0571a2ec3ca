"""A proposal that a command is about, and its branch made anew: without an edit, or on a newer base."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from skillgrad_ci.bot import state
from skillgrad_ci.bot.bot import Bot
from skillgrad_ci.bot.committed import checkout_of, skill_at
from skillgrad_ci.bot.pull_request.branch import BranchContent, foreign_commits, push_to
from skillgrad_ci.bot.pull_request.deliver import around_of
from skillgrad_ci.bot.pull_request.page import body, title
from skillgrad_ci.bot.pull_request.review_lessons import edits_of
from skillgrad_ci.bot.state import Proposal, SkillState
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.document.inert_text import shown
from skillgrad_ci.errors import UserError
from skillgrad_ci.github.git_data import branch_head, commit_at, file_at
from skillgrad_ci.method.memory import PatternMemory, RejectedEdit
from skillgrad_ci.method.memory.memory_file import parse_memory
from skillgrad_ci.method.patch import EditResult, replay
from skillgrad_ci.report.document import Report
from skillgrad_ci.report.provenance.blame import accepting_measurements
from skillgrad_ci.session.inputs import memory_path, read_inputs
from skillgrad_ci.skill.skill import Skill


@dataclass(frozen=True)
class Reviewed:
    """A proposal that a command is about: its skill, its record, its pull request."""

    job: SkillRun
    record: SkillState
    proposal: Proposal


@dataclass(frozen=True)
class Remade:
    """The proposal's edits replayed on a commit: what stands, and each edit's result."""

    base: str
    initial: Skill
    final: Skill
    results: Sequence[EditResult]

    @property
    def refused(self) -> list[EditResult]:
        return [result for result in self.results if result.status != "accepted"]


def remade(bot: Bot, reviewed: Reviewed, base: str, dropped: Sequence[str]) -> Remade:
    """Replay the edits without those dropped. Raises UserError where there is no such skill at `base`."""
    path = bot.path(reviewed.job)
    if bot.api.blind:
        initial: Skill | None = read_inputs(reviewed.job).skill
    else:
        job = reviewed.job
        initial = skill_at(bot.api, base, path, job.path.resolve().name, checkout_of(job))
    if initial is None:
        raise UserError(f"{path}: not a skill at {base[:7]}, on which this pull request is based; close it")
    final, results = replay(initial, edits_of(reviewed.proposal), drop=set(dropped))
    return Remade(base, initial, final, results)


def moved_by(bot: Bot, reviewed: Reviewed) -> tuple[str, str]:
    """Where the branch stands, and why it is left to people; nothing, where only the bot and its base wrote it."""
    proposal = reviewed.proposal
    if bot.api.blind:
        return proposal.head, ""
    head = branch_head(bot.api, proposal.branch)
    if head is None:
        return "", f"The branch {proposal.branch} is gone"
    if head == proposal.head:
        return head, ""
    known = [other.head for other in reviewed.record.proposals if other.branch == proposal.branch]
    content = remade_content(bot, reviewed, Skill("", {}), Skill("", {}), [], PatternMemory())
    others = foreign_commits(bot.api, content, bot.base(), head, known)
    return head, f"This branch is not as I left it ({', '.join(map(shown, others))})" if others else ""


def remade_content(
    bot: Bot, reviewed: Reviewed, initial: Skill, final: Skill, results: Sequence[EditResult], memory: PatternMemory
) -> BranchContent:
    job = reviewed.job
    return BranchContent(
        skill=job.name,
        path=bot.path(job),
        initial=initial,
        final=final,
        edits=[result.edit for result in results],
        memory=memory.render(),
        memory_path=bot.relative(memory_path(job)),
        run=reviewed.proposal.run,
        lines={pattern.slug: pattern.line for pattern in memory.patterns},
        accepted=accepting_measurements(Report.model_validate(report)) if (report := reviewed.proposal.report) else {},
    )


def memory_of(bot: Bot, reviewed: Reviewed) -> PatternMemory:
    """The memory as the bot left it on the branch."""
    if bot.api.blind:
        return PatternMemory(reviewed.job.name)
    path = bot.relative(memory_path(reviewed.job))
    text = file_at(bot.api, commit_at(bot.api, reviewed.proposal.head), path)
    return parse_memory(text.decode("utf-8"), path) if text is not None else PatternMemory(reviewed.job.name)


def rewrite_branch(
    bot: Bot, reviewed: Reviewed, made: Remade, expected: str, rejected: Sequence[RejectedEdit] = (), told: str = ""
) -> None:
    """The branch, the memory on it, the body and the record. `reviewed.proposal` holds what is dropped by now."""
    proposal, memory = reviewed.proposal, memory_of(bot, reviewed).with_rejected(rejected)
    content = remade_content(bot, reviewed, made.initial, made.final, made.results, memory)
    pushed = push_to(bot.api, content, commit_at(bot.api, made.base), proposal.branch, expected)
    kept = proposal.model_copy(update={"head": pushed.head, "base": made.base})
    if kept.report is not None:
        report = Report.model_validate(kept.report)
        around = around_of(bot, content, pushed, kept.issue)
        around = replace(around, dropped=kept.dropped, after_drop=told)
        text = {"title": title(report, kept.dropped), "body": body(report, memory, around)}
        bot.api.write("PATCH", f"/pulls/{kept.number}", text)
    state.update_state(bot.api, reviewed.job.name, _with(kept, made.final.digest, rejected))


def _with(kept: Proposal, result: str, rejected: Sequence[RejectedEdit]) -> Callable[[SkillState], SkillState]:
    def changed(record: SkillState) -> SkillState:
        new = [edit for edit in rejected if edit not in record.rejected]
        facts = {"result": result, "rejected": [*record.rejected, *new]}
        return record.with_proposal(kept).model_copy(update=facts)

    return changed


def with_dropped(reviewed: Reviewed, dropped: dict[str, str]) -> Reviewed:
    """The same, with these edits taken out: edit id to the reviewer's reason."""
    return replace(reviewed, proposal=reviewed.proposal.model_copy(update={"dropped": dropped}))

"""From an outcome to a pull request, or to the plain statement that there is nothing to propose."""

from collections.abc import Sequence
from dataclasses import replace

from skillgrad_ci.bot.bot import Bot, Ending
from skillgrad_ci.bot.committed import checkout_of, refuse_moved, skill_at
from skillgrad_ci.bot.ended_run import EndedRun, changed_contents
from skillgrad_ci.bot.pull_request.branch import BranchContent, Pushed, branch_name, push, steps
from skillgrad_ci.bot.pull_request.page import Around, as_page, body, confirmed, denied, result_text, title
from skillgrad_ci.bot.pull_request.publish import Published, Wish, open_pull, publish, tell_avoided
from skillgrad_ci.bot.pull_request.review_lessons import EDITS
from skillgrad_ci.bot.state import Proposal, SkillState
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.errors import SkillGradError, UserError
from skillgrad_ci.method.acceptance import Verdict
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.memory.memory_file import parse_memory
from skillgrad_ci.report.document import Report
from skillgrad_ci.report.provenance.blame import accepting_measurements
from skillgrad_ci.session.inputs import memory_path, read_inputs
from skillgrad_ci.skill.edit import Edit
from skillgrad_ci.skill.folder import write_atomically
from skillgrad_ci.skill.skill import Skill

PULL_REQUEST = "pull-request.md"


def deliver(bot: Bot, job: SkillRun, outcome: EndedRun, record: SkillState) -> tuple[Ending, Proposal | None]:
    """Push and open what is better; return what came of it, and the new proposal where there is one.

    Raises what GitHub refuses: the outcome is then as it was, and can be delivered later.
    """
    report = outcome.report
    assert report is not None, "a measurement alone proposes nothing"
    ties = bot.configuration.pull_request.draft_on_tie
    if not worth_proposing(outcome.edits, outcome.verdict, ties=ties) or gives_way(bot, outcome, record):
        text = result_text(report)
        bot.log.summary(text)
        return ending("no_gain", text, report, outcome.folder), None
    base = bot.base()
    memory = parse_memory(outcome.memory, "the outcome's memory") if outcome.memory else PatternMemory(job.name)
    content = branch_content(bot, job, outcome, initial_skill(bot, job, outcome))
    content = replace(content, lines={pattern.slug: pattern.line for pattern in memory.patterns})
    refuse_moved(bot.api, content.path, outcome.base, base, bot.default_branch, outcome.changed)
    unconfirmed = bot.configuration.pull_request.draft_unconfirmed and not confirmed(report)
    draft = outcome.verdict is not Verdict.BETTER or unconfirmed or denied(report)
    pushed = push(bot.api, content, base, record.proposals)
    around = around_of(bot, content, pushed, outcome.issue)
    wish = wish_of(bot, report, body(report, memory, around), draft=draft)
    page = bot.log.redact(as_page(wish.title, wish.body))
    file = bot.context.workspace / outcome.folder / PULL_REQUEST
    write_atomically(file, page.encode())
    if bot.api.dry:
        bot.log.say(f"dry run: the pull request's text is in {file}")
    published = publish(bot.api, pushed, wish, bot.default_branch, bot.context.server_url, bot.log)
    if pushed.avoided:
        tell_avoided(bot.api, branch_name(content.skill), pushed, published)
    bot.log.summary(wish.body)
    if published.note:
        bot.log.annotate("warning", f"{published.note}; the branch is {pushed.branch}: {published.url}")
    text = result_text(report, published.url, published.note)
    ended = replace(
        ending(published.status, text, report, outcome.folder, published.url, pushed.branch),
        pull_request_number=published.number or None,
        head_sha=pushed.head,
    )
    return ended, proposal_of(content, pushed, published, report, outcome.issue) if published.number else None


def around_of(bot: Bot, content: BranchContent, pushed: Pushed, issue: int | None) -> Around:
    at = f"{bot.context.server_url}/{bot.api.repository}/commit"
    return Around(
        bot.context.run_url,
        issue,
        bot.starts_workflows,
        commits={edit: f"{at}/{sha}" for edit, sha in pushed.commits.items()},
        initial=content.initial,
        edits=content.edits,
    )


def initial_skill(bot: Bot, job: SkillRun, outcome: EndedRun) -> Skill:
    """The skill that the run began with: from its commit, or, where nothing can be asked, from the checkout."""
    if bot.api.blind:
        return read_inputs(job).skill
    skill = skill_at(bot.api, outcome.base, bot.path(job), job.path.resolve().name, checkout_of(job))
    if skill is None:
        raise UserError(f"{bot.path(job)}: not a skill at {outcome.base[:7]}, with which the run began; run it again")
    return skill


def worth_proposing(edits: Sequence[Edit], verdict: Verdict, *, ties: bool) -> bool:
    """Something better; or, where the repository wants `ties`, a tie as a draft that claims nothing."""
    return bool(edits) and (verdict is Verdict.BETTER or (verdict is Verdict.TIE and ties))


def gives_way(bot: Bot, outcome: EndedRun, record: SkillState) -> bool:
    """A tie, or what heldout tasks deny, replaces no proposal that is open: that one may be better, and stays ready."""
    assert outcome.report is not None
    if outcome.verdict is Verdict.BETTER and not denied(outcome.report):
        return False
    undecided = any(not proposal.judged for proposal in record.proposals)
    return undecided or open_pull(bot.api, branch_name(outcome.skill)) is not None


def branch_content(bot: Bot, job: SkillRun, outcome: EndedRun, initial: Skill) -> BranchContent:
    """What goes on the branch. Raises SkillGradError where the edits lead elsewhere than what was measured."""
    final = [initial, *(after for _, _, after in steps(initial, outcome.edits))][-1]
    if changed_contents(initial, final) != outcome.changed:
        raise SkillGradError(
            f"{job.name}: its edits do not lead to the skill that was measured; nothing was pushed, so run again"
        )
    return BranchContent(
        skill=job.name,
        path=bot.path(job),
        initial=initial,
        final=final,
        edits=outcome.edits,
        memory=outcome.memory,
        memory_path=bot.relative(memory_path(job)),
        run=outcome.run,
        accepted=accepting_measurements(outcome.report) if outcome.report else {},
    )


def wish_of(bot: Bot, report: Report, text: str, *, draft: bool) -> Wish:
    """The action's inputs join the configuration's wishes."""
    asked, configured = bot.context.inputs, bot.configuration.pull_request

    def both(one: tuple[str, ...], other: tuple[str, ...]) -> list[str]:
        return list(dict.fromkeys([*one, *other]))

    return Wish(
        title=title(report),
        body=text,
        draft=draft or asked.draft,
        only_draft=denied(report),
        labels=both(configured.labels, asked.labels),
        reviewers=both(configured.reviewers, asked.reviewers),
        assignees=both(configured.assignees, asked.assignees),
    )


def proposal_of(
    content: BranchContent, pushed: Pushed, published: Published, report: Report, issue: int | None
) -> Proposal:
    return Proposal(
        number=published.number,
        branch=pushed.branch,
        base=pushed.base,
        head=pushed.head,
        run=content.run,
        issue=issue,
        edits=EDITS.dump_python(list(content.edits), mode="json"),
        report=report.model_dump(mode="json"),
    )


def ending(status: str, text: str, report: Report, folder: str, pull_request: str = "", branch: str = "") -> Ending:
    heldout = report.heldout
    return Ending(
        status=status,
        line=report.headline,
        text=text,
        pull_request=pull_request,
        branch=branch,
        delta=heldout.delta.change if heldout.delta else None,
        baseline=heldout.baseline.accuracy,
        final=heldout.final.accuracy if heldout.final else None,
        cost_usd=report.cost.usd,
        report=folder,
    )

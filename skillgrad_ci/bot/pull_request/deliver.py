"""From a finished run to a pull request, or to the plain statement that there is nothing to propose."""

from skillgrad_ci.bot.bot import Bot, Ending
from skillgrad_ci.bot.pull_request.branch import BranchContent, Pushed, branch_name, push
from skillgrad_ci.bot.pull_request.page import Around, body, result_text, title
from skillgrad_ci.bot.pull_request.publish import Published, Wish, open_pull, publish, tell_avoided
from skillgrad_ci.bot.pull_request.review_lessons import EDITS
from skillgrad_ci.bot.state import Proposal, Record
from skillgrad_ci.config.config import PullRequest
from skillgrad_ci.method.acceptance import Verdict
from skillgrad_ci.method.run import Run
from skillgrad_ci.report.document import Report
from skillgrad_ci.session.inputs import Inputs, memory_path
from skillgrad_ci.session.optimize_skill import Finished
from skillgrad_ci.skill.edit import Edit
from skillgrad_ci.skill.folder import write_atomically

PULL_REQUEST = "pull-request.md"


def deliver(bot: Bot, inputs: Inputs, finished: Finished, record: Record, issue: int | None) -> tuple[Ending, Record]:
    """Push and open what is better; return what came of it, and the record with the new proposal."""
    run, report = finished.run, finished.report
    if not worth_proposing(run, bot.configuration.pull_request) or gives_way(bot, run, record):
        text = result_text(report)
        bot.log.summary(text)
        return result_of("no_gain", text, report, bot.relative(finished.folder)), record
    change = branch_content(bot, inputs, run)
    around = Around(bot.context.run_url, issue, bot.starts_workflows)
    wish = wish_of(bot, report, body(report, run.memory, around), draft=run.verdict is not Verdict.BETTER)
    page = bot.log.redact(f"# {wish.title}\n\n{wish.body}")
    write_atomically(finished.folder / PULL_REQUEST, page.encode())
    pushed = push(bot.api, change, bot.base(), bot.default_branch)
    server = bot.context.server_url
    published = publish(bot.api, pushed, wish, bot.default_branch, server, bot.log)
    if pushed.avoided:
        tell_avoided(bot.api, branch_name(change.skill), pushed, published)
    bot.log.summary(wish.body)
    if published.note:
        bot.log.annotate("warning", f"{published.note}; the branch is {pushed.branch}: {published.url}")
    if published.number:
        record = record.with_proposal(proposal_of(change, pushed, published, report, issue))
    text = result_text(report, published.url, published.note)
    folder = bot.relative(finished.folder)
    return result_of(published.status, text, report, folder, published.url, pushed.branch), record


def worth_proposing(run: Run, wishes: PullRequest) -> bool:
    """Something better; or, where the repository wants it, a tie as a draft that claims nothing."""
    if not accepted_edits(run):
        return False
    return run.verdict is Verdict.BETTER or (run.verdict is Verdict.TIE and wishes.draft_on_tie)


def gives_way(bot: Bot, run: Run, record: Record) -> bool:
    """A tie replaces no proposal that is open: that one may be better, and cannot be made a draft again."""
    if run.verdict is Verdict.BETTER:
        return False
    return bool(record.proposals) or open_pull(bot.api, branch_name(run.initial.name)) is not None


def accepted_edits(run: Run) -> list[Edit]:
    """The edits that lead from the initial skill to the candidate."""
    return [result.edit for step in run.iterations for result in step.edits if result.status == "accepted"]


def branch_content(bot: Bot, inputs: Inputs, run: Run) -> BranchContent:
    job = inputs.job
    return BranchContent(
        skill=job.name,
        path=bot.path(job),
        initial=run.initial,
        final=run.candidate,
        edits=accepted_edits(run),
        memory=run.memory.render(),
        memory_path=bot.relative(memory_path(job)),
        run=run.name,
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
        labels=both(configured.labels, asked.labels),
        reviewers=both(configured.reviewers, asked.reviewers),
        assignees=both(configured.assignees, asked.assignees),
    )


def proposal_of(
    change: BranchContent, pushed: Pushed, published: Published, report: Report, issue: int | None
) -> Proposal:
    return Proposal(
        number=published.number,
        branch=pushed.branch,
        base=pushed.base,
        head=pushed.head,
        run=change.run,
        issue=issue,
        edits=EDITS.dump_python(list(change.edits), mode="json"),
        report=report.model_dump(mode="json"),
    )


def result_of(status: str, text: str, report: Report, folder: str, pull_request: str = "", branch: str = "") -> Ending:
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

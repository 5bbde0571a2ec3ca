"""Optimize one skill: is it due, what did people say before, run, deliver, remember."""

from dataclasses import replace
from datetime import UTC, datetime

from skillgrad_ci.bot import state
from skillgrad_ci.bot.bot import Bot, Ending, annotate_lint, ending_of
from skillgrad_ci.bot.progress import Progress
from skillgrad_ci.bot.pull_request.deliver import deliver
from skillgrad_ci.bot.pull_request.review_lessons import lessons_of
from skillgrad_ci.bot.schedule import deciding_tasks, due, fingerprint_of, lost, rates
from skillgrad_ci.bot.state import Record
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.errors import Cancelled, SkillGradError
from skillgrad_ci.method.acceptance import check_split
from skillgrad_ci.method.memory import RejectedEdit
from skillgrad_ci.method.run import Stop
from skillgrad_ci.session.inputs import Inputs, read_inputs
from skillgrad_ci.session.optimize_skill import Finished


def optimize_job(bot: Bot, job: SkillRun, progress: Progress, *, only_changed: bool, issue: int | None) -> Ending:
    """The whole act for one skill. Raises what the loop and the API raise."""
    bot.refuse_rehearsal(job)
    record = begun = state.read(bot.api, job.name)
    inputs = read_inputs(job, record.splits)
    annotate_lint(bot, job, inputs.skill)
    if only_changed:
        unchanged = settle_unchanged(bot, inputs, record, progress)
        if unchanged is not None:
            return unchanged
    started = fingerprint_of(inputs)
    record = learn_from_people(bot, inputs, record)
    inputs = replace(inputs, memory=inputs.memory.with_rejected(record.rejected))
    finished = bot.engine.optimize(inputs, bot.folder(inputs), progress)
    if finished.run.stop is Stop.CANCELLED:
        raise Cancelled(f"{job.name}: cancelled; started again, the run goes on where it was")
    try:
        result, record = deliver(bot, inputs, finished, record, issue)
    except SkillGradError as error:
        _remember_failure(bot, record, finished, error)
        raise
    facts = {
        "fingerprint": None if finished.run.stop is Stop.UNMEASURED else started,
        "rejected": [*record.rejected, *_rejected_since(bot, begun, record)],
    }
    state.write(bot.api, remembered(record.model_copy(update=facts), finished, result))
    if finished.run.stop is Stop.BUDGET:
        bot.log.annotate("warning", f"{job.name}: stopped at the budget: {finished.run.why}")
    return replace(result, status="dry_run") if bot.api.dry and result.branch else result


def _rejected_since(bot: Bot, begun: Record, record: Record) -> list[RejectedEdit]:
    """Edits that reviewers dropped from the open pull request while this run was at work."""
    known = [*begun.rejected, *record.rejected]
    return [edit for edit in state.read(bot.api, record.skill).rejected if edit not in known]


def _remember_failure(bot: Bot, record: Record, finished: Finished, error: SkillGradError) -> None:
    """What a run came to is kept though it was not delivered. Without a fingerprint the next schedule tries again."""
    result = replace(ending_of(error), pull_request=record.pull_request)
    try:
        state.write(bot.api, remembered(record.model_copy(update={"fingerprint": None}), finished, result))
    except SkillGradError as also:
        bot.log.say(f"{record.skill}: the outcome was not recorded: {also}")


def learn_from_people(bot: Bot, inputs: Inputs, record: Record) -> Record:
    """The record with what people decided since: proposals that are decided leave it, rejected edits join it.

    What was learned before a merge is in the memory that was merged, where people may edit it.
    """
    lessons = list(lessons_of(bot.api, record.proposals, bot.path(inputs.job), inputs.skill.folder))
    for lesson in lessons:
        bot.log.say(f"{inputs.job.name}: {lesson.line}")
    kept = [] if any(lesson.merged for lesson in lessons) else record.rejected
    decided = {lesson.number for lesson in lessons}
    return record.model_copy(
        update={
            "proposals": [proposal for proposal in record.proposals if proposal.number not in decided],
            "rejected": [*kept, *(edit for lesson in lessons for edit in lesson.rejected)],
        }
    )


def settle_unchanged(bot: Bot, inputs: Inputs, record: Record, progress: Progress) -> Ending | None:
    """The result for a skill that a schedule need not optimize; None where it must."""
    name, now = inputs.job.name, datetime.now(UTC)
    todo = due(record, fingerprint_of(inputs), now, inputs.job.settings.reevaluate_days)
    bot.log.say(f"{name}: {todo.act}: {todo.why}")
    if todo.act == "optimize":
        return None
    if todo.act == "nothing":
        return Ending("unchanged", f"{name}: {todo.why}", pull_request=record.pull_request)
    (fresh,) = bot.engine.measure(inputs, [inputs.skill], deciding_tasks(inputs), bot.folder(inputs), progress)
    worse, why = lost(record, inputs.skill.digest, fresh)
    bot.log.say(f"{name}: {why}")
    if worse:
        return None
    measured = record.measured | {inputs.skill.digest: rates(fresh)}
    facts = {"fingerprint": fingerprint_of(inputs), "measured_at": now.isoformat(), "measured": measured}
    state.write(bot.api, record.model_copy(update=facts))
    return Ending("unchanged", f"{name}: measured again, because {todo.why}; {why}", pull_request=record.pull_request)


def remembered(record: Record, finished: Finished, result: Ending) -> Record:
    """The record with this run in it: enough to tell the next schedule, and people who look."""
    run, report = finished.run, finished.report
    decides = {task.id for task in run.suite.of(check_split(run.suite))} if run.baseline else set()
    baseline = rates([row for row in run.baseline if row.task_id in decides])
    candidate = rates([row for row in run.measured if row.task_id in decides])
    compact = {
        "run": run.name,
        "headline": report.headline,
        "outcome": result.status,
        "heldout": report.heldout.model_dump(mode="json"),
        "validation": report.validation.model_dump(mode="json"),
        "edits": [f"{edit.id} {edit.layer} {edit.file}: {', '.join(edit.patterns)}" for edit in report.accepted],
        "cost_usd": report.cost.usd,
        "stopped": report.stopped,
        "pull_request": result.pull_request,
    }
    return record.with_run(
        compact,
        result=run.candidate.digest,
        outcome=result.status,
        measured_at=datetime.now(UTC).isoformat(),
        measured={run.initial.digest: baseline} | ({run.candidate.digest: candidate} if candidate else {}),
        splits={task.id: task.split for task in run.suite.tasks if task.split is not None},
        pull_request=result.pull_request,
    )

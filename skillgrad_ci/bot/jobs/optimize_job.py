"""Optimize one skill: is it due, can it be delivered, what did people say before, run, deliver, remember."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from skillgrad_ci.bot import preflight, state
from skillgrad_ci.bot.bot import Bot, Ending, annotate_lint
from skillgrad_ci.bot.committed import as_committed, checkout_in, refuse_moved
from skillgrad_ci.bot.ended_run import EndedRun, Lessons, outcome_of, read_ended_run, stored
from skillgrad_ci.bot.jobs.deliver_job import deliver_outcome
from skillgrad_ci.bot.jobs.shard_job import execute_job, planned_shards, take_shards
from skillgrad_ci.bot.money import capped, measured, refuse_spent
from skillgrad_ci.bot.progress import Progress
from skillgrad_ci.bot.pull_request.review_lessons import lessons_from
from skillgrad_ci.bot.schedule import deciding_tasks, due, fingerprint_of, lost, means
from skillgrad_ci.bot.state import SkillState
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.errors import Cancelled
from skillgrad_ci.github.client import find
from skillgrad_ci.method.run import Stop
from skillgrad_ci.session.inputs import Inputs, read_inputs


@dataclass(frozen=True)
class Begun:
    """A skill's run before its first model call: what it will measure, and the commit it starts from."""

    job: SkillRun
    inputs: Inputs
    record: SkillState
    base: str
    issue: int | None
    paid: int = 0  # measurements of this start that other skills had before


def optimize_job(bot: Bot, job: SkillRun, progress: Progress, *, only_changed: bool, issue: int | None) -> Ending:
    """The whole act for one skill, or the part of it that `step` names. Raises what the loop and the API raise."""
    begun = begin(bot, job, issue)
    step = bot.context.inputs.step
    if step == "execute":
        return execute_job(bot, job, begun.inputs, progress)
    if step != "optimize":
        waiting = undelivered(bot, begun)
        if waiting is not None:
            bot.log.say(f"{job.name}: an earlier run was paid for and not delivered: it is delivered now")
            return deliver_outcome(bot, job, waiting)
    if only_changed and begun.record.paused:
        return Ending("unchanged", f"{job.name}: paused by {begun.record.paused}")
    if only_changed:
        with _released_on_error(bot, job):
            unchanged = settle_unchanged(bot, begun, progress)
        if unchanged is not None:
            return unchanged
    refuse_spent(bot, job)
    if step != "optimize":
        preflight.tell_missing(bot, begun.inputs, progress)
        preflight.refuse_undeliverable(bot, job, begun.base)
        preflight.claim(bot, job)
    if step == "preflight":
        return Ending(
            "ready",
            f"{job.name}: it can be delivered, so it can be optimized",
            shards=planned_shards(bot, begun.inputs),
        )
    with _released_on_error(bot, job):
        outcome = _run(bot, begun, progress)
    return _optimized(outcome) if step else deliver_outcome(bot, job, outcome)


@contextmanager
def _released_on_error(bot: Bot, job: SkillRun) -> Iterator[None]:
    """Take the claim back where the paid part fails; with several jobs, the last one does."""
    try:
        yield
    except BaseException:
        if not bot.context.inputs.step:
            preflight.release(bot, job.name)
        raise


def begin(bot: Bot, job: SkillRun, issue: int | None) -> Begun:
    """Read all that decides the run, with the skill as the repository holds it."""
    bot.refuse_rehearsal(job)
    record = state.read_state(bot.api, job.name)
    inputs, base = read_inputs(job, record.splits), bot.base()
    if not bot.api.blind:
        path, checked_out = bot.path(job), _checked_out(bot, base)
        refuse_moved(bot.api, path, checked_out, base, bot.default_branch, {})
        skill, notes = as_committed(bot.api, inputs.skill, job.path, path, base)
        for note in notes:
            bot.log.annotate("notice", note)
        inputs = replace(inputs, skill=skill)
    annotate_lint(bot, job, inputs.skill)
    return Begun(job, inputs, record, base, issue, len(bot.engine.spent))


def _checked_out(bot: Bot, base: str) -> str:
    """The commit of the checkout; the base where GitHub does not know it (a run by hand, or under act)."""
    sha = str(bot.context.at("pull_request", "base").get("sha") or bot.context.sha)  # there GITHUB_SHA is a merge
    return sha if sha and find(bot.api, f"/git/commits/{sha}") is not None else base


def undelivered(bot: Bot, begun: Begun) -> EndedRun | None:
    """What was paid for and not delivered: from the state branch, or from this run's own folder.

    None where the skill is another by now, so that it would not fit.
    """
    outcome = stored(begun.record)
    if outcome is None and not bot.api.dry:
        file = bot.folder(begun.inputs) / "outcome.json"
        outcome = read_ended_run(file) if file.is_file() else None
    fits = outcome is not None and outcome.skill == begun.job.name and outcome.began_with == begun.inputs.skill.digest
    return outcome if fits else None


def _run(bot: Bot, begun: Begun, progress: Progress) -> EndedRun:
    """The paid part: its outcome is in the run's folder before anything else is tried."""
    job, record = begun.job, begun.record
    lessons = lessons_from(bot, record, bot.path(job), checkout_in(begun.inputs))
    for line in lessons.lines:
        bot.log.say(f"{job.name}: {line}")
    inputs = replace(begun.inputs, memory=begun.inputs.memory.with_rejected(lessons.kept.rejected))
    inputs = replace(inputs, job=capped(bot, job), earlier=record.final)
    folder = bot.folder(begun.inputs)
    take_shards(bot, folder)
    finished = bot.engine.optimize(inputs, folder, progress)
    if finished.run.stop is Stop.CANCELLED:
        raise Cancelled(f"{job.name}: cancelled; started again, the run goes on where it was")
    if finished.run.stop is Stop.BUDGET:
        bot.log.annotate("warning", f"{job.name}: stopped at the budget: {finished.run.why}")
    outcome = outcome_of(begun.inputs, finished, begun.base, bot.path(job), lessons.kept, begun.issue)
    outcome = outcome.model_copy(update={"folder": bot.relative(folder), "before": _unrecorded(bot, begun)})
    outcome.write(folder)
    bot.spent.append(outcome.report.cost.usd or 0.0 if outcome.report else 0.0)
    return outcome


def _unrecorded(bot: Bot, begun: Begun) -> float:
    """What measuring the skill again took before its run, where this job may not write it to the month's account."""
    return sum(bot.engine.spent[begun.paid :]) if bot.context.inputs.step else 0.0


def _optimized(outcome: EndedRun) -> Ending:
    assert outcome.report is not None
    return Ending("optimized", outcome.report.headline, cost_usd=outcome.report.cost.usd, report=outcome.folder)


def settle_unchanged(bot: Bot, begun: Begun, progress: Progress) -> Ending | None:
    """The ending for a skill that a schedule need not optimize; None where it must."""
    inputs, record, name = begun.inputs, begun.record, begun.job.name
    now = datetime.now(UTC)
    todo = due(record, fingerprint_of(inputs), now, inputs.job.settings.reevaluate_days)
    bot.log.say(f"{name}: {todo.act}: {todo.why}")
    if todo.act == "nothing":
        return Ending("unchanged", f"{name}: {todo.why}", pull_request=record.pull_request)
    if todo.act == "optimize" or bot.context.inputs.step == "preflight":
        return None
    if not bot.context.inputs.step:  # else the preflight did
        preflight.claim(bot, begun.job)
    (fresh,) = measured(bot, inputs, [inputs.skill], deciding_tasks(inputs), progress)
    by = inputs.job.settings.decide_by
    worse, why = lost(record, inputs.skill.digest, fresh, by)
    bot.log.say(f"{name}: {why}")
    if worse:
        return None
    outcome = EndedRun(
        skill=name,
        path=bot.path(begun.job),
        base=begun.base,
        began_with=inputs.skill.digest,
        run="",
        ended=now.isoformat(),
        fingerprint=fingerprint_of(inputs),
        measured={inputs.skill.digest: means(fresh, by)},
        lessons=Lessons(known=record.rejected, rejected=record.rejected),
        before=_unrecorded(bot, begun),
    )
    run_id = bot.context.run_id
    if bot.context.inputs.step:
        outcome.write(bot.folder(inputs))
    else:
        state.update_state(
            bot.api, name, lambda there: preflight.released(outcome.recorded(there, there.outcome), run_id)
        )
    return Ending("unchanged", f"{name}: measured again, because {todo.why}; {why}", pull_request=record.pull_request)

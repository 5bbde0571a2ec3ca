"""Deliver what runs came to: to the pull request, the state branch and the issue that asked.

A run that was paid for is never lost. Where its delivery fails it stays in the run's folder, and on the state
branch if that can be written; the next start delivers it from there, and runs no model.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from skillgrad_ci.bot import state
from skillgrad_ci.bot.bot import Bot, Ending
from skillgrad_ci.bot.committed import Moved
from skillgrad_ci.bot.ended_run import FILE, EndedRun, found_in
from skillgrad_ci.bot.preflight import release, released
from skillgrad_ci.bot.pull_request.deliver import deliver
from skillgrad_ci.bot.pull_request.publish import close_superseded
from skillgrad_ci.bot.state import Proposal, SkillState
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.document.inert_text import code
from skillgrad_ci.errors import SkillGradError
from skillgrad_ci.github.git_data import branch_head, commit_at, folder_at


def deliver_outcome(bot: Bot, job: SkillRun, outcome: EndedRun) -> Ending:
    """Deliver, and remember it. Where that fails, the ending says what was kept and where."""
    bot.refuse_rehearsal(job)
    if outcome.report is None:

        def settled(record: SkillState) -> SkillState:
            return released(outcome.recorded(record, record.outcome), bot.context.run_id)

        state.update_state(bot.api, job.name, settled, month=outcome.month, usd=outcome.usd)
        return Ending("unchanged", f"{job.name}: measured again, and it did not lose")
    try:
        record = outcome.lessons.applied(state.read_state(bot.api, job.name))
        ended, proposal = deliver(bot, job, outcome, record)
    except SkillGradError as error:
        return _kept(bot, outcome, error)  # the error says who must act; whichever it is, the run was paid for
    try:
        _remember(bot, outcome, ended, proposal)
    except SkillGradError as error:
        note = f"branch {state.BRANCH} could not be written, so commands on the pull request will not work: {error}"
        bot.log.annotate("error", note)
        return replace(ended, code=1, line=f"{ended.line} {note}", text=f"{ended.text}\n\nThe {note}")
    if proposal is not None:
        _close_older(bot, job, proposal)
    if not bot.api.dry:  # a dry run's stays: commands are rehearsed on it
        (_folder(bot, outcome) / FILE).unlink(missing_ok=True)
    return replace(ended, status="dry_run") if bot.api.dry and ended.branch else ended


def _close_older(bot: Bot, job: SkillRun, new: Proposal) -> None:
    """Close what this proposal takes the place of, unless people committed to it; a failure stops nothing."""
    try:
        base = commit_at(bot.api, new.base)
        for record in state.read_all(bot.api):
            same, known = record.skill == job.name, bot.configuration.find(record.skill) is not None
            if not same and (known or not record.path or folder_at(bot.api, base, record.path)):
                continue
            lead = "" if same else f"The skill {code(record.skill)} is not there any more. "
            for older in record.proposals:
                if older.number == new.number or older.branch == new.branch or older.judged:
                    continue
                ours = branch_head(bot.api, older.branch) == older.head
                why = f"{lead}#{new.number} takes the place of this pull request."
                if ours and close_superseded(bot.api, older.number, why):
                    bot.log.say(f"#{older.number} was closed: #{new.number} takes its place")
    except SkillGradError as failed:
        bot.log.annotate("warning", f"older pull requests were not closed: {failed}")


def _remember(bot: Bot, outcome: EndedRun, ended: Ending, proposal: Proposal | None) -> None:
    def remembered(record: SkillState) -> SkillState:
        record = outcome.lessons.applied(record)
        record = record.with_proposal(proposal) if proposal else record
        record = outcome.recorded(record, ended.status, ended.pull_request)
        return released(record.model_copy(update={"undelivered": None}), bot.context.run_id)

    state.update_state(bot.api, outcome.skill, remembered, month=outcome.month, usd=outcome.usd)


def _kept(bot: Bot, outcome: EndedRun, error: SkillGradError) -> Ending:
    """The run is remembered whole, so that the next start delivers it; a change of the skill makes it useless."""
    failed, fits = bot.failed(error), not isinstance(error, Moved)
    where = f"the run's folder ({outcome.folder})"
    facts = {"undelivered": outcome.model_dump(mode="json")} if fits else {"undelivered": None, "fingerprint": None}

    def kept(record: SkillState) -> SkillState:
        record = outcome.recorded(outcome.lessons.applied(record), "undelivered", record.pull_request)
        return released(record.model_copy(update=facts), bot.context.run_id)

    try:
        state.update_state(bot.api, outcome.skill, kept, month=outcome.month, usd=outcome.usd)
        where += f" and on the branch {state.BRANCH}"
    except SkillGradError as also:
        bot.log.say(f"{outcome.skill}: the outcome was not recorded on the branch {state.BRANCH}: {also}")
    then = "the next start delivers them without paying again" if fits else "its patch may still be of use"
    told = (
        f"the run is complete and paid for, and could not be delivered: {error}. Its patch, memory and report are kept "
        f"in {where}; {then}"
    )
    assert outcome.report is not None
    return replace(failed, status="undelivered", line=told, report=outcome.folder, cost_usd=outcome.report.cost.usd)


def _folder(bot: Bot, outcome: EndedRun) -> Path:
    return bot.context.workspace / outcome.folder


def deliver_all(bot: Bot, skills: Sequence[SkillRun]) -> list[tuple[SkillRun, EndedRun | None, Ending]]:
    """What the run folder holds for these skills: an ending each, also for a skill whose run left nothing."""
    folder = bot.context.workspace / bot.context.inputs.run_folder
    outcomes = {outcome.skill: outcome for outcome in found_in(folder, [job.name for job in skills])}
    return [(job, outcomes.get(job.name), _delivered(bot, job, outcomes.get(job.name))) for job in skills]


def _delivered(bot: Bot, job: SkillRun, outcome: EndedRun | None) -> Ending:
    try:
        if outcome is not None:
            return deliver_outcome(bot, job, outcome)
        if state.read_state(bot.api, job.name).running is not None:
            release(bot, job.name)
            return Ending("failed", f"{job.name}: its run left no outcome; the workflow's log says why", code=1)
        return Ending("unchanged", f"{job.name}: nothing was to be delivered")
    except SkillGradError as error:
        return bot.failed(error)

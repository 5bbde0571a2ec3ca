"""Before a cent is spent: proof, without a model call, that the result can be written to the repository.

Each refusal names the setting to change. What cannot be asked is tried: a pull request from a branch that cannot
exist is refused as invalid where the token may open pull requests, and as forbidden where it may not.
"""

from datetime import UTC, datetime, timedelta

from skillgrad_ci.bot import state
from skillgrad_ci.bot.bot import Bot
from skillgrad_ci.bot.progress import Progress
from skillgrad_ci.bot.pull_request.branch import branch_name
from skillgrad_ci.bot.pull_request.publish import SETTING
from skillgrad_ci.bot.state import BRANCH, Claim, SkillState
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.github.client import Api, Refusal, find
from skillgrad_ci.github.git_data import branch_head, branches_below, create_branch, delete_branch
from skillgrad_ci.graders.xlsx.installation import version
from skillgrad_ci.session.inputs import Inputs

IMPOSSIBLE = "skillgrad/..no-branch"  # git allows no name with two dots
JOB_LIMIT = timedelta(hours=6)  # GitHub ends a job after it
RULESETS = "Settings → Rules → Rulesets (or Branches): let this token create and update branches skillgrad/*"


class Busy(EnvironmentFailure):
    """Another run is at work on the skill. `where` is its address, if it is known."""

    def __init__(self, skill: str, claim: Claim) -> None:
        where = f": {claim.url}" if claim.url else ""
        super().__init__(f"{skill}: a run is at work on it since {claim.since[:16].replace('T', ' ')} UTC{where}")
        self.where = claim.url


def refuse_undeliverable(bot: Bot, job: SkillRun, base: str) -> None:
    """Raises UserError where the repository, its rules or the token would not take a pull request of this skill."""
    if not bot.api.blind and (bot.api.get("") or {}).get("archived"):
        raise UserError(
            f"{bot.api.repository} is archived, so nothing can be written to it; "
            "unarchive it (Settings → General → Danger Zone), or take the workflow away"
        )
    _refuse_pull_requests_forbidden(bot)
    _refuse_branch_in_the_way(bot, branch_name(job.name), base)


def tell_missing(bot: Bot, inputs: Inputs, progress: Progress) -> None:
    """What this image lacks for the skill's tasks, said before money is spent on what it then cannot grade."""
    workbooks = any(spec.kind == "xlsx" for task in inputs.suite.tasks for spec in task.graders)
    if workbooks and not version():
        lacks = (
            f"{inputs.job.name}: its tasks grade workbooks, and this image has no LibreOffice: answers with formulas "
            "are unmeasured; set the input image: libreoffice"
        )
        bot.log.annotate("warning", lacks)
        progress.note(lacks)


def _refuse_pull_requests_forbidden(bot: Bot) -> None:
    if bot.api.dry:
        return
    try:
        probe = {"title": "Never opened", "head": IMPOSSIBLE, "base": bot.default_branch}
        bot.api.write("POST", "/pulls", probe, done=lambda: {})
    except Refusal as refusal:
        if "not permitted to create" in refusal.reason:
            bot.log.annotate("warning", f"the branch will be pushed without a pull request: allow it in {SETTING}")
        elif refusal.status in (403, 404):
            raise UserError(
                f"this token may open no pull request, so nothing was spent ({refusal}); give it pull-requests: write"
            ) from None


def _refuse_branch_in_the_way(bot: Bot, branch: str, base: str) -> None:
    if bot.api.blind:
        return
    api = bot.api
    for name in branches_in_the_way(api, branch):
        raise UserError(f"branch {name} is in the way of {branch}, which the bot needs; rename or delete it")
    restricted = {rule["type"] for rule in find(api, f"/rules/branches/{branch}") or []}
    if not restricted & {"creation", "update"} or api.dry or branch_head(api, branch):
        return
    try:  # a rule may spare this token, and only a try tells
        create_branch(api, branch, base)
        delete_branch(api, branch)
    except Refusal as refusal:
        raise UserError(f"branch {branch} cannot be made, so nothing was spent ({refusal}); {RULESETS}") from None


def branches_in_the_way(api: Api, branch: str) -> list[str]:
    """Branches beside which git can hold none of this name: one named as its folder, and those below it."""
    parent = branch.split("/")[0]
    return [*([parent] if branch_head(api, parent) else []), *branches_below(api, f"{branch}/")]


def claim(bot: Bot, job: SkillRun) -> SkillState:
    """Write on the state branch that a run is at work: the proof that branches can be written, and a lock.

    Raises Busy where another run is, UserError where the branch cannot be written.
    """
    now = datetime.now(UTC)
    minutes = job.settings.budget.minutes
    until = now + (timedelta(minutes=minutes) + timedelta(hours=1) if minutes else JOB_LIMIT)
    mine = Claim(run=bot.context.run_id, url=bot.context.run_url, since=now.isoformat(), until=until.isoformat())

    def claimed(record: SkillState) -> SkillState:
        if record.running is not None and record.running.run != mine.run and not ended(bot, record.running, now):
            raise Busy(job.name, record.running)
        return record.model_copy(update={"running": mine})

    try:
        return state.update_state(bot.api, job.name, claimed)
    except Refusal as refusal:
        hint = RULESETS if refusal.status == 422 else "give the workflow's job contents: write"
        raise UserError(f"branch {BRANCH} cannot be written, so nothing was spent ({refusal}); {hint}") from None


def ended(bot: Bot, running: Claim, now: datetime) -> bool:
    """Whether a claim's run is over: GitHub says so, or, where it does not tell, its time is up."""
    if now >= datetime.fromisoformat(running.until):
        return True
    try:
        run = find(bot.api, f"/actions/runs/{running.run}") if running.run.isdigit() else None
    except Refusal:  # without actions: read nothing is told
        return False
    return run is not None and run.get("status") == "completed"


def release(bot: Bot, skill: str) -> None:
    """Take this run's claim back; a failure to do so is said, and the claim ends by its time."""
    try:
        state.update_state(bot.api, skill, lambda record: released(record, bot.context.run_id))
    except (Refusal, EnvironmentFailure, UserError) as failed:
        bot.log.say(f"{skill}: the claim on branch {BRANCH} was not taken back: {failed}")


def released(record: SkillState, run: str) -> SkillState:
    """The record without this run's claim."""
    mine = record.running is not None and record.running.run == run
    return record.model_copy(update={"running": None}) if mine else record

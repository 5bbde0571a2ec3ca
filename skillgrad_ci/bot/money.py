"""The caps over several runs: one for a start over all its skills, one for a calendar month.

The cap of a skill's own run is `budget.usd` and the like. `budget.job` and `budget.month` lower it to what they have
left; where nothing is left, no run is started. What a month has cost stands on the state branch, measurements of pull
requests and for commands included, as far as the job may write there.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from skillgrad_ci.bot import state
from skillgrad_ci.bot.bot import Bot
from skillgrad_ci.bot.progress import Progress
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.config.settings import DEFAULT_USD
from skillgrad_ci.errors import BudgetExceeded, SkillGradError
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.task import Task
from skillgrad_ci.session.inputs import Inputs
from skillgrad_ci.skill.skill import Skill


def left(bot: Bot) -> tuple[float, str] | None:
    """The dollars that are left for a further run, and which cap says so; None without such caps."""
    caps = bot.configuration.caps
    this_month = f"{datetime.now(UTC):%Y-%m}"
    rest = []
    if caps.job is not None:
        rest.append((caps.job - sum(bot.spent), "budget.job"))
    if caps.month is not None:
        spent = state.spending(bot.api).get(this_month, 0.0)
        rest.append((caps.month - spent, f"budget.month ({this_month})"))
    return min(rest) if rest else None


def refuse_spent(bot: Bot, job: SkillRun) -> None:
    """Raises BudgetExceeded where the caps over several runs leave nothing for this one."""
    rest = left(bot)
    if rest is not None and rest[0] <= 0:
        raise BudgetExceeded(f"{job.name}: {rest[1]} is spent; raise it in .skillgrad.yml, or wait")


def capped(bot: Bot, job: SkillRun) -> SkillRun:
    """The skill's run with at most what is left. Raises BudgetExceeded where nothing is."""
    refuse_spent(bot, job)
    rest, budget = left(bot), job.settings.budget
    if rest is None:
        return job
    own = budget.usd if budget.usd is not None else None if budget.tokens is not None else DEFAULT_USD
    usd = rest[0] if own is None else min(own, rest[0])
    lower = budget.model_copy(update={"usd": usd})
    return replace(job, settings=job.settings.model_copy(update={"budget": lower}))


def measured(
    bot: Bot, inputs: Inputs, skills: Sequence[Skill], tasks: Sequence[Task], progress: Progress
) -> list[list[Evidence]]:
    """Skills on the same tasks, within what is left; what it took is counted, also where it failed."""
    within, before = replace(inputs, job=capped(bot, inputs.job)), len(bot.engine.spent)
    try:
        return bot.engine.measure(within, skills, tasks, bot.folder(inputs), progress)
    finally:
        count(bot, inputs.job.name, sum(bot.engine.spent[before:]))


def count(bot: Bot, skill: str, usd: float) -> None:
    """Add to what this start and, where `budget.month` is set, this month have cost; of several jobs the last does."""
    bot.spent.append(usd)
    if not usd or bot.context.inputs.step or bot.api.dry or bot.configuration.caps.month is None:
        return
    try:
        state.update_state(bot.api, skill, lambda record: record, month=f"{datetime.now(UTC):%Y-%m}", usd=usd)
    except SkillGradError as error:
        bot.log.say(f"{skill}: {usd:.4f} USD are not counted in budget.month: {error}")

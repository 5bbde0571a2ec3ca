"""The caps over several runs: one for a start over all its skills, one for a calendar month.

The cap of a skill's own run is `budget.usd` and the like. `budget.job` and `budget.month` lower it to what they have
left; where nothing is left, no run is started. What a month has cost stands on the state branch.
"""

from dataclasses import replace
from datetime import UTC, datetime

from skillgrad_ci.bot import state
from skillgrad_ci.bot.bot import Bot
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.config.settings import DEFAULT_USD
from skillgrad_ci.errors import BudgetExceeded


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

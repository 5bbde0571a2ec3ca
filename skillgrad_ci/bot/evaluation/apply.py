"""`/skillgrad apply` on a pull request that was measured: the offered edits as a pull request into its branch."""

from typing import Any

from skillgrad_ci.bot import state
from skillgrad_ci.bot.bot import Bot
from skillgrad_ci.bot.committed import checkout_of, skill_at
from skillgrad_ci.bot.evaluation.offer import Offer, read_offer, standing
from skillgrad_ci.bot.pull_request.branch import BranchContent, Pushed, branch_name, push_beside
from skillgrad_ci.bot.pull_request.proposal import Reviewed, memory_of, remade_content
from skillgrad_ci.bot.pull_request.publish import Wish, publish
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.document.inert_text import code, shown, trailer
from skillgrad_ci.github.client import find
from skillgrad_ci.github.comments import marker
from skillgrad_ci.method.patch import replay

NOTHING = (
    "There is nothing to apply here: no evaluation of this pull request measured that edits of mine help it. "
    "An evaluation tries those of a proposal of mine that is open."
)


def apply(bot: Bot, pull: int) -> str:
    """Open what was measured, for each skill that has an offer here; gives the answer."""
    if bot.api.blind:
        return "Without a token the evaluation's comment cannot be read, so there is nothing to apply."
    offers = [(job, offer) for job in bot.configuration.skills if (offer := _offer(bot, pull, job)) is not None]
    facts = find(bot.api, f"/pulls/{pull}")
    if not offers or facts is None:
        return NOTHING
    return "\n\n".join(_applied(bot, job, offer, facts) for job, offer in offers)


def _offer(bot: Bot, pull: int, job: SkillRun) -> Offer | None:
    """From the bot's own comment alone, whoever else quotes such a line."""
    for row in bot.api.pages(f"/issues/{pull}/comments"):
        body, author = str(row.get("body") or ""), (row.get("user") or {}).get("login")
        if author == bot.api.login and body.startswith(marker(f"evaluate-{job.name}")):
            offer = read_offer(body)
            return offer if offer is not None and offer.skill == job.name else None
    return None


def _applied(bot: Bot, job: SkillRun, offer: Offer, facts: dict[str, Any]) -> str:
    head, name = str(facts["head"]["sha"]), code(job.name)
    if head != offer.head:
        return f"{name}: this branch moved from {offer.head[:7]} to {head[:7]} since it was measured; measure it again."
    record = state.read_state(bot.api, job.name)
    proposal = record.proposal(offer.number)
    if proposal is None:
        return f"{name}: the edits of #{offer.number} are not kept any more; a new run finds others."
    content = _content(bot, Reviewed(job, record, proposal), offer)
    if content is None:
        return f"{name}: the edits do not lead to the skill that was measured, so nothing was pushed; measure it again."
    number = int(facts["number"])
    branch = f"{branch_name(job.name)}.on-{number}"  # no skill's own branch has a dot
    pushed = push_beside(bot.api, content, head, branch)
    if pushed is None:
        return (
            f"{name}: the branch {code(branch)} holds commits that are not mine, so I leave it alone; delete it first."
        )
    return f"{name}: {_published(bot, offer, pushed, facts)}"


def _content(bot: Bot, reviewed: Reviewed, offer: Offer) -> BranchContent | None:
    """What is pushed; None where it is not what was measured."""
    job, path = reviewed.job, bot.path(reviewed.job)
    initial = skill_at(bot.api, offer.head, path, job.path.resolve().name, checkout_of(job))
    if initial is None:
        return None
    edits = [edit for edit in standing(reviewed.proposal) if edit.id in offer.edits]
    final, results = replay(initial, edits)
    if final.digest != offer.digest:
        return None
    kept = [result for result in results if result.status == "accepted"]
    return remade_content(bot, reviewed, initial, final, kept, memory_of(bot, reviewed))


def _published(bot: Bot, offer: Offer, pushed: Pushed, facts: dict[str, Any]) -> str:
    into, number = str(facts["head"]["ref"]), int(facts["number"])
    text = (
        f"The edits {', '.join(offer.edits)} of #{offer.number} on top of #{number}, into its branch {code(into)}. "
        f"Measured together on {offer.head[:7]}, on the tasks that decide: {offer.figures}.\n\n"
        f"One commit an edit. Commands like `drop` are for #{offer.number}; this one is yours to merge or to close."
    )
    wish = Wish(title=f"Edits of #{offer.number} for #{number}: {trailer(offer.skill, 64)}", body=text)
    published = publish(bot.api, pushed, wish, into, bot.context.server_url, bot.log)
    if published.note:
        return f"{shown(published.note)}: {published.url}"
    done = "opened" if published.status == "opened" else "brought up to date"
    return f"{published.url} is {done}, into {code(into)}."

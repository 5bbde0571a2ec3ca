"""The edits of the bot's own open proposal, on top of the head of a person's pull request: offered where they help.

They were learned for the skill on the default branch. Whether they help what somebody else made of it is measured, on
the tasks that decide: those that taught an edit say little of it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, ValidationError

from skillgrad_ci.bot.bot import Bot
from skillgrad_ci.bot.decide import Evaluate
from skillgrad_ci.bot.money import measured
from skillgrad_ci.bot.progress import Progress
from skillgrad_ci.bot.pull_request.branch import steps
from skillgrad_ci.bot.pull_request.review_lessons import edits_of
from skillgrad_ci.bot.schedule import deciding_tasks
from skillgrad_ci.bot.state import Proposal, SkillState
from skillgrad_ci.document.inert_text import shown
from skillgrad_ci.errors import BudgetExceeded, EnvironmentFailure
from skillgrad_ci.github.client import Api, find
from skillgrad_ci.method.acceptance import Verdict, compare
from skillgrad_ci.method.patch import replay
from skillgrad_ci.report.headline import percent
from skillgrad_ci.report.statistics import Delta, paired
from skillgrad_ci.session.inputs import Inputs
from skillgrad_ci.skill.edit import Edit
from skillgrad_ci.skill.skill import Skill

LINE = re.compile(r"^<!-- skillgrad-ci:offer (?P<facts>\{.*\}) -->$", re.MULTILINE)


class Offer(BaseModel):
    """What was measured and is on offer: edits of proposal `number` on a head's commit, leading to a skill `digest`.

    `figures` say in our words what was measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    skill: str
    head: str
    number: int
    edits: tuple[str, ...]
    digest: str
    figures: str


@dataclass(frozen=True)
class Offered:
    """The words for the comment, and, where the edits help, the offer with the skills before and after them."""

    text: str = ""
    offer: Offer | None = None
    edits: Sequence[Edit] = ()
    before: Skill = field(default_factory=lambda: Skill("", {}))
    after: Skill = field(default_factory=lambda: Skill("", {}))

    @property
    def mark(self) -> str:
        """A hidden line, from which `apply` reads the offer again."""
        return f"\n<!-- skillgrad-ci:offer {self.offer.model_dump_json()} -->\n" if self.offer else ""


def read_offer(comment: str) -> Offer | None:
    """The offer that an evaluation's comment holds, its last line of that kind."""
    found = LINE.findall(comment)
    try:
        return Offer.model_validate_json(found[-1]) if found else None
    except ValidationError:
        return None


def offered_on(
    bot: Bot, inputs: Inputs, head: Skill, decision: Evaluate, record: SkillState, progress: Progress
) -> Offered:
    """Measure the open proposal's edits on the head. What was not measured is not offered, and the reason is told."""
    proposal = open_proposal(bot.api, record)
    edits = fitting(head, standing(proposal)) if proposal else []
    if proposal is None or not edits:
        return Offered()
    after, name = replay(head, edits)[0], f"#{proposal.number}"
    try:
        without, with_edits = measured(bot, inputs, [head, after], deciding_tasks(inputs), progress)
    except (BudgetExceeded, EnvironmentFailure) as failed:
        return Offered(f"The edits of {name} on top of it were not measured: {shown(str(failed), 300)}")
    by = inputs.job.settings.decide_by
    figures = _figures(paired(without, with_edits, by))
    if compare(with_edits, without, by) is not Verdict.BETTER:
        return Offered(f"The edits of {name} on top of it do not help on the tasks that decide: {figures}.")
    ids = tuple(edit.id for edit in edits)
    facts = {"skill": inputs.job.name, "head": decision.head, "number": proposal.number}
    offer = Offer.model_validate({**facts, "edits": ids, "digest": after.digest, "figures": figures})
    text = (
        f"**With the edits {', '.join(ids)} of {name} on top of it, on the tasks that decide: {figures}.** "
        "`/skillgrad apply` opens them as a pull request into this branch; those that fit are suggested on its diff."
    )
    return Offered(text, offer, edits, head, after)


def open_proposal(api: Api, record: SkillState) -> Proposal | None:
    """The newest proposal whose pull request is open."""
    for proposal in reversed([] if api.blind else record.proposals):
        pull = None if proposal.judged else find(api, f"/pulls/{proposal.number}")
        if pull is not None and pull["state"] == "open":
            return proposal
    return None


def standing(proposal: Proposal) -> list[Edit]:
    """The edits that nobody took out."""
    return [edit for edit in edits_of(proposal) if edit.id not in proposal.dropped]


def fitting(head: Skill, edits: Sequence[Edit]) -> list[Edit]:
    """The edits that can be made on a head, and that it does not hold already."""
    new = [edit for edit in edits if not _is_said(head, edit)]
    made = [result.edit for result in replay(head, new)[1] if result.status == "accepted"]
    return [edit for edit, before, after in steps(head, made) if before.digest != after.digest]


def _is_said(head: Skill, edit: Edit) -> bool:
    there = {line.strip() for line in head.files.get(edit.file, b"").decode("utf-8", errors="replace").splitlines()}
    lines = [line.strip() for line in edit.content.splitlines() if line.strip()]
    return bool(lines) and there.issuperset(lines)


def _figures(delta: Delta | None) -> str:
    if delta is None:
        return "nothing was measured on both sides"
    what, sure = " in score" if delta.by == "score" else "", "" if delta.clear else ", which chance can explain"
    return f"{percent(delta.baseline)} → {percent(delta.final)}{what} on {delta.tasks} tasks{sure}"

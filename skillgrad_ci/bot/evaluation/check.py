"""The check of an evaluation: begun before anything is measured, for that proves that it can be made."""

from dataclasses import dataclass

from skillgrad_ci.bot.bot import Bot
from skillgrad_ci.errors import UserError
from skillgrad_ci.github.client import Refusal


@dataclass(frozen=True)
class HeadCheck:
    """A check run on a head's commit; `number` is None where the token may make none, and the comment tells all."""

    bot: Bot
    number: int | None

    def end(self, conclusion: str, title: str, summary: str) -> None:
        if self.number is not None:
            facts = {"status": "completed", "conclusion": conclusion, "output": {"title": title, "summary": summary}}
            self.bot.api.write("PATCH", f"/check-runs/{self.number}", facts)

    def end_unmeasured(self, why: str) -> None:
        """Neither passed nor failed: a check that is required stays in the way, and can be run again."""
        self.end("cancelled", "not measured", why)


def begin_check(bot: Bot, head: str, name: str) -> HeadCheck:
    """Raises UserError where a threshold asks for a check, and the token may make none."""
    row = {"name": name, "head_sha": head, "status": "in_progress"}
    try:
        return HeadCheck(bot, int(bot.api.write("POST", "/check-runs", row)["id"]))
    except Refusal as refusal:
        if refusal.status != 403:
            raise
        if bot.context.inputs.threshold is not None:
            why = "the input threshold asks for a check, which this token may not make, so nothing was measured"
            raise UserError(f"{why}: {refusal}") from None
        bot.log.annotate("warning", f"no check is made, the comment tells all: {refusal}")
        return HeadCheck(bot, None)

"""`judge` with `prefer: true`: which of two results of a task is better, for tasks without a right answer.

The other result is the initial skill's, of the same task and trial. A win counts 1, a tie 0.5, a loss 0.

Judges prefer what they read first, or last (L. Zheng et al., "Judging LLM-as-a-Judge with MT-Bench and Chatbot
Arena", NeurIPS 2023). So each reading asks twice, in both orders, and if the two answers differ it is a tie. As with
statements, a choice counts only with a quote that the chosen result holds. A judge that finds a text which neither
result holds is not believed. Two results that are the same are a tie, and no judge is asked: so the initial skill's own
result is a tie by definition.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, Field

from skillgrad_ci.document.inert_text import fence, one_line
from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.graders.judge_exhibit import Exhibit, absent_text
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.grader_options import JudgeOptions
from skillgrad_ci.method.ports import Agent, Result
from skillgrad_ci.method.prompting import load_prompt
from skillgrad_ci.method.task import Task, digest_of

ROLE, PROMPT = "judge", "prefer"
QUOTE_SHOWN = 200  # characters of a quote in the feedback
CRITERIA_SHOWN = 600  # characters of what decides in the feedback
SERVES = "How well a result serves what the task asks for."
ALONE = (
    "prefers one of two results, and there is no initial skill's to compare with; use `optimize` or `evaluate`, which "
    "have one"
)
WIN, TIE, LOSS = 1, 0, -1  # of the result that is graded, against the initial skill's
WORDS = {WIN: "win", TIE: "tie", LOSS: "loss"}
Side = Literal["one", "two", "neither"]


class PreferenceReply(BaseModel):
    """The judge's word on two results, in the order in which it saw them."""

    quote_one: str = Field(max_length=2_000, description="passage of result one, word for word; empty if there is none")
    quote_two: str = Field(max_length=2_000, description="passage of result two, word for word; empty if there is none")
    reason: str = Field(max_length=2_000, description="one sentence")
    better: Side
    holds: Literal["one", "two", "both", "neither"] = Field(description="which holds the exact text asked about")


@dataclass(frozen=True)
class Choice:
    """What one answer, or the two of a reading, say of the graded result (`mine`) and the initial skill's."""

    vote: int
    reason: str
    mine: str = ""
    initial: str = ""


def shown_of(task: Task, result: Result) -> Exhibit:
    """The result as the task's preferring judge is shown it."""
    spec = next(spec for spec in task.graders if spec.kind == "judge" and spec.options.get("prefer"))
    return Exhibit.of(JudgeOptions.model_validate(spec.options), task, result)


def prefer(agent: Agent, options: JudgeOptions, task: Task, result: Result, trials: int) -> Grade:
    """Raises EnvironmentFailure where there is no other result, and for a reading that cannot be used."""
    if result.initial is None:
        raise EnvironmentFailure(f"task {task.id}: {ALONE}")
    mine, initial = Exhibit.of(options, task, result), Exhibit(result.initial.text, result.initial.words)
    if mine.text == initial.text:
        return Grade(Outcome.FAILED, 0.5, _same(options, mine, result))
    readings = [_read(agent, options, task, (mine, initial), trial) for trial in range(trials)]
    return _grade(readings)


def _same(options: JudgeOptions, mine: Exhibit, result: Result) -> str:
    """What a tie with itself says: alike for results that are alike, and for no others, so that no base run looks flat
    because all agents end with "Done."
    """
    quote = one_line(result.answer)[:QUOTE_SHOWN] or mine.opening
    own = f'{digest_of(mine.words)[:8]}: "{quote}"'
    wins = one_line(criteria(options))[:CRITERIA_SHOWN]
    return f"tie: the result is the initial skill's ({own}); a better one wins on: {wins}"


def criteria(options: JudgeOptions) -> str:
    """What decides between two results."""
    numbered = [f"{number}. {one_line(text)}" for number, text in enumerate(options.assertions, 1)]
    expected = [f"A good result: {options.expected_output}"] if options.expected_output.strip() else []
    return "\n".join([*filter(None, [options.rubric.strip()]), *numbered, *expected]) or SERVES


def _read(agent: Agent, options: JudgeOptions, task: Task, results: tuple[Exhibit, Exhibit], trial: int) -> Choice:
    """Both orders; what they do not agree on is a tie."""
    mine, initial = results
    orders = (initial, mine), (mine, initial)
    first, second = (_ask(agent, options, task, shown, trial) for shown in orders)
    last = Choice(-first.vote, first.reason, first.initial, first.mine)  # there the graded result was the second
    if last.vote == second.vote:
        return second
    why = f"the two orders disagree ({WORDS[last.vote]}: {last.reason}; {WORDS[second.vote]}: {second.reason})"
    return Choice(TIE, why, second.mine, second.initial)


def _ask(agent: Agent, options: JudgeOptions, task: Task, shown: tuple[Exhibit, Exhibit], trial: int) -> Choice:
    """One call. The vote is for the result that is shown first."""
    one, two = shown
    token = absent_text(f"{one.text}\n{two.text}", task.id, one.text, two.text, trial)
    reply = agent(ROLE, load_prompt(PROMPT), _question(options, task, shown, token, trial), PreferenceReply)
    if reply.holds != "neither":
        raise EnvironmentFailure(
            f"task {task.id}: the judge found a text that stands in neither result, so its choice means nothing; "
            "look whether a result talks to the judge, or use another judge"
        )
    vote = {"one": WIN, "two": LOSS, "neither": TIE}[reply.better]
    given = (one, reply.quote_one), (two, reply.quote_two)
    quotes = [quote if each.holds(quote) else "" for each, quote in given]
    reason = one_line(reply.reason)
    if (vote == WIN and not quotes[0]) or (vote == LOSS and not quotes[1]):
        vote, reason = TIE, f"the quote for the choice does not stand in the chosen result ({reason})"
    return Choice(vote, reason, *quotes)


def _question(options: JudgeOptions, task: Task, shown: tuple[Exhibit, Exhibit], token: str, trial: int) -> str:
    parts = [f"## The task\n\n{fence(task.instruction)}", f"## What decides\n\n{fence(criteria(options))}"]
    parts += [f"## Result {name}\n\n{each.text}" for name, each in zip(("one", "two"), shown, strict=True)]
    parts.append(
        f"## Asked (reading {trial + 1})\n\nWhich result is better: one, two, or neither? "
        f"And which holds the exact text {token}?"
    )
    return "\n\n".join(parts)


def _grade(readings: Sequence[Choice]) -> Grade:
    """More than half of the readings, or a tie."""
    vote, count = Counter(reading.vote for reading in readings).most_common(1)[0]
    if 2 * count <= len(readings):
        vote = TIE
    said = next((reading for reading in readings if reading.vote == vote), Choice(TIE, "the readings disagree"))
    lines = [f"{WORDS[vote]} against the initial skill's result: {said.reason}"]
    quotes = {"this result": said.mine, "the initial skill's": said.initial}
    lines += [f'- {whose}: "{one_line(text)[:QUOTE_SHOWN]}"' for whose, text in quotes.items() if text]
    if len(readings) > 1:
        alike = sum(reading.vote == vote for reading in readings)
        lines.append(f"Read {len(readings)} times in both orders; {alike} of them say {WORDS[vote]}.")
    return Grade(Outcome.PASSED if vote == WIN else Outcome.FAILED, (1 + vote) / 2, "\n".join(lines))

"""`judge`: a model grades statements about a result, in one structured call a reading.

The result may try to talk to the judge. What stands against that is code:

- it comes in fences that nothing inside can close;
- a statement passes only with a quote of some length that is found, word for word, in what the agent wrote; one
  that something is *not* there passes without;
- one more statement is put among the real ones that is false by construction (a string that stands
  nowhere in the result); a judge that passes it says what it is told, and its reading is thrown away.

Several readings give each statement the verdict of a majority, and how far they agree is reported.
`preference.py` compares two results instead.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, Field, create_model

from skillgrad_ci.document.inert_text import fence, one_line
from skillgrad_ci.errors import EnvironmentFailure, ReplyError
from skillgrad_ci.graders.judge_exhibit import Exhibit, absent_text, is_short
from skillgrad_ci.graders.preference import PROMPT, prefer
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.grader_options import JudgeOptions
from skillgrad_ci.method.ports import Agent, Result
from skillgrad_ci.method.prompting import load_prompt
from skillgrad_ci.method.task import GraderSpec, Task, digest_of

ROLE = "judge"
QUOTE_SHOWN = 200  # characters of a quote in the feedback
PASSED, FAILED, CANNOT_TELL = "passed", "failed", "cannot_tell"
WHOLE = "The result is what the task asks for, and what is known of a good result holds for it."
# A statement that something is not there, and nothing else: nobody can quote what is absent.
_NEGATIVE = re.compile(
    r"\b(?:not|never|without|avoids?|omits?|lacks?|neither|nothing|nobody)\b|n['’]t\b|\bfree of\b|\bnone of\b"
    r"|\b(?:no|contains? no|has no|have no|uses? no|mentions? no|names? no|makes? no|gives? no)\b",
    re.IGNORECASE,
)
_ALSO_POSITIVE = re.compile(r"\b(?:and|but|while|yet|only|instead|rather)\b|[,;]", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+(.+)$", re.M)


class StatementVerdict(BaseModel):
    """The judge's word on one statement."""

    statement: int = Field(ge=1, description="the statement's number")
    evidence: str = Field(max_length=2_000, description="passage of the result, word for word; empty if there is none")
    reason: str = Field(max_length=2_000, description="one sentence")
    verdict: Literal["passed", "failed", "cannot_tell"]


class JudgeReply(BaseModel):
    """A reply: one verdict for each statement."""

    verdicts: list[StatementVerdict]


@dataclass(frozen=True)
class Ruling:
    """A statement, the majority's verdict, the share of readings that gave it, and why."""

    statement: str
    verdict: str
    agreement: float
    reason: str
    quote: str = ""

    @property
    def line(self) -> str:
        quoted = f'; "{one_line(self.quote)[:QUOTE_SHOWN]}"' if self.quote else ""
        return f"- {self.verdict}: {self.statement} ({self.reason}{quoted})"


class JudgeGrader:
    """Asks `agent` in the role `judge`; `model` names it for the reports."""

    def __init__(self, agent: Agent, model: str, trials: int = 1) -> None:
        self.agent = agent
        self.trials = trials
        self.identity = f"judge/2 {model} x{trials} {digest_of([load_prompt(ROLE), load_prompt(PROMPT)])[:8]}"

    def grade(self, spec: GraderSpec, task: Task, result: Result) -> Grade:
        """Raises EnvironmentFailure for a reading that cannot be used, and where open statements decide."""
        options = JudgeOptions.model_validate(spec.options)
        trials = options.trials or self.trials
        try:
            if options.prefer:
                return prefer(self.agent, options, task, result, trials)
            return self._graded(options, task, result, trials)
        except ReplyError as problem:
            raise EnvironmentFailure(f"task {task.id}: {problem}; start the run again, or take another judge") from None

    def _graded(self, options: JudgeOptions, task: Task, result: Result, trials: int) -> Grade:
        exhibit = Exhibit.of(options, task, result)
        statements = statements_of(options)
        readings = [self._read(options, task, exhibit, statements, trial) for trial in range(trials)]
        rulings = [_majority(text, [reading[i] for reading in readings]) for i, text in enumerate(statements)]
        return _grade(rulings, task, trials)

    def _read(
        self, options: JudgeOptions, task: Task, exhibit: Exhibit, statements: Sequence[str], trial: int
    ) -> list[StatementVerdict]:
        """One call. The verdicts in the order of `statements`, without the control's."""
        seed = task.id, exhibit.text, trial
        control = f"The result holds the exact text {absent_text(exhibit.text, *seed)}."
        position = int(digest_of([*seed]), 16) % (len(statements) + 1)
        asked = [*statements[:position], control, *statements[position:]]
        reply = self.agent(ROLE, load_prompt(ROLE), _question(options, task, exhibit, asked, trial), _form(len(asked)))
        given = {verdict.statement: verdict for verdict in reply.verdicts}
        if sorted(given) != list(range(1, len(asked) + 1)):
            raise EnvironmentFailure(
                f"task {task.id}: the judge gave no verdict for some statements; start again, or use another judge"
            )
        ordered = [given[number] for number in range(1, len(asked) + 1)]
        if ordered.pop(position).verdict == PASSED:
            raise EnvironmentFailure(
                f"task {task.id}: the judge passed a statement that is false by construction, so its other "
                "verdicts mean nothing; look whether the result talks to the judge, or use another judge"
            )
        return [_proved(text, verdict, exhibit) for text, verdict in zip(statements, ordered, strict=True)]


def statements_of(options: JudgeOptions) -> list[str]:
    """The assertions, and the rubric's points (its bullets), or the rubric as one statement."""
    points = [text.strip() for text in _BULLET.findall(options.rubric)]
    if options.rubric.strip() and not points:
        points = ["The result meets the criteria above."]
    return [*options.assertions, *points] or [WHOLE]


def _form(count: int) -> type[JudgeReply]:
    """The reply's schema for this many statements, so that a short reply is repaired."""
    field = Annotated[list[StatementVerdict], Field(min_length=count, max_length=count)]
    return create_model("JudgeReply", __base__=JudgeReply, verdicts=(field, ...))


def _question(options: JudgeOptions, task: Task, exhibit: Exhibit, asked: Sequence[str], trial: int) -> str:
    """The parts that stay the same over a task's trials come first, for the provider's cache."""
    parts = [f"## The task\n\n{fence(task.instruction)}"]
    if options.expected_output.strip():
        parts.append(f"## What is known of a good result\n\n{fence(options.expected_output)}")
    if options.rubric.strip():
        parts.append(f"## Criteria\n\n{fence(options.rubric)}")
    parts.append(f"## The result\n\n{exhibit.text}")
    numbered = "\n".join(f"{number}. {' '.join(text.split())}" for number, text in enumerate(asked, 1))
    parts.append(f"## The {len(asked)} statements to grade (reading {trial + 1})\n\n{numbered}")
    return "\n\n".join(parts)


def is_negative(statement: str) -> bool:
    """Whether a statement says of something that it is not there, and nothing else."""
    return _NEGATIVE.search(statement) is not None and _ALSO_POSITIVE.search(statement) is None


def _proved(statement: str, verdict: StatementVerdict, exhibit: Exhibit) -> StatementVerdict:
    """A pass whose quote is not in what the agent wrote is not a pass."""
    if verdict.verdict != PASSED or exhibit.holds(verdict.evidence):
        return verdict
    if is_negative(statement):
        return verdict.model_copy(update={"evidence": ""})
    why = "its quote does not stand in the result"
    if is_short(verdict.evidence):
        why = "its quote is too short to prove it" if verdict.evidence.strip() else "the judge quoted nothing"
    return verdict.model_copy(update={"verdict": CANNOT_TELL, "reason": f"{why} ({verdict.reason})"})


def _majority(statement: str, verdicts: Sequence[StatementVerdict]) -> Ruling:
    """More than half of the readings, or cannot tell."""
    verdict, count = Counter(one.verdict for one in verdicts).most_common(1)[0]
    if 2 * count <= len(verdicts):
        return Ruling(statement, CANNOT_TELL, count / len(verdicts), "the readings disagree")
    first = next(one for one in verdicts if one.verdict == verdict)
    return Ruling(statement, verdict, count / len(verdicts), first.reason, first.evidence)


def _grade(rulings: Sequence[Ruling], task: Task, trials: int) -> Grade:
    """The share of statements that passed, and why the others did not.

    Open ones are left out only where they could not change the outcome.
    """
    count = Counter(ruling.verdict for ruling in rulings)
    score = count[PASSED] / len(rulings)
    best = (count[PASSED] + count[CANNOT_TELL]) / len(rulings)
    if score < task.threshold <= best and count[CANNOT_TELL]:
        names = "; ".join(f"{r.statement[:80]!r}: {r.reason[:200]}" for r in rulings if r.verdict == CANNOT_TELL)
        raise EnvironmentFailure(
            f"task {task.id}: the judge cannot tell, and the outcome hangs on it: {names}; say what shows it, or take "
            "another judge"
        )
    order = [FAILED, CANNOT_TELL, PASSED]  # what failed comes first: a reader may see no more
    lines = [ruling.line for ruling in sorted(rulings, key=lambda ruling: order.index(ruling.verdict))]
    if trials > 1:
        agreement = sum(ruling.agreement for ruling in rulings) / len(rulings)
        lines.append(f"Read {trials} times; the judge agrees with itself on {agreement:.0%}.")
    return Grade(Outcome.PASSED if score >= 1.0 else Outcome.FAILED, score, "\n".join(lines))

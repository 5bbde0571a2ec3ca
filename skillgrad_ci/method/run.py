"""What a run is made of: the skill in hand, its iterations, its result."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from skillgrad_ci.method.acceptance import Incumbent, Verdict, check_split
from skillgrad_ci.method.acceptance.clock import incomparable, overrun
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.gradient import Diagnosis, Lesson
from skillgrad_ci.method.memory import Overlay, PatternMemory, RejectedEdit, Remedy, Stamp
from skillgrad_ci.method.patch import EditResult, Rules
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import Split, Suite, Task
from skillgrad_ci.skill.skill import Skill


@dataclass(frozen=True)
class Iteration:
    """One step, as it went: `verdict` says what became of its patch, `incumbent` is the skill in hand after it.

    While it goes on, `incumbent` is the skill that it began with. `validation` is what this step measured of
    the skill that it accepted. `frontier` are the skills that a next step may begin with, the best first: one,
    where no more are kept. `slow` says that the step closes its epoch. `dropped` tells by task
    why its diagnosis could not be had. `reused` names by task the measurement whose evidence the batch took.
    """

    number: int
    incumbent: Incumbent
    memory: PatternMemory
    batch: Sequence[Evidence] = ()
    reused: Mapping[str, str] = field(default_factory=dict)
    diagnoses: Sequence[Diagnosis] = ()
    dropped: Mapping[str, str] = field(default_factory=dict)
    overlay: Overlay = field(default_factory=Overlay)
    edits: Sequence[EditResult] = ()
    verdict: str = ""
    validation: Sequence[Evidence] = ()
    lessons: Sequence[Lesson] = ()
    frontier: Sequence[Incumbent] = ()
    epoch: int = 1
    slow: bool = False

    @property
    def skill(self) -> Skill:
        return self.incumbent.skill

    @property
    def triggers(self) -> Sequence[Evidence]:
        """The trigger evidence of the description in hand."""
        return self.incumbent.triggers

    @property
    def usable(self) -> bool:
        """Whether at least half of the batch is measured."""
        return 2 * sum(row.measured for row in self.batch) >= len(self.batch)

    def taught_nothing(self) -> "Iteration":
        """The step whose batch gave no gradient, and why."""
        lost = next(iter(self.dropped.values()), None)
        return replace(self, verdict=f"no diagnosis: {lost}" if lost else "nothing to learn from")

    def left_the_skill(self) -> "Iteration":
        """The step whose proposal is the skill that it began with, and why; a line for whoever reads along."""
        refused = [result for result in self.edits if result.status == "refused"]
        more = f", and {len(refused) - 1} more" if len(refused) > 1 else ""
        why = f"{refused[0].edit.id} is refused ({refused[0].published}){more}" if refused else "no edit is proposed"
        return replace(self, verdict=f"no patch: {'the edits change nothing' if self.edits and not refused else why}")

    @property
    def failed(self) -> bool:
        """Whether a task of the batch failed."""
        return any(row.failed for row in self.batch)


class Stop(StrEnum):
    """Why a run ended."""

    ITERATIONS = "iterations"
    NO_FAILURES = "no failures"
    FLAT = "flat signal"
    UNMEASURED = "unmeasured"
    BUDGET = "budget"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Run:
    """A run's result. `final` is what is kept: the candidate if the end check accepts it, else the initial skill.

    `candidate` is the skill in hand after the last iteration. `baseline` holds the initial skill's evidence
    on all tasks, `measured` the candidate's on validation and heldout; `triggers` the initial skill's
    evidence on the trigger set; `name` names the run in the memory. `reused` names by task the earlier run from which
    its baseline was taken.
    """

    initial: Skill
    candidate: Skill
    final: Skill
    suite: Suite
    settings: LoopSettings
    memory: PatternMemory
    baseline: Sequence[Evidence] = ()
    iterations: Sequence[Iteration] = ()
    measured: Sequence[Evidence] = ()
    reused: Mapping[str, str] = field(default_factory=dict)
    triggers: Sequence[Evidence] = ()
    verdict: Verdict = Verdict.UNCHECKED
    stop: Stop = Stop.ITERATIONS
    why: str = ""
    name: str = "local"

    @property
    def frontier(self) -> Sequence[Incumbent]:
        """The skills that a step may begin with, the best first."""
        if self.iterations:
            return self.iterations[-1].frontier or [self.iterations[-1].incumbent]
        return [Incumbent(self.initial, self.baseline, self.triggers)]

    @property
    def incumbent(self) -> Incumbent:
        """The skill in hand: the last iteration's, or the initial one."""
        return self.frontier[0]

    @property
    def slow_steps(self) -> int:
        """How many iterations closed an epoch."""
        return sum(step.slow for step in self.iterations)

    def rules(self, probes: Sequence[Task], patterns: Collection[str]) -> Rules:
        """What edits are held to that answer one of `patterns`; `probes` are the queries of the trigger set."""
        settings, tasks = self.settings, [*self.suite.of(Split.TRAIN), *probes]
        return Rules(tasks, patterns, settings.allow_scripts, settings.optimizer.references)

    @property
    def next_edit(self) -> int:
        """The number of the next edit: edits are counted over the whole run."""
        return 1 + sum(len(step.edits) for step in self.iterations)

    def after(self, step: Iteration) -> "Run":
        """The run with one iteration more."""
        return replace(self, candidate=step.skill, memory=step.memory, iterations=[*self.iterations, step])


def remember(memory: PatternMemory, edits: Sequence[EditResult], at: Stamp) -> PatternMemory:
    """The record after a patch: accepted edits join their patterns' remedy logs, the others are rejected edits.

    What the lint refused is named by its place and its rule alone: its text may be a leak, and the memory is published.
    """
    for result in edits:
        edit = result.edit
        if result.status == "refused":
            place = replace(edit, content="", address=edit.address if edit.target == "heading" else "")
            rejected = RejectedEdit(edit.id, at, place.summary, edit.patterns, "lint", result.published)
            memory = memory.with_rejected([rejected])
        elif result.status == "rejected":
            rejected = RejectedEdit(edit.id, at, edit.summary, edit.patterns, "validation", result.published)
            memory = memory.with_rejected([rejected])
        else:
            for pattern in filter(None, map(memory.get, edit.patterns)):
                remedy = Remedy(at, edit.opening)  # the skill holds its text
                memory = memory.with_pattern(replace(pattern, remedy_log=(*pattern.remedy_log, remedy)))
    return memory


def forget(run: Run, reason: str) -> PatternMemory:
    """The record of a run whose candidate is not kept: its accepted edits are rejected ones now."""
    memory = run.memory
    for step in run.iterations:
        at = Stamp(run.name, step.number)
        kept = [result.rejected(reason) for result in step.edits if result.status == "accepted"]
        memory = remember(memory, kept, at)
    return memory


def of_the_line(run: Run) -> Run:
    """The run, with the edits rejected that do not lead to its candidate: those of other lines of a frontier."""
    line, memory, steps = run.incumbent.line, run.memory, list[Iteration]()
    for step in run.iterations:
        aside = [result for result in step.edits if result.status == "accepted"] if step.number not in line else []
        if aside:
            reason = "its line of skills was not the best at the end"
            memory = remember(memory, [result.rejected(reason) for result in aside], Stamp(run.name, step.number))
            step = replace(step, edits=[result.rejected(reason) for result in step.edits])
        steps.append(step)
    return replace(run, iterations=steps, memory=memory) if steps else run


def on_the_clock(run: Run) -> Run:
    """The run, ended as unmeasured where a clock forbids to compare what it measured, or what it would measure."""
    if run.stop in (Stop.BUDGET, Stop.CANCELLED):
        return run
    causes = {}
    if not run.measured:
        chosen = _on(run.suite.of(check_split(run.suite)), run.baseline)  # which may not be measured yet
        causes["with the initial skill"] = overrun(chosen or run.baseline)
    for split in Split:
        sides = [_on(run.suite.of(split), rows) for rows in (run.baseline, run.measured)]
        causes[f"on {split} tasks"] = incomparable(*sides)
    for where, cause in causes.items():
        if cause:
            remedy = "so nothing can be compared: give tasks more time, or run fewer at once"
            return replace(run, stop=Stop.UNMEASURED, why=f"{cause} {where}, {remedy}")
    return run


def _on(tasks: Sequence[Task], evidence: Sequence[Evidence]) -> Sequence[Evidence]:
    known = {task.id for task in tasks}
    return [row for row in evidence if row.task_id in known]

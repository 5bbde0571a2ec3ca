"""What `report.json` holds: the facts of a run, from which every other report is written.

Pages, summaries and pull requests read this document and nothing else, so they cannot disagree.
Accuracy is passed over measured executions, in [0, 1]; None where nothing was measured.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from skillgrad_ci.method.memory import OverlayEntry
from skillgrad_ci.report.statistics import doubt
from skillgrad_ci.skill.review_flags import Flag

SPLITS = ("heldout", "validation", "train")  # in the order in which they say something of others
CROSSED = "left out by folds, of the procedure"


class Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Measured(Facts):
    passed: int
    measured: int
    unmeasured: int
    accuracy: float | None
    timed_out: int = 0
    """Measured executions that ended at a time limit."""


class Change(Facts):
    """A paired change, over tasks that were measured under both skills: `change` is `final` less `baseline`.

    `by` says of what: of the tasks' passes, or of their mean scores.
    """

    tasks: int
    baseline: float
    final: float
    change: float
    interval: tuple[float, float]
    p_value: float
    test: str
    clear: bool
    fixed: tuple[str, ...]
    broken: tuple[str, ...]
    unpaired: tuple[str, ...]
    by: Literal["pass", "score"] = "pass"

    @property
    def doubt(self) -> str:
        """What speaks against it where it is not clear."""
        return doubt(self.change, self.interval, self.p_value)


class Comparison(Facts):
    """One split under the initial skill and under the candidate, where that was measured.

    `delta` is the change of what decides (`decide_by`). Where that is passes, `scores` is the change of mean scores, if
    any task has a partial one. `preferred` counts wins, ties and losses of the candidate's results against the initial
    skill's, over the tasks where a judge compares the two; None where there is none. `refused` says why the two are not
    compared though both were measured.
    """

    baseline: Measured
    final: Measured | None = None
    delta: Change | None = None
    scores: Change | None = None
    preferred: tuple[int, int, int] | None = None
    refused: str = ""


class SuiteFacts(Facts):
    """`counts` are tasks by split, all 0 where a run ended before tasks were split."""

    name: str
    path: str
    format: str
    tasks: int
    counts: Mapping[str, int]
    warnings: tuple[str, ...] = ()


class DiagnosisFacts(Facts):
    task: str
    kind: Literal["failure", "contrastive"]
    label: str
    guidance: str
    robust: bool
    summary: str
    cause: str
    skipped_step: str
    approach: str = ""
    snippet: str = ""
    quote: str


class EditFacts(Facts):
    """`under` is the heading that its words stand under in the candidate. `taught_in` names the batch that taught
    its patterns, where no task of its own batch did."""

    id: str
    layer: str
    file: str
    op: str
    target: str
    address: str
    content: str
    patterns: tuple[str, ...]
    tasks: tuple[str, ...]
    why: str
    status: str
    reason: str
    under: str = ""
    taught_in: str = ""


class IterationFacts(Facts):
    """One iteration. `batch`, `failed`, `unmeasured` and `contrastive` are task ids.

    `dropped` tells by task why a diagnosis that was asked for could not be had; `reused` names by task the measurement
    in which it was executed under this skill already.
    """

    number: int
    batch: tuple[str, ...]
    failed: tuple[str, ...]
    unmeasured: tuple[str, ...]
    contrastive: tuple[str, ...]
    diagnoses: tuple[DiagnosisFacts, ...]
    overlay: tuple[OverlayEntry, ...]
    themes: tuple[str, ...]
    edits: tuple[EditFacts, ...]
    verdict: str
    validation: Measured | None = None
    dropped: Mapping[str, str] = Field(default_factory=dict)
    reused: Mapping[str, str] = Field(default_factory=dict)

    @property
    def taken_from(self) -> str:
        """Where executions come from that were not made again, for a sentence: `2 from the base run`."""
        counts = Counter(self.reused.values())
        places = {name: "the base run" if name == "base" else f"iteration {name}" for name in counts}
        return ", ".join(f"{number} from {places[name]}" for name, number in counts.items())


class TaskFacts(Facts):
    """One task: its share of passed trials before and after; None where it was not measured.

    `prompt` is the task's instruction. `scores` are the means over measured trials before and after, `said` what the
    grader said of the first of them; for a judged task, its statements with their quotes.
    """

    id: str
    split: str
    baseline: float | None
    final: float | None
    feedback: str
    prompt: str = ""
    scores: tuple[float | None, float | None] = (None, None)
    said: tuple[str, str] = ("", "")

    @property
    def end(self) -> float | None:
        """The share at the run's end: under the candidate, or where that was not measured under the initial skill."""
        return self.baseline if self.final is None else self.final

    @property
    def partial(self) -> bool:
        """Whether a score tells more than passed and failed do."""
        return any(score is not None and 0 < score < 1 for score in self.scores)


class Chapter(Facts):
    """How many executions read one resource of the skill: with the initial skill, in batches, with the candidate."""

    file: str
    baseline: int
    batches: int
    final: int


class Spent(Facts):
    """`usd` is None where a price is unknown."""

    usd: float | None
    calls: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


class SpentOn(Spent):
    """`iteration` is a measurement's name or an iteration's number; both are '' for what is for the whole run."""

    role: str
    iteration: str
    task: str


class Cost(Spent):
    by_role: Mapping[str, Spent]
    by_purpose: list[SpentOn] = Field(default_factory=list)


class FoldFacts(Facts):
    """One run of a cross-fitting: how many tasks it learned from, the tasks that it left out, and whether it kept an
    edited skill. Where it did, both skills were executed on the tasks left out; where it did not, nothing changed.
    """

    number: int
    learned: int
    tasks: tuple[str, ...]
    kept: bool
    stopped: str
    comparison: Comparison


class CrossFitting(Facts):
    """What cross-fitting estimates of the procedure: `comparison` is over the tasks that each fold's run left out.

    `planned` folds were wanted; `why` says why some are missing.
    """

    planned: int
    folds: tuple[FoldFacts, ...]
    comparison: Comparison
    why: str = ""


class Report(Facts):
    """One run. `chosen_on` is the split whose result decided whether the candidate is kept.

    `run` is its name in the memory and in commits; `gate` says what `accept: validate` asked of a step. `agent` is who
    worked on the tasks, with its version. `cross` is there with `split: cross`, where an edited skill is kept.
    `triggers` is the trigger set under the initial skill and under the candidate; `tokens` is about how many
    tokens all files of each hold.
    """

    skill: str
    run: str = ""
    skill_path: str
    initial_digest: str
    final_digest: str
    kept: bool
    verdict: str
    chosen_on: str
    headline: str = ""
    remarks: tuple[str, ...] = ()
    optimizer: str
    agent: str = "loop"
    models: Mapping[str, str]
    rehearsal: bool
    seed: int
    accept: str
    trials: int = 1
    decide_by: Literal["pass", "score"] = "pass"
    gate: str = ""
    suite: SuiteFacts
    heldout: Comparison
    heldout_looks: int
    validation: Comparison
    train: Comparison
    iterations: tuple[IterationFacts, ...]
    triggers: Comparison | None = None
    cross: CrossFitting | None = None
    tokens: tuple[int, int] = (0, 0)
    tasks: tuple[TaskFacts, ...]
    chapters: tuple[Chapter, ...]
    flags: tuple[Flag, ...]
    cost: Cost
    minutes: float
    sandbox: str
    versions: tuple[str, ...]
    warnings: tuple[str, ...]
    settings: Mapping[str, Any]
    reproduce: str
    stopped: str
    why: str

    def of(self, split: str) -> Comparison:
        """The comparison on a split, by its name."""
        return {"heldout": self.heldout, "validation": self.validation}.get(split, self.train)

    @property
    def rows(self) -> list[tuple[str, int, Comparison]]:
        """What tables show, by its name and number of tasks: what cross-fitting estimates, then each split's."""
        folds, counts = self.cross.folds if self.cross else (), self.suite.counts
        crossed = [(CROSSED, sum(len(fold.tasks) for fold in folds), self.cross.comparison)] if self.cross else []
        return crossed + [(name, counts[name], self.of(name)) for name in SPLITS if counts[name]]

    @property
    def accepted(self) -> list[EditFacts]:
        """The edits that the candidate holds, in the order they were made."""
        return [edit for step in self.iterations for edit in step.edits if edit.status == "accepted"]

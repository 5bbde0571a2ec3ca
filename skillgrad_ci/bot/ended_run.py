"""What a run came to, whole in one file of its run folder: enough to deliver it from another machine, or another day.

The job that holds the model's key writes it, the job that may write to the repository reads it. A run whose
delivery fails is kept as one on the state branch, so that nobody pays for it twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from skillgrad_ci.bot.schedule import fingerprint_of, means
from skillgrad_ci.bot.state import Fingerprint, SkillState
from skillgrad_ci.errors import UserError
from skillgrad_ci.github.git_data import blob_name
from skillgrad_ci.method.acceptance import Verdict, check_split
from skillgrad_ci.method.memory import RejectedEdit
from skillgrad_ci.method.run import Run, Stop
from skillgrad_ci.method.task import Split
from skillgrad_ci.report.document import Report
from skillgrad_ci.session.inputs import Inputs
from skillgrad_ci.session.journal.earlier import FinalMeasurement, final_measurement
from skillgrad_ci.session.optimize_skill import Finished
from skillgrad_ci.skill.edit import Edit
from skillgrad_ci.skill.folder import write_atomically
from skillgrad_ci.skill.skill import Skill

FILE = "outcome.json"


class Lessons(BaseModel):
    """What people decided before a run: proposals that were merged, closed or opened again, by number.

    `rejected` are the edits that count as refused with it, `known` those that did before.
    """

    settled: list[int] = Field(default_factory=list)
    judged: list[int] = Field(default_factory=list)
    reopened: list[int] = Field(default_factory=list)
    rejected: list[RejectedEdit] = Field(default_factory=list)
    known: list[RejectedEdit] = Field(default_factory=list)

    def applied(self, record: SkillState) -> SkillState:
        """The record with these lessons in it. What reviewers dropped since the run began stays."""
        since = [edit for edit in record.rejected if edit not in self.known and edit not in self.rejected]
        proposals = [
            proposal.model_copy(update={"judged": self._judged(proposal.number, before=proposal.judged)})
            for proposal in record.proposals
            if proposal.number not in self.settled
        ]
        return record.model_copy(update={"proposals": proposals, "rejected": [*self.rejected, *since]})

    def _judged(self, number: int, *, before: bool) -> bool:
        return number in self.judged or (before and number not in self.reopened)


class EndedRun(BaseModel):
    """A run that ended. `base` is the commit whose skill was optimized, `path` its folder there, `began_with`
    the skill's digest.

    `changed` holds git's names of the contents that the edits lead to, None for a removed file: what is
    delivered is what was measured. `fingerprint` is None where the next schedule should run again.
    Without a `report` the skill was only measured again; `before` are the US dollars that this took.
    `measured` holds the means of what decides (pass rates, or scores) by skill digest and task, `final` what was
    measured of the candidate.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    skill: str
    path: str
    base: str
    began_with: str
    run: str
    ended: str
    issue: int | None = None
    fingerprint: Fingerprint | None = None
    verdict: Verdict = Verdict.UNCHECKED
    edits: list[Edit] = Field(default_factory=list)
    changed: dict[str, str | None] = Field(default_factory=dict)
    result: str = ""
    memory: str = ""
    report: Report | None = None
    measured: dict[str, dict[str, float]] = Field(default_factory=dict)
    final: FinalMeasurement | None = None
    splits: dict[str, Split] = Field(default_factory=dict)
    lessons: Lessons = Field(default_factory=Lessons)
    folder: str = ""
    before: float = 0.0

    @property
    def usd(self) -> float:
        """What it cost, as far as prices are known."""
        return self.before + ((self.report.cost.usd or 0.0) if self.report else 0.0)

    @property
    def month(self) -> str:
        return self.ended[:7]

    def write(self, folder: Path) -> None:
        write_atomically(folder / FILE, (self.model_dump_json(indent=1) + "\n").encode())

    def recorded(self, record: SkillState, status: str, pull_request: str = "") -> SkillState:
        """The record with this run in it: enough to tell the next schedule, and people who look."""
        facts: dict[str, Any] = {"fingerprint": self.fingerprint, "path": self.path, "measured_at": self.ended}
        if self.report is None:
            return record.with_measured(self.measured).model_copy(update=facts)
        report = self.report
        compact = {
            "run": self.run,
            "headline": report.headline,
            "outcome": status,
            "heldout": report.heldout.model_dump(mode="json"),
            "validation": report.validation.model_dump(mode="json"),
            "edits": [f"{edit.id} {edit.layer} {edit.file}: {', '.join(edit.patterns)}" for edit in report.accepted],
            "cost_usd": report.cost.usd,
            "stopped": report.stopped,
            "pull_request": pull_request,
        }
        facts |= {
            "paused": "",
            "result": self.result,
            "outcome": status,
            "measured": self.measured,
            "splits": self.splits,
        }
        if self.final is not None:
            record = record.with_final(self.final, pull_request)
        return record.with_run(compact, pull_request=pull_request, **facts)


def accepted_edits(run: Run) -> list[Edit]:
    """The edits that lead from the initial skill to the candidate."""
    return [result.edit for step in run.iterations for result in step.edits if result.status == "accepted"]


def outcome_of(
    inputs: Inputs, finished: Finished, base: str, path: str, lessons: Lessons, issue: int | None
) -> EndedRun:
    """A finished run as a value without the run's objects. `inputs` are those that the run began with."""
    run, ended = finished.run, datetime.now(UTC)
    decides = {task.id for task in run.suite.of(check_split(run.suite))} if run.baseline else set()
    sides = [(run.initial, run.baseline), (run.candidate, run.measured)]
    by = run.settings.decide_by
    measured = {
        skill.digest: means([row for row in rows if row.task_id in decides], by) for skill, rows in sides if rows
    }
    return EndedRun(
        skill=inputs.job.name,
        path=path,
        base=base,
        began_with=inputs.skill.digest,
        run=run.name,
        ended=ended.isoformat(),
        issue=issue,
        fingerprint=None if run.stop is Stop.UNMEASURED else fingerprint_of(inputs),
        verdict=run.verdict,
        edits=accepted_edits(run),
        changed=changed_contents(run.initial, run.candidate),
        result=run.candidate.digest,
        memory=run.memory.render(),
        report=finished.report,
        measured=measured,
        final=final_measurement(run, inputs.job.settings, ended),
        splits={task.id: task.split for task in run.suite.tasks if task.split is not None},
        lessons=lessons,
        folder=str(finished.folder),
    )


def changed_contents(before: Skill, after: Skill) -> dict[str, str | None]:
    """git's names of the contents in which two skills differ; None for a file that is gone."""
    names = sorted({*before.files, *after.files})
    return {
        name: blob_name(after.files[name]) if name in after.files else None
        for name in names
        if before.files.get(name) != after.files.get(name)
    }


def read_ended_run(file: Path) -> EndedRun:
    """Raises UserError where it is not as this program writes it."""
    try:
        return EndedRun.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        what = error.strerror if isinstance(error, OSError) else "not as this program writes it"
        raise UserError(f"{file}: {what}; start the run again") from None


def stored(record: SkillState) -> EndedRun | None:
    """The outcome that could not be delivered, from the state branch; None where there is none that can be read."""
    try:
        return EndedRun.model_validate(record.undelivered) if record.undelivered else None
    except ValidationError:
        return None


def found_in(folder: Path, skills: Mapping[str, object] | Sequence[str]) -> Iterator[EndedRun]:
    """The outcomes below a run folder, of these skills, oldest first."""
    outcomes = [read_ended_run(file) for file in folder.glob(f"*/*/{FILE}")]
    yield from sorted((one for one in outcomes if one.skill in skills), key=lambda one: one.ended)

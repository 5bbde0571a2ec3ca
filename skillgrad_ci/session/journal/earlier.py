"""A run's final measurement, kept for the next run: where its skill was merged, these executions are not made again.

The bot keeps it on its state branch, a run by hand in its run folder. An execution is known by its content address:
skill, task with its graders, versions of executor (agent, model, limits), sandbox and graders, sampling parameters and
trial. One digit elsewhere, and it is executed. The measurement of a candidate alone is kept, never that of an initial
skill: many candidates that met one and the same unlucky measurement of it would win by its luck. A candidate's can only
be too lucky, which makes the next one's test harder.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from skillgrad_ci.config.settings import Settings
from skillgrad_ci.method.evidence import Evidence, Outcome, Trajectory, Usage
from skillgrad_ci.method.run import Run
from skillgrad_ci.method.task import Task, digest_of
from skillgrad_ci.method.world import Earlier
from skillgrad_ci.skill.folder import write_atomically
from skillgrad_ci.skill.skill import Skill

FILE = "final.json"


class Execution(BaseModel):
    """What is kept of an execution: no word of grader or model, for the place where it is kept is public."""

    model_config = ConfigDict(frozen=True)

    outcome: Outcome
    score: float
    stopped: str
    seconds: float
    usage: Mapping[str, Any]


class FinalMeasurement(BaseModel):
    """Its executions by content address; `skill` is its digest, `ended` an ISO time, `pull_request` its URL."""

    model_config = ConfigDict(frozen=True)

    skill: str
    ended: str
    executions: Mapping[str, Execution]
    pull_request: str = ""

    @property
    def told(self) -> str:
        """The run for people."""
        offered = self.pull_request.rstrip("/").rpartition("/")[2]
        return f"the run of {self.ended[:10]}" + (f" (pull request {offered})" if offered else "")

    def of_at_most(self, number: int) -> "FinalMeasurement":
        """Its first executions: what is left out is executed again, and nothing else changes."""
        return self.model_copy(update={"executions": dict(islice(self.executions.items(), number))})

    def write(self, folder: Path) -> None:
        write_atomically(folder / FILE, (self.model_dump_json(indent=1) + "\n").encode())


def final_measurement(run: Run, settings: Settings, ended: datetime) -> FinalMeasurement | None:
    """What a run measured of its candidate; None where it measured none.

    What a judge preferred to the initial skill's result says nothing beside another initial skill.
    """
    tasks, skill = {task.id: task for task in run.suite.tasks}, run.candidate
    executions = {
        _address(skill, tasks[row.task_id], row.versions, row.trial, settings): Execution(
            outcome=row.outcome,
            score=row.score,
            stopped=row.trajectory.stopped,
            seconds=row.seconds,
            usage=asdict(row.trajectory.usage),
        )
        for row in run.measured
        if row.measured and row.skill_digest == skill.digest and not tasks[row.task_id].prefers
    }
    if not executions or skill.digest == run.initial.digest:
        return None
    return FinalMeasurement(skill=skill.digest, ended=ended.isoformat(), executions=executions)


def known_baseline(
    measured: FinalMeasurement | None, skill: Skill, settings: Settings, versions: Callable[[Task], str]
) -> Earlier | None:
    """What an earlier run knows of `skill`; None where it measured another one, is too old, or is not wanted.

    `versions` are those that an execution of a task would have now.
    """
    if measured is None or measured.skill != skill.digest or not settings.reuse_baseline:
        return None
    age = datetime.now(UTC) - datetime.fromisoformat(measured.ended)
    if settings.reevaluate_days is not None and age >= timedelta(days=settings.reevaluate_days):
        return None

    def execution(task: Task, trial: int) -> Evidence | None:
        now = versions(task)
        known = measured.executions.get(_address(skill, task, now, trial, settings))
        if known is None:
            return None
        seen = Trajectory(stopped=known.stopped, usage=Usage(**known.usage))
        said = f"executed in {measured.told}"
        return Evidence(task.id, skill.digest, known.outcome, known.score, said, seen, known.seconds, trial, now)

    return Earlier(measured.told, execution)


def newest_final(folders: Path, skill: Skill) -> FinalMeasurement | None:
    """The newest final measurement of a skill in the run folders below `folders`; what does not read is no one's."""
    found = []
    for file in folders.glob(f"*/{FILE}"):
        try:
            found.append(FinalMeasurement.model_validate_json(file.read_bytes()))
        except (OSError, ValidationError):
            continue
    return max((one for one in found if one.skill == skill.digest), key=lambda one: one.ended, default=None)


def _address(skill: Skill, task: Task, versions: str, trial: int, settings: Settings) -> str:
    """Content address of an execution, whichever measurement it was made for."""
    models = settings.models.model_dump(mode="json", include={"api_base", "parameters"})
    sampling = [models["api_base"], models["parameters"].get("executor"), models["parameters"].get("judge")]
    return digest_of([skill.for_agents().digest, task.digest, versions, trial, sampling])

"""One rollout: a task executed with a skill in a sandbox of its own, graded, and written down.

The content address of an execution holds all that can change its result: skill, task, versions of
executor, sandbox and graders, iteration and trial, and what its result is compared with. What the journal holds is
not done again.
"""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.graders import grade
from skillgrad_ci.graders.preference import ALONE
from skillgrad_ci.method.budget import spending_on
from skillgrad_ci.method.events import Executed, Executing, Replied
from skillgrad_ci.method.evidence import Evidence, Grade, Outcome, Trajectory
from skillgrad_ci.method.ports import Executor, Grader, Journal, Observer, Result, Resumable, Sandbox, Shown, Workspace
from skillgrad_ci.method.task import Task, digest_of
from skillgrad_ci.session.inputs import refuse_twins
from skillgrad_ci.session.journal.file_journal import END, EVIDENCE
from skillgrad_ci.session.journal.part import RunJournal
from skillgrad_ci.session.journal.recalled import recall_evidence
from skillgrad_ci.session.outputs.initial import InitialResults
from skillgrad_ci.skill.skill import Skill, present

OUTAGE = "unmeasured"
PARTLY = "partly measured"  # of a measurement alone: nothing was built on what it lacks


def ended_in_outage(journal: Journal) -> bool:
    """Whether the run ended because too little could be measured, so that what failed in it is tried afresh."""
    return _end(journal) == OUTAGE


def lacks(journal: Journal) -> bool:
    """Whether the run ended with something unmeasured that a next start may make up for."""
    return _end(journal) in (OUTAGE, PARTLY)


def _end(journal: Journal) -> str:
    return str((journal.recall(END) or {}).get("stop", ""))


def timed_out(record: Mapping[str, Any] | None) -> bool:
    """Whether a recorded execution ended at a time limit."""
    return record is not None and record["evidence"]["trajectory"]["stopped"] == "timeout"


@dataclass(frozen=True)
class Rollouts:
    """`ports.Rollout` over real parts. Thread-safe, as its parts are.

    `others` are the skills that lie beside the measured one; the executor's identity names them. `initial` is what the
    skill left that the run begins with, for tasks whose results are compared with it.
    """

    executor: Executor
    sandbox: Sandbox
    graders: Mapping[str, Grader]
    journal: RunJournal
    observe: Observer
    keep: Callable[[str, Evidence], None]  # writes an execution's trajectory into the run folder
    others: Sequence[Skill] = ()
    initial: InitialResults | None = None
    ready: Callable[[Task], None] = lambda _: None  # waits for what must be there before a task is executed
    _held: dict[str, threading.Lock] = field(default_factory=dict)  # by key: of two that ask for one, the second waits

    def __call__(self, skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        _, evidence = self._settled(skill, task, iteration, trial, told=True)
        self.keep(iteration, evidence)
        if evidence.trajectory.answer:
            self.observe(Replied(f"executor on {task.id}", evidence.trajectory.answer))
        self.observe(Executed(iteration, task.id, trial, evidence.outcome, evidence.feedback, evidence.seconds))
        return evidence

    def execute(self, skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> str:
        """The key under which the journal holds the execution, afterwards if not before."""
        return self._settled(skill, task, iteration, trial, told=True)[0]

    def _settled(
        self, skill: Skill | None, task: Task, iteration: str, trial: int, told: bool = False
    ) -> tuple[str, Evidence]:
        """The execution's key, and its evidence: recalled, or made and written down. `told`: its beginning is news."""
        versions, other = self.versions(task), self._compared_with(skill, task, iteration, trial)
        skill_digest = skill.for_agents().digest if skill else ""
        parts = ["execution", skill_digest, task.digest, versions, iteration, trial]
        key = digest_of([*parts, *([other.text] if isinstance(other, Shown) else [])])
        with self._held.setdefault(key, threading.Lock()):
            if self._to_do(key):
                self.ready(task)
                if told:
                    self.observe(Executing(iteration, task.id, trial))
                with spending_on(iteration=iteration, task=task.id):
                    evidence = self._execute(key, skill, task, versions, trial, other)
                self.journal.record(key, "execution", {"evidence": EVIDENCE.dump_python(evidence)})
        return key, recall_evidence(self.journal, key)

    def _compared_with(
        self, skill: Skill | None, task: Task, iteration: str, trial: int
    ) -> Shown | EnvironmentFailure | None:
        """The initial skill's result, or why it cannot be had; None where this execution's is not compared with it."""
        if not task.prefers or (self.initial is not None and self.initial.made_by(skill)):
            return None
        try:
            if self.initial is None:
                raise EnvironmentFailure(f"task {task.id}: {ALONE}")
            return self.initial.of(task, iteration, trial, self._settled)
        except EnvironmentFailure as failure:
            return failure

    def _to_do(self, key: str) -> bool:
        """Unknown, or unmeasured, or ended by a clock, where the run before lacks it."""
        known = self.journal.recall(key)
        if known is None:
            return True
        if key not in self.journal.replayed or not self.journal.stale(key):  # or made again since, by this run
            return False
        unmeasured = known["evidence"]["outcome"] == Outcome.UNMEASURED
        return (unmeasured and lacks(self.journal)) or (timed_out(known) and ended_in_outage(self.journal))

    def versions(self, task: Task) -> str:
        """What executes and grades a task, each with its version."""
        kinds = dict.fromkeys(spec.kind for spec in task.graders)
        graders = [self.graders[kind].identity for kind in kinds]
        return "; ".join([self.executor.identity, self.sandbox.identity, *graders])

    def _execute(
        self,
        key: str,
        skill: Skill | None,
        task: Task,
        versions: str,
        trial: int,
        other: Shown | EnvironmentFailure | None,
    ) -> Evidence:
        started, executor = time.monotonic(), self.executor
        if isinstance(executor, Resumable) and not timed_out(self.journal.recall(key)):  # else to the same clock again
            executor = executor.resuming(self.journal, key)
        trajectory = Trajectory()
        try:
            if isinstance(other, EnvironmentFailure):
                raise other
            with workspace(task, present(skill, self.others)) as folders:
                with self.sandbox.open(folders, network=task.network) as session:
                    trajectory = executor.execute(task, skill, session)
                result = Result(folders.work, trajectory.answer, trajectory, other)
                if task.prefers and self.initial is not None and other is None:
                    result = replace(result, initial=self.initial.keep(key, task, result))
                verdict = grade(task, result, self.graders)
        except EnvironmentFailure as failure:
            verdict = Grade(Outcome.UNMEASURED, feedback=str(failure))
        return Evidence(
            task_id=task.id,
            skill_digest=skill.digest if skill else "",
            outcome=verdict.outcome,
            score=verdict.score,
            feedback=verdict.feedback,
            trajectory=trajectory,
            seconds=round(time.monotonic() - started, 3),
            trial=trial,
            versions=versions,
        )


@contextmanager
def workspace(task: Task, skills: Sequence[Skill]) -> Iterator[Workspace]:
    """A task's own folders: `work` with copies of its files, the skills beside it; gone afterwards."""
    refuse_twins(skills)
    with tempfile.TemporaryDirectory(prefix="skillgrad-", ignore_cleanup_errors=True) as name:
        root = Path(name).resolve()
        work = root / "work"
        work.mkdir()
        place(task, work)
        for skill in skills:
            skill.for_agents().write(root / "skill" / skill.name)
        beside = {"skill": root / "skill"} if skills else {}
        yield Workspace(work, beside, environment=task.environment, fresh=task.environment is not None)


def place(task: Task, work: Path) -> None:
    """Copy a task's input files into its work folder."""
    for name, source in task.files.items():
        target = work / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            raise EnvironmentFailure(
                f"task {task.id}: {source} cannot be copied ({error.strerror}); put it there"
            ) from None
        if name in task.executable:
            target.chmod(0o755)

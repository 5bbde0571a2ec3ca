"""All skills of a repository before one agent: which of them fire on whose queries.

A query belongs to the skill that should fire on it. Each is run with every skill present; what fired is counted for
each skill, so a skill that takes the queries of another one shows, and so does one that fires everywhere.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skillgrad_ci.errors import BudgetExceeded, Cancelled, UserError
from skillgrad_ci.method.acceptance.triggers import TriggerQuality
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.grader_options import TriggerOptions
from skillgrad_ci.method.ports import Each, Rollout
from skillgrad_ci.method.task import GraderSpec, Suite, Task, digest_of
from skillgrad_ci.skill.skill import Skill
from skillgrad_ci.suites.native.grown import folder_beside
from skillgrad_ci.suites.triggers import FORMAT

MOST = 10  # queries that are made from a skill's own suite
QUERY = 160  # characters of a query that are shown


@dataclass(frozen=True)
class Queries:
    """One skill's queries, as tasks; `source` and `root` say where they came from."""

    skill: Skill
    source: str
    root: Path
    tasks: Sequence[Task]


@dataclass(frozen=True)
class Fired:
    """One execution of a query of `owner`."""

    owner: str
    evidence: Evidence

    @property
    def skills(self) -> list[str]:
        seen = self.evidence.trajectory
        return [*([self.owner] if seen.activated else []), *seen.others_activated]


def queries_of(skill: Skill, suite: Suite, trials: int) -> Queries:
    """A trigger set's own queries, or the instructions of a suite's tasks, each of which should fire.

    Ids carry the skill's name, for the queries of all skills are one suite.
    """
    known = suite.format == FORMAT
    tasks = list(suite.tasks) if known else _spread(list(suite.reviewed().tasks))
    wanted = [GraderSpec("trigger", TriggerOptions(should_trigger=True).model_dump())]
    made = [
        replace(
            task if known else Task("", task.instruction, wanted, files=task.files, probe=True, timeout=task.timeout),
            id=f"{skill.name}-{digest_of(task.instruction)[:8]}",
            trials=trials,
        )
        for task in {task.instruction: task for task in tasks}.values()
    ]
    return Queries(skill, f"{suite.format}, {suite.name}", folder_beside(suite), made)


def _spread(tasks: list[Task]) -> list[Task]:
    """Up to `MOST` of them, from everywhere in the suite: neighbours are often of one kind."""
    step = max(1, len(tasks) / MOST)
    return [tasks[int(number * step)] for number in range(min(MOST, len(tasks)))]


def together(queries: Sequence[Queries]) -> Suite:
    """All queries as one suite. Raises UserError where the skills cannot be told apart."""
    names = Counter(one.skill.name for one in queries)
    if twice := [name for name, number in names.items() if number > 1]:
        raise UserError(f"--triggers: two skills are named {twice[0]!r}; rename one in its SKILL.md")
    if len(queries) < 2:
        raise UserError("--triggers: one skill has no neighbour to steal from; name several, or use evaluate --tasks")
    return Suite("triggers", FORMAT, queries[0].root, [task for one in queries for task in one.tasks])


def run_all(
    queries: Sequence[Queries], rollout: Rollout, each: Each
) -> tuple[list[Fired], BudgetExceeded | Cancelled | None]:
    """Every query as often as it says; and why executions are missing, at a cap or where a person stopped it."""
    cuts: list[BudgetExceeded | Cancelled] = []

    def execute(job: tuple[Queries, Task, int]) -> Fired | None:
        one, task, trial = job
        try:
            return None if cuts else Fired(one.skill.name, rollout(one.skill, task, iteration="triggers", trial=trial))
        except (BudgetExceeded, Cancelled) as error:
            cuts.append(error)
            return None

    jobs = [(one, task, trial) for one in queries for task in one.tasks for trial in range(task.times(1))]
    return [row for row in each(execute, jobs) if row is not None], cuts[0] if cuts else None


def confusion_facts(queries: Sequence[Queries], rows: Sequence[Fired]) -> dict[str, Any]:
    """The confusion matrix as JSON: a row for each skill, and the queries that went elsewhere."""
    measured = [row for row in rows if row.evidence.measured]
    wanted = {task.id: task.graders[0].options["should_trigger"] for one in queries for task in one.tasks}
    asked = {task.id: " ".join(task.instruction.split())[:QUERY] for one in queries for task in one.tasks}
    thefts = Counter(
        (row.evidence.task_id, row.owner, thief)
        for row in measured
        if wanted[row.evidence.task_id] and not row.evidence.trajectory.activated
        for thief in row.skills
    )
    stolen = [
        {"query": asked[query], "owner": owner, "thief": thief, "times": times}
        for (query, owner, thief), times in thefts.most_common()
    ]
    return {"skills": [_row(one, measured, wanted) for one in queries], "stolen": stolen}


def _row(one: Queries, measured: Sequence[Fired], wanted: Mapping[str, bool]) -> dict[str, Any]:
    """A skill's row: what fired on its positive queries.

    Its precision also counts its own negative queries and everybody's positive ones. On a negative query of another
    skill nobody says what it should do.
    """
    name = one.skill.name
    own = [row for row in measured if row.owner == name and wanted[row.evidence.task_id]]
    fired = Counter(skill for row in own for skill in row.skills)
    counted = [row for row in measured if row.owner == name or wanted[row.evidence.task_id]]
    everywhere = sum(name in row.skills for row in counted)
    quality = TriggerQuality(fired_rightly=fired[name], stayed_wrongly=len(own) - fired[name])
    return {
        "skill": name,
        "source": one.source,
        "queries": len(one.tasks),
        "executions": len(own),
        "fired": dict(fired),
        "none": sum(not row.skills for row in own),
        "precision": fired[name] / everywhere if everywhere else None,
        "recall": quality.recall,
        "broken": quality.broken,
    }

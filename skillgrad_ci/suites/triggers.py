"""Trigger evaluations: `[{query, should_trigger}]`, the Agent Skills form.

They ask whether the description (layer H) makes the model activate the right skill. Each query is
a task whose grader looks at the trajectory alone.
"""

from pathlib import Path

from pydantic import Field

from skillgrad_ci.document import Document, Foreign
from skillgrad_ci.method.grader_options import TriggerOptions
from skillgrad_ci.method.ports import Result
from skillgrad_ci.method.task import GraderSpec, Suite, Task, digest_of
from skillgrad_ci.suites.ids import refuse_repeats

FORMAT = "triggers"
READS = "a JSON list of {query, should_trigger}: trigger evaluations"
TIMEOUT = 120.0  # seconds: a skill is activated at the start or not at all


class Query(Foreign):
    query: str = Field(min_length=1)
    should_trigger: bool


def recognises(path: Path) -> bool:
    if not path.is_file() or path.suffix != ".json":
        return False
    value = Document.read(path).value
    rows = value if isinstance(value, list) else []
    return any(isinstance(row, dict) and not {"query", "should_trigger"}.isdisjoint(row) for row in rows)


def load(path: Path) -> Suite:
    """Task ids come from the queries, so they stay when queries are added or moved."""
    document = Document.read(path)
    queries = document.parse_list(Query)
    refuse_repeats(document, [row.query for row in queries], [], "query")
    tasks = [
        Task(
            id=f"trigger-{digest_of(row.query)[:8]}",
            instruction=row.query,
            graders=[GraderSpec("trigger", TriggerOptions(should_trigger=row.should_trigger).model_dump())],
            timeout=TIMEOUT,
            probe=True,
            tags=["should-trigger" if row.should_trigger else "should-not-trigger"],
        )
        for row in queries
    ]
    return Suite(path.stem, FORMAT, path.parent, tasks, named=[path])


def reference_result(_task: Task, _work: Path) -> Result | None:
    """None: what passes is a behaviour, not a result."""
    return None


def untouched_result(_task: Task, _work: Path) -> Result | None:
    """None: doing nothing is right wherever the skill should stay out."""
    return None

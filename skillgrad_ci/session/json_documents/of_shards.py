"""What `plan`, `execute` and `merge` print of a run on several machines."""

from collections.abc import Mapping, Sequence

from skillgrad_ci.report.document import Facts


class PlannedShard(Facts):
    shard: str
    executions: int
    share: float


class PlanDocument(Facts):
    run: str
    folder: str
    executions: int
    shards: Sequence[PlannedShard]


class ShardDocument(Facts):
    shard: str
    executions: int
    outcomes: Mapping[str, int]
    folder: str
    stopped: str


class MergeDocument(Facts):
    folder: str
    records: int

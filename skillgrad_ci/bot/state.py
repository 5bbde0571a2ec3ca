"""The branch `skillgrad/state`: what the bot remembers of its runs, one JSON file a skill.

It has no history in common with the code and holds none of it. Two runs may write at once, for
different skills: the slower one reads again and puts its file on top.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.github.client import Api
from skillgrad_ci.github.git_data import (
    Commit,
    branch_head,
    commit_at,
    commit_files,
    create_branch,
    file_at,
    move_branch,
)
from skillgrad_ci.method.memory import RejectedEdit
from skillgrad_ci.method.task import Split

BRANCH = "skillgrad/state"
KEPT_RUNS = 5
KEPT_PULLS = 10
ATTEMPTS = 5
README = b"""# SkillGrad CI's state

Kept by the bot: one file a skill, with its last runs. No code is here; do not merge it.
"""


class Fingerprint(BaseModel):
    """What a run's result depends on, each part as a digest."""

    model_config = ConfigDict(frozen=True)

    skill: str
    suite: str
    models: str
    settings: str

    def changed(self, other: "Fingerprint") -> list[str]:
        """The parts that differ from `other`."""
        return [part for part in type(self).model_fields if getattr(self, part) != getattr(other, part)]


class Proposal(BaseModel):
    """A pull request as the bot left it: enough to replay its edits, and to see what people did to them.

    `edits` are the accepted edits in order, each as its fields. `base` is the commit that the branch is
    on, `head` the bot's last commit there. `dropped` holds by edit id the reviewer's reason; `report` is
    the run's whole report, kept for the newest proposal alone.
    """

    number: int
    branch: str
    base: str
    head: str
    run: str
    issue: int | None = None
    edits: list[dict[str, Any]] = Field(default_factory=list)
    dropped: dict[str, str] = Field(default_factory=dict)
    report: dict[str, Any] | None = None


class Record(BaseModel):
    """One skill's file.

    `fingerprint` is what the last run began with, `result` the digest of the skill it ended with.
    `measured` holds pass rates by skill digest and task id; `measured_at` is an ISO date and time.
    `splits` holds the split of each task, so that they stay when tasks are added. `rejected` are edits
    that people refused and no merged memory holds yet. `runs` are compact reports, the newest last.
    """

    skill: str
    fingerprint: Fingerprint | None = None
    result: str = ""
    outcome: str = ""
    measured_at: str = ""
    measured: dict[str, dict[str, float]] = Field(default_factory=dict)
    splits: dict[str, Split] = Field(default_factory=dict)
    pull_request: str = ""
    runs: list[dict[str, Any]] = Field(default_factory=list)
    proposals: list[Proposal] = Field(default_factory=list)
    rejected: list[RejectedEdit] = Field(default_factory=list)

    def proposal(self, number: int) -> Proposal | None:
        return next((proposal for proposal in self.proposals if proposal.number == number), None)

    def with_proposal(self, proposal: Proposal) -> "Record":
        others = [
            other.model_copy(update={"report": None}) for other in self.proposals if other.number != proposal.number
        ]
        return self.model_copy(update={"proposals": [*others, proposal][-KEPT_PULLS:]})

    def with_run(self, report: Mapping[str, Any], **facts: Any) -> "Record":
        runs = [*self.runs, dict(report)][-KEPT_RUNS:]
        return self.model_copy(update={"runs": runs, **facts})


def _path(skill: str) -> str:
    return f"skills/{skill}.json"


def read(api: Api, skill: str) -> Record:
    """What is known of a skill; an empty record where nothing is."""
    head = None if api.blind else branch_head(api, BRANCH)
    content = file_at(api, commit_at(api, head), _path(skill)) if head else None
    if content is None:
        return Record(skill=skill)
    try:
        return Record.model_validate_json(content)
    except ValidationError:
        raise EnvironmentFailure(
            f"branch {BRANCH}: {_path(skill)}: not as the bot writes it; delete the file, and it starts anew"
        ) from None


def write(api: Api, record: Record) -> None:
    """Put a skill's file on the branch, whatever was put there meanwhile. Raises EnvironmentFailure."""
    text = json.dumps(record.model_dump(mode="json"), ensure_ascii=False, indent=1) + "\n"
    files: dict[str, bytes | None] = {_path(record.skill): text.encode()}
    for _ in range(ATTEMPTS):
        head = None if api.blind else branch_head(api, BRANCH)
        parent: Commit | None = commit_at(api, head) if head else None
        new = files if parent else {**files, "README.md": README}
        commit = commit_files(
            api, parent, new, f"Record {record.skill}: {record.outcome or 'nothing yet'}", frozenset()
        )
        placed = move_branch(api, BRANCH, commit.sha, force=False) if parent else create_branch(api, BRANCH, commit.sha)
        if placed:
            return
    raise EnvironmentFailure(f"branch {BRANCH}: other runs kept writing to it; start this one again")

"""The branch `skillgrad/state`: what the bot remembers of its runs, one JSON file a skill.

It has no history in common with the code and holds none of it. Many runs may write at once: a change is
a function of the record that stands there, and the slower run applies its own again to what the faster left.
"""

import json
from collections.abc import Callable, Mapping
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
    folder_at,
    move_branch,
)
from skillgrad_ci.method.memory import RejectedEdit
from skillgrad_ci.method.task import Split
from skillgrad_ci.session.journal.earlier import FinalMeasurement

BRANCH = "skillgrad/state"
SPENDING = "spending.json"
KEPT_MONTHS = 24
KEPT_RUNS = 5
KEPT_PULLS = 10
KEPT_MEASURED = 10  # skills, each with a number for every task
KEPT_EXECUTIONS = 2_000  # of a final measurement: about 500 KB, and written with every change of the record
ATTEMPTS = 5
README = b"""# SkillGrad CI's state

Kept by the bot: one file a skill, with its last runs, and what each month cost. No code is here; do not merge it.
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


class Claim(BaseModel):
    """A run at work on a skill: the workflow's run, and when it began and must have ended (ISO, with the zone)."""

    run: str
    url: str = ""
    since: str
    until: str


class Proposal(BaseModel):
    """A pull request as the bot left it: enough to replay its edits, and to see what people did to them.

    `edits` are the accepted edits in order, each as its fields. `base` is the commit that the branch is
    on, `head` the bot's last commit there. `dropped` holds by edit id the reviewer's reason; `report` is
    the run's whole report, kept for the newest proposal alone. `judged` says that people closed it, and that
    its edits count as rejected; it may be opened again.
    """

    number: int
    branch: str
    base: str
    head: str
    run: str
    issue: int | None = None
    edits: list[dict[str, Any]] = Field(default_factory=list)
    dropped: dict[str, str] = Field(default_factory=dict)
    judged: bool = False
    report: dict[str, Any] | None = None


class SkillState(BaseModel):
    """One skill's file.

    `fingerprint` is what the last run began with, `result` the digest of the skill it ended with.
    `measured` holds means of what decides by skill digest and task id; `measured_at` is an ISO date and time.
    `splits` holds the split of each task, so that they stay when tasks are added. `rejected` are edits
    that people refused and no merged memory holds yet. `runs` are compact reports, the newest last.
    `running` is the run at work; `undelivered` a whole `EndedRun` that was paid for and could not be delivered.
    `final` is the newest final measurement of a candidate. `path` is the skill's folder in the repository; `paused`
    says who told schedules to leave it alone.
    """

    skill: str
    fingerprint: Fingerprint | None = None
    result: str = ""
    outcome: str = ""
    measured_at: str = ""
    measured: dict[str, dict[str, float]] = Field(default_factory=dict)
    final: FinalMeasurement | None = None
    splits: dict[str, Split] = Field(default_factory=dict)
    pull_request: str = ""
    runs: list[dict[str, Any]] = Field(default_factory=list)
    proposals: list[Proposal] = Field(default_factory=list)
    rejected: list[RejectedEdit] = Field(default_factory=list)
    running: Claim | None = None
    undelivered: dict[str, Any] | None = None
    path: str = ""
    paused: str = ""

    def proposal(self, number: int) -> Proposal | None:
        return next((proposal for proposal in self.proposals if proposal.number == number), None)

    def with_proposal(self, proposal: Proposal) -> "SkillState":
        others = [
            other.model_copy(update={"report": None}) for other in self.proposals if other.number != proposal.number
        ]
        return self.model_copy(update={"proposals": [*others, proposal][-KEPT_PULLS:]})

    def with_measured(self, measured: Mapping[str, Mapping[str, float]]) -> "SkillState":
        """Beside what was measured before, the oldest of it out."""
        others = {skill: means for skill, means in self.measured.items() if skill not in measured}
        kept = list({**others, **measured}.items())[-KEPT_MEASURED:]
        return self.model_copy(update={"measured": dict(kept)})

    def with_final(self, final: FinalMeasurement, pull_request: str) -> "SkillState":
        """In place of the one before."""
        kept = final.of_at_most(KEPT_EXECUTIONS).model_copy(update={"pull_request": pull_request})
        return self.model_copy(update={"final": kept})

    def with_run(self, report: Mapping[str, Any], **facts: Any) -> "SkillState":
        runs = [*self.runs, dict(report)][-KEPT_RUNS:]
        return self.model_copy(update={"runs": runs, **facts})


def _path(skill: str) -> str:
    return f"skills/{skill}.json"


def read_state(api: Api, skill: str) -> SkillState:
    """What is known of a skill; an empty record where nothing is."""
    return _at(api, _head(api), skill)


def read_all(api: Api) -> list[SkillState]:
    """What is known of every skill that ever ran here, configured today or not."""
    head = _head(api)
    names = folder_at(api, head, "skills") if head else {}
    return [_at(api, head, name.removesuffix(".json")) for name in names if name.endswith(".json")]


def spending(api: Api) -> Mapping[str, float]:
    """What runs cost, in US dollars by month (`2026-11`)."""
    return _spending(api, _head(api))


def _head(api: Api) -> Commit | None:
    head = None if api.blind else branch_head(api, BRANCH)
    return commit_at(api, head) if head else None


def _at(api: Api, head: Commit | None, skill: str) -> SkillState:
    content = file_at(api, head, _path(skill)) if head else None
    if content is None:
        return SkillState(skill=skill)
    try:
        return SkillState.model_validate_json(content)
    except ValidationError:
        raise EnvironmentFailure(
            f"branch {BRANCH}: {_path(skill)}: not as the bot writes it; delete the file, and it starts anew"
        ) from None


def _spending(api: Api, head: Commit | None) -> dict[str, float]:
    content = file_at(api, head, SPENDING) if head else None
    try:
        months = json.loads(content) if content else {}
        return {str(month): float(usd) for month, usd in months.items()}
    except (ValueError, TypeError, AttributeError):
        raise EnvironmentFailure(
            f"branch {BRANCH}: {SPENDING}: not as the bot writes it; mend or delete the file"
        ) from None


def update_state(
    api: Api, skill: str, change: Callable[[SkillState], SkillState], *, month: str = "", usd: float = 0.0
) -> SkillState:
    """Change a skill's record as it stands now, and add `usd` to a month's spending; gives the new record.

    `change` may be called again, where another run wrote meanwhile. Raises EnvironmentFailure, Refusal, and
    whatever `change` raises.
    """
    for _ in range(ATTEMPTS):
        parent = _head(api)
        record = change(_at(api, parent, skill))
        files: dict[str, bytes | None] = {_path(skill): _json(record.model_dump(mode="json"))}
        if usd:
            months = _spending(api, parent)
            months[month] = round(months.get(month, 0.0) + usd, 6)
            files[SPENDING] = _json(dict(sorted(months.items())[-KEPT_MONTHS:]))
        if parent is None:
            files["README.md"] = README
        what = "running" if record.running else record.outcome or "nothing yet"
        commit = commit_files(api, parent, files, f"Record {skill}: {what}", frozenset())
        placed = move_branch(api, BRANCH, commit.sha, force=False) if parent else create_branch(api, BRANCH, commit.sha)
        if placed:
            return record
    raise EnvironmentFailure(f"branch {BRANCH}: other runs kept writing to it; start this one again")


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()

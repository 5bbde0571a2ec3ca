"""Trajectories in the run folder: one JSON Lines file an execution for people to read, and one in ATIF for viewers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.task import folder_of
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.evaluation import EVALUATE
from skillgrad_ci.session.trajectories.atif import atif
from skillgrad_ci.skill.folder import write_atomically


def keep_in(folder: Path, redactor: Redactor) -> Callable[[str, Evidence], None]:
    """A function that writes an execution of an iteration to `trajectories/ITERATION/TASK.TRIAL.jsonl`.

    The last line is the verdict. The same in ATIF stands beside it, as `TASK.TRIAL.atif.json`. An evaluation's
    executions without a skill, or with another one than the first, have a folder of their own.
    A file that ends with the same verdict is left alone: it is the same execution, replayed, and its events, which are
    nearly all of it, are not read again. One without events writes over none.
    """

    first: list[str] = []  # the digest of the skill that an evaluation is of

    def named(iteration: str, digest: str) -> str:
        if iteration != EVALUATE:
            return iteration
        if not digest:
            return f"{iteration}-without-skill"
        first.extend([] if first else [digest])
        return iteration if digest == first[0] else f"{iteration}-{digest[:8]}"

    def keep(iteration: str, evidence: Evidence) -> None:
        measured = folder / "trajectories" / named(iteration, evidence.skill_digest)
        path = measured / f"{folder_of(evidence.task_id)}.{evidence.trial}.jsonl"
        verdict = json.dumps(redactor.clean(_verdict(evidence)), ensure_ascii=False)
        if path.exists() and (_last_line(path) == verdict or not evidence.trajectory.events):
            return
        if document := atif(iteration, evidence):
            text = json.dumps(redactor.clean(document), ensure_ascii=False, indent=1)
            write_atomically(path.with_suffix(".atif.json"), f"{text}\n".encode())
        lines = (json.dumps(redactor.clean(row), ensure_ascii=False) for row in evidence.trajectory.events)
        write_atomically(path, "\n".join([*lines, verdict, ""]).encode())  # last: where it is, the other one is too

    return keep


def _last_line(path: Path) -> str:
    return path.read_text("utf-8").rstrip("\n").rpartition("\n")[2]


def _verdict(evidence: Evidence) -> dict[str, Any]:
    """What the grader said, and how the execution ended; `read` are the skill's files that the agent opened."""
    seen = evidence.trajectory
    return {
        "kind": "verdict",
        "outcome": evidence.outcome,
        "score": evidence.score,
        "text": evidence.feedback,
        "stopped": seen.stopped,
        "turns": seen.turns,
        "seconds": round(evidence.seconds, 1),
        "activated": seen.activated,
        "read": list(seen.references_read),
    }

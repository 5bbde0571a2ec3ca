"""Evidence as JSON and back: the form in which a journal keeps what was paid for."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from skillgrad_ci.method.evidence import Evidence, Outcome, Trajectory, Usage


def usage_to_json(usage: Usage) -> dict[str, Any]:
    return asdict(usage)


def usage_from_json(value: Mapping[str, Any]) -> Usage:
    return Usage(**value)


def trajectory_to_json(trajectory: Trajectory) -> dict[str, Any]:
    return {
        "events": [dict(event) for event in trajectory.events],
        "answer": trajectory.answer,
        "turns": trajectory.turns,
        "activated": trajectory.activated,
        "references_read": list(trajectory.references_read),
        "stopped": trajectory.stopped,
        "usage": usage_to_json(trajectory.usage),
        "others_activated": list(trajectory.others_activated),
    }


def trajectory_from_json(value: Mapping[str, Any]) -> Trajectory:
    fields = dict(value)
    fields["events"] = tuple(fields["events"])
    fields["references_read"] = tuple(fields["references_read"])
    fields["others_activated"] = tuple(fields["others_activated"])
    fields["usage"] = usage_from_json(fields["usage"])
    return Trajectory(**fields)


def evidence_to_json(evidence: Evidence) -> dict[str, Any]:
    return {
        "task_id": evidence.task_id,
        "skill_digest": evidence.skill_digest,
        "outcome": evidence.outcome.value,
        "score": evidence.score,
        "feedback": evidence.feedback,
        "trajectory": trajectory_to_json(evidence.trajectory),
        "seconds": evidence.seconds,
        "trial": evidence.trial,
        "versions": evidence.versions,
    }


def evidence_from_json(value: Mapping[str, Any]) -> Evidence:
    fields = dict(value)
    fields["outcome"] = Outcome(fields["outcome"])
    fields["trajectory"] = trajectory_from_json(fields["trajectory"])
    return Evidence(**fields)

"""An execution in the Agent Trajectory Interchange Format, so that the field's viewers open it.

Harbor's RFC 0001 describes the format. What is written here needs no field beyond version 1.4, so readers of that
and of every later version take it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from skillgrad_ci.method.evidence import Evidence

VERSION = "ATIF-v1.4"
NOTES = "Calls whose results were written down between them are steps of their own, also where they came in one turn."
SOURCES = {"system": "system", "user": "user", "assistant": "agent"}


def atif(iteration: str, evidence: Evidence) -> dict[str, Any] | None:
    """The document, as JSON values; None where the execution did nothing, for the format knows no empty trajectory."""
    trajectory, usage = evidence.trajectory, evidence.trajectory.usage
    steps = _steps(trajectory.events)
    if not steps:
        return None
    metrics = {
        "total_prompt_tokens": usage.prompt_tokens,
        "total_completion_tokens": usage.completion_tokens,
        "total_cached_tokens": usage.cached_tokens,
        "total_steps": len(steps),
    }
    return {
        "schema_version": VERSION,
        "session_id": f"{iteration}/{evidence.task_id}.{evidence.trial}",
        "agent": _agent(evidence.versions),
        "steps": steps,
        "notes": NOTES,
        "final_metrics": metrics if usage.usd is None else {**metrics, "total_cost_usd": usage.usd},
        "extra": {
            "task": evidence.task_id,
            "iteration": iteration,
            "trial": evidence.trial,
            "skill_digest": evidence.skill_digest,
            "outcome": str(evidence.outcome),
            "score": evidence.score,
            "feedback": evidence.feedback,
            "stopped": trajectory.stopped,
            "turns": trajectory.turns,
        },
    }


def _agent(versions: str) -> dict[str, Any]:
    """Name, version and model from the executor's identity, `NAME/VERSION … model=MODEL …`."""
    words = versions.partition("; ")[0].split()
    name, _, version = (words[0] if words else "unknown").partition("/")
    models = [word.removeprefix("model=") for word in words if word.startswith("model=")]
    return {"name": name, "version": version or "unknown", **({"model_name": models[0]} if models else {})}


def _steps(events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    called: dict[str, dict[str, Any]] = {}  # by a call's id: its step, the latest where an id came twice
    for event in events:
        if event["kind"] == "message":
            steps.append(_step(steps, SOURCES[event["role"]], str(event["text"])))
        elif event["kind"] == "tool_call":
            if not steps or steps[-1]["source"] != "agent" or "observation" in steps[-1]:
                steps.append(_step(steps, "agent", ""))
            steps[-1].setdefault("tool_calls", []).append(_call(event))
            called[str(event["id"])] = steps[-1]
        elif event["kind"] == "tool_result" and (step := called.get(str(event["id"]))):
            results = step.setdefault("observation", {"results": []})["results"]
            results.append({"source_call_id": str(event["id"]), "content": str(event["output"])})
    return steps


def _step(steps: list[dict[str, Any]], source: str, message: str) -> dict[str, Any]:
    return {"step_id": len(steps) + 1, "source": source, "message": message}


def _call(event: Mapping[str, Any]) -> dict[str, Any]:
    """A call. Arguments that are not a JSON object stand as text, for the format wants an object."""
    given = event["arguments"]
    arguments = dict(given) if isinstance(given, Mapping) else {"text": str(given)}
    return {"tool_call_id": str(event["id"]), "function_name": str(event["tool"]), "arguments": arguments}

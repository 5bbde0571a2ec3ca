"""An execution in the Agent Trajectory Interchange Format, so that the field's viewers open it.

Harbor's RFC 0001 describes the format. What is written here needs no field beyond version 1.4, so readers of that
and of every later version take it.
"""

from collections.abc import Mapping
from typing import Any

from skillgrad_ci.method.evidence import Evidence, ModelCall, Trajectory

VERSION = "ATIF-v1.4"
NOTES = "The totals also count calls beside the conversation: titles, summaries, and replies that were lost."
SOURCES = {"system": "system", "user": "user", "assistant": "agent"}


def atif(iteration: str, evidence: Evidence) -> dict[str, Any] | None:
    """The document, as JSON values; None where the execution did nothing, for the format knows no empty trajectory."""
    trajectory, usage = evidence.trajectory, evidence.trajectory.usage
    steps = _steps(trajectory)
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


def _steps(trajectory: Trajectory) -> list[dict[str, Any]]:
    """A step is a call of the model with what it called and was given back, or a message of somebody else's.

    An older record does not hold the calls: there, what was called before the first result is one step.
    """
    steps: list[dict[str, Any]] = []
    called: dict[str, dict[str, Any]] = {}  # by a call's id: its step, the latest where an id came twice
    begun = [(call.first, call) for call in trajectory.model_calls]
    turn: dict[str, Any] | None = None  # the step of the last call of the model
    for index, event in enumerate([*trajectory.events, {"kind": "end"}]):
        while begun and begun[0][0] <= index:
            turn = _step(steps, "agent", "") | _measured(begun.pop(0)[1])
            steps.append(turn)
        if event["kind"] == "message" and event["role"] == "assistant" and turn is not None:
            turn["message"] = str(event["text"])
        elif event["kind"] == "message":
            steps.append(_step(steps, SOURCES[event["role"]], str(event["text"])))
        elif event["kind"] == "tool_call":
            if turn is None and (not steps or steps[-1]["source"] != "agent" or "observation" in steps[-1]):
                steps.append(_step(steps, "agent", ""))
            step = called[str(event["id"])] = turn or steps[-1]
            step.setdefault("tool_calls", []).append(_call(event))
        elif event["kind"] == "tool_result" and (step := called.get(str(event["id"])) or {}):
            results = step.setdefault("observation", {"results": []})["results"]
            results.append({"source_call_id": str(event["id"]), "content": str(event["output"])})
    return steps


def _measured(call: ModelCall) -> dict[str, Any]:
    """When a call was answered, and what it took."""
    usage = call.usage
    tokens = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cached_tokens": usage.cached_tokens,
    }
    return {"timestamp": call.time, "metrics": tokens if usage.usd is None else {**tokens, "cost_usd": usage.usd}}


def _step(steps: list[dict[str, Any]], source: str, message: str) -> dict[str, Any]:
    return {"step_id": len(steps) + 1, "source": source, "message": message}


def _call(event: Mapping[str, Any]) -> dict[str, Any]:
    """A call. Arguments that are not a JSON object stand as text, for the format wants an object."""
    given = event["arguments"]
    arguments = dict(given) if isinstance(given, Mapping) else {"text": str(given)}
    return {"tool_call_id": str(event["id"]), "function_name": str(event["tool"]), "arguments": arguments}

"""A trajectory in a prompt: one bound over everything, shared out by what a diagnosis needs most.

Messages and commands share one part of the bound, results the other. Of the results, the last ones, those
that ended in an error and those that hold what the grader's words point at get the most. What was cut is
named, so that a diagnoser knows what it did not see.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from skillgrad_ci.document.inert_text import fence
from skillgrad_ci.method.evidence import Trajectory
from skillgrad_ci.method.prompting import cut_middle

BOUND = 28_000  # characters of one trajectory in a prompt, fences and headings not counted
RESULTS_SHARE = 0.3  # of the bound: what agents say and do tells more than what they were shown
EVENTS = 120  # of a longer trajectory the beginning and the end are told
FIRST_EVENTS = 20
LAST, ERROR, POINTED_AT = 3.0, 3.0, 3.0  # how many times a plain result's length such a one may have
FEEDBACK_BOUND = 4_000  # characters of the grader's words in a prompt; pointers are looked for in as many
_ERROR = re.compile(r"\bTraceback\b|(?:Error|Exception)\b|\bcommand not found\b|\bNo such file\b")
_POINTER = re.compile(r"\b\w{1,40}![A-Z]{1,3}\d{1,7}\b|\b[\w-]{1,60}\.\w{2,5}\b|'[^'\n]{3,60}'|\b\d[\d.,]{2,20}\d\b")

Event = Mapping[str, Any]


def render_trajectory(trajectory: Trajectory, feedback: str = "", bound: int = BOUND) -> str:
    """The whole execution in about `bound` characters. `feedback` are the grader's words."""
    return "\n\n".join([_events(trajectory.events, feedback, bound), _ending(trajectory)])


def render_both(initial: Trajectory, now: Trajectory, feedback: str, bound: int = BOUND) -> tuple[str, str, str]:
    """Two executions of one task: what they begin with alike, then the rest of each, in `bound` characters together.

    `feedback` are the grader's words on the initial one.
    """
    alike = _alike(initial.events, now.events)
    shared = _events(now.events[:alike], feedback, bound // 5) if alike else ""
    half = (bound - len(shared)) // 2
    rests = (_events(side.events[alike:], feedback, half, first=alike) for side in (initial, now))
    before, after = ("\n\n".join([text, _ending(side)]) for text, side in zip(rests, (initial, now), strict=True))
    return shared, before, after


def _ending(trajectory: Trajectory) -> str:
    return f"The execution ended: {trajectory.stopped}, after {trajectory.turns} turns."


def _alike(one: Sequence[Event], other: Sequence[Event]) -> int:
    """How many events two executions begin with in common, whatever ids their calls have."""

    def plain(event: Event) -> dict[str, Any]:
        return {key: value for key, value in event.items() if key != "id"}

    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if plain(a) != plain(b)), min(len(one), len(other)))


def _events(events: Sequence[Event], feedback: str, bound: int, first: int = 0) -> str:
    """The events in at most `bound` characters; `first` is how many went before them."""
    told, dropped = list(events), 0
    if len(told) > EVENTS:
        dropped = len(told) - EVENTS
        told = [*told[:FIRST_EVENTS], *told[FIRST_EVENTS + dropped :]]
    texts = [said_by(event) for event in told]
    results = [n for n, event in enumerate(told) if event["kind"] == "tool_result"]
    others = [n for n in range(len(told)) if n not in set(results)]
    kept: dict[int, int] = {}
    weights = _weights([texts[n] for n in results], [told[n] for n in results], feedback)
    said = _share([len(texts[n]) for n in others], [1.0] * len(others), int(bound * (1 - RESULTS_SHARE)))
    left = bound - sum(said)
    kept |= dict(zip(others, said, strict=True))
    kept |= dict(zip(results, _share([len(texts[n]) for n in results], weights, left), strict=True))
    parts, cuts = [], []
    for n, (event, text) in enumerate(zip(told, texts, strict=True)):
        number = first + n + 1 + (dropped if n >= FIRST_EVENTS else 0)
        if not text.strip() and event["kind"] == "message":
            continue
        if len(text) > kept[n]:
            cuts.append(f"{number} ({len(text) - kept[n]:,} of {len(text):,} characters)")
        parts.append(f"{number}. {_label(event)}:\n{fence(cut_middle(text, kept[n]))}")
    if dropped:
        cuts.append(f"{first + FIRST_EVENTS + 1} to {first + FIRST_EVENTS + dropped} (wholly)")
    if cuts:
        parts.append("Cut for length: " + "; ".join(cuts) + ".")
    return "\n\n".join(parts)


def _label(event: Event) -> str:
    if event["kind"] == "tool_call":
        return f"Call of `{event['tool']}`"
    if event["kind"] == "tool_result":
        code = event.get("exit_code")
        return f"Result, exit code {code}" if code else "Result"
    return "Agent"


def said_by(event: Event) -> str:
    """What an event says: a command without its JSON, a result's output, an assistant's message."""
    if event["kind"] == "tool_result":
        return str(event.get("output", ""))
    if event["kind"] == "tool_call":
        arguments = event["arguments"]
        if isinstance(arguments, dict) and len(arguments) == 1:
            return str(next(iter(arguments.values())))
        return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return str(event.get("text", "")) if event.get("role") == "assistant" else ""


def _weights(outputs: Sequence[str], events: Sequence[Event], feedback: str) -> list[float]:
    """How much of the bound each result may take, beside a plain one."""
    pointers = {match.strip("'") for match in _POINTER.findall(feedback[:FEEDBACK_BOUND])}
    weights = []
    for place, (output, event) in enumerate(zip(outputs, events, strict=True)):
        weight = 1.0
        weight += LAST if place >= len(outputs) - 2 else 0.0
        weight += ERROR if event.get("exit_code") or _ERROR.search(output) else 0.0
        weight += POINTED_AT if any(pointer in output for pointer in pointers) else 0.0
        weights.append(weight)
    return weights


def _share(lengths: Sequence[int], weights: Sequence[float], bound: int) -> list[int]:
    """What each text keeps: at most its length, its weight's part of what is left, `bound` together."""
    kept = [0] * len(lengths)
    left, weight = float(bound), sum(weights)
    for n in sorted(range(len(lengths)), key=lambda n: lengths[n] / weights[n]):
        kept[n] = min(lengths[n], int(left * weights[n] / weight))
        left -= kept[n]
        weight -= weights[n]
    return kept

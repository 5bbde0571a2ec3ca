"""The rehearsal's executor without tools: a skill is what follows the first paragraph of the system message."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from skillgrad_ci.models.rehearsal.executor import UNKNOWN, ExecutorRequest, with_values
from skillgrad_ci.models.rehearsal.script import Mechanism, Script

_GIVEN = re.compile(r"^### \S+/(?:references|scripts|assets)/", re.MULTILINE)  # a file that was asked for
_OFFERED = re.compile(r"^READ (?P<place>\S+)$", re.MULTILINE)


def next_reply(script: Script, messages: Sequence[Mapping[str, Any]]) -> str:
    """The answer, or the request for files that the body points to where the guidance of a mechanism lies in one."""
    conversation = ExecutorRequest.of(messages)
    found = script.mechanism_of(conversation.instruction)
    if found is None:
        return UNKNOWN
    _, mechanism, values = found
    skill = conversation.system.partition("\n\n")[2]
    given = match.start() if (match := _GIVEN.search(skill)) else len(skill)
    body, files = skill[:given], skill[given:]
    if wanted := _wanted(mechanism, body):
        return "\n".join(f"READ {place}" for place in wanted)
    guided = bool(body.strip()) and _met(mechanism, {"body": body, "reference": files})
    return with_values((mechanism.guided if guided else mechanism.unguided).answer, values)


def _wanted(mechanism: Mechanism, body: str) -> list[str]:
    """The offered files that a line with the pointer's words names."""
    places = [found["place"] for found in _OFFERED.finditer(body)]
    lines = [line for line in body.splitlines() if not _OFFERED.fullmatch(line)]
    pointers = [need.pointer for need in mechanism.needs if need.pointer]
    return [
        place
        for place in places
        for line in lines
        if (name := place.partition("/")[2]) in line and any(p.search(line.replace(name, "")) for p in pointers)
    ]


def _met(mechanism: Mechanism, layers: Mapping[str, str]) -> bool:
    """Whether every need stands where it must. A description decides nothing here: the skill is always given."""
    return all(need.text.search(layers[need.layer]) for need in mechanism.needs if need.layer in layers)

"""The rehearsal's proposer: the script's tasks that the material is about and that are neither there nor refused."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from skillgrad_ci.models.rehearsal.script import PLACEHOLDER, Script

_MATERIAL = re.compile(r"^## The material [^\n]*\n", re.M)
_ASKED = re.compile(r"^Propose up to (?P<number>\d+) new tasks", re.M)


def proposal_reply(script: Script, prompt: str) -> dict[str, Any]:
    """A ProposalReply. A task is known by its id, which a prompt lists as `- ID: …`."""
    titles, asked = list(_MATERIAL.finditer(prompt)), list(_ASKED.finditer(prompt))
    material = " ".join(prompt[titles[-1].end() :].split()) if titles else ""
    wanted = int(asked[-1]["number"]) if asked else 1
    fresh = (
        task
        for task in _tasks(script)
        if " ".join(str(task.get("quote", "")).split()) in material and f"\n- {task['id']}:" not in prompt
    )
    return {"tasks": [task for _, task in zip(range(wanted), fresh, strict=False)]}


def _tasks(script: Script) -> Iterator[dict[str, Any]]:
    for family in script.proposals:
        for values in family.values or [{}]:
            yield _filled(family.task, values)


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    """The same JSON value with the placeholders of every text in it replaced."""
    if isinstance(value, str):
        return PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), value)
    if isinstance(value, dict):
        return {key: _filled(item, values) for key, item in value.items()}
    return [_filled(item, values) for item in value] if isinstance(value, list) else value

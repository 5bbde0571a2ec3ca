"""What hosts of skills define beyond the Agent Skills specification: fields of their own, and limits.

Sources: the hosts' documentation of SKILL.md, as of November 2026. A host that ignores what it does not know has
no entry for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["text", "switch", "any"]
HostName = Literal["claude-code", "claude-api", "codex", "copilot", "cursor", "gemini-cli", "opencode"]


@dataclass(frozen=True)
class Host:
    """`fields` maps a field of the host's own to what it holds. `reserved` words cannot be in a name."""

    fields: Mapping[str, Kind] = field(default_factory=dict)
    tools_may_be_a_list: bool = False
    reserved: Sequence[str] = ()
    tags_in_description: bool = True


HOSTS: Mapping[str, Host] = {
    "claude-code": Host(
        {
            "argument-hint": "any",  # [file] is a list to YAML, and shown as it is written
            "arguments": "any",
            "disable-model-invocation": "switch",
            "user-invocable": "switch",
            "model": "text",
            "effort": "text",
            "context": "text",
            "agent": "text",
            "hooks": "any",
            "paths": "any",
            "shell": "text",
            "when_to_use": "text",
            "disallowed-tools": "any",
        },
        tools_may_be_a_list=True,
    ),
    "claude-api": Host(reserved=("anthropic", "claude"), tags_in_description=False),
    "codex": Host(),
    "copilot": Host({"argument-hint": "any", "disable-model-invocation": "switch", "user-invocable": "switch"}),
    "cursor": Host({"disable-model-invocation": "switch", "paths": "any"}),
    "gemini-cli": Host(),
    "opencode": Host(),
}


def own_fields(hosts: Sequence[str]) -> dict[str, Kind]:
    """The fields that these hosts add to the specification's."""
    return {name: kind for host in hosts for name, kind in HOSTS[host].fields.items()}


def problems(host: str, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Field and message of each limit of a host that a skill's fields break."""
    rules = HOSTS[host]
    name, description = str(fields.get("name", "")), str(fields.get("description", ""))
    found = [
        ("name", f"{host} refuses names with {word!r}; choose another")
        for word in rules.reserved
        if word in name.casefold()
    ]
    if not rules.tags_in_description and "<" in description and ">" in description:
        found.append(("description", f"{host} refuses descriptions with XML tags; take < and > out"))
    for field_name, kind in rules.fields.items():
        value = fields.get(field_name)
        if value is not None and not _is(kind, value):
            expected = {"switch": "true or false", "text": "a text"}[kind]
            found.append((field_name, f"{host} expects {expected}, got {str(value)[:40]!r}"))
    return found


def _is(kind: Kind, value: Any) -> bool:
    match kind:
        case "switch":
            return isinstance(value, bool)
        case "text":
            return isinstance(value, str)
    return True

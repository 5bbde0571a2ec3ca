"""The rehearsal in the roles that other optimizers ask for: reflection, merging, the slow update, plain patches.

Like the others, each reads its prompt alone, and takes findings and remedies from the script.
"""

import ast
import re
from typing import Any

from skillgrad_ci.models.rehearsal.optimizer import next_remedy
from skillgrad_ci.models.rehearsal.script import Script

_TASK = re.compile(r"^## Task (?P<id>[^\n]+)\n+(?P<fence>`{3,})[^\n]*\n(?P<text>.*?)\n(?P=fence)$", re.M | re.S)
_PROPOSAL = re.compile(
    r"^## Proposal (?P<number>\d+) \((?P<label>[a-z0-9-]+);[^\n]*\n.*?^(?P<op>\w+) in (?P<file>\S+), "
    r"target (?P<target>\w+), address (?P<address>[^\n]*)\n+(?P<fence>`{3,})[^\n]*\n(?P<content>.*?)\n?(?P=fence)$",
    re.M | re.S,
)
_MAIN = re.compile(r"^### SKILL\.md\n+(?P<fence>`{3,})[^\n]*\n(?P<text>.*?)\n(?P=fence)$", re.M | re.S)
_REJECTED = "\n## Edits that were rejected\n"
CHECK = "- Check the result against the request before you finish."


def reflect(script: Script, prompt: str) -> dict[str, Any]:
    """A ReflectionReply: the next remedy of each mechanism that the failures show, an edit a lesson."""
    lessons: list[dict[str, Any]] = []
    if prompt.rstrip().endswith("which passed."):
        return {"lessons": lessons}
    tasks: dict[str, list[str]] = {}
    for found in _TASK.finditer(prompt):
        if (match := script.mechanism_of(found["text"])) is not None:
            tasks.setdefault(match[0], []).append(found["id"])
    for label, shown in tasks.items():
        mechanism = script.mechanisms[label]
        remedy = next_remedy(mechanism, prompt)
        for edit in remedy.edits if remedy else ():
            said = {
                "label": label,
                "finding": mechanism.finding.summary,
                "tasks": shown,
                "why": remedy.why if remedy else "",
            }
            lessons.append({**edit.model_dump(), **said})
    return {"lessons": lessons}


def merge_reply(_: Script, prompt: str) -> dict[str, Any]:
    """A MergeReply: proposals that say the same become one."""
    edits: dict[tuple[str, ...], dict[str, Any]] = {}
    for found in _PROPOSAL.finditer(prompt):
        fields = {key: found[key] for key in ("op", "file", "target", "content")}
        fields["address"] = ast.literal_eval(found["address"])
        edit = edits.setdefault(
            tuple(fields.values()), {**fields, "why": f"Tasks show {found['label']}.", "proposals": []}
        )
        edit["proposals"].append(int(found["number"]))
    return {"edits": list(edits.values())}


def slow(script: Script, prompt: str) -> dict[str, Any]:
    """A SlowReply: the theme that successes share, until the block says it."""
    line = f"- {script.theme.line}" if script.theme else CHECK
    return {"lines": [] if line in _skill(prompt) else [line], "why": "Tasks that still fail leave it out."}


def plain(script: Script, prompt: str) -> dict[str, Any]:
    """A PlainReply: to a request to shorten, the first line that no mechanism needs; else a check at the end."""
    skill, rejected = _skill(prompt), prompt.partition(_REJECTED)[2]
    edit = {
        "op": "append",
        "file": "SKILL.md",
        "target": "file",
        "address": "",
        "content": CHECK,
        "why": "It is left out.",
    }
    if not prompt.rstrip().endswith("A shorter skill that serves its tasks as well."):
        return {"edits": [] if CHECK in skill else [edit]}
    needed = [need.text for mechanism in script.mechanisms.values() for need in mechanism.needs]
    for line in skill.splitlines():
        idle = line.startswith("- ") and not any(text.search(line) for text in needed) and "references/" not in line
        if idle and skill.count(line) == 1 and line[:40] not in rejected:
            cut = {**edit, "op": "delete", "target": "text", "address": line, "content": "", "why": "No task needs it."}
            return {"edits": [cut]}
    return {"edits": []}


def _skill(prompt: str) -> str:
    found = _MAIN.search(prompt)
    return found["text"] if found else ""

"""The rehearsal's diagnoser, momentum agent and patcher: replies from a prompt's text alone.

They read what any model would read there: the task's instruction, the skill in force, the batch's
diagnoses and what was tried before. So a remedy is followed by the next one because its words already
are in the skill or among the rejected edits, not because something was counted.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from skillgrad_ci.models.rehearsal.script import Mechanism, Script, ScriptedRemedy

_DIAGNOSED = re.compile(
    r"^- task (?P<task>.+?): (?P<kind>failure|contrastive)(?: \([^)]*\))?: (?P<label>[a-z0-9-]+)$", re.M
)
_INSTRUCTION = re.compile(r"^## Task [^\n]*\n+(?P<fence>`{3,})[^\n]*\n(?P<text>.*?)\n(?P=fence)$", re.M | re.S)
_CONTRASTIVE = re.compile(r"^A contrastive diagnosis of task ", re.M)
_DESCRIPTION = re.compile(r"^description:.*$", re.M)
_REFERENCE = re.compile(r"^### (?:references|scripts|assets)/.*", re.M | re.S)
VERDICTS = "\n## What became of your edits\n"  # where a prompt tells what was refused
REFUSED = "\nRefused: "
NO_MECHANISM = "unmatched-task"


class Diagnosed(NamedTuple):
    """One diagnosis as a later prompt shows it."""

    task: str
    kind: str
    label: str


def diagnosis_reply(script: Script, prompt: str) -> dict[str, Any]:
    """A DiagnosisReply. Whether guidance is missing, weak or ignored is read off the skill in the prompt."""
    task = _INSTRUCTION.search(prompt)
    found = script.mechanism_of(task["text"] if task else prompt)
    if found is None:
        why = "no mechanism of the rehearsal script matches the task"
        return _diagnosis(NO_MECHANISM, why, why)
    name, mechanism, _ = found
    finding = mechanism.finding
    guidance = _guidance(mechanism, prompt[: task.start()] if task else prompt)
    if not _CONTRASTIVE.search(prompt):
        quote = finding.quote if finding.quote in prompt else ""
        told = _diagnosis(name, finding.summary, finding.cause)
        return {**told, "guidance": guidance, "skipped_step": finding.skipped_step, "quote": quote}
    if guidance != "ignored":
        return _diagnosis(name, "It failed before and passes now.", finding.difference)
    return {
        **_diagnosis(name, "It failed before and passes now, as the skill tells.", finding.difference),
        "robust": True,
    }


def _diagnosis(label: str, summary: str, cause: str) -> dict[str, Any]:
    told = {"label": label, "summary": summary, "cause": cause}
    return {**told, "guidance": "missing", "skipped_step": "", "robust": False, "quote": ""}


def _guidance(mechanism: Mechanism, skill: str) -> str:
    """`ignored` where all that is needed is in its layer, `weak` where a weak form does, else `missing`.

    Of a task that passes, `ignored` means that the guidance is there and was followed.
    """
    description = found[0] if (found := _DESCRIPTION.search(skill)) else ""
    references = found[0] if (found := _REFERENCE.search(skill)) else ""
    layers = {"description": description, "body": skill.removesuffix(references), "reference": references}
    if all(need.text.search(layers[need.layer]) for need in mechanism.needs):
        return "ignored"
    return "weak" if mechanism.weak and mechanism.weak.search(skill) else "missing"


def momentum_reply(script: Script, prompt: str) -> dict[str, Any]:
    """A MomentumReply: one pattern for each mechanism of the batch, merged by its slug."""
    batch = _batch(prompt)
    changes = []
    for label in dict.fromkeys(row.label for row in batch):
        if (mechanism := script.mechanisms.get(label)) is None:
            continue
        rows = [row for row in batch if row.label == label]
        failing = any(row.kind == "failure" for row in rows)
        known = re.search(rf"^(?:##|-) {re.escape(label)} \(", prompt, re.M) is not None
        tried = [remedy for remedy in mechanism.remedies if _tried(remedy, prompt)]
        coming = next_remedy(mechanism, prompt) if failing else None
        changes.append(
            {
                "slug": label,
                **mechanism.pattern.model_dump(exclude={"anchor"}),
                "shows_in": mechanism.pattern.anchor,
                "anchor": _place(tried or mechanism.remedies),
                "absorption": _absorption(known, failing, bool(tried)),
                "observed": mechanism.finding.summary if failing else mechanism.finding.difference,
                "latest_executor_action": mechanism.finding.difference,
                "remedy": coming.note if known and coming else "",
                "tasks": [row.task for row in rows],
            }
        )
    return {"changes": changes, "overlay": [_overlay(script, row) for row in batch], "themes": _themes(script, batch)}


def _place(remedies: Sequence[ScriptedRemedy]) -> str:
    """Where the last of these remedies is in the skill."""
    edit = remedies[-1].edits[-1] if remedies else None
    return ", ".join(filter(None, [edit.file, edit.address[:60] if edit.target == "heading" else ""])) if edit else ""


def _absorption(known: bool, failing: bool, tried: bool) -> str:
    if not known:
        return "new"
    if not failing:
        return "absorbed"
    return "unresolved" if tried else "recurring"


def _overlay(script: Script, row: Diagnosed) -> dict[str, Any]:
    mechanism = script.mechanisms.get(row.label)
    finding = mechanism.finding if mechanism else None
    note = (finding.cause if row.kind == "failure" else finding.difference) if finding else "nothing to add"
    gap = "its guidance is missing, or too weak" if mechanism and row.kind == "failure" else ""
    return {"task": row.task, "patterns": [row.label] if mechanism else [], "note": note, "gap": gap, "change": ""}


def _themes(script: Script, batch: Sequence[Diagnosed]) -> list[dict[str, Any]]:
    successes = [row.task for row in batch if row.kind == "contrastive"]
    return [{**script.theme.model_dump(), "tasks": successes}] if script.theme and successes else []


def patch(script: Script, prompt: str) -> dict[str, Any]:
    """A PatchReply: for each failing mechanism of the batch, the next remedy that was not tried yet.

    In the repair round only those whose edits were refused are asked again.
    """
    refused = prompt.partition(VERDICTS)[2]
    if refused and REFUSED not in refused:
        return {"edits": []}  # the skill is read back, and a rehearsal finds nothing to mend in it
    edits: list[dict[str, Any]] = []
    for label in dict.fromkeys(row.label for row in _batch(prompt) if row.kind == "failure"):
        mechanism = script.mechanisms.get(label)
        if mechanism is None or (refused and not any(_tried(remedy, refused) for remedy in mechanism.remedies)):
            continue
        remedy = next_remedy(mechanism, prompt)
        if remedy is not None:
            edits += ({**edit.model_dump(), "patterns": [label], "why": remedy.why} for edit in remedy.edits)
    return {"edits": edits}


def _batch(prompt: str) -> list[Diagnosed]:
    return [Diagnosed(row["task"], row["kind"], row["label"]) for row in _DIAGNOSED.finditer(prompt)]


def next_remedy(mechanism: Mechanism, prompt: str) -> ScriptedRemedy | None:
    """The remedy after the last one whose words are in the prompt; None when all were tried."""
    left: list[ScriptedRemedy] = []
    for remedy in reversed(mechanism.remedies):
        if _tried(remedy, prompt):
            break
        left.append(remedy)
    return left[-1] if left else None


def _tried(remedy: ScriptedRemedy, prompt: str) -> bool:
    seen = _folded([prompt])
    return any(_folded([_first_line(edit.content)]) in seen for edit in remedy.edits if edit.content.strip())


def _first_line(content: str) -> str:
    """The beginning of the first line that is not a heading, as far as the record's short form shows it."""
    return next((line for line in content.splitlines() if line.strip() and not line.startswith("#")), content)[:200]


def _folded(texts: Iterable[str]) -> str:
    return " ".join(" ".join(texts).split())

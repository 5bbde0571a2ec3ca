"""What one batch's prompts take, by how long its executions are, beside what they took in the first version.

    make bench

Four executions, a record of twelve patterns, and replies whose fields are as long as models write them. The patch is so
large that it is read back. Tokens are a quarter of the characters of prompts and schemas, each schema counted once.
Counts alone: they are the same on every machine.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from skillgrad_ci.method.acceptance import Incumbent
from skillgrad_ci.method.evidence import Evidence, Outcome, Trajectory
from skillgrad_ci.method.gradient import diagnose
from skillgrad_ci.method.memory import Pattern, PatternMemory, Remedy, Stamp
from skillgrad_ci.method.optimizers.momentum import momentum
from skillgrad_ci.method.optimizers.update import update
from skillgrad_ci.method.patch import Rules
from skillgrad_ci.method.ports import Reply
from skillgrad_ci.method.run import Iteration
from skillgrad_ci.method.task import GraderSpec, Split, Task
from skillgrad_ci.skill.skill import Skill

AT = Stamp("r", 2)
SENTENCE = "the amounts of a column are read as they are shown and not as they are stored "
FIRST_VERSION = {  # tokens of the same texts, asked by the agents of 21 November 2026
    ("failures", 8): 35_236,
    ("failures", 15): 43_920,
    ("failures", 30): 62_535,
    ("half contrastive", 8): 41_422,
    ("half contrastive", 15): 54_463,
    ("half contrastive", 30): 82_400,
}


def words(length: int) -> str:
    """Text of so many characters."""
    return (SENTENCE * (length // len(SENTENCE) + 1))[:length].strip()


PARTS = "\n\n".join(f"## Part {number}\n\n{words(300)}." for number in range(6))
HEAD = "---\nname: s\ndescription: Use it for tests of workbooks.\n---\n# Guide\n\n"
SKILL = Skill("s", {"SKILL.md": f"{HEAD}{PARTS}\n".encode()})
TASKS = [Task(f"t{number}", words(600), [GraderSpec("text")], split=Split.TRAIN) for number in range(4)]


def executed(task: Task, turns: int, digest: str, passed: bool, mark: str) -> Evidence:
    """An execution of turns with 400 characters of message, 700 of command and 1,200 of result each."""
    events: list[dict[str, Any]] = []
    for turn in range(turns):
        command = {"command": f"echo {turn} {mark} {words(700)}"}
        events += [
            {"kind": "message", "role": "assistant", "text": f"{turn} {mark} {words(400)}"},
            {"kind": "tool_call", "id": str(turn), "tool": "shell", "arguments": command},
            {"kind": "tool_result", "id": str(turn), "output": f"{turn} {words(1200)}"},
        ]
    outcome = Outcome.PASSED if passed else Outcome.FAILED
    return Evidence(task.id, digest, outcome, float(passed), words(300), Trajectory(events, turns=turns))


def record() -> PatternMemory:
    patterns = [
        Pattern(
            slug=f"pattern-{number}", kind="operation", line=words(90), shows_in=words(60), anchor=words(40),
            appeared_in=(Stamp("r", 1),), evidence=("t0", "t1"), absorption="recurring", description=words(250),
            observed=words(120), executor_action=words(150),
            remedy_log=(Remedy(Stamp("r", 1), words(120)), Remedy(Stamp("r", 1), words(110))),
        )
        for number in range(12)
    ]  # fmt: skip
    return PatternMemory("s", tuple(patterns))


@dataclass
class Wordy:
    """Plays the three agents, and counts what each is sent."""

    sent: dict[str, list[int]] = field(default_factory=dict)

    def __call__(self, role: str, system: str, user: str, reply: type[Reply], *, shared: str = "") -> Reply:
        schema = json.dumps(reply.model_json_schema(), separators=(",", ":"))
        asked = self.sent.setdefault(role, [])
        asked.append(len(system) + len(user) + len(shared) + len(schema))
        said = {"diagnoser": _diagnosis, "momentum": _changes, "patcher": _edits}[role](len(asked))
        return reply.model_validate(said)

    @property
    def tokens(self) -> dict[str, int]:
        return {role: sum(sizes) // 4 for role, sizes in self.sent.items()}


def _diagnosis(number: int) -> dict[str, Any]:
    lengths = {"summary": 200, "cause": 250, "skipped_step": 80, "quote": 40, "approach": 300, "snippet": 250}
    said: dict[str, Any] = {name: words(length) for name, length in lengths.items()}
    return said | {"label": f"label-{number}", "guidance": "weak", "robust": True}


def _changes(_: int) -> dict[str, Any]:
    lengths = {"line": 90, "anchor": 40, "shows_in": 60, "observed": 120, "description": 250,
               "latest_executor_action": 150, "remedy": 100}  # fmt: skip
    fields: dict[str, Any] = {name: words(length) for name, length in lengths.items()}
    fields |= {"kind": "operation", "absorption": "recurring"}
    entry = {name: words(120) for name in ("note", "gap", "change")}
    slugs = [(task.id, f"pattern-{number}") for number, task in enumerate(TASKS)]
    return {
        "changes": [fields | {"slug": slug, "tasks": [task]} for task, slug in slugs],
        "overlay": [entry | {"task": task, "patterns": [slug]} for task, slug in slugs],
        "themes": [],
    }


def _edits(number: int) -> dict[str, Any]:
    """Two edits of eight lines, and none once they are read back."""
    known = {"op": "append", "file": "SKILL.md", "target": "heading", "why": words(60)}
    content = "\n".join([words(80)] * 8)
    places = range(2 if number == 1 else 0)
    return {
        "edits": [known | {"address": f"Part {at}", "content": content, "patterns": [f"pattern-{at}"]} for at in places]
    }


def count(kind: str, turns: int) -> dict[str, int]:
    """The tokens of one batch's prompts by role."""
    agent, diagnoses = Wordy(), []
    for number, task in enumerate(TASKS):
        now = executed(task, turns, SKILL.digest, kind != "failures" and number < 2, "x")
        found = diagnose(agent, SKILL, task, now, executed(task, turns, "initial", False, "y"))
        assert found is not None
        diagnoses.append(found)
    memory, overlay = momentum(agent, SKILL, record(), diagnoses, AT)
    step = Iteration(2, Incumbent(SKILL), memory, diagnoses=diagnoses, overlay=overlay)
    _, edits = update(agent, step, Rules([], memory.slugs), 1)
    assert [result.status for result in edits] == ["accepted"] * 2
    assert len(agent.sent["patcher"]) == 2
    return agent.tokens


ROWS = (
    "| batch of four | turns of each | first version | now | of these: diagnoses | momentum | patch | now / then |\n"
    + "| --- " * 8
    + "|"
)


def table() -> str:
    """Each kind of batch, as Markdown."""
    rows = [ROWS]
    for (kind, turns), then in FIRST_VERSION.items():
        tokens = count(kind, turns)
        now = sum(tokens.values())
        cells = [kind, str(turns), *(f"{value:,}" for value in (then, now, *tokens.values())), f"{now / then:.2f}"]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())

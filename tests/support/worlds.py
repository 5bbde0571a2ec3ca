"""Synthetic worlds: a skill passes a task once its text holds the word that the task needs.

They stand where models and sandboxes stand, at the ports, so that the loop's invariants can be held
over thousands of runs. `Oracle` plays the optimizing agents: it sees prompts alone, as a model would.
"""

import json
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skillgrad_ci.errors import EnvironmentFailure, ReplyError
from skillgrad_ci.method.budget import Ledger
from skillgrad_ci.method.events import Event
from skillgrad_ci.method.evidence import Evidence, Outcome, Trajectory, Usage
from skillgrad_ci.method.ports import Agent, Reply, Rollout
from skillgrad_ci.method.task import GraderSpec, Split, Suite, Task
from skillgrad_ci.method.world import World
from skillgrad_ci.skill.skill import Skill

SKILL = Skill("s", {"SKILL.md": b"---\nname: s\ndescription: Use it for tests.\n---\n# Guide\n\nBe careful.\n"})
SPLITS = [Split.TRAIN, Split.TRAIN, Split.VALIDATION, Split.HELDOUT]


def suite(size: int = 16, mechanisms: Sequence[str] = ("alpha", "beta", "gamma")) -> Suite:
    """`size` tasks whose instruction names the mechanism they need, spread over the splits."""
    tasks = [
        Task(f"task-{n}", f"Needs {mechanisms[n % len(mechanisms)]}.", [GraderSpec("text")], split=SPLITS[n // 3 % 4])
        for n in range(size)
    ]
    return Suite("s", "native", Path("evals"), tasks)


def needs(task: Task) -> str:
    return task.instruction.removeprefix("Needs ").rstrip(".")


@dataclass
class Synthetic:
    """A rollout that passes where the skill's text says `always WORD`; `outage` names executions that fail.

    `late` names those that a time limit ends before anything is done.
    """

    outage: Callable[[str, Task], bool] = lambda iteration, task: False
    late: Callable[[str, Task], bool] = lambda iteration, task: False
    cost: Usage = field(default_factory=lambda: Usage(1, 10, 0, 10, 0.01))
    done: list[tuple[str, str]] = field(default_factory=list)
    ledger: Ledger | None = None

    def __call__(self, skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        if self.ledger is not None:
            self.ledger.hold(self.cost)
            self.ledger.settle("executor", self.cost, self.cost)
        self.done.append((iteration, task.id))
        digest = skill.digest if skill else ""
        if self.outage(iteration, task):
            return Evidence(task.id, digest, Outcome.UNMEASURED, feedback="no network")
        late = self.late(iteration, task)
        passed = skill is not None and not late and f"always {needs(task)}" in skill.text
        outcome = Outcome.PASSED if passed else Outcome.FAILED
        call = {"kind": "tool_call", "id": "1", "tool": "shell", "arguments": {"command": f"echo {needs(task)}"}}
        feedback = f"{task.id}: lacks {needs(task)}"
        seen = Trajectory([call], usage=self.cost, stopped="timeout" if late else "answered")
        return Evidence(task.id, digest, outcome, float(passed), feedback, seen)


@dataclass
class Oracle:
    """Plays diagnoser, momentum and patcher from what the prompts say; keeps every prompt.

    `fails` says of a role's call, by its number, that no reply comes.
    """

    fails: Callable[[str, int], bool] = lambda role, number: False
    prompts: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, role: str, system: str, user: str, reply: type[Reply], *, shared: str = "") -> Reply:
        user = f"{shared}\n\n{user}" if shared else user
        with self.lock:
            self.prompts.append((role, user))
            number = sum(name == role for name, _ in self.prompts)
        if self.fails(role, number):
            raise (ReplyError if number % 2 else EnvironmentFailure)(f"{role}: no reply")
        answers = {"diagnoser": self._diagnosis, "momentum": patterns, "patcher": self._patch}
        return reply.model_validate(answers[role](user))

    def _diagnosis(self, user: str) -> dict[str, Any]:
        word = re.findall(r"Needs (\w+)\.", user)[-1]
        return diagnosis(f"lacks-{word}", quote=f"echo {word}")

    def _patch(self, user: str) -> dict[str, Any]:
        slugs = dict.fromkeys(re.findall(r"^- task \S+: failure: lacks-(\w+)", user, re.MULTILINE))
        skill = user.split("## The record")[0]
        edits = [edit(f"Use always {word}.", f"lacks-{word}") for word in slugs if f"always {word}" not in skill]
        return {"edits": edits}


def diagnosis(label: str, quote: str = "") -> dict[str, Any]:
    """A diagnosis as a model replies it."""
    fields = {"label": label, "summary": "s", "cause": "c", "guidance": "missing", "skipped_step": ""}
    return fields | {"robust": True, "quote": quote}


def patterns(user: str) -> dict[str, Any]:
    """The record's changes as a momentum agent replies them: a pattern for each label that its prompt tells."""
    rows = re.findall(r"- task (\S+): \w+(?: \([^)]*\))?: (\S+)", user)
    changes = [
        {"slug": slug, "kind": "operation", "line": slug, "anchor": "", "description": "", "absorption": "new",
         "latest_executor_action": "", "remedy": "", "tasks": [task for task, other in rows if other == slug]}
        for slug in dict.fromkeys(slug for _, slug in rows)
    ]  # fmt: skip
    return {"changes": changes, "overlay": [], "themes": []}


def edit(content: str, *patterns: str, **fields: str) -> dict[str, Any]:
    """An edit as a model replies it: by default an append to the body."""
    known = {"op": "append", "file": "SKILL.md", "target": "file", "address": "", "content": content, "why": "it helps"}
    return {**known, **fields, "patterns": list(patterns)}


def silent(event: Event, /) -> None:
    """An observer that looks away."""


def keep_splits(whole: Suite, baseline: Sequence[Evidence]) -> Suite:
    return whole


def world(rollout: Rollout | None = None, agent: Agent | None = None, **parts: Any) -> World:
    known: dict[str, Any] = {
        "rollout": rollout or Synthetic(), "agent": agent or Oracle(), "split": keep_splits,
        "ledger": Ledger(), "each": map, "observe": silent,
    }  # fmt: skip
    return World(**(known | parts))


def as_json(value: object) -> str:
    """Any of the loop's values as text, to compare whole runs."""
    return json.dumps(value, default=repr, sort_keys=True)

"""What a run executes and asks, by setting: counts alone, so they are the same on every machine.

    make bench

The loop is the real one. A scripted world stands where sandboxes and models stand: of the tasks every second one
fails under the initial skill, and what a patch changes is said by the setting. Tokens are those of the optimizing
agents' prompts, a quarter of their characters. "Before" is what a run executed when its base run measured every
task once, every candidate every validation task, each batch was executed, and small suites had ten iterations as large
ones have.
"""

import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from skillgrad_ci.config.settings import Settings
from skillgrad_ci.method.evidence import Evidence, Outcome, Trajectory
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.ports import Reply
from skillgrad_ci.method.run import Run
from skillgrad_ci.method.task import GraderSpec, Split, Suite, Task
from skillgrad_ci.method.world import Earlier
from skillgrad_ci.session.journal.earlier import final_measurement, known_baseline
from skillgrad_ci.skill.skill import Skill
from tests.support.worlds import SKILL, diagnosis, edit, patterns, world


@dataclass(frozen=True)
class Setting:
    """A run to count. `helps` are the splits whose failing tasks a patch of the loop fixes.

    `merged`: it begins with the skill that an earlier run offered, which fixes half of them.
    """

    name: str
    sizes: tuple[int, int, int]  # training, validation and heldout tasks
    helps: frozenset[Split] = frozenset()
    said: dict[str, Any] = field(default_factory=dict)
    merged: bool = False

    @property
    def suite(self) -> Suite:
        """Every second task of each split fails under the initial skill."""
        splits = [split for split, size in zip(Split, self.sizes, strict=True) for _ in range(size)]
        return Suite("s", "native", Path("evals"), [
            Task(f"task-{number}", f"Task {number}.", [GraderSpec("text")], split=split)
            for number, split in enumerate(splits)
        ])  # fmt: skip

    @property
    def before(self) -> int:
        """Executions of the loop that measured everything: base run, batches, candidates."""
        train, validation, heldout = self.sizes
        iterations, batch = self.said.get("iterations", 10), min(4, train // 2)
        checks = validation * (iterations if self.said.get("accept") == "validate" else 1)
        return sum(self.sizes) + iterations * batch + checks + heldout


EVERYWHERE = frozenset(Split)
SETTINGS = (
    Setting("a gain that is kept", (200, 80, 120), EVERYWHERE),
    Setting("a tie on validation", (200, 80, 120)),
    Setting("no patch at all", (200, 80, 120), said={"accept": "always"}),
    Setting("validate, no patch wins", (200, 80, 120), said={"accept": "validate"}),
    Setting("validate, the first patch wins", (200, 80, 120), EVERYWHERE, {"accept": "validate"}),
    Setting("the next run, once a gain is merged", (200, 80, 120), EVERYWHERE, merged=True),
    Setting("a small suite, a gain", (10, 4, 6), EVERYWHERE),
    Setting("a small suite, a tie", (10, 4, 6)),
)


@dataclass
class Scripted:
    """Plays executor and optimizing agents, and counts what it is asked."""

    setting: Setting
    executions: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    characters: int = 0
    says: str = "Rule"  # in every edit
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def needed(self) -> tuple[str, str]:
        """What a skill must say for the failing tasks to pass, by turns."""
        return ("Rule", "Law") if self.setting.merged else ("Rule", "Rule")

    def rollout(self, skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:  # noqa: ARG002  # the port has it
        assert skill is not None
        assert task.split is not None
        with self.lock:
            self.executions[re.sub(r"-?\d+$", "", iteration) or "batches"] += 1
        number = int(task.id.removeprefix("task-"))
        patched = self.needed[number // 2 % 2] in skill.text and task.split in self.setting.helps
        passed = number % 2 == 0 or patched
        outcome = Outcome.PASSED if passed else Outcome.FAILED
        call = {"kind": "tool_call", "id": "1", "tool": "shell", "arguments": {"command": f"cat {task.id}"}}
        return Evidence(task.id, skill.digest, outcome, float(passed), f"{task.id}: wrong", Trajectory([call]))

    def agent(self, role: str, system: str, user: str, reply: type[Reply], *, shared: str = "") -> Reply:
        user = f"{shared}\n\n{user}" if shared else user
        with self.lock:
            self.calls[role] += 1
            self.characters += len(system) + len(user)
            number = self.calls[role]
        if role == "diagnoser":
            said = diagnosis("wrong")
        elif role == "momentum":
            said = patterns(user)
        else:
            idle = self.setting.name == "no patch at all"
            said = {"edits": [] if idle else [edit(f"{self.says} {number}: look twice.", "wrong")]}
        return reply.model_validate(said)


@dataclass(frozen=True)
class Counted:
    """What one run took."""

    setting: Setting
    run: Run
    executions: Counter[str]
    calls: int
    tokens: int

    @property
    def total(self) -> int:
        return sum(self.executions.values())

    @property
    def row(self) -> str:
        """A row of the table."""
        steps = max(1, len(self.run.iterations))
        parts = [str(self.executions[name]) for name in ("base", "batches", "validate", "final")]
        saved = f"−{100 * (self.setting.before - self.total) / self.setting.before:.0f}%"
        cells = [
            self.setting.name, "/".join(map(str, self.setting.sizes)), str(self.setting.before), str(self.total), saved,
            *parts, str(len(self.run.iterations)), f"{self.calls / steps:.1f}", f"{self.tokens / steps:,.0f}",
        ]  # fmt: skip
        return f"| {' | '.join(cells)} |"


def count(setting: Setting) -> Counted:
    """Run the loop in a setting's world."""
    settings = Settings.model_validate(setting.said)

    def optimized(scripted: Scripted, skill: Skill, earlier: Earlier | None) -> Run:
        parts = world(scripted.rollout, scripted.agent, at_once=4, earlier=earlier)
        return optimize(skill, setting.suite, settings, PatternMemory("s"), parts)

    scripted = Scripted(setting)
    run = optimized(scripted, SKILL, None)
    if setting.merged:
        known = final_measurement(run, settings, datetime.now(UTC))
        scripted = Scripted(setting, says="Law")
        run = optimized(scripted, run.final, known_baseline(known, run.final, settings, lambda _: ""))
    return Counted(setting, run, scripted.executions, sum(scripted.calls.values()), scripted.characters // 4)


HEAD = (
    "| setting | tasks | before | now | saved | base | batches | validate | final | iterations | calls an iteration "
    "| tokens an iteration |\n" + "| --- " * 12 + "|"
)


def table() -> str:
    """All settings, as Markdown."""
    return "\n".join([HEAD, *(count(setting).row for setting in SETTINGS)])


if __name__ == "__main__":
    print(table())

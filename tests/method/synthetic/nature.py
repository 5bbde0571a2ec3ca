"""Tasks with latent mechanisms, an executor that forgets, diagnosers that err, and edits that help, hurt or bloat.

A task names the mechanism that it needs, `m0` to `m5`. A skill's body may hold `- Hint m0.`, which is followed half of
the time, `- Firm m0.`, which is followed nearly always, and `- Wrong m0.`, which spoils it; other lines are bloat. The
longer the body, the less of it is followed. So the true accuracy of a skill is known. All is drawn from a seed.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from statistics import fmean
from typing import Any

from skillgrad_ci.method.evidence import Evidence, Outcome, Trajectory
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.ports import Reply
from skillgrad_ci.method.run import Run
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import GraderSpec, Split, Suite, Task
from skillgrad_ci.method.world import Least, World
from skillgrad_ci.method.world.left_out import learn_without, measure_left_out
from skillgrad_ci.report.statistics import Delta, paired
from skillgrad_ci.session.split import folds_of
from skillgrad_ci.skill.skill import Skill
from tests.support.worlds import SKILL, SPLITS, diagnosis, edit, patterns, world

WORDS = [f"m{number}" for number in range(6)]
SUITE = Suite(
    "s",
    "native",
    Path("evals"),
    [Task(f"task-{n}", f"Needs {WORDS[n % 6]}.", [GraderSpec("text")], split=SPLITS[n // 6 % 4]) for n in range(48)],
)


@dataclass(frozen=True)
class Nature:
    """Rates, in [0, 1] but for `bloat` and `forget`, which are lines.

    `unguided`, `hint` and `firm` are how often a task passes. `errs` is how often a diagnosis names another mechanism,
    `blind` the mechanisms that steps never see, `harm` how often an edit spoils a mechanism instead of serving one,
    `junk` how often it does nothing, `tidies` how often a patch deletes a line of guidance that nothing protects,
    `bloat` how many idle lines an edit brings, `swings` how often a hint that does not do is put the other way round,
    and back again. At `forget` lines half of the body is followed.
    """

    unguided: float = 0.1
    hint: float = 0.5
    firm: float = 0.95
    errs: float = 0.1
    blind: frozenset[str] = frozenset()
    harm: float = 0.0
    junk: float = 0.0
    tidies: float = 0.0
    swings: float = 0.0
    bloat: int = 0
    forget: float = 200.0

    def chance(self, skill: Skill, word: str) -> float:
        """How often a task of this mechanism passes."""
        said = re.findall(rf"(Hint|Firm|Wrong) {word}\b", skill.body)
        if "Wrong" in said:
            return 0.02
        guided = self.firm if "Firm" in said else self.hint if said else self.unguided
        return self.unguided + (guided - self.unguided) / (1 + (length(skill) / self.forget) ** 2)

    def accuracy(self, skill: Skill) -> float:
        """The true accuracy of a skill."""
        return fmean(self.chance(skill, word) for word in WORDS)


def length(skill: Skill) -> int:
    """The lines that edits added."""
    return skill.body.count("\n") - SKILL.body.count("\n")


def uniform(*parts: object) -> float:
    digest = blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


@dataclass
class Executor:
    """The rollout: it passes by chance, and says which mechanism a task needs."""

    nature: Nature
    seed: int
    executions: int = 0

    def __call__(self, skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        assert skill is not None
        self.executions += 1
        word = needed(task.instruction)
        passed = uniform(self.seed, skill.digest, task.id, iteration, trial) < self.nature.chance(skill, word)
        call = {"kind": "tool_call", "id": "1", "tool": "shell", "arguments": {"command": word}}
        outcome = Outcome.PASSED if passed else Outcome.FAILED
        return Evidence(task.id, skill.digest, outcome, float(passed), f"{task.id}: needs {word}", Trajectory([call]))


def needed(instruction: str) -> str:
    return str(re.findall(r"Needs (m\d)\.", instruction)[-1])


@dataclass
class Agents:
    """Diagnoser, momentum, patcher, and the readers and mergers of SkillOpt: each sees its prompt alone."""

    nature: Nature
    dice: random.Random
    repeated: int = 0
    lost: int = 0
    made: int = 0
    remarks: int = 0
    junk: set[str] = field(default_factory=set)

    def __call__(self, role: str, system: str, user: str, reply: type[Reply], *, shared: str = "") -> Reply:
        user = f"{shared}\n\n{user}" if shared else user
        answers = {
            "DiagnosisReply": self._diagnosis, "MomentumReply": patterns, "PatchReply": self._patch,
            "ReflectionReply": self._reflection, "MergeReply": self._merge, "SlowReply": self._slow,
        }  # fmt: skip
        return reply.model_validate(answers[reply.__name__](user))

    def _seen(self, word: str) -> str:
        """The mechanism that a diagnosis names."""
        others = [other for other in WORDS if other != word and other not in self.nature.blind]
        return self.dice.choice(others) if word in self.nature.blind or self.dice.random() < self.nature.errs else word

    def _diagnosis(self, user: str) -> dict[str, Any]:
        passed = "A contrastive diagnosis" in user
        word = needed(user) if passed else self._seen(needed(user))
        return diagnosis(f"lacks-{word}")

    def _patch(self, user: str) -> dict[str, Any]:
        if "## The skill after your edits" in user:
            return {"edits": []}
        body, record = user.split("## The record")
        failing = dict.fromkeys(re.findall(r"^- task \S+: failure: lacks-(m\d)", record, re.MULTILINE))
        works = set(re.findall(r"^- task \S+: contrastive[^:]*: lacks-(m\d)", record, re.MULTILINE))
        edits = [made for word in failing for made in self._answers(word, body, record)]
        loose = [line for line in re.findall(r"^- (?:Hint|Firm) m\d\.$", body, re.MULTILINE)
                 if line[-3:-1] not in works | set(failing)]  # fmt: skip
        if failing and loose and self.dice.random() < self.nature.tidies:
            self.lost += 1
            edits.append(edit("", f"lacks-{next(iter(failing))}", op="delete", target="text", address=loose[0]))
        return {"edits": edits}

    def _answers(self, word: str, body: str, record: str) -> list[dict[str, Any]]:
        """An edit that serves a mechanism, or one that does not. What the record tells is not tried again."""
        pattern, idle = f"lacks-{word}", self._idle()
        kind = self._kind()
        if kind:
            return [edit("\n".join([kind, *idle]), pattern)]
        hint, firm = f"- Hint {word}.", f"- Firm {word}."
        told = [block for block in record.split("\n## ") if block.startswith(f"{pattern} ")]
        if any("- remedy 1" in block for block in told) and hint in body:
            return [edit(firm, pattern, op="replace", target="text", address=hint)]
        if firm in body:
            return []
        loose = f"- Loose {word}."
        if (hint in body or loose in body) and self.dice.random() < self.nature.swings:
            old, new = (hint, loose) if hint in body else (loose, hint)
            return [edit(new, pattern, op="replace", target="text", address=old)]
        self.repeated += hint in body
        return [edit("\n".join([f"{hint[:-1]}{' again' * (hint in body)}.", *idle]), pattern)]

    def _kind(self) -> str:
        """The line of an edit that serves nothing, drawn by the rates; "" for one that serves."""
        at = self.dice.random()
        self.made += 1
        if at < self.nature.harm:
            return f"- Wrong {self.dice.choice(WORDS)}."
        if at < self.nature.harm + self.nature.junk:
            self.remarks += 1
            self.junk.add(f"- Remark {self.remarks}.")
            return f"- Remark {self.remarks}."
        return ""

    def _idle(self) -> list[str]:
        return [f"- Note {self.made} {number}." for number in range(self.nature.bloat)]

    def _reflection(self, user: str) -> dict[str, Any]:
        """Lessons of failures: one for each mechanism, and one of a single task that brings nothing but lines."""
        if user.endswith("passed."):
            return {"lessons": []}
        words: dict[str, list[str]] = {}
        rows = re.findall(r"## Task (\S+)\n\n```\nNeeds (m\d)\.", user)
        for task, word in rows:
            words.setdefault(self._seen(word), []).append(task)
        lessons = []
        for word, tasks in words.items():
            content = self._kind() or f"- Firm {word}."
            if content not in user:
                lessons.append({**edit(content), "label": f"lacks-{word}", "finding": "seen", "tasks": tasks})
        for task, _ in rows if self.nature.bloat else []:
            self.made += 1
            idle = {**edit("\n".join(self._idle())), "label": "care", "finding": "seen", "tasks": [task]}
            lessons.append(idle)
        return {"lessons": lessons[:8]}

    def _merge(self, user: str) -> dict[str, Any]:
        rows = re.findall(r"## Proposal (\d+) \((\S+);.*?```\n(.*?)\n```", user, re.DOTALL)
        contents: dict[str, list[int]] = {}
        for number, _, content in rows:
            contents.setdefault(content, []).append(int(number))
        return {"edits": [{**edit(content), "proposals": numbers} for content, numbers in contents.items()]}

    def _slow(self, user: str) -> dict[str, Any]:
        words = dict.fromkeys(re.findall(r"Needs (m\d)\.\n```\n\nIt (?:still fails|regressed)", user))
        said = user.split("## The block as it stands")[0]
        return {"lines": [f"- Firm {word}." for word in words if f"Firm {word}." not in said], "why": "they still fail"}


@dataclass(frozen=True)
class Lived:
    """A run, and what is known of it from outside: its true accuracy before and after, its length, its counts."""

    run: Run
    agents: Agents
    before: float
    after: float
    lines: int
    executions: int

    @property
    def junk(self) -> int:
        """How many edits that bring nothing were accepted."""
        kept = [row.edit.content for step in self.run.iterations for row in step.edits if row.status == "accepted"]
        return sum(content in self.agents.junk for content in kept)

    @property
    def swings(self) -> int:
        """How many accepted edits wrote again what an earlier one had taken away."""
        gone: set[str] = set()
        again = 0
        for made in [row.edit for step in self.run.iterations for row in step.edits if row.status == "accepted"]:
            again += made.content in gone
            gone |= {made.address} if made.op == "replace" else set()
        return again


def config_of(seed: int, **settings: Any) -> LoopSettings:
    return LoopSettings.model_validate({"seed": seed, "accept": "always", **settings})


@dataclass(frozen=True)
class Unbounded(World):
    """A world that measures a candidate on all of validation, also where it can win no more."""

    def measure_until(
        self, skill: Skill, tasks: Sequence[Task], name: str, least: Least, trials: int = 1
    ) -> list[Evidence]:
        if name.startswith("validate-"):
            return self.measure(skill, tasks, name, trials)
        return super().measure_until(skill, tasks, name, least, trials)


def live(nature: Nature, seed: int, *, bounded: bool = True, **settings: Any) -> Lived:
    """One run of the real loop in this world."""
    executor, agents = Executor(nature, seed), Agents(nature, random.Random(seed))
    here = world(executor, agents)
    here = here if bounded else Unbounded(**vars(here))
    run = optimize(SKILL, SUITE, config_of(seed, **settings), PatternMemory("s"), here)
    done = run.final
    return Lived(run, agents, nature.accuracy(SKILL), nature.accuracy(done), length(done), executor.executions)


@dataclass(frozen=True)
class Crossed:
    """A cross-fitting: its estimate, and what its folds' skills truly gain over all tasks that could be drawn."""

    delta: Delta
    gain: float


def cross(nature: Nature, seed: int, size: int = 12, folds: int = 3, **settings: Any) -> Crossed:
    """A cross-fitting on a small suite that is drawn for it, each task's mechanism by chance."""
    executor, agents, dice = Executor(nature, seed), Agents(nature, random.Random(seed)), random.Random(seed)
    tasks = [
        Task(f"task-{n}", f"Needs {dice.choice(WORDS)}.", [GraderSpec("text")], split=Split.TRAIN) for n in range(size)
    ]
    here, suite = world(executor, agents), replace(SUITE, tasks=tasks)
    config = config_of(seed, **{"accept": "final", "iterations": 4, **settings})
    baseline = here.measure(SKILL, tasks, "base")
    base = replace(Run(SKILL, SKILL, SKILL, suite, config, PatternMemory("s")), baseline=baseline)
    before, after, gains = list[Evidence](), list[Evidence](), []
    for number, ids in enumerate(folds_of(tasks, {row.task_id: row.passed for row in baseline}, folds, seed)):
        run = learn_without(base, ids, here, str(number))
        for rows, more in zip((before, after), measure_left_out(base, run, ids, here), strict=True):
            rows.extend(more)
        gains.append(len(ids) * (nature.accuracy(run.final) - nature.accuracy(SKILL)) / size)
    delta = paired(before, after)
    assert delta is not None
    return Crossed(delta, sum(gains))


def lives(nature: Nature, seeds: int, **settings: Any) -> Sequence[Lived]:
    return [live(nature, seed, **settings) for seed in range(seeds)]

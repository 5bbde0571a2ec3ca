"""Training examples: a task, and a suite split into train, validation and heldout."""

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from skillgrad_ci.errors import UserError

_ID = re.compile(
    r"(?!\.{1,2}$)[^\s/\\,\x00-\x1f](?:[^/\\,\x00-\x1f]{0,120}[^\s/\\,\x00-\x1f])?"
)  # a folder's name, and an item of a list

NEEDED_FOR_VALIDATION = 20  # tasks of a suite; below, what would choose would take too much from what teaches
NEEDED_FOR_HELDOUT = 10  # tasks of a suite; below, what would report is too small to say anything


class Split(StrEnum):
    """Where a task is used. Heldout tasks are for reporting and reach no optimizing agent."""

    TRAIN = "train"
    VALIDATION = "validation"
    HELDOUT = "heldout"


@dataclass(frozen=True)
class GraderSpec:
    """How a result is graded: the grader's `kind`, its options (JSON values) and its references.

    `references` maps a name to a file or folder on disk (a golden workbook, a check script);
    the agent never sees one. `weight` counts when a task has several graders.
    """

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    references: Mapping[str, Path] = field(default_factory=dict)
    weight: float = 1.0


@dataclass(frozen=True)
class Reference:
    """A result that must pass: `files` by their path in the work folder, a last message, or both.

    A `command` is run in the work folder, over the task's own files, to make the result. It finds what is in
    `beside` (an absolute path in the task's container → a folder on disk), read-only.
    """

    files: Mapping[str, Path] = field(default_factory=dict)
    answer: str = ""
    command: str = ""
    beside: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Environment:
    """A container that a task brings along: an image by its name, or a folder with a Dockerfile to build it from.

    Agent and grader start in `workdir` ('': the image's own), which holds at first what the image has there.
    `memory` is in bytes, `cpus` counts processors; None: the sandbox's own bound. `build_timeout` is in seconds.
    """

    image: str = ""
    build: Path | None = None
    workdir: str = ""
    memory: int | None = None
    cpus: float | None = None
    build_timeout: float = 600.0


@dataclass(frozen=True)
class Task:
    """One task of a suite.

    `files` maps a relative path in the agent's work folder to the file it is copied from; those
    named in `executable` are made executable there.
    `outputs` are the relative paths that the instruction asks for, where they are known.
    `expected` are expected answers as text, known to the leak check alone.
    `timeout` is in seconds and covers the whole execution but the waiting for a model's replies.
    An `environment` is the container that the task wants instead of the sandbox's own.
    A `probe` asks only whether an agent activates the measured skill: its execution ends there, or at the answer.
    An `unreviewed` task was proposed by a model and no person has looked at it: it may teach, and it claims nothing.
    `format` is the task's own, where it is written in another one than its suite.
    """

    id: str
    instruction: str
    graders: Sequence[GraderSpec]
    files: Mapping[str, Path] = field(default_factory=dict)
    outputs: Sequence[str] = ()
    expected: Sequence[str] = ()
    split: Split | None = None
    timeout: float = 600.0
    network: bool = False
    threshold: float = 1.0
    trials: int | None = None
    tags: Sequence[str] = ()
    executable: Collection[str] = ()
    reference: Reference | None = None  # proves the graders; no agent sees it
    probe: bool = False
    environment: Environment | None = None
    unreviewed: bool = False
    format: str = ""

    def times(self, trials: int) -> int:
        """How often a measurement executes it: as often as it asks for itself, else `trials` times."""
        return self.trials or trials

    @property
    def prefers(self) -> bool:
        """Whether a judge compares its result with the initial skill's, for no result is right by itself."""
        return any(spec.kind == "judge" and spec.options.get("prefer") for spec in self.graders)

    @cached_property
    def digest(self) -> str:
        """Content address: everything that can change an execution or its grade."""
        content = hashlib.sha256()
        facts = [self.id, self.instruction, list(self.outputs), self.timeout, self.network, self.threshold]
        facts += [sorted(self.executable)] if self.executable else []
        facts += ["probe"] if self.probe else []
        place = self.environment
        facts += [[place.image, place.workdir, place.memory, place.cpus]] if place else []
        facts += [[g.kind, dict(g.options), g.weight] for g in self.graders]
        content.update(json.dumps(facts, sort_keys=True, default=str).encode())
        sources = [*self.files.items(), *(r for g in self.graders for r in g.references.items())]
        sources += [("environment", place.build)] if place and place.build else []
        for name, source in sorted(sources):
            for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
                if path.is_file():
                    label = path.relative_to(source).as_posix()
                    content.update(f"\0{name}/{label}\0".encode())
                    content.update(hashlib.sha256(path.read_bytes()).digest())
        return content.hexdigest()


@dataclass(frozen=True)
class Suite:
    """The tasks of one skill. `format` names how they were written, `root` where they lie.

    `named` are the suite's own files, and all files and folders that it names beside its tasks: they are no
    part of a skill. `warnings` are things an owner should know and that do not stop a run.
    """

    name: str
    format: str
    root: Path
    tasks: Sequence[Task]
    warnings: Sequence[str] = ()
    named: Collection[Path] = ()

    def __post_init__(self) -> None:
        if not self.tasks:
            raise UserError(f"{self.root}: the suite holds no task; add at least one")
        seen: set[str] = set()
        for task in self.tasks:
            if not names_folder(task.id):
                raise UserError(
                    f"{self.root}: task id {task.id[:60]!r} cannot name a folder; use letters, digits, - and _"
                )
            if task.id in seen:
                raise UserError(f"{self.root}: task id {task.id!r} stands twice; ids are unique, so rename one")
            seen.add(task.id)

    def of(self, split: Split) -> list[Task]:
        """The tasks of one split, in the suite's order (none before `with_splits`)."""
        return [task for task in self.tasks if task.split is split]

    def with_splits(self, splits: Mapping[str, Split]) -> "Suite":
        """This suite with every task's split set; `splits` maps a task id to its split."""
        return replace(self, tasks=[replace(task, split=splits[task.id]) for task in self.tasks])

    @property
    def unreviewed(self) -> list[str]:
        """The ids of the tasks that a model proposed and no person has looked at."""
        return [task.id for task in self.tasks if task.unreviewed]

    def reviewed(self) -> "Suite":
        """The tasks that may be used to claim something. Raises UserError where there is none."""
        if not self.unreviewed:
            return self
        tasks = [task for task in self.tasks if not task.unreviewed]
        if not tasks:
            raise UserError(
                f"{self.root}: all {len(self.tasks)} tasks are unreviewed, and such tasks measure nothing; "
                "read some of them and delete their line `unreviewed: true`"
            )
        return replace(self, tasks=tasks)

    @property
    def digest(self) -> str:
        """Content address of all tasks, whatever their order and their splits; a mark that was removed changes it."""
        return digest_of([*sorted(task.digest for task in self.tasks), *sorted(self.unreviewed)])


def names_folder(name: str) -> bool:
    """Whether a task or a suite of this name can have a folder."""
    return _ID.fullmatch(name) is not None


def folder_of(task_id: str) -> str:
    """A folder's or file's name for a task, on every system and in every archive: its id where that is plain."""
    plain = re.sub(r"[^A-Za-z0-9._ -]+", "-", task_id).strip(". -")
    return task_id if plain == task_id else f"{plain[:80] or 'task'}-{digest_of(task_id)[:6]}"


def position_of(seed: int, task: str) -> float:
    """A task's own place in [0, 1), by the seed and its id: it moves with no other task."""
    return int.from_bytes(hashlib.sha256(f"{seed}\0{task}".encode()).digest()[:8], "big") / 2**64


def digest_of(value: object) -> str:
    """SHA-256 (hexadecimal) of a JSON value, with sorted keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()

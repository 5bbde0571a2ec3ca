"""Harbor's tasks, which terminal-bench and SkillsBench use: `task.toml`, `instruction.md`, `tests/`, `environment/`.

A task brings its own container, so it needs Docker. What it asks for and cannot be given is an error that names it,
or a warning where the task can be done without. The tests and the solution are shown to no agent.
"""

import math
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import Field

from skillgrad_ci.document.document import Document, Foreign
from skillgrad_ci.document.parsing import read_text
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.ports import Result
from skillgrad_ci.method.task import Environment, GraderSpec, Reference, Suite, Task

FORMAT = "harbor"
READS = "task.toml with instruction.md, tests/ and environment/: Harbor, terminal-bench 2"
CONFIG, INSTRUCTION, TESTS, SOLUTION = "task.toml", "instruction.md", "tests/test.sh", "solution/solve.sh"
RESERVED = {"/", "/tmp", "/tests", "/solution", "/logs"}  # noqa: S108
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class Phase(Foreign):
    """What `[agent]` and `[verifier]` have in common."""

    timeout_sec: float = Field(600.0, gt=0)
    env: dict[str, str] = Field(default_factory=dict)
    network_mode: str | None = None
    environment_mode: str | None = None
    environment: dict[str, Any] | None = None


class EnvironmentSection(Foreign):
    """`[environment]`."""

    docker_image: str | None = None
    build_timeout_sec: float = Field(600.0, gt=0)
    cpus: float | None = Field(None, gt=0)
    memory_mb: float | None = Field(None, gt=0)
    memory: str | None = None
    workdir: str | None = None
    network_mode: str | None = None
    allow_internet: bool | None = None
    os: str = "linux"
    gpus: int | None = None
    env: dict[str, str] = Field(default_factory=dict)
    mcp_servers: list[Any] = Field(default_factory=list)
    healthcheck: dict[str, Any] | None = None


class TaskFile(Foreign):
    """`task.toml`, as far as it decides a run."""

    agent: Phase = Phase()
    verifier: Phase = Phase()
    environment: EnvironmentSection = EnvironmentSection()
    metadata: dict[str, Any] = Field(default_factory=dict)
    steps: list[Any] = Field(default_factory=list)


def suite_at(path: Path) -> Path | None:
    return path if path.is_dir() and any(_folders(path)) else None


def load(path: Path) -> Suite:
    """A folder of tasks, or one task's own folder."""
    tasks, warnings = [], []
    for folder in _folders(path):
        document, facts = _read(folder)
        _refuse(folder, document, facts)
        tasks.append(_task(folder, document, facts))
        warnings += [f"{folder.name}: {what}" for what in _not_applied(facts)]
    return Suite(path.resolve().name, FORMAT, path, tasks, warnings, list(_folders(path)))


def reference_result(task: Task, work: Path) -> Result | None:
    """The solution's command makes it, in the task's container."""
    return Result(work) if task.reference is not None else None


def untouched_result(task: Task, work: Path) -> Result | None:  # noqa: ARG001
    """What a container holds before any work is not known without starting it."""
    return None


def _folders(path: Path) -> Iterator[Path]:
    own = [path] if (path / CONFIG).is_file() else sorted(file.parent for file in path.glob(f"*/{CONFIG}"))
    return (folder for folder in own if (folder / INSTRUCTION).is_file())


def _read(folder: Path) -> tuple[Document, TaskFile]:
    text = read_text(folder / CONFIG)
    try:
        document = Document(folder / CONFIG, None, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{folder / CONFIG}: no valid TOML ({error}); mend it") from None
    return document, document.parse(TaskFile)


def _refuse(folder: Path, document: Document, facts: TaskFile) -> None:
    """Raises UserError if the task needs something that cannot be given here."""
    place, verifier = facts.environment, facts.verifier
    wants = {
        "steps": bool(facts.steps),
        "environment.os": place.os.lower() != "linux",
        "environment.gpus": bool(place.gpus),
        "environment.mcp_servers": bool(place.mcp_servers),
        "verifier.environment": verifier.environment is not None or verifier.environment_mode == "separate",
    }
    for key, wanted in wants.items():
        if wanted:
            raise document.error(key.split("."), "cannot be given here; leave this task out of the suite")
    if any((folder / "environment").glob("docker-compose.y*ml")):
        raise UserError(f"{folder}: several services (docker-compose) cannot be had here; leave this task out")
    if not place.docker_image and not (folder / "environment" / "Dockerfile").is_file():
        raise UserError(f"{folder}: it names no docker_image and has no environment/Dockerfile; give one")
    if not (folder / TESTS).is_file():
        raise UserError(f"{folder}: it has no {TESTS}; give it one")


def _task(folder: Path, document: Document, facts: TaskFile) -> Task:
    instruction = read_text(folder / INSTRUCTION).strip()
    if not instruction:
        raise UserError(f"{folder / INSTRUCTION}:1: the instruction is empty; say what the agent is to do")
    place, verifier = facts.environment, facts.verifier
    workdir = place.workdir or ""
    if workdir and (not workdir.startswith("/") or str(PurePosixPath(workdir)) in RESERVED):
        raise document.error(
            ["environment", "workdir"], f"{workdir!r} is no absolute path of a work folder; write it whole"
        )
    network = _has_network(place, facts.agent)
    options = {"timeout": verifier.timeout_sec, "network": _has_network(place, verifier), "env": _given(verifier.env)}
    tags = [str(tag) for tag in facts.metadata.get("tags", []) or []]
    return Task(
        id=folder.resolve().name,
        instruction=instruction,
        graders=[GraderSpec("reward", options, {"tests": folder / "tests"})],
        timeout=facts.agent.timeout_sec,
        network=network,
        tags=tags,
        reference=_solution(folder),
        environment=Environment(
            image=place.docker_image or "",
            build=None if place.docker_image else folder / "environment",
            workdir=workdir,
            memory=_bytes(document, place),
            cpus=place.cpus,
            build_timeout=place.build_timeout_sec,
        ),
    )


def _has_network(place: EnvironmentSection, phase: Phase) -> bool:
    """Only where the file says so. Harbor gives the network to whoever does not say no; here nobody has it unasked."""
    mode = phase.network_mode or place.network_mode or ("public" if place.allow_internet else "")
    return mode == "public"


def _given(variables: dict[str, str]) -> dict[str, str]:
    """The variables whose value is in the file. One taken from the machine could be a key."""
    return {name: value for name, value in variables.items() if "${" not in value}


def _bytes(document: Document, place: EnvironmentSection) -> int | None:
    if place.memory_mb is not None:
        return int(place.memory_mb * UNITS["M"])
    if place.memory is None:
        return None
    number, unit = place.memory.strip()[:-1], place.memory.strip()[-1:].upper()
    try:
        size = float(number) * UNITS[unit]
    except (KeyError, ValueError):
        raise document.error(
            ["environment", "memory"], f"expected a size like 2G or 512M, got {place.memory!r}"
        ) from None
    if not math.isfinite(size) or size <= 0:
        raise document.error(["environment", "memory"], f"expected a size like 2G or 512M, got {place.memory!r}")
    return int(size)


def _solution(folder: Path) -> Reference | None:
    if not (folder / SOLUTION).is_file():
        return None
    return Reference(command="bash /solution/solve.sh", beside={"/solution": folder / "solution"})


def _not_applied(facts: TaskFile) -> Iterator[str]:
    """What the file asks for and a run here goes without."""
    place = facts.environment
    if place.network_mode is None and place.allow_internet is None:
        yield 'says nothing of the network, so there is none (network_mode = "public" asks for it)'
    if "allowlist" in (place.network_mode, facts.agent.network_mode, facts.verifier.network_mode):
        yield "network_mode allowlist cannot be kept, so there is no network"
    taken = [name for name, value in facts.verifier.env.items() if "${" in value]
    if place.env or taken:
        yield f"variables are not set: {', '.join([*place.env, *taken])}"
    if place.healthcheck is not None:
        yield "its healthcheck is not run"

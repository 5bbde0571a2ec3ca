"""terminal-bench's tasks before Harbor: `task.yaml` with `run-tests.sh`, `tests/` and one container.

A task brings its own container, so it needs Docker. Its verdict is what pytest sums up at the end of `run-tests.sh`, as
there. What cannot be given here is an error that names it. The tests and the solution are shown to no agent.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from skillgrad_ci.document.document import Document, Foreign
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.task import Environment, GraderSpec, Reference, Suite, Task
from skillgrad_ci.suites.harbor import reference_result, untouched_result

__all__ = ["FORMAT", "READS", "load", "reference_result", "suite_at", "untouched_result"]

FORMAT = "terminal-bench"
READS = "task.yaml with run-tests.sh and tests/: terminal-bench 1"
CONFIG, COMPOSE, SCRIPT, SOLUTION = "task.yaml", "docker-compose.yaml", "run-tests.sh", "solution.sh"
SECRETS = {"tests", SCRIPT, SOLUTION, "solution.yaml", CONFIG}
OWN = "T_BENCH_"  # of terminal-bench's own variables: names, places of logs
NEEDED = ("privileged", "cap_add", "devices", "network_mode", "entrypoint")  # of a service: it does not do without
KNOWN = {"build", "image", "container_name", "command", "volumes", "environment", "working_dir", "expose", *NEEDED}
_COPY = re.compile(r"^\s*(?:COPY|ADD)\s+(?:--\S+\s+)*(?P<paths>.+)$", re.IGNORECASE | re.MULTILINE)


class TaskYaml(Foreign):
    """`task.yaml`, as far as it decides a run. `allow_internet` is Harbor's: terminal-bench reads past it."""

    instruction: str = Field(min_length=1)
    tags: list[str] = Field(default_factory=list)
    parser_name: str = "pytest"
    max_agent_timeout_sec: float = Field(360.0, gt=0)
    max_test_timeout_sec: float = Field(60.0, gt=0)
    run_tests_in_same_shell: bool = False
    allow_internet: bool = False


def suite_at(path: Path) -> Path | None:
    return path if path.is_dir() and any(_folders(path)) else None


def load(path: Path) -> Suite:
    """A folder of tasks, or one task's own folder."""
    tasks, warnings, offline = [], [], 0
    for folder in _folders(path):
        document = Document.read(folder / CONFIG)
        facts = document.parse(TaskYaml)
        service = _service(folder)
        _refuse(folder, document, facts, service)
        tasks.append(_task(folder, document, facts, service))
        warnings += [f"{folder.name}: {what}" for what in _not_applied(folder, service)]
        offline += not facts.allow_internet
    if offline:
        warnings.append(f"{offline} tasks have no network here, which terminal-bench gives (allow_internet: true asks)")
    return Suite(path.resolve().name, FORMAT, path, tasks, warnings, list(_folders(path)))


def _folders(path: Path) -> Iterator[Path]:
    own = [path] if (path / CONFIG).is_file() else sorted(file.parent for file in path.glob(f"*/{CONFIG}"))
    return (folder for folder in own if any((folder / name).is_file() for name in (SCRIPT, COMPOSE, "Dockerfile")))


def _service(folder: Path) -> Mapping[str, Any]:
    """The one service of the task's `docker-compose.yaml`; empty where it has none, but a `Dockerfile`."""
    if not (folder / COMPOSE).is_file():
        return {}
    document = Document.read(folder / COMPOSE)
    services = document.value.get("services") if isinstance(document.value, dict) else None
    if not isinstance(services, dict) or not services:
        raise document.error((), "expected services, as Docker Compose has them")
    if len(services) > 1:
        named = ", ".join(map(str, services))
        raise document.error(["services"], f"several services ({named}) cannot be had here; leave this task out")
    [(name, service)] = services.items()
    for key in NEEDED if isinstance(service, dict) else ():
        if service.get(key):
            raise document.error(["services", name, key], "cannot be given here; leave this task out of the suite")
    if foreign := [volume for volume in _listed(service, "volumes") if OWN not in volume]:
        raise document.error(["services", name, "volumes"], f"{foreign[0]} cannot be given here; leave this task out")
    return service if isinstance(service, dict) else {}


def _refuse(folder: Path, document: Document, facts: TaskYaml, service: Mapping[str, Any]) -> None:
    """Raises UserError if the task needs something that cannot be given here."""
    if facts.parser_name != "pytest":
        raise document.error(["parser_name"], f"{facts.parser_name!r} is not read, pytest alone; leave this task out")
    if facts.run_tests_in_same_shell:
        raise document.error(["run_tests_in_same_shell"], "the agent's shell has ended then; leave this task out")
    if not (folder / SCRIPT).is_file():
        raise UserError(f"{folder}: it has no {SCRIPT}; give it one")
    image, build = _place(folder, service)
    if image:
        return
    if not (build / "Dockerfile").is_file():
        raise UserError(f"{folder}: it names no image, and {build} has no Dockerfile; give one")
    for line in _COPY.finditer((build / "Dockerfile").read_text("utf-8", "replace")):
        sources = [part.strip("[]\",'").removeprefix("./") for part in line["paths"].split()][:-1]
        shown = [name for name in sources if name in ("", ".", "*") or name.partition("/")[0] in SECRETS]
        if shown and build.resolve() == folder.resolve():
            raise UserError(
                f"{build / 'Dockerfile'}: {line[0].strip()!r} puts the tests or the solution where the agent is; "
                "copy by name what the task needs"
            )


def _place(folder: Path, service: Mapping[str, Any]) -> tuple[str, Path]:
    """The service's image, or '' and the folder that it is built from."""
    build = service.get("build")
    context, file = (build.get("context", "."), build.get("dockerfile")) if isinstance(build, dict) else (build, None)
    if file not in (None, "Dockerfile", "./Dockerfile"):
        raise UserError(f"{folder / COMPOSE}: dockerfile {file}: call it Dockerfile, in a folder named as context")
    image = str(service.get("image") or "")
    return (image if image and OWN not in image and not build else ""), folder / str(context or ".")


def _task(folder: Path, document: Document, facts: TaskYaml, service: Mapping[str, Any]) -> Task:
    if not facts.instruction.strip():
        raise document.error(["instruction"], "is empty; say what the agent is to do")
    workdir = str(service.get("working_dir") or "")
    if workdir and not workdir.startswith("/"):
        raise UserError(f"{folder / COMPOSE}: working_dir: {workdir!r} is no absolute path; write it whole")
    image, build = _place(folder, service)
    timeout, network = facts.max_test_timeout_sec, facts.allow_internet
    options = {"timeout": timeout, "network": network, "env": {"TEST_DIR": "/tests"}, "verdict": "pytest"}
    tests = {"tests": folder / "tests"} if (folder / "tests").is_dir() else {}
    solved = (folder / SOLUTION).is_file()
    return Task(
        id=folder.resolve().name,
        instruction=facts.instruction.strip(),
        graders=[GraderSpec("reward", options, {**tests, "script": folder / SCRIPT})],
        timeout=facts.max_agent_timeout_sec,
        network=network,
        tags=facts.tags,
        reference=Reference(command=f"bash /solution/{SOLUTION}", beside={"/solution": folder}) if solved else None,
        environment=Environment(image=image, build=None if image else build, workdir=workdir),
    )


def _listed(service: Any, key: str) -> list[str]:
    """A service's list of texts, or of `name: value`."""
    value = service.get(key) if isinstance(service, dict) else None
    return (
        [f"{name}={text}" for name, text in value.items()] if isinstance(value, dict) else list(map(str, value or []))
    )


def _not_applied(folder: Path, service: Mapping[str, Any]) -> Iterator[str]:
    """What the files ask for and a run here goes without."""
    if variables := [text.partition("=")[0] for text in _listed(service, "environment") if OWN not in text]:
        yield f"variables are not set: {', '.join(variables)}"
    if others := sorted(set(map(str, service)) - KNOWN):
        yield f"of {COMPOSE} not applied: {', '.join(others)}"
    if (folder / "solution.yaml").is_file() and not (folder / SOLUTION).is_file():
        yield "its solution.yaml is not read, so nothing proves its tests"

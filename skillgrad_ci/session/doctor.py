"""What a run would meet on this machine, looked at without spending anything: what is there, what is missing, and how
to mend it. Nothing here calls a model."""

import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from skillgrad_ci.config.config import FILE, Configuration, load_config
from skillgrad_ci.config.settings import REHEARSAL
from skillgrad_ci.errors import SkillGradError
from skillgrad_ci.session.agents import CHAT, LOOP, runs_commands
from skillgrad_ci.session.inputs import Inputs, read_inputs
from skillgrad_ci.skill.lint import lint


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `ok` is None where it does not matter here; `remedy` is what to do."""

    name: str
    ok: bool | None
    found: str
    remedy: str = ""


def examine(root: Path) -> Iterator[Check]:
    """Every check, each as soon as it is known."""
    yield Check("Python", True, platform.python_version())
    git = shutil.which("git")
    yield Check("git", git is not None, git or "not found", "" if git else "install git")
    path = root / FILE
    if not path.is_file():
        yield Check(FILE, False, f"{path} is not there", "run: skillgrad-ci init")
        return
    try:
        configuration = load_config(path)
    except SkillGradError as error:
        yield Check(FILE, False, str(error), "mend it as the message says")
        return
    yield Check(FILE, True, f"{len(configuration.skills)} skill(s)")
    inputs = []
    for job in configuration.skills:
        try:
            inputs.append(read_inputs(job))
        except SkillGradError as error:
            yield Check(f"skill {job.name}", False, str(error), "mend it as the message says")
    for one in inputs:
        yield from _skill(one)
    settings = [job.settings for job in configuration.skills]
    for model in sorted({model for one in settings for model in one.models.named}):
        yield _key(model, any(one.models.api_base for one in settings))
    if not any(one.models.named for one in settings):
        yield Check("model", False, "no model is named", "set models.executor, or give --model")
    yield _sandbox(configuration, inputs)
    yield _libreoffice(inputs)
    yield from _agents(configuration)


def _skill(inputs: Inputs) -> Iterator[Check]:
    job = inputs.job
    errors = sum(finding.severity == "error" for finding in lint(inputs.skill))
    remedy = f"run: skillgrad-ci lint {_typed(job.path)}" if errors else ""
    yield Check(f"skill {job.name}", not errors, f"{errors} error(s)" if errors else "reads well", remedy)
    tasks = len(inputs.suite.tasks)
    small = ""
    if tasks < 20:
        small = ": fewer than 20 have no validation split" if tasks >= 10 else ": fewer than 10 have no heldout split"
    found = f"{tasks} task(s) of the format {inputs.suite.format}{small}"
    yield Check(
        f"suite of {job.name}", True, found, f"prove its graders: skillgrad-ci suite {_typed(job.tasks)} --check"
    )


def _typed(path: Path) -> str:
    """A path as a shell takes it, from the folder where the person is."""
    return shlex.quote(os.path.relpath(path))


def _key(model: str, own_server: bool) -> Check:
    if model.split("/")[0] == REHEARSAL:
        return Check(f"model {model}", True, "needs no key")
    from skillgrad_ci.models.litellm_library import litellm

    answer = litellm().validate_environment(model)
    missing = [] if answer["keys_in_environment"] else answer["missing_keys"]
    if missing and own_server:
        return Check(f"model {model}", None, f"{', '.join(missing)} is not set; models.api_base may need none")
    if missing:
        return Check(f"model {model}", False, f"{', '.join(missing)} is not set", f"export {missing[0]}=…")
    return Check(f"model {model}", True, "its key is set; whether it is accepted is known at the first call")


def _sandbox(configuration: Configuration, inputs: list[Inputs]) -> Check:
    from skillgrad_ci.sandbox.choose import choose

    if inputs and not any(runs_commands(one.job, one.suite) for one in inputs):
        return Check("sandbox", None, "no command is run: none is needed")
    settings = configuration.skills[0].settings
    said: list[str] = []
    try:
        sandbox = choose(settings.sandbox, settings.image, tell=said.append)
    except SkillGradError as error:
        return Check("sandbox", False, str(error), "start Docker, or use Linux 6.7 or later")
    return Check("sandbox", True, "; ".join([sandbox.identity, *said]))


def _libreoffice(inputs: list[Inputs]) -> Check:
    from skillgrad_ci.graders.xlsx.installation import INSTALL, version

    if version():
        return Check("LibreOffice", True, version())
    graded = any(spec.kind == "xlsx" for one in inputs for task in one.suite.tasks for spec in task.graders)
    return Check("LibreOffice", False if graded else None, "not installed; answers with formulas need it", INSTALL)


def _agents(configuration: Configuration) -> Iterator[Check]:
    names = {job.settings.agent for job in configuration.skills} - {LOOP, CHAT}
    for name in sorted(names):
        docker = shutil.which("docker")
        done = subprocess.run([docker, "info"], capture_output=True, check=False) if docker else None  # noqa: S603
        if done is not None and done.returncode == 0:
            yield Check(f"agent {name}", True, "Docker answers")
        else:
            said = "it runs in a container, and Docker does not answer"
            yield Check(f"agent {name}", False, said, "install Docker Engine and start it")

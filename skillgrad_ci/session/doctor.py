"""What a run would meet on this machine, looked at without spending anything: what is there, what is missing, and how
to mend it. Nothing here calls a model."""

import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from skillgrad_ci.config.config import FILE, Configuration, load_config
from skillgrad_ci.config.settings import REHEARSAL
from skillgrad_ci.errors import SkillGradError
from skillgrad_ci.executors.agents import load_agent
from skillgrad_ci.sandbox.agent_image import prospect
from skillgrad_ci.session.agents import is_foreign, runs_commands
from skillgrad_ci.session.inputs import Inputs, read_inputs
from skillgrad_ci.skill.lint import lint


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `ok` is None where it does not matter here; `remedy` is what to do."""

    name: str
    ok: bool | None
    found: str
    remedy: str = ""


Beyond = Callable[[Configuration], Iterable[Check]]


def examine(root: Path, beyond: Beyond) -> Iterator[Check]:
    """Every check, each as soon as it is known; last those that look `beyond` this machine."""
    yield Check("Python", True, platform.python_version())
    git = shutil.which("git")
    yield Check("git", git is not None, git or "not found", "" if git else "install git")
    path = root / FILE
    if not path.is_file():
        yield Check(
            FILE, False, f"{path} is not there", f"run: skillgrad-ci init{'' if root == Path() else f' {typed(root)}'}"
        )
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
    yield from beyond(configuration)


def _skill(inputs: Inputs) -> Iterator[Check]:
    job = inputs.job
    errors = sum(finding.severity == "error" for finding in lint(inputs.skill))
    remedy = f"run: skillgrad-ci lint {typed(job.path)}" if errors else ""
    yield Check(f"skill {job.name}", not errors, f"{errors} error(s)" if errors else "reads well", remedy)
    tasks = len(inputs.suite.tasks)
    small = ""
    if tasks < 20:
        small = ": fewer than 20 have no validation split" if tasks >= 10 else ": fewer than 10 have no heldout split"
    found = f"{tasks} task(s) of the format {inputs.suite.format}{small}"
    if unreviewed := len(inputs.suite.unreviewed):
        found += f", {unreviewed} of them unreviewed"
    if unreviewed == tasks:
        remedy = f"read the tasks in {typed(job.tasks)}, correct them, and delete their lines `unreviewed: true`"
        yield Check(f"suite of {job.name}", False, f"{found}: such tasks measure nothing", remedy)
        return
    remedy = f"prove its graders: skillgrad-ci suite {typed(job.tasks)} --check"
    yield Check(f"suite of {job.name}", True, found, remedy)


def typed(path: Path) -> str:
    """A path as a shell takes it, from the folder where the person is."""
    return shlex.quote(os.path.relpath(path))


def _key(model: str, own_server: bool) -> Check:
    if model.split("/")[0] == REHEARSAL:
        return Check(f"model {model}", True, "needs no key")
    from skillgrad_ci.models.litellm_library import litellm

    answer = litellm().validate_environment(model)
    missing = [] if answer["keys_in_environment"] else answer["missing_keys"]
    if own_server:  # it has the address, and no client sends a request without any key
        missing = [name for name in missing if not name.endswith("_API_BASE")]
    if missing:
        anything = " (any text, where your server wants no key)" if own_server else ""
        return Check(f"model {model}", False, f"{', '.join(missing)} is not set", f"export {missing[0]}=…{anything}")
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
        remedy = "" if "PATH" in str(error) else "start Docker, or use Linux 6.7 or later"  # it says its own
        return Check("sandbox", False, _unlabelled(str(error)), remedy)
    return Check("sandbox", True, "; ".join([sandbox.identity, *map(_unlabelled, said)]))


def _unlabelled(text: str) -> str:
    """Without the name of the check, behind which it stands."""
    return text.removeprefix("sandbox: ")


def _libreoffice(inputs: list[Inputs]) -> Check:
    from skillgrad_ci.graders.xlsx.installation import INSTALL, version

    if version():
        return Check("LibreOffice", True, version())
    graded = any(spec.kind == "xlsx" for one in inputs for task in one.suite.tasks for spec in task.graders)
    return Check("LibreOffice", False if graded else None, "not installed; answers with formulas need it", INSTALL)


def _agents(configuration: Configuration) -> Iterator[Check]:
    """Whether each foreign agent can be had: its description, Docker, its image or what that is made of."""
    jobs = {(job.settings.agent, job.settings.image): job for job in configuration.skills if is_foreign(job)}
    for name, image in sorted(jobs, key=str):
        docker = shutil.which("docker")
        done = subprocess.run([docker, "info"], capture_output=True, check=False) if docker else None  # noqa: S603
        if done is None or done.returncode != 0:
            said = "it runs in a container, and Docker does not answer"
            yield Check(f"agent {name}", False, said, "install Docker Engine and start it")
            continue
        try:
            agent = load_agent(name, configuration.root)
        except SkillGradError as error:
            yield Check(f"agent {name}", False, str(error), "mend it as the message says")
            continue
        base = image or agent.image
        have, said = prospect(base, agent.installation)
        yield Check(f"agent {name}", have, said, "" if have else f"docker pull {base}, or set another image")

"""The built image, from inside: what it holds, and the red team against the sandbox that it uses."""

import re
import subprocess
from pathlib import Path

import pytest

from skillgrad_ci import __version__
from tests.e2e.providers_smoke import EXPECTED, MODELS
from tests.e2e.test_act import image, sh

__all__ = ["image"]
ROOT = Path(__file__).parent.parent.parent
PYTHON = "/opt/skillgrad/bin/python"
pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]


def inside(image: str, *command: str, flags: tuple[str, ...] = ()) -> str:
    return sh("docker", "run", "--rm", "--network", "none", *flags, "--entrypoint", command[0], image, *command[1:])


def test_the_entry_point_is_absolute_and_answers(image: str) -> None:
    entry = sh("docker", "inspect", "--format", "{{json .Config.Entrypoint}}", image)
    assert entry.strip() == '["/opt/skillgrad/bin/skillgrad-ci","action"]'
    assert inside(image, "/opt/skillgrad/bin/skillgrad-ci", "--version").strip() == f"skillgrad-ci {__version__}"


def test_it_holds_no_compiler_no_pip_and_no_tests(image: str) -> None:
    found = inside(image, "sh", "-c", "command -v cc gcc make git pip; ls /opt/skillgrad/app; true").split()
    assert found == ["prompts", "skillgrad_ci"]


def test_no_dependency_is_newer_or_older_than_the_lock(image: str) -> None:
    code = "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()))"
    installed = {name.lower().replace("_", "-") for name in inside(image, PYTHON, "-c", code).split()}
    lock = (ROOT / "requirements.lock").read_text()
    locked = {name.lower() for name in re.findall(r"^([\w.-]+==[\w.]+)", lock, re.MULTILINE)}
    assert installed - {name for name in installed if name.startswith("setuptools==")} <= locked


def test_the_red_team_is_refused_from_inside_the_image(image: str) -> None:
    """As the action runs: root in a container, with the Docker socket, its commands in sibling containers."""
    mounts = ("--volume", "/var/run/docker.sock:/var/run/docker.sock", "--volume", f"{ROOT}:/repo:ro")
    flags = (*mounts, "--workdir", "/repo", "--env", "PYTHONPATH=/repo")
    done = subprocess.run(
        ["docker", "run", "--rm", *flags, "--entrypoint", PYTHON, image, "-m", "tests.redteam", "docker"],
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_every_provider_answers_without_what_is_left_out(image: str) -> None:
    mounts = ("--volume", f"{ROOT}/tests/e2e/providers_smoke.py:/smoke.py:ro", "--env", "PYTHONPATH=/opt/skillgrad/app")
    said = inside(image, PYTHON, "/smoke.py", flags=mounts)
    assert said.splitlines() == [f"{name}: {EXPECTED}" for name in MODELS]

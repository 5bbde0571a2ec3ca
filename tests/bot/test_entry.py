"""`entry/run.sh`: what it gives to Docker, and what it refuses before.

act runs the whole of it in `tests/e2e/test_act.py`.
"""

import os
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SLIM, LIBREOFFICE = "ghcr.io/owner/action@sha256:aa", "ghcr.io/owner/action@sha256:bb"
SECRET = "sk-entry-4711-secret"


def run(folder: Path, **inputs: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """The script's end, and the words of its first call of Docker, which fails: with nothing made, nothing follows."""
    action, called = folder / "action", folder / "called"
    shutil.copytree(ROOT / "entry", action / "entry")
    subprocess.run([action / "entry/pin.sh", SLIM, LIBREOFFICE], check=True, timeout=30)
    (folder / "workspace").mkdir()
    (folder / "event.json").write_text("{}")
    docker = folder / "bin/docker"
    docker.parent.mkdir()
    docker.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >> '{called}'\nexit 9\n")
    docker.chmod(0o755)
    environ = {
        "PATH": f"{docker.parent}:{os.environ['PATH']}",
        "GITHUB_ACTION_PATH": str(action),
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_WORKSPACE": str(folder / "workspace"),
        "IMAGE": "slim",
        "INPUT_RUN_FOLDER": "skillgrad-run",
        "INPUT_TOKEN": SECRET,
        "OPENAI_API_KEY": SECRET,
    }
    words = [str(action / "entry/run.sh")]
    done = subprocess.run(
        words, env=environ | inputs, cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    return done, called.read_text().splitlines() if called.exists() else []


@pytest.mark.parametrize("name", ["..", "../out", "a/../../out", "/tmp/out", "a/.."])
def test_a_run_folder_outside_the_workspace_is_refused_before_anything_starts(tmp_path: Path, name: str) -> None:
    done, called = run(tmp_path, INPUT_RUN_FOLDER=name)
    assert done.returncode == 2
    assert done.stdout.startswith("::error::input run_folder: ")
    assert called == []


@pytest.mark.parametrize("name", ["", "skillgrad-run", "out/..runs", "."])
def test_a_run_folder_inside_starts_the_image(tmp_path: Path, name: str) -> None:
    done, called = run(tmp_path, INPUT_RUN_FOLDER=name)
    assert (done.returncode, called[0]) == (9, "create")


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("slim", SLIM),
        ("libreoffice", LIBREOFFICE),
        ("registry.example/own:1", "registry.example/own:1"),
        (".*", ".*"),
        ("x|p;e touch pwned;#", "x|p;e touch pwned;#"),
    ],
)
def test_the_input_image_is_a_name_and_nothing_else(tmp_path: Path, given: str, taken: str) -> None:
    _, called = run(tmp_path, IMAGE=given)
    assert called[-1] == taken
    assert not (tmp_path / "pwned").exists()


def test_secrets_go_by_name_and_stand_on_no_command_line(tmp_path: Path) -> None:
    _, called = run(tmp_path)
    assert {"OPENAI_API_KEY", "INPUT_TOKEN"} <= {after for word, after in pairwise(called) if word == "--env"}
    assert not any(SECRET in word for word in called)

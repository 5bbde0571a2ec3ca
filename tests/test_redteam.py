"""Every attempt to leave the sandbox fails, in every way of it; and each has teeth."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import annotated_types
import pydantic
import pydantic_core
import pytest
import typing_extensions
import typing_inspection
import yaml
from filelock import FileLock

from tests.redteam.attempts import ATTEMPTS, table
from tests.support.docker_image import docker_image

ROOT = Path(__file__).parent.parent
NAMES = [attempt.name for attempt in ATTEMPTS]
ONE_BY_ONE = ("--jobs", "1")  # where it matters which of them did the harm
WEAKENED = [
    *("clean environment", "readable paths", "writable paths", "read-only tree", "own temporary folder", "network"),
    *(
        "socket families",
        "leases",
        "scopes",
        "memory",
        "memory of all",
        "processes",
        "denied calls",
        "no capabilities",
        "etc by list",
    ),
    *("file size", "watched folder", "checked result", "plain text", "cut output"),
]

REFUSED = {
    "clean environment": "environment",
    "readable paths": "a file outside its folder",
    "writable paths": "rights, times or attributes",
    "read-only tree": "rights, times or attributes",
    "own temporary folder": "names of others' temporary files",
    "network": "reached the network",
    "socket families": "reached the network",
    "scopes": "a Unix socket",
}

linux = pytest.mark.skipif(sys.platform != "linux", reason="sandlock needs Linux")


def attack(
    *arguments: str, python: str = sys.executable, cwd: Path = ROOT, user: int | None = None
) -> dict[str, dict[str, Any]]:
    """The attempts' records by name, from a process of their own that has secrets to lose."""
    done = subprocess.run(
        [python, "-m", "tests.redteam", *arguments], cwd=cwd, capture_output=True, text=True, timeout=900, check=False,
        user=user, group=user, extra_groups=None if user is None else [],
    )  # fmt: skip
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert records, done.stderr
    return {record["name"]: record for record in records}


def once(factory: pytest.TempPathFactory, *arguments: str) -> dict[str, dict[str, Any]]:
    """`attack`, once for all workers of a test run."""
    base = factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"redteam-{arguments[0]}.json"
    with FileLock(f"{shared}.lock"):
        if not shared.exists():
            shared.write_text(json.dumps(attack(*arguments)))
    records: dict[str, dict[str, Any]] = json.loads(shared.read_text())
    return records


def refused(record: dict[str, Any]) -> None:
    assert record["harm"] == [], record
    assert record["alive"], record


@linux
@pytest.mark.parametrize("name", NAMES)
def test_sandlock_refuses(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    refused(once(tmp_path_factory, "sandlock")[name])


@linux
@pytest.mark.skipif(sys.platform == "linux" and os.geteuid() != 0, reason="the tests run as an ordinary user already")
def test_sandlock_refuses_an_ordinary_users_too() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for record in attack("sandlock", python=reachable_python(folder), cwd=folder, user=1000).values():
            refused(record)


def reachable_python(folder: Path) -> str:
    """A virtual environment with what the attempts import, and a copy of the project, that any user can read."""
    import sandlock  # there on Linux alone

    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys._base_executable, f"/usr/bin/{version}"):  # type: ignore[attr-defined]
        try:
            subprocess.run([python, "-c", ""], user=1000, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        subprocess.run([python, "-m", "venv", "--without-pip", folder / "venv"], check=True)
        packages = folder / "venv" / "lib" / version / "site-packages"
        for module in (pydantic, pydantic_core, annotated_types, typing_inspection, yaml, sandlock):
            source = Path(str(module.__file__)).parent
            shutil.copytree(source, packages / source.name)
        shutil.copy(str(typing_extensions.__file__), packages)
        for room in ("skillgrad_ci", "tests"):
            shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
        folder.chmod(0o755)
        return str(folder / "venv" / "bin" / "python")
    pytest.skip(f"an ordinary user can start no {version}")


@pytest.mark.docker
@pytest.mark.parametrize("name", NAMES)
def test_docker_refuses(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    refused(once(tmp_path_factory, "docker", "--image", docker_image())[name])


def test_the_open_attempts_succeed_without_a_sandbox(tmp_path_factory: pytest.TempPathFactory) -> None:
    records = once(tmp_path_factory, "none", *ONE_BY_ONE)
    succeeded = {name for name, record in records.items() if record["harm"]}
    assert {a.name for a in ATTEMPTS if a.open and not a.privileged} <= succeeded <= set(records)
    assert succeeded == set(records) or os.geteuid() != 0


@linux
@pytest.mark.parametrize("defence", WEAKENED)
def test_attempts_succeed_when_their_defence_is_taken_away(defence: str) -> None:
    from tests.redteam.weaken import WEAKNESSES

    assert set(WEAKENED) == set(WEAKNESSES)
    weakness = WEAKNESSES[defence]
    if weakness.root and os.geteuid() != 0:
        pytest.skip("what root alone could do")
    records = attack("sandlock", *ONE_BY_ONE, "--weaken", defence, *weakness.attempts)
    assert {name for name, record in records.items() if record["harm"]} == set(weakness.attempts), records


@linux
@pytest.mark.parametrize("defence", REFUSED)
def test_the_self_test_refuses_a_way_that_leaks(defence: str) -> None:
    said = attack("sandlock", "--weaken", defence, "--self-test")["self-test"]["harm"][0]
    assert REFUSED[defence] in said


def test_there_are_enough_and_their_names_are_unique() -> None:
    assert len(NAMES) == len(set(NAMES)) >= 93


@linux
def test_with_the_network_nothing_else_is_had() -> None:
    records = attack("sandlock", "--network")
    harmful = {name for name, record in records.items() if record["harm"]}
    assert harmful - {"outside"} == {"listen", "udp", "other-families"}  # there may be no outside here
    assert all(record["alive"] for record in records.values()), records


def test_the_table_in_the_documentation_is_this_one() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    assert table() in text, "docs/security.md: replace the table of attempts by tests.redteam.attempts.table()"

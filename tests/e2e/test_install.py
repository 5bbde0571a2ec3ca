"""The install: from a clone by the Makefile, for the image by the Dockerfile's line, and as a wheel alone.

Each with the oldest pip that a promised Python brings, and as if newer releases of locked packages existed: an index
on loopback lists them. Whoever resolves, instead of reading the lock alone, takes one of them and fails.
"""

import email
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parent.parent.parent
BUNDLED = {11: "23.0.1", 12: "23.2.1"}  # pip with early releases of CPython 3; 23 does not start on 3.13
OLDEST_PIP = f"pip=={BUNDLED.get(sys.version_info.minor, '24.2')}"
TRAPS = ("coverage", "pyjwt")  # locked packages that others ask for with an extra: an old pip resolves those anew

pytestmark = pytest.mark.index


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, timeout=900, check=False,
        env={**os.environ, **(env or {})},
    )  # fmt: skip
    assert done.returncode == 0, f"{command}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture
def newer_releases(tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """The environment of an index that lists version 9999 of each trap, which is not a package."""
    for name in TRAPS:
        folder = tmp_path / "index" / name
        folder.mkdir(parents=True)
        wheel = f"{name}-9999-py3-none-any.whl"
        with zipfile.ZipFile(folder / wheel, "w") as archive:
            archive.writestr(f"{name}-9999.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 9999\n")
        (folder / "index.html").write_text(f'<a href="{wheel}">{wheel}</a>')

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(tmp_path / "index"))  # type: ignore[arg-type]

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {"PIP_EXTRA_INDEX_URL": f"http://127.0.0.1:{server.server_port}/"}
        server.shutdown()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What git has, in a folder with a space in its name."""
    folder = tmp_path / "a clone"
    names = run("git", "ls-files", "-z", cwd=ROOT).split("\0")
    for name in filter(None, names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


def environment(folder: Path) -> Path:
    """A virtual environment whose pip is the oldest."""
    run(sys.executable, "-m", "venv", folder, cwd=folder.parent)
    run(folder / "bin" / "pip", "install", "--quiet", OLDEST_PIP, cwd=folder.parent)
    return folder / "bin"


def test_a_clone_installs_from_its_lock_alone(clone: Path, newer_releases: Mapping[str, str]) -> None:
    bin_folder = environment(clone / ".venv")
    run("make", "setup", f"PYTHON={sys.executable}", cwd=clone, env=newer_releases)
    assert "pip 23.0.1" in run(bin_folder / "pip", "--version", cwd=clone)
    run(bin_folder / "pip", "check", cwd=clone)
    assert "optimize" in run(bin_folder / "skillgrad-ci", "--help", cwd=clone)


def test_the_images_packages_come_from_the_lock_alone(tmp_path: Path, newer_releases: Mapping[str, str]) -> None:
    line = re.search(r"pip install (.*) -r /src/requirements\.lock", (ROOT / "Dockerfile").read_text())
    assert line is not None
    bin_folder = environment(tmp_path / "venv")
    flags = line[1].split()
    run(bin_folder / "pip", "install", *flags, "-r", ROOT / "requirements.lock", cwd=tmp_path, env=newer_releases)
    run(bin_folder / "pip", "check", cwd=tmp_path)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    run(sys.executable, "-m", "uv", "build", "--wheel", "--no-build-isolation", "--out-dir", tmp_path, cwd=ROOT)
    (made,) = tmp_path.glob("*.whl")
    return made


def test_an_older_python_is_named_and_no_package_that_it_lacks(wheel: Path) -> None:
    """pip looks for what a wheel asks for before it looks at the Python, unless nothing is asked for on that one."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        said = email.message_from_bytes(archive.read(name))
    asked = [Requirement(text) for text in said.get_all("Requires-Dist", [])]
    floor = SpecifierSet(said["Requires-Python"])
    for version in ("3.8", "3.10", "3.11", "3.12", "3.14"):
        wanted = [one.name for one in asked if one.marker and one.marker.evaluate({"python_version": version})]
        assert bool(wanted) == (version in floor)
    assert all(one.marker for one in asked)


def test_a_wheel_installs_alone_and_plays_the_demo(tmp_path: Path, wheel: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    bin_folder = tmp_path / "venv" / "bin"
    run(bin_folder / "pip", "install", "--quiet", wheel, cwd=tmp_path)
    command = bin_folder / "skillgrad-ci"
    assert "demo" in run(command, "--help", cwd=tmp_path)
    said = run(command, "demo", cwd=tmp_path)
    assert "Heldout accuracy rose from" in said
    assert "This is a rehearsal" in said
    assert (tmp_path / "skillgrad-demo" / ".skillgrad.yml").is_file()

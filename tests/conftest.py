"""What a test needs of the machine: it is skipped with a reason where that is missing.

With SKILLGRAD_REQUIRE_ALL=1 (the project's own CI) a skip is a failure.
"""

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent

if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are started with it ignored
os.environ.pop("COLUMNS", None)  # parallel workers are told 80; a test that means a width says it
settings.register_profile("any machine", deadline=None)  # a busy machine is not a failure
settings.load_profile("any machine")
if "SKILLGRAD_MESSAGES" in os.environ:  # `make messages`; without it, nothing is imported for that
    from tests.messages.recorder import watch_where_asked

    watch_where_asked()


def _libreoffice() -> str | None:
    if shutil.which("soffice") is None:
        return "LibreOffice is not installed: install libreoffice-calc and python3-uno"
    return None


def _docker() -> str | None:
    try:
        answer = subprocess.run(["docker", "info"], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "no Docker: install Docker Engine and start it"
    return None if answer.returncode == 0 else "the Docker daemon does not answer: start it"


def _browser() -> str | None:
    return None if shutil.which("chromium") else "no Chromium: install chromium"


_NEEDS = {"libreoffice": _libreoffice, "docker": _docker, "browser": _browser}
_missing: dict[str, str | None] = {}


def _require_all() -> bool:
    return os.environ.get("SKILLGRAD_REQUIRE_ALL") == "1"


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, check in _NEEDS.items():
        if item.get_closest_marker(marker):
            if marker not in _missing:
                _missing[marker] = check()
            if reason := _missing[marker]:
                pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and _require_all():
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder with real samples of SpreadsheetBench and WikiTableQuestions; skipped without it."""
    folder = Path(os.environ.get("SKILLGRAD_SAMPLES", ROOT.parent / "shared" / "data"))
    if not (folder / "spreadsheetbench" / "dataset.json").is_file():
        pytest.skip(f"no benchmark samples at {folder}: set SKILLGRAD_SAMPLES")
    return folder

"""Ctrl-C while the program is still being loaded ends it as a shell expects it, and shows nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Presses Ctrl-C when a module is looked for: the moment is exact, however slow the machine is.
PRESS = """
import os, runpy, signal, sys

class Press:
    def find_spec(self, name, path=None, target=None):
        if name == WHEN:
            os.kill(os.getpid(), signal.SIGINT)

WHEN = sys.argv.pop(1)
sys.modules.pop(WHEN, None)
sys.meta_path.insert(0, Press())
runpy.run_module("skillgrad_ci", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    "when", ["argparse", "traceback", "skillgrad_ci.commands", "skillgrad_ci.commands.flags", "skillgrad_ci.errors"]
)
def test_an_interrupt_while_modules_are_loaded_shows_nothing(when: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRESS, when, "lint", "."], cwd=ROOT, capture_output=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_an_interrupt_while_a_command_is_loaded_says_so_in_one_line() -> None:
    command = [sys.executable, "-c", PRESS, "skillgrad_ci.commands.lint", "lint", "."]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (1, b"skillgrad-ci: interrupted\n")

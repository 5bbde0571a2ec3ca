"""The program ends when its command has, whatever a thread that was left is doing, and all its output is written."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROGRAM = "from skillgrad_ci.__main__ import entry_point\nentry_point()\n"

# A thread imports a module that is never done, and what the interpreter takes apart at its end asks for it too.
LEFT = f"""
import sys, threading
sys.path.insert(0, sys.argv.pop(1))

class Left:
    def __del__(self):
        import never

def start():
    import never

left = Left()
left.itself = left  # so that the collector finds it, at the end
threading.Thread(target=start, daemon=True).start()
while "never" not in sys.modules:
    pass
del left
{PROGRAM}"""


def _run(code: str, *arguments: str, stdout: int = subprocess.PIPE) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, timeout=120)


def test_a_thread_that_is_left_in_an_import_holds_nothing_up(tmp_path: Path) -> None:
    (tmp_path / "never.py").write_text("import time\nwhile True:\n    time.sleep(1)\n")
    done = _run(LEFT, str(tmp_path), "lint", str(tmp_path))
    assert done.returncode == 2
    assert done.stdout.endswith("1 error, 0 warnings in 1 skill\n")


def test_exit_functions_run() -> None:
    late = "import atexit\nfrom skillgrad_ci import __main__\n"
    late += "__main__.main = lambda: atexit.register(print, 'an exit function ran') and 3\n__main__.entry_point()\n"
    done = _run(late)
    assert (done.returncode, done.stdout) == (3, "an exit function ran\n")


def test_arguments_that_cannot_be_read_end_it_too() -> None:
    assert _run(PROGRAM, "no-such-command").returncode == 2


def test_output_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "SKILL.md").write_text("---\nname: greeter\ndescription: Use it to greet.\n---\n\n# Greet\n")
    with Path("/dev/full").open("w") as full:
        done = _run(PROGRAM, "lint", str(tmp_path), stdout=full.fileno())
    assert done.returncode == 1
    assert "No space left on device" in done.stderr

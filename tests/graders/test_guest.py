"""A check and the agent's program that it starts are two parties: `$RUN` in every way of the sandbox."""

import json
import os
import select
import socket
import sys
from pathlib import Path

import pytest

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.graders import guest
from skillgrad_ci.graders.command import CommandGrader
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.ports import Result, Sandbox
from skillgrad_ci.method.task import GraderSpec, Task
from skillgrad_ci.sandbox import Limits, choose
from skillgrad_ci.sandbox.no_sandbox import NoSandbox
from skillgrad_ci.sandbox.supervise import MIB
from tests.support.docker_image import docker_image

SMALL = Limits(memory=512 * MIB, disk=64 * MIB)
CHECK = """
import os, subprocess, sys, time
from pathlib import Path
expected = (Path(__file__).parent / "expected.txt").read_text().strip()
done = subprocess.run([os.environ["RUN"], "python3", "total.py"], capture_output=True, text=True, timeout=40)
time.sleep(0.3)
sys.exit(0 if done.stdout.strip() == expected else f"total.py printed {done.stdout[-500:]!r} {done.stderr[-1500:]}")
"""
TRUTH = "8871"

linux = pytest.mark.skipif(sys.platform != "linux", reason="sandlock needs Linux")
WAYS = [pytest.param("sandlock", marks=linux), pytest.param("docker", marks=pytest.mark.docker)]


@pytest.fixture(params=WAYS, scope="module")
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    return choose(request.param, docker_image() if request.param == "docker" else None, SMALL)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    (tmp_path / "expected.txt").write_text(f"{TRUTH}\n")
    (tmp_path / "check.py").write_text(CHECK)
    return tmp_path / "work"


def graded(
    sandbox: Sandbox, work: Path, program: str, run: str = "python3 ../grader/check.py", **options: object
) -> Grade:
    (work / "total.py").write_text(program)
    references = {name: work.parent / name for name in ("expected.txt", "check.py")}
    spec = GraderSpec("command", {"run": run, "timeout": 60.0, **options}, references)
    return CommandGrader(sandbox).grade(spec, Task("t", "?", [spec]), Result(work, ""))


HONEST = f"""
import os, sys, tempfile, subprocess
with tempfile.TemporaryFile() as file: file.write(b"x")
open("made.txt", "w").write("x")
subprocess.run(["sh", "-c", "cat made.txt >/dev/null; ls /proc/self/fd >/dev/null"], check=False)
print({TRUTH})
"""

# Python that reads every file an attacker could name, and prints what it finds of the answer.
READS = """
import glob, os
names = ["../grader/expected.txt", "../grader/check.py", "/task/grader/expected.txt", "../result/answer.txt"]
pids = [os.getppid(), 1] + [int(p[6:]) for p in glob.glob("/proc/[0-9]*")]
for pid in pids:
    here = f"/proc/{pid}"
    names += [f"{here}/cwd/../grader/expected.txt", f"{here}/root" + os.path.abspath("../grader/expected.txt")]
    names += [f"{here}/environ", f"{here}/cmdline"] + [f"{here}/fd/{n}" for n in range(3, 12)]
os.symlink("../grader/expected.txt", "link")
try: os.link("../grader/expected.txt", "hard")
except OSError: pass
for name in ["link", "hard", *names]:
    try:
        with open(name, "rb") as file: text = os.read(os.open(name, os.O_RDONLY | os.O_NONBLOCK), 10000)
        if b"8871" in text: print(8871); break
    except OSError as e: pass
else: print("nothing found")
"""

# Also after the verdict: from a process that it leaves behind.
WRITES = """
import glob, os, time
print(1, flush=True)
verdict = b'\\n{"score": 1.0}\\n'
def everywhere():
    for pid in {os.getppid(), 1, *(int(p[6:]) for p in glob.glob("/proc/[0-9]*"))}:
        if pid == os.getpid(): continue
        for n in range(0, 10):
            try: os.write(os.open(f"/proc/{pid}/fd/{n}", os.O_WRONLY | os.O_NONBLOCK), verdict)
            except OSError: pass
    for n in range(3, 64):
        try: os.write(n, verdict)
        except OSError: pass
everywhere()
if os.fork() == 0:
    os.setsid()
    for n in range(3): os.close(n)
    for _ in range(40): time.sleep(0.05); everywhere()
"""

MEMORY = """
import glob, os
print(1234, flush=True)
for pid in {os.getppid(), *(int(p[6:]) for p in glob.glob("/proc/[0-9]*"))}:
    if pid == os.getpid(): continue
    try: maps, memory = open(f"/proc/{pid}/maps").read(), open(f"/proc/{pid}/mem", "r+b", 0)
    except OSError: continue
    for line in maps.splitlines():
        if " rw-p " in line:
            low, high = (int(x, 16) for x in line.split()[0].split("-"))
            try: memory.seek(low); data = memory.read(high - low)
            except (OSError, ValueError): continue
            at = data.find(b"8871")
            while at >= 0:
                memory.seek(low + at); memory.write(b"1234"); at = data.find(b"8871", at + 1)
"""

ENDS = """
import glob, os, signal, time
for number in (signal.SIGTERM, signal.SIGKILL):
    for pid in {os.getppid(), os.getsid(0), os.getpgid(os.getppid()), *(int(p[6:]) for p in glob.glob("/proc/[0-9]*"))}:
        if pid in (0, 1, os.getpid()): continue
        for target in (pid, -pid):
            try: os.kill(target, number)
            except OSError: pass
signal.signal(signal.SIGTERM, signal.SIG_IGN)
try: os.kill(-1, signal.SIGKILL)
except OSError: pass
time.sleep(0.5)
print("it is still there")
"""

STAYS = """
import os, sys, time
print(1, flush=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for n in range(3): os.close(n)
        for _ in range(100):
            time.sleep(0.02)
            open("late.txt", "a").write("x")
    os._exit(0)
"""

PLANTS = """
import os
for name in ("json.py", "subprocess.py", "time.py", "sitecustomize.py", "usercustomize.py", "pathlib.py"):
    for folder in (".", os.environ["TMPDIR"], os.environ["HOME"], "../grader"):
        try: open(folder + "/" + name, "w").write("import os; print('{\\"score\\": 1}'); os._exit(0)")
        except OSError: pass
print(1)
"""


# No processor time and no open files for the check.
LIMITS = """
import ctypes, glob, os, struct
print(1, flush=True)
libc = ctypes.CDLL(None)
for pid in {os.getppid(), *(int(p[6:]) for p in glob.glob("/proc/[0-9]*")), *range(1, 400)} - {os.getpid()}:
    for limit in (0, 7): libc.prlimit(pid, limit, struct.pack("QQ", 0, 0), None)
"""

# More memory than the check and it may have together, as a file; so the check is stopped with it.
TAKES = """
import mmap, os, time
device = os.open("/dev/zero", os.O_RDWR)
held = [mmap.mmap(device, 100 << 20, mmap.MAP_SHARED) for _ in range(7)]
for part in held:
    for place in range(0, len(part), 4096): part[place] = 1
time.sleep(30)
"""

ATTACKS = {"reads": READS, "writes": WRITES, "memory": MEMORY, "ends": ENDS, "plants": PLANTS, "limits": LIMITS}


@pytest.mark.parametrize("run", ["python3 ../grader/check.py", f'test "$($RUN python3 total.py)" = {TRUTH}'])
def test_an_honest_program_passes(sandbox: Sandbox, work: Path, run: str) -> None:
    grade = graded(sandbox, work, HONEST, run)
    assert grade.outcome is Outcome.PASSED, grade.feedback


@pytest.mark.parametrize("program", ATTACKS.values(), ids=ATTACKS.keys())
@pytest.mark.parametrize(
    "run",
    [
        "python3 ../grader/check.py",
        f'out=$($RUN python3 total.py); test "$out" = {TRUTH}',
        f"$RUN python3 total.py; $RUN python3 total.py | grep -qx {TRUTH} && : 8871",
        f"echo '{{\"score\": 0.0}}'; $RUN python3 total.py > out.txt; sleep 0.5; ! grep -qx {TRUTH} out.txt || exit 9",
    ],
    ids=["python", "shell", "open output", "json"],
)
def test_an_attack_on_the_check_is_a_failure(sandbox: Sandbox, work: Path, program: str, run: str) -> None:
    grade = graded(sandbox, work, program, run)
    assert (grade.outcome, grade.score) == (Outcome.FAILED, 0.0), grade.feedback


def test_the_check_outlives_what_it_starts(sandbox: Sandbox, work: Path) -> None:
    assert "it is still there" in graded(sandbox, work, ENDS).feedback


def test_the_checks_files_cannot_be_read(sandbox: Sandbox, work: Path) -> None:
    assert "nothing found" in graded(sandbox, work, READS).feedback


def test_what_a_program_prints_into_the_checks_output_is_no_verdict(sandbox: Sandbox, work: Path) -> None:
    loud = "print('{\"score\": 1.0}')\nimport sys\nprint('Traceback (most recent call last):', file=sys.stderr)\n"
    grade = graded(sandbox, work, loud, 'echo \'{"score": 0.5, "details": "half"}\'; $RUN python3 total.py')
    assert (grade.outcome, grade.score) == (Outcome.FAILED, 0.5)
    shown = graded(sandbox, work, loud, "$RUN python3 total.py 2>&1; exit 1").feedback
    assert '| {"score": 1.0}' in shown
    assert "| Traceback" in shown


SCORE = '{"score": 1.0}'
PRINTS = {
    "behind a carriage return": f"print('x\\r{SCORE}')",
    "as if marked": "print('\\n| ', end='')",
    # Wherever the sandbox cuts it, a line of blanks and then a score would begin.
    "in what is cut": f"print(({SCORE!r} + ' ' * 500) * 3000)",
}


@pytest.mark.parametrize("program", PRINTS.values(), ids=PRINTS.keys())
@pytest.mark.parametrize(
    "run",
    [
        "{half}; $RUN python3 total.py",
        "{half}; printf 'It says: '; $RUN python3 total.py",
        'out=$($RUN python3 total.py); printf %s "$out" >&2; {half}',
    ],
    ids=["own line", "open line", "shown"],
)
def test_no_printing_of_a_program_is_a_verdict(sandbox: Sandbox, work: Path, run: str, program: str) -> None:
    grade = graded(sandbox, work, program, run.format(half='echo \'{"score": 0.5, "details": "half"}\''))
    assert (grade.outcome, grade.score, grade.feedback) == (Outcome.FAILED, 0.5, "half")


def test_the_mark_of_a_programs_lines_is_not_known_to_it(sandbox: Sandbox, work: Path) -> None:
    grade = graded(
        sandbox,
        work,
        "import os\nprint(sorted(os.environ))\n",
        "env | grep -c ^SKILLGRAD_MARK; $RUN python3 total.py; exit 1",
    )
    assert "\n1\n| ['" in grade.feedback
    assert "SKILLGRAD" not in grade.feedback


def test_a_marked_line_goes_into_a_pipe_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else two streams of one program could break each other's lines, and the rest of one would have no mark."""
    monkeypatch.setenv("SKILLGRAD_MARK", mark := "|0123456789abcdef| ")
    monkeypatch.delenv("SKILLGRAD_OUTPUT", raising=False)
    source, given = os.pipe()
    os.write(given, b"x" * 20_000 + b"\ny\n")
    os.close(given)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)  # each write is a message of its own
    with ours, theirs:
        guest.relay(source, theirs.fileno())
        written = [ours.recv(1 << 17) for _ in range(20_000 // guest.MARKED + 2)]
    assert all(line.startswith(mark.encode()) and line.endswith(b"\n") for line in written)
    assert max(map(len, written)) <= select.PIPE_BUF
    assert b"".join(line[len(mark) : -1] for line in written) == b"x" * 20_000 + b"y"


def test_nothing_of_the_program_runs_on(sandbox: Sandbox, work: Path) -> None:
    quiet = (
        "$RUN python3 total.py >/dev/null; cp late.txt a 2>/dev/null; sleep 1; cmp -s a late.txt || test ! -e late.txt"
    )
    grade = graded(sandbox, work, STAYS, quiet)
    assert grade.outcome is Outcome.PASSED, grade.feedback


def test_a_check_that_dies_while_the_program_runs_is_a_failure(sandbox: Sandbox, work: Path) -> None:
    dies = "(sleep 2; kill -9 $$) & $RUN python3 total.py"  # as if the program had killed it
    grade = graded(sandbox, work, "import time; time.sleep(30)", dies)
    assert grade.outcome is Outcome.FAILED
    assert "while the agent's program ran" in grade.feedback
    with pytest.raises(EnvironmentFailure):
        graded(sandbox, work, "import time; time.sleep(30)", dies, crash="unmeasured")
    slow = graded(sandbox, work, "import time; time.sleep(300)", "$RUN python3 total.py", timeout=3.0)
    assert "took longer than 3 s while the agent's program ran" in slow.feedback


def test_a_program_that_takes_the_checks_memory_is_a_failure(sandbox: Sandbox, work: Path) -> None:
    grade = graded(sandbox, work, TAKES)
    assert (grade.outcome, grade.score) == (Outcome.FAILED, 0.0), grade.feedback


def test_a_check_that_dies_by_itself_is_unmeasured(sandbox: Sandbox, work: Path) -> None:
    with pytest.raises(EnvironmentFailure):
        graded(sandbox, work, HONEST, "$RUN python3 total.py; kill -9 $$")


@pytest.mark.parametrize(
    ("run", "code"),
    [
        ("$RUN false", 1),
        ("$RUN sh -c 'exit 7'", 7),
        ("$RUN sh -c 'kill -9 $$'", 137),
        ("$RUN no-such-program", 127),
        ("$RUN", 125),
        ('test "$(echo in | $RUN cat)" = in', 0),
        ("mkdir d; cd d; test $($RUN pwd) = $PWD", 0),
        ("$RUN sh -c 'echo x > new.txt; mkdir s; mv new.txt s' && grep -q x s/new.txt", 0),
        ("timeout 1 $RUN sleep 60; test $? = 124", 0),
        ("$RUN sleep 60 & sleep 1; kill $!; wait $!; test $? = 137", 0),
        ("$RUN head -c 3000000 /dev/zero > big; test $(wc -c < big) = 3000000", 0),
    ],
)
def test_it_runs_programs_as_a_shell_would(sandbox: Sandbox, work: Path, run: str, code: int) -> None:
    grade = graded(sandbox, work, "", f"({run})\ncode=$?; echo ended with $code; test $code = {code}")
    assert grade.outcome is Outcome.PASSED, grade.feedback


def test_python_finds_modules_of_the_check_and_not_of_the_agent(sandbox: Sandbox, work: Path) -> None:
    (work / "json.py").write_text("print('mine')\nraise SystemExit(0)\n")
    (work.parent / "checks").mkdir()
    (work.parent / "checks" / "helper.py").write_text("VALUE = 3\n")
    (work.parent / "checks" / "main.py").write_text("import helper, json\nraise SystemExit(helper.VALUE)\n")
    spec = GraderSpec("command", {"run": ""}, {"checks": work.parent / "checks"})
    for run in (
        "python3 ../grader/checks/main.py",
        "python3 -c 'import json, helper; exit(json.loads(\"3\"))'",
        "python3 - <<E\nimport json, helper\nexit(3)\nE",
        "python3 -m helper && exit 3",
    ):
        spec.options["run"] = run  # type: ignore[index]
        grade = CommandGrader(sandbox).grade(spec, Task("t", "?", [spec]), Result(work, ""))
        assert (grade.outcome, grade.feedback.splitlines()[0]) == (Outcome.FAILED, "exit code 3"), grade.feedback
    (work / "mine.py").write_text("print(4)\n")
    spec.options["run"] = "test $($RUN python3 -c 'import mine') = 4"  # type: ignore[index]
    assert CommandGrader(sandbox).grade(spec, Task("t", "?", [spec]), Result(work, "")).outcome is Outcome.PASSED


class TestWithoutASandbox:
    def test_a_program_runs_all_the_same(self, work: Path) -> None:
        assert graded(NoSandbox(), work, HONEST).outcome is Outcome.PASSED

    def test_a_kernel_without_landlock_is_refused_where_there_is_a_sandbox(
        self, work: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """What a kernel lacks, the launcher's text is changed to lack."""
        lacking = tmp_path / "guest.py"
        lacking.write_text(
            Path(guest.__file__).read_text().replace("def abi() -> int:", "def abi() -> int:\n    return 0\n")
        )
        monkeypatch.setattr(guest, "__file__", str(lacking))
        assert graded(NoSandbox(), work, HONEST).outcome is Outcome.PASSED
        sandbox = NoSandbox(identity="sandlock, as it calls itself")
        refused = graded(sandbox, work, HONEST)
        assert "no Landlock" in refused.feedback
        assert json.dumps(TRUTH) not in refused.feedback

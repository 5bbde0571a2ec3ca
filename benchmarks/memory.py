"""What ten thousand tasks take: the journal's opening, the evidence of all of them, and their report.

    python -m benchmarks.memory

Each record holds what an agent with ten commands leaves, 28 KB, and its trajectory lies in the run folder. Processor
seconds, not the clock's; bytes are those of the largest moment of the process, which has the models' library loaded, as
a run has.
"""

import os
import tempfile
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from skillgrad_ci.config.settings import Models, Settings
from skillgrad_ci.method.evidence import Evidence, Outcome, Trajectory
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.run import Run
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import GraderSpec, Split, Suite, Task
from skillgrad_ci.models.litellm_library import litellm
from skillgrad_ci.report.pages import write_run
from skillgrad_ci.report.report import Circumstances, report_of
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.journal.file_journal import EVIDENCE, FileJournal
from skillgrad_ci.session.journal.recalled import recall_evidence
from skillgrad_ci.session.trajectories.kept import keep_in
from tests.support.worlds import SKILL

OUTPUT = 2_000  # characters of a command's output
COMMANDS = 10
SPLITS = [Split.TRAIN] * 5 + [Split.VALIDATION] * 2 + [Split.HELDOUT] * 3


@dataclass(frozen=True)
class Measured:
    """Processor seconds, and bytes: of the process, and of the page."""

    executions: int
    opened: float
    held: int
    reported: float
    largest: int
    page: int

    @property
    def rows(self) -> str:
        """As rows of a table."""
        return "\n".join(
            f"| {what} | {figure} |"
            for what, figure in (
                (f"a journal of {self.executions:,} executions is opened", f"{self.opened:.1f} s of processor time"),
                ("the largest moment of the process, with all their evidence", f"{self.held / 1e6:.0f} MB"),
                ("their report is made and written", f"{self.reported:.1f} s of processor time"),
                ("the largest moment of the process, with the report", f"{self.largest / 1e6:.0f} MB"),
                ("the page", f"{self.page / 1e6:.2f} MB"),
            )
        )


def executed(number: int) -> Evidence:
    """A failed execution of ten commands, or a passed one."""
    command = {"kind": "tool_call", "id": "1", "tool": "shell", "arguments": {"command": "c" * (OUTPUT // 10)}}
    result = {"kind": "tool_result", "id": "1", "tool": "shell", "output": "o" * OUTPUT, "exit_code": 0}
    outcome = Outcome.PASSED if number % 2 else Outcome.FAILED
    seen = Trajectory([command, result] * COMMANDS, "Done.", COMMANDS)
    return Evidence(f"task-{number}", SKILL.digest, outcome, float(number % 2), "cell A1 is wrong", seen, versions="v")


def fill(folder: Path, number: int) -> None:
    """A journal of so many executions, each with five calls that were paid."""
    with FileJournal(folder) as journal:
        keep = keep_in(folder, Redactor())
        for one in range(number):
            journal.record(f"{one:064}", "execution", {"evidence": EVIDENCE.dump_python(executed(one))})
            keep("base", executed(one))
            for call in range(5):
                journal.record(f"{call}-{one:030}", "spent", {"role": "executor", "spent": {"calls": 1}})


def measure(number: int = 10_000) -> Measured:
    """Of this process; the journal is written by another one, which nobody counts."""
    litellm()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if (child := os.fork()) == 0:
            os.fsync = lambda _: None  # the benchmark does not wait for the disk
            fill(folder, number)
            os._exit(0)
        os.waitpid(child, 0)
        began = time.process_time()
        with FileJournal(folder) as journal:
            opened = time.process_time() - began
            rows = [recall_evidence(journal, key) for key in journal.replayed_of("execution")]
            held = peak()
            began = time.process_time()
            page = page_of(rows, folder)
            return Measured(number, opened, held, time.process_time() - began, peak(), page)


def peak() -> int:
    """Bytes of this process at its largest moment so far.

    Linux starts `VmHWM` anew where a program starts; `ru_maxrss` of getrusage keeps the peak of who started it.
    """
    status = Path("/proc/self/status").read_text("ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024


def page_of(rows: Sequence[Evidence], folder: Path) -> int:
    """Write the report of a base run that ended so. Returns the bytes of its page."""
    run = Run(SKILL, SKILL, SKILL, suite_of(len(rows)), LoopSettings(), PatternMemory("s"), baseline=rows)
    around = Circumstances(Settings(models=Models(executor="p/m")), "skills/s", "evals/s", "none", "x")
    return write_run(folder, run, report_of(run, around), Redactor())["report.html"].stat().st_size


def held_by(number: int) -> int:
    """Bytes, by the allocator, that an open journal and the evidence of `number` executions hold."""
    with tempfile.TemporaryDirectory() as name:
        fill(Path(name), number)
        tracemalloc.start()
        try:
            with FileJournal(Path(name)) as journal:
                rows = [recall_evidence(journal, key) for key in journal.replayed_of("execution")]
                assert len(rows) == number
                return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()


def suite_of(number: int) -> Suite:
    """The tasks of these executions."""
    tasks = [
        Task(f"task-{one}", f"Do the task {one}.", [GraderSpec("text")], split=SPLITS[one % 10])
        for one in range(number)
    ]
    return Suite("s", "native", Path("evals"), tasks)


def table() -> str:
    """As Markdown."""
    return f"| what | figure |\n| --- | --- |\n{measure().rows}"


if __name__ == "__main__":
    print(table())

"""How many model calls a second a measurement makes, and what a call takes of the processors: in the real sandbox.

    python -m benchmarks.throughput

Each task is five calls and four commands. The provider answers after half a second, in a process of its own. The ideal
is that many calls in flight at all times; processor time is that of the program and of its sandbox.
"""

import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.config.settings import Settings
from skillgrad_ci.sandbox import nursery
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.evaluation import WITH, evaluate
from skillgrad_ci.session.inputs import read_inputs
from skillgrad_ci.session.open_run import open_run
from skillgrad_ci.session.parts import StopRequest
from tests.support.scripted_answers import Answer, Call, Reply
from tests.support.scripted_server import serve

LATENCY = 0.5  # seconds of a reply
COMMANDS = 4
CALLS = COMMANDS + 1  # of a task
TICKS = os.sysconf("SC_CLK_TCK")  # of a processor second, as the system tells them
READY = "Reply with the word ready."
SKILL = "---\nname: counter\ndescription: Use it to count.\n---\n\n# Counting\n\nCount on.\n"
TASK = "  - {{id: t{0}, instruction: Count {0}., grader: {{type: text, output: count.txt, contains: [turn 3]}}}}\n"


@dataclass(frozen=True)
class Measured:
    """What a measurement took: seconds, and processor seconds in user and in system mode."""

    workers: int
    calls: int
    passed: int
    seconds: float
    user: float
    system: float

    @property
    def row(self) -> str:
        """A row of the table."""
        rate, ideal = self.calls / self.seconds, self.workers / LATENCY
        user, system = 1000 * self.user / self.calls, 1000 * self.system / self.calls
        return f"| {self.workers} | {rate:.1f} | {ideal:.0f} | {rate / ideal:.2f} | {user:.1f} | {system:.1f} |"


HEAD = (
    "| at once | calls a second | ideal | share | ms of user time a call | ms of system time a call |\n"
    + "| --- " * 6
    + "|"
)


def _serve(told: Connection, latency: float) -> None:
    def answer(request: dict[str, Any]) -> Answer:
        turn = sum(message["role"] == "assistant" for message in request["messages"])
        if READY in str(request["messages"]):
            return Reply("ready")
        time.sleep(latency)
        if turn == COMMANDS:
            return Reply("Done.")
        return Reply("", [Call("shell", {"command": f"echo turn {turn} >> count.txt; cat count.txt"})])

    with serve(answer) as server:
        told.send(server.url)
        told.recv()


@contextmanager
def provider(latency: float) -> Iterator[str]:
    """The address of a provider in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, latency), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("")
        process.join()


def _processor() -> tuple[float, float]:
    """Processor seconds of this process, of its children that ended, and of the processes that it makes cells from."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    user, system = sum(one.ru_utime for one in used), sum(one.ru_stime for one in used)
    for pid in nursery.processes():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
        own_user, own_system, ended_user, ended_system = (int(field) / TICKS for field in fields)
        user, system = user + own_user + ended_user, system + own_system + ended_system
    return user, system


def measure(workers: int, tasks: int, latency: float = LATENCY, sandbox: str = "auto") -> Measured:
    """Measure a skill on `tasks` tasks, after one that is not counted."""
    os.environ.setdefault("OPENAI_API_KEY", "scripted-key-for-benchmarks")
    with tempfile.TemporaryDirectory() as name, provider(latency) as url:
        root = Path(name).resolve()
        (root / "counter").mkdir()
        (root / "counter/SKILL.md").write_text(SKILL)
        (root / "tasks.yaml").write_text("version: 1\ntasks:\n" + "".join(map(TASK.format, range(tasks + 1))))
        models = {"executor": "openai/scripted", "api_base": url}
        settings = Settings.model_validate({"models": models, "sandbox": sandbox, "concurrency": workers})
        inputs = read_inputs(SkillRun(root / "counter", root / "tasks.yaml", settings, root))
        with open_run(inputs, root / "out", lambda _: None, StopRequest(), Redactor()) as run:
            suite = run.suite
            evaluate({WITH: inputs.skill}, replace(suite, tasks=suite.tasks[:1]), 1, run.rollout, run.each)
            before, began, calls = _processor(), time.monotonic(), run.ledger.spent.calls
            done = evaluate({WITH: inputs.skill}, replace(suite, tasks=suite.tasks[1:]), 1, run.rollout, run.each)
            seconds, after = time.monotonic() - began, _processor()
            passed = sum(row.passed for row in done.arms[WITH])
            user, system = (end - begin for end, begin in zip(after, before, strict=True))
            return Measured(workers, run.ledger.spent.calls - calls, passed, seconds, user, system)


def table() -> str:
    """Four, sixteen and sixty-four executions at once, as Markdown."""
    return "\n".join([HEAD, *(measure(workers, 5 * workers).row for workers in (4, 16, 64))])


if __name__ == "__main__":
    print(table())

"""How many model calls a second a measurement makes, and what a call takes of the processors: in the real sandbox.

    python -m benchmarks.throughput

Each task is five calls and four commands. The provider answers after a quarter to three quarters of a second, half a
second in the mean, in a process of its own: with one latency for all, the executions would go in step, and each call
would wait for all others. What is told is of the time until the last task begins, for as long as there is work for all.
The ideal is that many calls in flight at all times; processor time is that of the program and of its sandbox.
"""

import multiprocessing
import os
import re
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.config.settings import Settings
from skillgrad_ci.method.budget import Ledger
from skillgrad_ci.method.events import Event, Executing
from skillgrad_ci.sandbox import nursery
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.evaluation import WITH, evaluate
from skillgrad_ci.session.inputs import read_inputs
from skillgrad_ci.session.open_run import open_run
from skillgrad_ci.session.parts import StopRequest
from tests.support.scripted_answers import Answer, Call, Reply
from tests.support.scripted_server import serve

LATENCY = 0.5  # seconds of a reply, in the mean
GOLDEN = 0.6180339887  # its multiples' fractions are spread evenly, however many there are
MODELS = {"openai": "openai/gpt-5.4", "anthropic": "anthropic/claude-sonnet-4-5"}  # names that litellm knows
COMMANDS = 4
CALLS = COMMANDS + 1  # of a task
TICKS = os.sysconf("SC_CLK_TCK")  # of a processor second, as the system tells them
INSTRUCTION = re.compile(r"Count (\d+)\.")
READY = "Reply with the word ready."
SKILL = "---\nname: counter\ndescription: Use it to count.\n---\n\n# Counting\n\nCount on.\n"
TASK = "  - {{id: t{0}, instruction: Count {0}., grader: {{type: text, output: count.txt, contains: [turn 3]}}}}\n"


@dataclass(frozen=True)
class Measured:
    """Calls and passed tasks of the whole measurement.

    The other figures are of the time in which there was work for all: calls, seconds, and processor seconds in user and
    in system mode.
    """

    form: str
    workers: int
    calls: int
    passed: int
    busy: "Moment"

    @property
    def row(self) -> str:
        """A row of the table."""
        busy, ideal = self.busy, self.workers / LATENCY
        rate, user, system = busy.calls / busy.seconds, 1000 * busy.user / busy.calls, 1000 * busy.system / busy.calls
        told = (f"{rate:.1f}", f"{ideal:.0f}", f"{rate / ideal:.2f}", f"{user:.1f}", f"{system:.1f}")
        return f"| {' | '.join((self.form, str(self.workers), *told))} |"


@dataclass(frozen=True)
class Moment:
    """Calls that were paid, and seconds by the clock and of the processors; or how much of each came in between."""

    calls: int
    seconds: float
    user: float
    system: float

    def since(self, before: "Moment") -> "Moment":
        """What came after `before`."""
        pairs = zip(astuple(self), astuple(before), strict=True)
        return Moment(*(after - first for after, first in pairs))


HEAD = (
    "| form | at once | calls a second | ideal | share | ms of user time a call | ms of system time a call |\n"
    + "| --- " * 7
    + "|"
)


def _serve(told: Connection, latency: float) -> None:
    def answer(request: dict[str, Any]) -> Answer:
        said = str(request["messages"])
        if READY in said:
            return Reply("ready")
        turn = sum(message["role"] == "assistant" for message in request["messages"])
        task = int(INSTRUCTION.findall(said)[0])
        time.sleep(latency * (0.5 + (task * CALLS + turn) * GOLDEN % 1))
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


def measure(
    workers: int, tasks: int, latency: float = LATENCY, sandbox: str = "auto", form: str = "openai"
) -> Measured:
    """Measure a skill on `tasks` tasks, after one that is not counted, with a model of this provider's form."""
    os.environ.setdefault(f"{form.upper()}_API_KEY", "scripted-key-for-benchmarks")
    with tempfile.TemporaryDirectory() as name, provider(latency) as url:
        root = Path(name).resolve()
        (root / "counter").mkdir()
        (root / "counter/SKILL.md").write_text(SKILL)
        (root / "tasks.yaml").write_text("version: 1\ntasks:\n" + "".join(map(TASK.format, range(tasks + 1))))
        base = url if form == "openai" else url.removesuffix("/v1")
        models = {"executor": MODELS[form], "api_base": base}
        told = {"models": models, "sandbox": sandbox, "concurrency": workers, "budget": {"tokens": 100_000_000}}
        settings = Settings.model_validate(told)
        inputs = read_inputs(SkillRun(root / "counter", root / "tasks.yaml", settings, root))
        begun: list[Moment] = []  # when each task began

        def observe(event: Event) -> None:
            if isinstance(event, Executing):
                begun.append(_now(run.ledger))

        with open_run(inputs, root / "out", observe, StopRequest(), Redactor()) as run:
            suite = run.suite
            evaluate({WITH: inputs.skill}, replace(suite, tasks=suite.tasks[:1]), 1, run.rollout, run.each)
            before = _now(run.ledger)
            done = evaluate({WITH: inputs.skill}, replace(suite, tasks=suite.tasks[1:]), 1, run.rollout, run.each)
            passed = sum(row.passed for row in done.arms[WITH])
            return Measured(form, workers, run.ledger.spent.calls - before.calls, passed, begun[-1].since(before))


def _now(ledger: Ledger) -> Moment:
    return Moment(ledger.spent.calls, time.monotonic(), *_processor())


def table() -> str:
    """Four, sixteen and sixty-four executions at once in OpenAI's form, and as many in Anthropic's, as Markdown."""
    measured = [("openai", 4), ("openai", 16), ("openai", 64), ("anthropic", 64)]
    return "\n".join([HEAD, *(measure(workers, 5 * workers, form=form).row for form, workers in measured)])


if __name__ == "__main__":
    print(table())

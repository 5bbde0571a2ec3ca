"""How long it takes until the first execution, and an iteration's time against its critical path.

    python -m benchmarks.start_up

The start is that of the example in `examples/xlsx`, in a process of its own, from its start to its first execution. The
iteration has four tasks and a provider that answers after half a second: its critical path is the longest execution's
calls, then a diagnosis, the memory and the patch. Each is done thrice and the least is told, for other work only adds.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.config.settings import Settings
from skillgrad_ci.method.events import BatchBegun, Event, Executing, IterationDone
from skillgrad_ci.method.ports import Observer
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.inputs import read_inputs
from skillgrad_ci.session.optimize_skill import optimize_skill
from skillgrad_ci.session.parts import StopRequest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples/xlsx"
TIMES = 3
LATENCY = 0.5  # seconds of a reply
BATCH = 4
EXECUTES = (
    2  # the first iteration under a skill that has changed: the one before it takes over the base run's executions
)
AFTER = ("a diagnosis", "the memory", "the patch")  # one call each on the critical path, behind the executions


def optimize(skill: Path, tasks: Path, settings: dict[str, Any], observe: Observer, stop: StopRequest) -> None:
    """A run whose folder is thrown away."""
    with tempfile.TemporaryDirectory() as name:
        job = SkillRun(skill, tasks, Settings.model_validate({"concurrency": BATCH, **settings}), skill.parents[1])
        optimize_skill(read_inputs(job), folder=Path(name) / "out", observe=observe, stop=stop, redactor=Redactor())


def start(began: float) -> None:
    """Start, tell the seconds since `began` and the processor seconds at the first execution, and end."""
    stop = StopRequest()

    def observe(event: Event) -> None:
        if isinstance(event, Executing) and not stop.is_set():
            stop.set()
            sys.stdout.write(f"{time.monotonic() - began} {time.process_time()}\n")

    models = {"models": {"executor": "rehearsal"}}
    optimize(EXAMPLE / "skills/workbook-reports", EXAMPLE / "evals/workbook-reports", models, observe, stop)


def first_execution() -> tuple[float, float]:
    """Seconds, and processor seconds of the program, from its start to its first execution."""
    command = [sys.executable, "-m", "benchmarks.start_up", str(time.monotonic())]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    seconds, processor = map(float, said.split())
    return seconds, processor


def iteration(latency: float = LATENCY) -> tuple[float, int]:
    """The seconds of a run's second iteration, and how many calls its critical path has."""
    from skillgrad_ci.models.rehearsal.register import respond
    from skillgrad_ci.models.rehearsal.script import Script
    from tests.support import small_repository
    from tests.support.scripted_answers import Answer, Raw, Reply
    from tests.support.scripted_server import serve

    os.environ.setdefault("OPENAI_API_KEY", "scripted-key-for-benchmarks")
    stop, at, calls = StopRequest(), {"began": 0.0, "ended": 0.0}, Counter[str]()
    with tempfile.TemporaryDirectory() as name:
        repository = small_repository.make(Path(name).resolve() / "repository", "openai/scripted")
        script = Script.load(repository / "evals/rehearsal.yaml")

        def answer(request: dict[str, Any]) -> Answer:
            time.sleep(latency)
            if "Reply with the word ready." in str(request["messages"]):
                return Reply("ready")
            if at["began"] and "tools" in request:
                calls[str(request["messages"][1])] += 1
            return Raw(body=json.dumps(respond(script, request)).encode())

        def observe(event: Event) -> None:
            if isinstance(event, BatchBegun) and event.number == EXECUTES:
                at["began"] = time.monotonic()
            if isinstance(event, IterationDone) and event.number == EXECUTES:
                at["ended"] = time.monotonic()
                stop.set()

        with serve(answer) as server:
            models = {"executor": "openai/scripted", "api_base": server.url}
            settings = {"models": models, "batch_size": BATCH, "sandbox": "auto"}
            optimize(repository / "skills/greeter", repository / "evals", settings, observe, stop)
    return at["ended"] - at["began"], max(calls.values()) + len(AFTER)


def table() -> str:
    """As Markdown."""
    seconds, processor = map(min, zip(*(first_execution() for _ in range(TIMES)), strict=True))
    took, calls = min(iteration() for _ in range(TIMES))
    path = calls * LATENCY
    rows = [
        ("from the start to the first execution", f"{seconds:.1f} s"),
        ("of it processor time of the program", f"{processor:.1f} s"),
        (f"an iteration of {BATCH} at {LATENCY} s a call", f"{took:.1f} s"),
        (f"its critical path, {calls} calls", f"{path:.1f} s; the iteration takes {took / path:.2f} of it"),
    ]
    return "\n".join(["| what | figure |", "| --- | --- |", *(f"| {what} | {figure} |" for what, figure in rows)])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        start(float(sys.argv[1]))
        sys.stdout.flush()
        os._exit(0)  # as the program ends, and for its reason: a call that was left may be importing
    else:
        print(table())

"""`reward`: a task's own tests, run in its container on a copy of the result, as Harbor runs them.

`/tests/test.sh` leaves a number from 0 to 1 in `/logs/verifier/reward.txt`, or an object of them in `reward.json`.
Where it leaves neither, the share of tests that passed is read from a report in the Common Test Report Format,
`ctrf.json`. Tests that leave nothing of the three say nothing: the task is unmeasured.
"""

import json
import math
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.graders.command import copy_result
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.grader_options import RewardOptions
from skillgrad_ci.method.ports import CommandResult, Result, Sandbox, Session, Workspace
from skillgrad_ci.method.prompting import cut_middle
from skillgrad_ci.method.task import GraderSpec, Task

LOGS = "/logs/verifier"
SHOWN = 3_000  # characters of the tests' output, or of what failed, in the feedback


class NoVerdict(Exception):
    """The tests left nothing that can be used."""


@dataclass(frozen=True)
class RewardGrader:
    """Runs tests in `sandbox`."""

    sandbox: Sandbox
    identity: str = "reward/1"

    def grade(self, spec: GraderSpec, task: Task, result: Result) -> Grade:
        """Raises EnvironmentFailure where the tests said nothing."""
        options = RewardOptions.model_validate(spec.options)
        with tempfile.TemporaryDirectory(prefix="skillgrad-", ignore_cleanup_errors=True) as name:
            work = Path(name).resolve() / "work"
            copy_result(result, work)
            place = Workspace(work, {"/tests": spec.references["tests"]}, environment=task.environment)
            with self.sandbox.open(place, network=options.network) as session:
                done = session.run(_command(options), timeout=options.timeout)
                try:
                    return _verdict(done, session, options)
                except NoVerdict as problem:
                    tail = done.output.strip()[-300:]
                    raise EnvironmentFailure(f"task {task.id}: its tests {problem}. They said: {tail!r}") from None


def _command(options: RewardOptions) -> str:
    """HOME is a folder that no agent could write, as for any check."""
    variables = {"HOME": "$TMPDIR"} | {name: shlex.quote(value) for name, value in options.env.items()}
    exports = "".join(f"export {name}={value}\n" for name, value in variables.items())
    return f"{exports}mkdir -p {LOGS} && bash /tests/test.sh"


def _verdict(done: CommandResult, session: Session, options: RewardOptions) -> Grade:
    if done.timed_out:
        raise NoVerdict(f"took longer than {options.timeout:g} s")
    report = _json(_file(session, "ctrf.json"))
    score = _reward(session)
    if score is None:
        score = _share(report)
    if score is None:
        raise NoVerdict(f"left no reward and no CTRF report in {LOGS} (exit code {done.exit_code})")
    failed = "\n".join(_failed(report))
    return Grade(
        Outcome.PASSED if score >= 1.0 else Outcome.FAILED, score, cut_middle(failed or done.output.strip(), SHOWN)
    )


def _file(session: Session, name: str) -> str:
    found = session.run(f"cat {LOGS}/{name} 2>/dev/null", timeout=30.0)
    return found.output if found.exit_code == 0 else ""


def _json(text: str) -> Any:
    try:
        return json.loads(text) if text.strip() else None
    except (ValueError, RecursionError):
        return None


def _reward(session: Session) -> float | None:
    """The reward that was left; None where there is none. Raises NoVerdict for one that is not a number from 0 to 1."""
    if text := _file(session, "reward.json").strip():
        value = _json(text)
        if isinstance(value, dict):
            value = value.get("reward", next(iter(value.values())) if len(value) == 1 else None)
    elif text := _file(session, "reward.txt").strip():
        try:
            value = float(text)
        except ValueError:
            value = None
    else:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not 0.0 <= value <= 1.0:
        raise NoVerdict(f"left a reward that is no number from 0 to 1: {text[:100]!r}")
    return float(value)


def _share(report: Any) -> float | None:
    """Passed tests of all that were not skipped."""
    tests = _tests(report)
    counted = [test for test in tests if test.get("status") != "skipped"]
    return sum(test.get("status") == "passed" for test in counted) / len(counted) if counted else None


def _tests(report: Any) -> list[dict[str, Any]]:
    results = report.get("results") if isinstance(report, dict) else None
    tests = results.get("tests") if isinstance(results, dict) else None
    return [test for test in tests if isinstance(test, dict)] if isinstance(tests, list) else []


def _failed(report: Any) -> Iterator[str]:
    for test in _tests(report):
        if test.get("status") not in ("passed", "skipped"):
            yield f"- failed: {test.get('name', '?')}: {test.get('message') or test.get('trace') or ''}"

"""`reward`: a task's own tests, run in its container on a copy of the result, as Harbor runs them.

`/tests/test.sh` leaves a number from 0 to 1 in `/logs/verifier/reward.txt`, or an object of them in `reward.json`.
Where it leaves neither, the share of tests that passed is read from a report in the Common Test Report Format,
`ctrf.json`. Tests that leave nothing of the three say nothing: the task is unmeasured.

Where the verdict is `pytest`, as terminal-bench has it, the tests are started by a script beside them, and its output
ends with pytest's short summary. The task passes when every test in it did and the script ends with 0: a program under
test may print a summary too, but not after pytest's own without breaking it off.
"""

import json
import math
import re
import shlex
import shutil
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
OUTPUT = f"{LOGS}/output.txt"
TESTS = "test.sh"
SUMMARY = "short test summary info"
SHOWN = 3_000  # characters of the tests' output, or of what failed, in the feedback

PASSING = {"PASSED", "SKIPPED", "XFAIL"}
_RESULT = re.compile(r"^(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS):? +(.+?)(?: - .*)?$", re.MULTILINE)


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
            tests, script = _laid_out(spec, Path(name))
            place = Workspace(work, {"/tests": tests}, environment=task.environment)
            with self.sandbox.open(place, network=options.network) as session:
                done = session.run(_command(options, script), timeout=options.timeout)
                try:
                    return _verdict(done, session, options)
                except NoVerdict as problem:
                    tail = done.output.strip()[-300:]
                    raise EnvironmentFailure(
                        f"task {task.id}: its tests {problem}; mend them. They said: {tail!r}"
                    ) from None


def _laid_out(spec: GraderSpec, folder: Path) -> tuple[Path, str]:
    """The folder of the tests with the script that starts them, and its name. A script beside them is laid into it."""
    beside = spec.references.get("script")
    if beside is None:
        return spec.references["tests"], TESTS
    made = folder / "tests"
    if "tests" in spec.references:
        shutil.copytree(spec.references["tests"], made)
    made.mkdir(exist_ok=True)
    shutil.copy(beside, made / beside.name)
    return made, beside.name


def _command(options: RewardOptions, script: str) -> str:
    """HOME is a folder that no agent could write, as for any check."""
    variables = {"HOME": "$TMPDIR"} | {name: shlex.quote(value) for name, value in options.env.items()}
    exports = "".join(f"export {name}={value}\n" for name, value in variables.items())
    kept = f" > {OUTPUT} 2>&1; code=$?; cat {OUTPUT}; exit $code" if options.verdict == "pytest" else ""
    return f"{exports}mkdir -p {LOGS} && bash /tests/{script}{kept}"


def _verdict(done: CommandResult, session: Session, options: RewardOptions) -> Grade:
    if done.timed_out:
        raise NoVerdict(f"took longer than {options.timeout:g} s")
    if options.verdict == "pytest":
        return _summed_up(session, done)
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


def _summed_up(session: Session, done: CommandResult) -> Grade:
    """The verdict of pytest's last short summary. Each line is `PASSED file::name` or `FAILED file::name - why`."""
    told = session.run(f"sed -n '/{SUMMARY}/,$p' {OUTPUT}", timeout=30.0).output.rpartition(SUMMARY)[2]
    found = {name: status for status, name in _RESULT.findall(told)}
    if not found:
        raise NoVerdict(f"printed no short summary of pytest (exit code {done.exit_code}); pytest -rA prints one")
    score = sum(status in PASSING for status in found.values()) / len(found)
    failed = [line for line in told.splitlines() if line.startswith(("FAILED", "ERROR", "XPASS"))]
    if score == 1.0 and done.exit_code:
        failed, score = [f"all tests passed, and their script failed with exit code {done.exit_code}"], 0.0
    return Grade(
        Outcome.PASSED if score == 1.0 else Outcome.FAILED,
        score,
        cut_middle("\n".join(failed) or done.output.strip(), SHOWN),
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

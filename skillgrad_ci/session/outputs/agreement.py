"""Two graders on one suite: ours, and one that its owner calls official. Every disagreement is told.

The official one is a program. It is started once, reads a JSON object a line, and answers each with a line: `true`,
`false`, or `null` where it cannot tell; it may answer an object with `passed`. Where it ends, or says anything else,
the comparison ends too. It is the owner's own, so it runs with the owner's rights, without the environment's secrets.
"""

import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.graders import grade
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.ports import Result
from skillgrad_ci.method.task import Suite, Task
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.outputs.variants import COPIED, UNTOUCHED, changes, folder_with, graded_file
from skillgrad_ci.session.parts import Parts
from skillgrad_ci.session.proof.check import empty_folder, without_judge
from skillgrad_ci.suites import reference_result, untouched_result

SECONDS = 120.0  # for one answer of the official grader


@dataclass(frozen=True)
class TwoVerdicts:
    """One output before both graders; `theirs` is None where the official one cannot tell."""

    task: str
    kind: str
    ours: Grade
    theirs: bool | None

    @property
    def agree(self) -> bool | None:
        """Whether both say the same; None where one of them says nothing."""
        if self.theirs is None or self.ours.outcome is Outcome.UNMEASURED:
            return None
        return (self.ours.outcome is Outcome.PASSED) is self.theirs


@dataclass
class Official:
    """The official grader's process."""

    command: str
    _answers: "queue.Queue[str | None]" = field(default_factory=queue.Queue)

    @contextmanager
    def started(self) -> Iterator["Official"]:
        redactor = Redactor.from_environment(os.environ)
        env = {name: value for name, value in os.environ.items() if redactor(value) == value}
        self._process = subprocess.Popen(  # noqa: S602 (the owner's own command)
            self.command, shell=True, text=True, encoding="utf-8", env=env,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            yield self
        finally:
            if self._process.stdin:
                with suppress(BrokenPipeError):  # it ended before it had read all
                    self._process.stdin.close()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, 9)
                self._process.wait()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            self._answers.put(line)
        self._answers.put(None)

    def ask(self, row: Mapping[str, Any]) -> bool | None:
        """Its verdict of one output. Raises UserError where it ended, was silent or said something else."""
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(row, ensure_ascii=False) + "\n")
            self._process.stdin.flush()
            line = self._answers.get(timeout=SECONDS)
        except (BrokenPipeError, queue.Empty):
            line = None
        if line is None:
            raise UserError(f"--official: it gave no answer for {row['task']} ({row['kind']}); it answers line by line")
        try:
            said = json.loads(line)
        except ValueError:
            said = line
        verdict = said.get("passed") if isinstance(said, dict) else said
        if verdict is not None and not isinstance(verdict, bool):
            raise UserError(f"--official: expected true, false or null, got {line.strip()[:80]!r}")
        return verdict


def compare_graders(suite: Suite, parts: Parts, command: str, ways: int) -> Iterator[TwoVerdicts]:
    """Each output of each task with a right result. Raises UserError where no task has one."""
    _ = parts.graders
    with Official(command).started() as official:
        found = False
        for task in suite.tasks:
            for kind, work, answer in _outputs(suite, task, parts, ways):
                found = True
                ours = _ours(task, Result(work, answer), parts)
                yield TwoVerdicts(task.id, kind, ours, official.ask(_row(task, kind, work, answer)))
        if not found:
            raise UserError(f"{suite.root}: no task has a right result to make outputs from; give some a reference")


def _outputs(suite: Suite, task: Task, parts: Parts, ways: int) -> Iterator[tuple[str, Path, str]]:
    """A task's outputs: kind, work folder, last message. A folder is gone when the next one is asked for."""
    with empty_folder() as right:
        commanded = task.reference is not None and task.reference.command
        try:
            result = reference_result(suite, task, right, parts.sandbox if commanded else None)
        except EnvironmentFailure:
            return
        if result is None:
            return
        yield COPIED, right, result.answer
        with empty_folder() as idle:
            if untouched_result(suite, task, idle) is not None:
                yield UNTOUCHED, idle, ""
        named = graded_file(task)
        if named is None:
            if result.answer:
                yield "another answer", right, f"{result.answer} x"
            return
        name, spec = named
        if not (right / name).is_file():
            return
        content = (right / name).read_bytes()
        for kind, change in changes(name, spec, ways):
            new = change(content)
            if new is not None:
                with _copied(right) as work:
                    folder_with(work, name, new)
                    yield kind, work, result.answer


@contextmanager
def _copied(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="skillgrad-", ignore_cleanup_errors=True) as name:
        work = Path(name).resolve() / "work"
        shutil.copytree(folder, work)
        yield work


def _ours(task: Task, result: Result, parts: Parts) -> Grade:
    if lack := without_judge(task, parts):
        return lack
    try:
        return grade(task, result, parts.graders)
    except EnvironmentFailure as failure:
        return Grade(Outcome.UNMEASURED, feedback=str(failure))


def _row(task: Task, kind: str, work: Path, answer: str) -> dict[str, Any]:
    """What the official grader is told of an output."""
    graders = [
        {"kind": spec.kind, "options": dict(spec.options),
         "references": {name: str(path.resolve()) for name, path in spec.references.items()}}
        for spec in task.graders
    ]  # fmt: skip
    return {"task": task.id, "kind": kind, "work": str(work), "answer": answer, "graders": graders}


def agreement_facts(suite: Suite, rows: Sequence[TwoVerdicts]) -> dict[str, Any]:
    """The comparison as JSON."""
    told = [row for row in rows if row.agree is not None]
    kinds = {row.kind for row in rows}
    return {
        "suite": suite.name,
        "outputs": len(rows),
        "compared": len(told),
        "agree": sum(row.agree is True for row in told),
        "both_pass": sum(row.agree is True and row.theirs is True for row in told),
        "kinds": {
            kind: dict(Counter(_word(row) for row in rows if row.kind == kind)) for kind in sorted(kinds)
        },
        "disagreements": [
            {"task": row.task, "kind": row.kind, "ours": row.ours.outcome is Outcome.PASSED, "theirs": row.theirs,
             "feedback": row.ours.feedback}
            for row in told if not row.agree
        ],
        "untold": [
            {"task": row.task, "kind": row.kind,
             "why": "the official grader cannot tell" if row.theirs is None else row.ours.feedback}
            for row in rows if row.agree is None
        ],
    }  # fmt: skip


def _word(row: TwoVerdicts) -> str:
    return {True: "agree", False: "disagree", None: "untold"}[row.agree]

"""`command`: any program, run in the sandbox on a copy of the result.

The check's files are in `../grader` and the agent's last message in `../result/answer.txt`, both
read-only and laid out after the agent has gone. The verdict:

- exit code 0 is a pass, or the score of the JSON object `{score, details, checks}` that it printed last;
- exit codes 1 to 123 are a failure, whatever was printed;
- a crash of the check is: a higher exit code (not found, a signal), a limit, a time-out, a verdict that is not valid
  JSON, an interpreter that cannot read the check's file, or a Python traceback from the check itself (but not a failed
  assertion).

Nothing of the agent's runs in the check's own processes. HOME is a folder that no agent could write: in the work
folder, an agent's `.local/lib/python3…/usercustomize.py` would run before any check in Python. Python looks for modules
in the check's folders, never in the work folder. `$RUN` (guest.py) starts the agent's program as another party: if the
check dies while that program runs, the agent has failed.
"""

import json
import math
import os
import re
import secrets
import shlex
import shutil
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.graders import guest
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.grader_options import CommandOptions
from skillgrad_ci.method.ports import CommandResult, Result, Sandbox, Session, Workspace
from skillgrad_ci.method.prompting import cut_middle
from skillgrad_ci.method.task import GraderSpec, Task

LAST_VERDICT = 123  # exit codes above it are a shell's or timeout(1)'s, not the check's
SHOWN = 3_000  # characters of a check's output in the feedback
BRACES = 10_000  # places in a check's output where its report is looked for, from the end
_TRACEBACK = re.compile(
    r"^Traceback \(most recent call last\):\n(?P<frames>(?:[ \t].*\n)*)(?P<error>[\w.]+)(?:: (?P<message>.*))?", re.M
)
_BRACE = re.compile(r"(?P<starts>^[ \t]*)?\{", re.M)
_FRAME = re.compile(r'^  File "([^"]+)"', re.M)
# What python3 and bash say, and then end with 1 or 2, where a check's file is missing or does not parse.
_UNREADABLE = re.compile(
    r"[^\s:]*python[\w.]*: can't open file '[^'\n]*/grader/[^'\n]*'[^\n]*"
    r"|[^\s:]*\bgrader/[^\s:]+: line \d+: (?:syntax error|unexpected EOF)[^\n]*"
    r'|  File "[^"\n]*/grader/[^"\n]*", line \d+\n(?:    .*\n)+(?:Syntax|Indentation|Tab)Error: [^\n]*'
)

# `stat` says which pipe the check's output is: what `$RUN` starts may not write plain lines to that one.
_PRELUDE = """\
export HOME="$TMPDIR" PYTHONSAFEPATH=1 PYTHONPATH={modules} RUN="${{PWD%/*}}/run/run" SKILLGRAD_GUESTS="$TMPDIR/guests"
export SKILLGRAD_MARK="{mark}"; mkdir -p "$SKILLGRAD_GUESTS"
exec 9>&1; export SKILLGRAD_OUTPUT=$(stat -L -c %d:%i /proc/self/fd/9 2>/dev/null); exec 9>&-
"""
_GUESTS = 'ls "$TMPDIR/guests"'  # a file for each that runs, and for each that was killed
_RUN = '#!/bin/sh\nexec python3 -I "${0%/*}/guest.py" "$@"\n'


class CheckCrashed(Exception):
    """The check said nothing that can be used."""


@dataclass(frozen=True)
class CommandGrader:
    """Runs checks in `sandbox`."""

    sandbox: Sandbox
    identity: str = "command/2"

    def grade(self, spec: GraderSpec, task: Task, result: Result) -> Grade:
        """Raises EnvironmentFailure for a crashed check, unless the suite or the agent's program makes it a failure."""
        options = CommandOptions.model_validate(spec.options)
        protected = not self.sandbox.identity.startswith("none")
        with tempfile.TemporaryDirectory(prefix="skillgrad-", ignore_cleanup_errors=True) as name:
            workspace = _lay_out(Path(name).resolve(), spec, options, result)
            _lay_guest(workspace.readonly["run"], protected=protected)
            mark = f"|{secrets.token_hex(8)}| "  # before each line of the program in the check's own output
            prelude = _PRELUDE.format(modules=_modules(workspace.readonly["grader"]), mark=mark)
            with self.sandbox.open(workspace, network=options.network) as session:
                self._set_up(prelude, options, task, session)
                done = session.run(prelude + options.run, timeout=options.timeout)
                shown = replace(done, output=done.output.replace(mark, "| "))
                try:
                    return read_verdict(shown, own_words(done.output, mark), options)
                except CheckCrashed as crash:
                    return _crashed(crash, shown, options, task, session)

    def _set_up(self, prelude: str, options: CommandOptions, task: Task, session: Session) -> None:
        if not options.setup:
            return
        done = session.run(prelude + options.setup, timeout=options.timeout)
        if done.timed_out or done.exit_code != 0:
            ended = "took too long" if done.timed_out else f"ended with {done.exit_code}"
            raise EnvironmentFailure(f"task {task.id}: the check's setup {ended}: {done.output.strip()[-300:]!r}")


def _crashed(crash: CheckCrashed, done: CommandResult, options: CommandOptions, task: Task, session: Session) -> Grade:
    """A failure, where the suite says so or the agent's program ran meanwhile. Raises EnvironmentFailure elsewhere."""
    during = options.crash == "auto" and bool(session.run(_GUESTS, timeout=60).output.strip())
    if during or options.crash == "failed":
        return Grade(Outcome.FAILED, 0.0, f"{crash} while the agent's program ran" if during else str(crash))
    raise EnvironmentFailure(
        f"task {task.id}: the check {crash}. A check says no with exit code 1; let it stand whatever "
        f"an agent may leave, or say crash: failed. Its output ended: {done.output.strip()[-300:]!r}"
    ) from None


def _lay_guest(folder: Path, *, protected: bool) -> None:
    """What `$RUN` names."""
    shutil.copy(guest.__file__, folder / "guest.py")
    (folder / "run").write_text(_RUN)
    (folder / "run").chmod(0o755)
    if not protected:
        (folder / "unprotected").touch()


def _modules(grader: Path) -> str:
    """Where a check in Python finds modules, as shell text: its own folders, as seen from the work folder."""
    folders = dict.fromkeys([grader, *sorted(path.parent for path in grader.rglob("*.py"))])
    names = [f"/grader/{folder.relative_to(grader).as_posix()}".removesuffix("/.") for folder in folders]
    return ":".join(f'"${{PWD%/*}}"{shlex.quote(name)}' for name in names)


def _lay_out(root: Path, spec: GraderSpec, options: CommandOptions, result: Result) -> Workspace:
    """`work` (a copy of the result), `grader` (the check's files), `result` (the last message), `run` (empty)."""
    work, grader, message, run = root / "work", root / "grader", root / "result", root / "run"
    copy_result(result, work)
    for folder in (grader, message, run):
        folder.mkdir()
    (message / "answer.txt").write_text(result.answer, encoding="utf-8", errors="replace")
    for name, source in spec.references.items():
        _copy(source, grader / name)
    for name in options.workspace:
        target = work / name
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
        _copy(spec.references[name], target)
    folders = {"grader": grader, "result": message, "run": run}
    return Workspace(work, folders, private=frozenset(folders))


def copy_result(result: Result, work: Path) -> None:
    """Lay a copy of a result's files into the new folder `work`, for a check that may change them."""
    shutil.copytree(result.work, work, symlinks=True, ignore=_special)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(".git", "__pycache__"))
    else:
        shutil.copy(source, target)


def _special(folder: str, names: list[str]) -> list[str]:
    """Pipes, sockets and devices, which are not copied."""
    modes = {name: os.lstat(os.path.join(folder, name)).st_mode for name in names}  # noqa: PTH118
    return [
        name for name, mode in modes.items() if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))
    ]


def own_words(output: str, mark: str) -> str:
    """A check's output with a `|` for each line of the agent's program, which begins with `mark`."""
    return re.sub(f"{re.escape(mark)}.*", "|", output)


def read_verdict(done: CommandResult, own: str, options: CommandOptions) -> Grade:
    """The grade that a check's end stands for; `own` are its own words. Raises CheckCrashed."""
    if done.timed_out:
        raise CheckCrashed(f"took longer than {options.timeout:g} s")
    if done.exit_code is None:
        raise CheckCrashed("was stopped at a limit of the sandbox")
    if not 0 <= done.exit_code <= LAST_VERDICT:
        raise CheckCrashed(f"ended with {done.exit_code} (not found, or killed)")
    if done.exit_code == 1:
        _refuse_traceback(own)
    if done.exit_code in (1, 2) and (unreadable := _UNREADABLE.match(own)):
        raise CheckCrashed(f"cannot be read: {unreadable[0].splitlines()[-1][:200]}")
    report = _report(own)
    if done.exit_code != 0:
        shown = _feedback(report) if report is not None else done.output
        return Grade(Outcome.FAILED, 0.0, cut_middle(f"exit code {done.exit_code}\n{shown}".strip(), SHOWN))
    if report is None:
        if options.verdict == "json":
            raise CheckCrashed("printed no JSON object with a score")
        if own.lstrip().startswith("{"):
            raise CheckCrashed("printed JSON without a usable score")
        return Grade(Outcome.PASSED, 1.0, cut_middle(done.output.strip(), SHOWN))
    score = float(report["score"])
    return Grade(
        Outcome.PASSED if score >= 1.0 else Outcome.FAILED, score, cut_middle(_feedback(report).strip(), SHOWN)
    )


def _refuse_traceback(output: str) -> None:
    """Exit code 1 is also how Python ends on an error that nobody caught.

    It is the check's own crash if the last traceback starts in the check's folder, or in a program that its command
    holds, and passes through no file of the agent's. A failed assertion is a verdict.
    """
    found = list(_TRACEBACK.finditer(output))
    if not found or found[-1]["error"] == "AssertionError":
        return
    frames = [os.path.normpath(path) for path in _FRAME.findall(found[-1]["frames"])]
    own = frames and ("/grader/" in frames[0] or frames[0] in {"<stdin>", "<string>"})
    if own and not any("/work/" in frame for frame in frames):
        raise CheckCrashed(f"stopped with {found[-1]['error']}: {(found[-1]['message'] or '')[:200]}")


def _report(own: str) -> Mapping[str, Any] | None:
    """The JSON object with a score that ends `own`, or the last that starts a line; None where there is none.

    The first may stand behind other words: a check that shows what the agent's program printed has no say in how
    that ends. Raises CheckCrashed where its score is not a number from 0 to 1.
    """
    decoder, end, starting = json.JSONDecoder(), len(own.rstrip()), None
    for brace in reversed(list(_BRACE.finditer(own))[-BRACES:]):
        try:
            value, stop = decoder.raw_decode(own, brace.end() - 1)
        except (ValueError, RecursionError):
            continue
        if not isinstance(value, dict) or "score" not in value:
            continue
        if stop == end:
            return _checked(value)
        if starting is None and brace["starts"] is not None:
            starting = value
    return None if starting is None else _checked(starting)


def _checked(report: Mapping[str, Any]) -> Mapping[str, Any]:
    score = report["score"]
    number = isinstance(score, int | float) and not isinstance(score, bool) and math.isfinite(score)
    if not number or not 0.0 <= score <= 1.0:
        raise CheckCrashed(f"printed the score {str(score)[:40]}, which is no number from 0 to 1")
    return report


def _feedback(report: Mapping[str, Any]) -> str:
    """The details, and each check that did not pass."""
    lines = [str(report.get("details", ""))]
    checks = report.get("checks")
    for check in checks if isinstance(checks, list) else []:
        if isinstance(check, dict) and check.get("passed") is not True:
            lines.append(f"- failed: {check.get('name', '?')}: {check.get('message', '')}")
    return "\n".join(line for line in lines if line)

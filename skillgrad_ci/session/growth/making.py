"""A proposal made real: its programs are run in the sandbox, and it becomes files and a row of a `tasks.yaml`."""

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from skillgrad_ci.document.json_text import loads
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.ports import Sandbox, Workspace
from skillgrad_ci.session.growth.proposal import ProposedFile, ProposedGrader, ProposedTask
from skillgrad_ci.suites.native.grown import FOLDER

MOST_FILES, MOST_BYTES = 20, 5_000_000  # of a task's inputs, and of its results
SECONDS = 60.0  # for each program
Contents = Mapping[str, bytes]


@dataclass(frozen=True)
class MadeTask:
    """A proposal as it would be in the suite: the row, and its files by their path beside `grown.yaml`."""

    row: Mapping[str, Any]
    files: Contents


def make(proposal: ProposedTask, task_id: str, origin: str, sandbox: Callable[[], Sandbox]) -> MadeTask:
    """Run the proposal's programs and lay it out. Raises UserError for what cannot be a task."""
    inputs = _named(proposal.inputs)
    if proposal.make_inputs.strip():
        inputs |= run_program(proposal.make_inputs, inputs, sandbox(), "make_inputs")
    results = _named(proposal.results)
    if proposal.make_results.strip():
        made = run_program(proposal.make_results, inputs, sandbox(), "make_results")
        results |= {name: content for name, content in made.items() if inputs.get(name) != content}
    place = f"{FOLDER}/{task_id}"
    grader, checks = _grader(proposal.grader, results, place)
    row: dict[str, Any] = {"id": task_id, "instruction": proposal.instruction.strip()}
    if inputs:
        row["files"] = {name: f"{place}/inputs/{name}" for name in inputs}
    if results:
        row["outputs"] = list(results)
    row["grader"] = grader
    reference: dict[str, Any] = {"answer": proposal.answer} if proposal.answer else {}
    if results:
        reference["files"] = {name: f"{place}/reference/{name}" for name in results}
    if not reference:
        raise UserError("it gives no right result")
    files = {f"{place}/inputs/{name}": content for name, content in inputs.items()}
    files |= {f"{place}/reference/{name}": content for name, content in results.items()}
    return MadeTask({**row, "reference": reference, "unreviewed": True, "origin": origin}, files | checks)


def _named(files: list[ProposedFile]) -> dict[str, bytes]:
    return _bounded({safe_name(file.name): file.content.encode() for file in files})


def _bounded(files: dict[str, bytes]) -> dict[str, bytes]:
    if len(files) > MOST_FILES or sum(map(len, files.values())) > MOST_BYTES:
        raise UserError(f"it has more than {MOST_FILES} files or {MOST_BYTES:,} bytes of them")
    return files


def safe_name(name: str) -> str:
    """A path inside a work folder, plain enough for every system. Raises UserError for any other."""
    path = PurePosixPath(name)
    plain = all(re.fullmatch(r"[\w][\w. ()+-]{0,80}", part) and not part.endswith((".", " ")) for part in path.parts)
    if path.is_absolute() or not path.parts or len(path.parts) > 4 or not plain:
        raise UserError(f"{name[:60]!r} is no plain file name")
    return path.as_posix()


def run_program(program: str, inputs: Contents, sandbox: Sandbox, what: str) -> dict[str, bytes]:
    """The files that are there after a Python program ran over `inputs`, in the sandbox and without a network."""
    with _folders() as (work, beside):
        for name, content in inputs.items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_bytes(content)
        (beside / "program.py").write_text(program, encoding="utf-8")
        with sandbox.open(Workspace(work, {"program": beside})) as session:
            done = session.run("python3 ../program/program.py", timeout=SECONDS)
        if done.timed_out or done.exit_code != 0:
            how = f"took longer than {SECONDS:g} s" if done.timed_out else "failed"
            raise UserError(f"{what} {how}: {' '.join(done.output.split())[-200:] or 'no output'}")
        found = {path.relative_to(work).as_posix(): path for path in sorted(work.rglob("*"))
                 if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts}  # fmt: skip
        if sum(path.stat().st_size for path in found.values()) > MOST_BYTES:
            raise UserError(f"{what} wrote more than {MOST_BYTES:,} bytes")
        return _bounded({safe_name(name): path.read_bytes() for name, path in found.items()})


@contextmanager
def _folders() -> Iterator[tuple[Path, Path]]:
    with tempfile.TemporaryDirectory(prefix="skillgrad-", ignore_cleanup_errors=True) as name:
        root = Path(name).resolve()
        for folder in ("work", "program"):
            (root / folder).mkdir()
        yield root / "work", root / "program"


def _grader(grader: ProposedGrader, results: Contents, place: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The row of a grader, and the files that it needs beside."""
    row: dict[str, Any]
    match grader.type:
        case "text":
            return _text(grader), {}
        case "csv" | "xlsx":
            output = safe_name(grader.output)
            if output not in results:
                raise UserError(f"its {grader.type} grader compares {output!r}, and that is none of its right files")
            row = {"type": grader.type, "output": output, "golden": f"{place}/reference/{output}"}
            if grader.type == "xlsx":
                row["answer_position"] = grader.answer_position
            return row, {}
        case "command":
            if not grader.program.strip():
                raise UserError("its command grader has no program")
            check = f"{place}/check/check.py"
            row = {"type": "command", "run": "python3 ../grader/check.py", "files": [check]}
            return row, {check: grader.program.encode()}
        case "judge":
            return {"type": "judge", "assertions": grader.statements}, {}


def _text(grader: ProposedGrader) -> dict[str, Any]:
    """The row of a text check. Its options are checked where the row is read."""
    if not grader.check:
        raise UserError("its text grader names no check")
    values: Mapping[str, Callable[[str], Any]] = {
        "number": float,
        "json": loads,
        "contains": lambda value: [line for line in value.splitlines() if line.strip()],
    }
    try:
        value = values.get(grader.check, str)(grader.value)
    except ValueError as error:
        raise UserError(f"its {grader.check} check has no such value ({str(error)[:80]})") from None
    row: dict[str, Any] = {"type": "text", grader.check: value}
    if grader.output:
        row["output"] = safe_name(grader.output)
    if grader.check == "choice":
        row["choices"] = grader.choices
    return row | ({"ignore_case": True} if grader.ignore_case else {})

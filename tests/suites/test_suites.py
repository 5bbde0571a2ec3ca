"""Recognising suites, and the documented examples: they load, and their references prove their graders."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from skillgrad_ci import suites
from skillgrad_ci.document import parsing
from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.graders import grade
from skillgrad_ci.graders.command import CommandGrader
from skillgrad_ci.graders.csv import CsvGrader
from skillgrad_ci.graders.text import TextGrader
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.ports import Grader, Result
from skillgrad_ci.method.task import GraderSpec, Suite, Task
from skillgrad_ci.sandbox.no_sandbox import NoSandbox
from tests.support import documented

FORMATS = ["native", "agent-skills-evals", "skillgrade", "folder", "triggers"]


class Lenient:
    """Passes everything: stands for a judge where a test is about the other graders."""

    identity = "lenient"

    def grade(self, spec: GraderSpec, task: Task, result: Result) -> Grade:
        return Grade(Outcome.PASSED, 1.0)


def graders() -> dict[str, Grader]:
    programs: dict[str, Grader] = {"command": CommandGrader(NoSandbox()), "csv": CsvGrader(), "text": TextGrader()}
    return programs | {"judge": Lenient()}


def results(suite: Suite, folder: Path) -> dict[str, dict[str, Grade]]:
    """`{task: {"reference": verdict, "untouched": verdict}}`, where the suite has such a result."""
    found: dict[str, dict[str, Grade]] = {}
    for task in suite.tasks:
        for kind in ("reference", "untouched"):
            work = folder / task.id / kind
            work.mkdir(parents=True)
            if kind == "reference":
                result = suites.reference_result(suite, task, work, NoSandbox())
            else:
                result = suites.untouched_result(suite, task, work)
            if result is not None:
                found.setdefault(task.id, {})[kind] = grade(task, result, graders())
    return found


def test_every_documented_format_is_here() -> None:
    assert set(documented.examples()) == set(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_a_documented_suite_is_recognised_and_read(name: str, tmp_path: Path) -> None:
    suite = suites.load_suite(documented.write(name, tmp_path))
    assert suite.format == name
    assert suite.tasks
    assert suite.digest == suites.load_suite(documented.write(name, tmp_path)).digest


@pytest.mark.parametrize("name", ["native", "skillgrade", "folder"])
def test_documented_references_pass_and_untouched_inputs_fail(name: str, tmp_path: Path) -> None:
    suite = suites.load_suite(documented.write(name, tmp_path / "suite"))
    verdicts = results(suite, tmp_path / "results")
    assert any(task.reference for task in suite.tasks)
    for task in suite.tasks:
        if task.reference:
            assert verdicts[task.id]["reference"].outcome is Outcome.PASSED, verdicts[task.id]["reference"].feedback
        assert verdicts[task.id]["untouched"].outcome is Outcome.FAILED, task.id


def test_a_suite_inside_a_skill_is_found_from_the_skill(tmp_path: Path) -> None:
    documented.write("native", tmp_path / "evals")
    (tmp_path / "SKILL.md").write_text("---\nname: x\ndescription: x\n---\n")
    assert suites.load_suite(tmp_path).format == "native"


def test_two_suites_inside_a_skill_are_not_guessed_between(tmp_path: Path) -> None:
    documented.write("agent-skills-evals", tmp_path)
    documented.write("native", tmp_path / "evals")
    with pytest.raises(UserError, match="could be several suites"):
        suites.load_suite(tmp_path)


def test_the_file_may_be_named_itself_whatever_it_is_called(tmp_path: Path) -> None:
    for name, file in {"native": "tasks.yaml", "skillgrade": "eval.yaml"}.items():
        folder = documented.write(name, tmp_path / name)
        shutil.copy(folder / file, folder / "other.yml")
        assert suites.load_suite(folder / file).format == name
        assert suites.load_suite(folder / "other.yml").format == name


def test_two_suites_in_one_folder_are_not_guessed_between(tmp_path: Path) -> None:
    documented.write("native", tmp_path)
    documented.write("skillgrade", tmp_path)
    with pytest.raises(UserError, match=r"could be several suites \(tasks.yaml.*eval.yaml.*name the file"):
        suites.load_suite(tmp_path)
    assert suites.load_suite(tmp_path / "eval.yaml").format == "skillgrade"


def test_what_is_no_suite_gets_what_is_read_and_what_was_seen(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UserError) as error:
        suites.load_suite(tmp_path)
    for part in ("tasks.yaml", "evals.json", "eval.yaml", "WikiTableQuestions", "instruction.md", "Seen: notes.txt"):
        assert part in str(error.value)
    with pytest.raises(UserError, match="starts with 'hello'"):
        suites.load_suite(tmp_path / "notes.txt")
    with pytest.raises(UserError, match="no such file or folder"):
        suites.load_suite(tmp_path / "nothing")


@pytest.mark.parametrize("content", ["", "a: [", "- 1", "tasks: {}", "tasks:\n  - 3\n", "\x00", "\udcff"])
def test_any_broken_file_is_one_line_with_its_name(content: str, tmp_path: Path) -> None:
    for name in ("tasks.yaml", "eval.yaml", "evals.json", "other.json", "other.yaml"):
        file = tmp_path / name
        file.write_bytes(content.encode("utf-8", "surrogateescape"))
        with pytest.raises(UserError) as error:
            suites.load_suite(file)
        assert str(file) in str(error.value)
        assert "\n" not in str(error.value)


def test_what_is_no_file_never_blocks(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "tasks.yaml")
    with pytest.raises(UserError, match=r"tasks\.yaml: no file"):
        suites.load_suite(tmp_path / "tasks.yaml")


def test_what_cannot_be_read_at_all_says_why(tmp_path: Path) -> None:
    with (tmp_path / "tasks.yaml").open("wb") as file:
        file.truncate(parsing.MAX_BYTES + 1)
    with pytest.raises(UserError, match=r"tasks\.yaml: larger than 50,000,000 bytes; split it"):
        suites.load_suite(tmp_path)
    (tmp_path / "tasks.yaml").write_text("version: 1\ntasks:\n  - {id: 2026-13-45, instruction: Do it.}\n")
    with pytest.raises(
        UserError, match=r"tasks\.yaml: a value cannot be read \(month must be in 1\.\.12\); put it in quotes"
    ):
        suites.load_suite(tmp_path)


def test_a_name_that_no_disk_takes_is_named() -> None:
    with pytest.raises(UserError, match=r"aa: cannot be read \(File name too long\); look at its name"):
        parsing.read_text(Path("a" * 300))


def test_yaml_nested_beyond_reason_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "tasks.yaml").write_text("tasks: " + "[" * 3_000 + "]" * 3_000)
    with pytest.raises(UserError, match=r"tasks\.yaml:\d+: nested more than 100 deep"):
        suites.load_suite(tmp_path)


def test_a_failing_reference_command_blames_the_suite(tmp_path: Path) -> None:
    folder = documented.write("skillgrade", tmp_path / "suite")
    (folder / "solutions" / "tidy.sh").write_text("echo no such tool >&2; exit 3\n")
    suite = suites.load_suite(folder)
    with pytest.raises(UserError, match=r"tidy-names.*failed \(3\).*no such tool"):
        suites.reference_result(suite, suite.tasks[0], tmp_path / "work", NoSandbox())


def test_a_reference_command_that_takes_too_long_measures_nothing(tmp_path: Path) -> None:
    folder = documented.write("skillgrade", tmp_path / "suite")
    (folder / "solutions" / "tidy.sh").write_text("sleep 60\n")
    suite = suites.load_suite(folder)
    task = replace(suite.tasks[0], timeout=0.2)
    with pytest.raises(EnvironmentFailure, match=r"tidy-names: the reference's command took longer than 0.2 s; "):
        suites.reference_result(suite, task, tmp_path / "work", NoSandbox())


def test_ids_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    rows = "".join(
        f"  - {{id: {name}, instruction: Do it., grader: {{type: text, exact: a}}}}\n" for name in ("Sum", "sum")
    )
    (tmp_path / "tasks.yaml").write_text(f"version: 1\ntasks:\n{rows}")
    with pytest.raises(UserError, match="the ids 'Sum' and 'sum' differ in case alone"):
        suites.load_suite(tmp_path)

"""skillgrade's eval.yaml: workspaces, one-line values that name files, weights, overrides, mistakes."""

import os
from pathlib import Path

import pytest

from skillgrad_ci.errors import UserError
from skillgrad_ci.graders.command import CommandGrader
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.ports import Result
from skillgrad_ci.method.task import Task
from skillgrad_ci.sandbox.no_sandbox import NoSandbox
from skillgrad_ci.suites import load_suite
from skillgrad_ci.suites.eval_yaml import _makes_executable
from skillgrad_ci.suites.references import lay
from tests.support import documented

EVAL = """\
version: "1"
defaults:
  trials: 5
  timeout: 100
tasks:
  - name: lint
    instruction: Fix app.js with superlint.
    workspace:
      - fixtures/app.js
      - {src: bin/superlint, dest: /usr/local/bin/superlint, chmod: "+x"}
      - {src: fixtures, dest: /workspace/more}
    graders:
      - type: deterministic
        run: bash graders/check.sh app.js
    trials: 2
    timeout: 7
"""
CHECK = """\
. graders/lib.sh
if grep -q const "$1"; then say 1.0; else say 0.5; fi
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    files = {
        "eval.yaml": EVAL,
        "fixtures/app.js": "var a\n",
        "bin/superlint": "#!/bin/sh\n",
        "graders/check.sh": CHECK,
        "graders/lib.sh": 'say() { echo "{\\"score\\": $1, \\"details\\": \\"$1\\"}"; }\n',
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def graded(task: Task, work: Path, spec: int = 0) -> Grade:
    return CommandGrader(NoSandbox()).grade(task.graders[spec], task, Result(work))


def test_a_workspace_is_laid_out(suite: Path, tmp_path: Path) -> None:
    (task,) = load_suite(suite).tasks
    assert set(task.files) == {"app.js", "bin/superlint", "more/app.js"}
    assert (task.trials, task.timeout, task.threshold) == (2, 7, 0.8)
    assert "`/usr/local/bin/superlint` is at `bin/superlint`" in task.instruction
    lay(task.files, tmp_path / "work", task.executable)
    assert os.access(tmp_path / "work" / "bin" / "superlint", os.X_OK)
    assert not os.access(tmp_path / "work" / "app.js", os.X_OK)


def test_a_check_finds_the_folder_it_names_and_not_the_agents_forgery(suite: Path, tmp_path: Path) -> None:
    (task,) = load_suite(suite).tasks
    work = tmp_path / "work"
    lay(task.files, work)
    assert graded(task, work).score == 0.5
    (work / "app.js").write_text("const a\n")
    assert graded(task, work).outcome is Outcome.PASSED
    (work / "app.js").write_text("var a\n")
    (work / "graders").mkdir()
    (work / "graders" / "check.sh").write_text('echo \'{"score": 1, "details": "ha"}\'\n')
    assert graded(task, work).score == 0.5


def test_a_check_never_lays_inputs_over_the_result(suite: Path, tmp_path: Path) -> None:
    text = EVAL.replace("fixtures/app.js", "{src: fixtures/app.js, dest: fixtures/app.js}", 1)
    (suite / "eval.yaml").write_text(text.replace("check.sh app.js", "check.sh fixtures/app.js"))
    (task,) = load_suite(suite).tasks
    lay(task.files, tmp_path / "work")
    (tmp_path / "work" / "fixtures" / "app.js").write_text("const a\n")
    assert graded(task, tmp_path / "work").outcome is Outcome.PASSED


@pytest.mark.parametrize(
    "run", ["graders/check.sh app.js", "graders/plain.sh", "|\n          . graders/lib.sh\n          say 0.5"]
)
def test_a_run_that_names_a_file_stands_for_its_content(suite: Path, tmp_path: Path, run: str) -> None:
    (suite / "graders" / "plain.sh").write_text(". graders/lib.sh\nsay 0.5\n")
    (suite / "eval.yaml").write_text(EVAL.replace("bash graders/check.sh app.js", run))
    (task,) = load_suite(suite).tasks
    lay(task.files, tmp_path / "work")
    assert graded(task, tmp_path / "work").score == 0.5


def test_instruction_and_rubric_may_be_files_and_weights_stay(tmp_path: Path) -> None:
    suite = load_suite(documented.write("skillgrade", tmp_path))
    (task,) = suite.tasks
    assert task.instruction.startswith("`names.txt` has one name")
    assert [(spec.kind, spec.weight) for spec in task.graders] == [("command", 0.7), ("judge", 0.3)]
    assert task.graders[1].options["transcript"] is True
    assert task.trials == 3
    assert "agent, provider" in suite.warnings[0]


@pytest.mark.parametrize(
    ("chmod", "executable"),
    [
        *[(given, True) for given in ("+x", "a+rx", "u=rwx", "755", 755, 0o755, 0o700)],
        *[(given, False) for given in ("644", 0o644, "+w", "-x", None, "0644")],
    ],
)
def test_chmod(chmod: str | int | None, executable: bool) -> None:
    assert _makes_executable(chmod) is executable


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("instruction:", "instructon:", ":7: tasks[0].instructon: unknown key; did you mean instruction?"),
        (
            "deterministic",
            "determinstic",
            ":13: tasks[0].graders[0].type: unknown type 'determinstic'; did you mean det",
        ),
        ("        run: bash graders/check.sh app.js\n", "", "tasks[0].graders[0].run: is missing"),
        ("src: bin/superlint", "src: bin/lint", ":10: tasks[0].workspace[1]: no such file"),
        ("- fixtures/app.js", "- ../../app.js", ":9: tasks[0].workspace[0]: '../../app.js' leads out of"),
        ("/workspace/more", "../more", ":11: tasks[0].workspace[2].dest: '../more' is no path inside"),
        ("timeout: 100", "timeout: long", ":4: defaults.timeout: expected a valid number, got 'long'"),
        ("app.js\n    trials", "app.js\n        weight: 0\n    trials", "tasks[0]: all weights are 0"),
        ("    trials: 2", "    solution: none.sh", ":15: tasks[0].solution: no such file"),
        ("/workspace/more", "/etc/..", ":11: tasks[0].workspace[2].dest: 'bin/..' is no path inside"),
        (
            "deterministic\n        run: bash graders/check.sh app.js",
            "llm_rubric\n        rubric: ' '",
            "rubric: is blank",
        ),
        ("instruction: Fix app.js with superlint.", "instruction: ' '", ":7: tasks[0].instruction: is blank"),
        ("tasks:", "task:", "task: unknown key; did you mean tasks?"),
    ],
)
def test_a_mistake_is_told_with_line_and_field(suite: Path, old: str, new: str, expected: str) -> None:
    assert old in EVAL
    (suite / "eval.yaml").write_text(EVAL.replace(old, new, 1))
    with pytest.raises(UserError) as error:
        load_suite(suite)
    assert expected in str(error.value)
    assert str(error.value).startswith(f"{suite / 'eval.yaml'}:")


def test_an_eval_yaml_of_no_known_format_is_told_what_would_make_it_one(tmp_path: Path) -> None:
    (tmp_path / "eval.yaml").write_text("dataset: questions.jsonl\nscorer: match\n")
    with pytest.raises(UserError, match=r"is no format that is read: it holds dataset, scorer; put what is asked"):
        load_suite(tmp_path)

"""tasks.yaml: what it stands for, what each mistake says, and that no path leads out."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from skillgrad_ci.errors import UserError
from skillgrad_ci.method.grader_options import XlsxOptions
from skillgrad_ci.method.task import Split
from skillgrad_ci.suites import load_suite, untouched_result
from skillgrad_ci.suites.native.tasks_file import TasksFile
from tests.support import documented

SCHEMA = documented.DOCS / "tasks.schema.json"
TASKS = """\
version: 1
defaults: {timeout: 120, trials: 2}
tasks:
  - id: sums
    instruction: Add them up.
    files: [inputs/a.csv]
    outputs: [out.csv]
    grader: {type: csv, output: out.csv, golden: goldens/a.csv}
    split: train
    reference: {files: {out.csv: goldens/a.csv}}
  - id: 12
    instruction_file: ask.md
    files: {data: inputs}
    grader:
      - {type: text, number: 4, weight: 2}
      - {type: judge, assertions: [It is polite.]}
    timeout: 5
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    for name, content in {
        "inputs/a.csv": "1\n",
        "goldens/a.csv": "2\n",
        "ask.md": "Four?\n",
        "tasks.yaml": TASKS,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_every_field_reaches_the_task(suite: Path) -> None:
    (suite / "inputs" / "run.sh").write_text("true\n")
    (suite / "inputs" / "run.sh").chmod(0o755)
    sums, second = load_suite(suite).tasks
    assert (sums.id, sums.split, sums.timeout, sums.trials, sums.threshold) == ("sums", Split.TRAIN, 120, 2, 1.0)
    assert sums.files == {"a.csv": suite / "inputs/a.csv"}
    assert sums.graders[0].references == {"golden": suite / "goldens/a.csv"}
    assert sums.graders[0].options == {"output": "out.csv"}
    assert sums.reference is not None
    assert sums.reference.files == {"out.csv": suite / "goldens/a.csv"}
    assert (second.id, second.instruction, second.timeout) == ("12", "Four?\n", 5)
    assert set(second.files) == {"data/a.csv", "data/run.sh"}
    assert second.executable == ["data/run.sh"]
    assert [(spec.kind, spec.weight) for spec in second.graders] == [("text", 2), ("judge", 1)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("instruction: Add", "instrution: Add", ":5: tasks[0].instrution: unknown key; did you mean instruction?"),
        ("golden: g", "zzz: g", ":8: tasks[0].grader.zzz: unknown key; known here: output, delimiter"),
        ("golden: g", "gold: g", ":8: tasks[0].grader.gold: unknown key; did you mean golden?"),
        (
            "type: text, number: 4",
            "type: command, run: x, files: [goldens], workspace: [golden]",
            ":15: tasks[1].grader[0].workspace[0]: 'golden' is not among files; did you mean goldens?",
        ),
        ("type: csv", "type: cvs", ":8: tasks[0].grader.type: unknown type 'cvs'; did you mean csv?"),
        ("type: text, ", "", ":15: tasks[1].grader[0]: type is missing"),
        ("inputs/a.csv]", "inputs/b.csv]", ":6: tasks[0].files[0]: no such file"),
        ("golden: goldens/a", "golden: goldens/b", ":8: tasks[0].grader.golden: no such file"),
        ("number: 4", "number: four", ":15: tasks[1].grader[0].number: expected a valid number, got 'four'"),
        ("number: 4", "number: 4, exact: x", ":15: tasks[1].grader[0]: needs exactly one of"),
        ("number: 4", "regex: '('", ":15: tasks[1].grader[0]: regex: missing )"),
        ("split: train", "split: training", ":9: tasks[0].split: expected 'train', 'validation' or 'heldout'"),
        ("timeout: 120", "timeout: yes", ":2: defaults.timeout: expected a valid number, got true"),
        ("Add them up.", "2024-01-05", ":5: tasks[0].instruction: expected a valid string, got 2024-01-05; put it in"),
        ("    instruction: Add them up.\n", "", ":4: tasks[0]: needs instruction or instruction_file"),
        ("id: 12", "id: sums", ":11: tasks[1].id: 'sums' stands in line 4 already"),
        ("version: 1", "version: 2", ":1: version: expected 1, got 2"),
        ("version: 1", "verson: 1", ":1: verson: unknown key; did you mean version?"),
        ("    split: train\n", "    id: b\n", ":9: the key 'id' stands twice"),
        ("outputs: [out.csv]", "outputs: [../out.csv]", ":7: tasks[0].outputs[0]: '../out.csv' is no path inside"),
        ("    outputs", "   outputs", ": no valid YAML"),
        ("weight: 2", "weight: 0", ":15: tasks[1].grader[0].weight: expected greater than 0"),
        ("weight: 2", "weight: .inf", ":15: tasks[1].grader[0].weight: expected a finite number, got inf"),
        ("number: 4", "number: .nan", ":15: tasks[1].grader[0].number: expected a finite number, got nan"),
        ("Add them up.", "' '", ":5: tasks[0].instruction: is blank"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_field(suite: Path, old: str, new: str, expected: str) -> None:
    file = suite / "tasks.yaml"
    assert old in TASKS
    file.write_text(TASKS.replace(old, new, 1))
    with pytest.raises(UserError) as error:
        load_suite(suite)
    assert expected in str(error.value)
    assert str(error.value).startswith(str(file))
    assert "\n" not in str(error.value)


def test_a_task_without_a_grader_needs_a_default_one(suite: Path) -> None:
    bare = TASKS.replace("    grader: {type: csv, output: out.csv, golden: goldens/a.csv}\n", "")
    (suite / "tasks.yaml").write_text(bare)
    with pytest.raises(UserError, match="task 'sums' has no grader"):
        load_suite(suite)
    (suite / "tasks.yaml").write_text(bare.replace("trials: 2", "grader: {type: text, exact: x}"))
    assert load_suite(suite).tasks[0].graders[0].kind == "text"


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../outside.txt", "inputs/../../outside.txt", "link.txt", "way/outside.txt"]
)
def test_files_lie_inside_the_suite(suite: Path, path: str) -> None:
    inner = suite / "suite"
    inner.mkdir()
    (suite / "outside.txt").write_text("secret")
    (inner / "inputs").mkdir()
    (inner / "link.txt").symlink_to(suite / "outside.txt")
    (inner / "way").symlink_to(suite)
    rows = [{"id": "a", "instruction": "x", "files": [path], "grader": {"type": "text", "exact": "x"}}]
    (inner / "tasks.yaml").write_text(yaml.safe_dump({"version": 1, "tasks": rows}))
    with pytest.raises(UserError, match=r"out of|outside|no such file"):
        load_suite(inner)


def test_files_may_lie_elsewhere_in_the_repository_but_not_in_git(suite: Path) -> None:
    (suite / ".git").mkdir()
    (suite / ".git" / "config").write_text("token")
    inner = suite / "evals" / "one"
    inner.mkdir(parents=True)
    row = {"id": "a", "instruction": "x", "files": ["../../inputs/a.csv"], "grader": {"type": "text", "exact": "x"}}
    (inner / "tasks.yaml").write_text(yaml.safe_dump({"version": 1, "tasks": [row]}))
    assert set(load_suite(inner).tasks[0].files) == {"a.csv"}
    row["files"] = ["../../.git/config"]
    (inner / "tasks.yaml").write_text(yaml.safe_dump({"version": 1, "tasks": [row]}))
    with pytest.raises(UserError, match="out of"):
        load_suite(inner)


@given(name=st.text(st.sampled_from("ab./\\\0-"), min_size=1, max_size=12))
def test_a_name_in_the_work_folder_stays_in_it(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    document_folder = folder / "names"
    document_folder.mkdir(exist_ok=True)
    (document_folder / "a").write_text("x")
    row = {"id": "a", "instruction": "x", "files": {name: "a"}, "grader": {"type": "text", "exact": "x"}}
    (document_folder / "tasks.yaml").write_text(json.dumps({"version": 1, "tasks": [row]}))
    try:
        (target,) = load_suite(document_folder).tasks[0].files
    except UserError:
        return
    work = folder / "work"
    assert (work / target).resolve().is_relative_to(work.resolve())
    assert (work / target).resolve() != work.resolve()


def test_the_schema_for_editors_is_the_model_that_reads() -> None:
    assert SCHEMA.read_text() == json.dumps(TasksFile.model_json_schema(), indent=2) + "\n"


def test_the_schema_takes_the_documented_example_and_refuses_a_mistake() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(SCHEMA.read_text())
    example = yaml.safe_load(documented.examples()["native"]["tasks.yaml"])
    jsonschema.validate(example, schema)
    jsonschema.validate(yaml.safe_load(TASKS), schema)
    example["tasks"][0]["grader"]["goldn"] = "x"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(example, schema)


def test_workbooks_are_graded_and_their_new_values_are_expected_answers(tmp_path: Path) -> None:
    for name, value in {"in.xlsx": "known before", "golden.xlsx": "total of North"}.items():
        book = Workbook()
        book.worksheets[0]["A1"] = value
        book.save(tmp_path / name)
    row = {"id": "a", "instruction": "x", "files": ["in.xlsx"], "grader": {"type": "xlsx", "answer_position": "A1"}}
    row["grader"] |= {"output": "out.xlsx", "golden": "golden.xlsx"}  # type: ignore[operator]
    (tmp_path / "tasks.yaml").write_text(yaml.safe_dump({"version": 1, "tasks": [row]}))
    (task,) = load_suite(tmp_path).tasks
    XlsxOptions.model_validate(task.graders[0].options)
    assert list(task.expected) == ["total of North"]
    untouched_result(load_suite(tmp_path), task, tmp_path / "work")
    assert (tmp_path / "work" / "out.xlsx").read_bytes() == (tmp_path / "in.xlsx").read_bytes()


def test_a_name_is_no_file_and_folder_at_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    (tmp_path / "tasks.yaml").write_text(
        "version: 1\ntasks:\n- {id: a, instruction: x, files: {d: a, d/e: a}, grader: {type: text, exact: b}}\n"
    )
    with pytest.raises(UserError, match=r"tasks.yaml:3: tasks\[0\].files.d/e: 'd' would be a file and a folder"):
        load_suite(tmp_path)


def test_a_workbook_that_is_none_is_named(tmp_path: Path) -> None:
    for name in ("in.xlsx", "golden.xlsx"):
        (tmp_path / name).write_text("no workbook")
    grader = "{type: xlsx, output: o.xlsx, golden: golden.xlsx, answer_position: A1}"
    (tmp_path / "tasks.yaml").write_text(
        f"version: 1\ntasks:\n- {{id: a, instruction: x, files: [in.xlsx], grader: {grader}}}\n"
    )
    with pytest.raises(UserError, match=r"in.xlsx: no workbook that can be read"):
        list(load_suite(tmp_path).tasks[0].expected)

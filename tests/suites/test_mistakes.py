"""Mistakes that a suite's file can hold, in every format: each is told with file, line, field and what to write."""

import json
from pathlib import Path

import pytest

from skillgrad_ci.errors import UserError
from skillgrad_ci.suites import load_suite, paths
from tests.support import terminal_bench_tasks

TEXT = "grader: {type: text, exact: a}"
JUDGES = "grader: [{type: judge, prefer: true}, {type: judge, prefer: true, rubric: Be kind.}]"
COMMAND = "grader: {type: command, run: sh ../grader/a.sh, files: [one/a.sh, two/a.sh]}"
PROMPTFOO = "prompts: PROMPTS\ntests: TESTS\n"
SCENARIOS = "scenarios:\n  - {name: one, prompt: Do it., rubric: [Good.], files: [{path: 1}]}\n"
ROWS = [
    ("tasks.yaml", JUDGES, ":5: tasks[0].grader: task 'one' has two judges that prefer; leave one of them out"),
    ("tasks.yaml", COMMAND, ":5: tasks[0].grader.files[1]: two files are called 'a.sh'; rename one"),
    (
        "tasks.yaml",
        f"{TEXT}\n    files: [one/a.sh, two/a.sh]",
        ":6: tasks[0].files[1]: two files would be 'a.sh' in the",
    ),
    ("promptfooconfig.yaml", ("[Do it.]", "file://tests.csv"), ":2: tests: tests in a file or from a program are not"),
    ("promptfooconfig.yaml", ("[{id: x}]", "[]"), ":1: prompts[0]: a prompt is no text; write one, or file://path"),
    ("promptfooconfig.yaml", ("[file://one]", "[]"), ":1: prompts[0]: 'one' is no file; name one"),
    ("promptfooconfig.yaml", ("[Do it.]", "[{vars: {}}]"), ":2: tests[0]: has no assert that is read; add one such as"),
    ("promptfooconfig.yaml", ("[Do it.]", "[{vars: {a: [1, 2]}}]"), ":2: tests[0].vars.a: a list stands for several"),
    ("scenarios.yaml", SCENARIOS, ":2: scenarios[0].files[0]: a file that is not read; write a path, or {path: …"),
]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with two files of one name."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.sh").touch()
    return tmp_path


@pytest.mark.parametrize(("name", "text", "said"), ROWS, ids=[said for _, _, said in ROWS])
def test_a_mistake_is_told_with_its_place(files: Path, name: str, text: str | tuple[str, str], said: str) -> None:
    if isinstance(text, tuple):
        text = PROMPTFOO.replace("PROMPTS", text[0]).replace("TESTS", text[1])
    elif name == "tasks.yaml":
        text = f"version: 1\ntasks:\n  - id: one\n    instruction: Do it.\n    {text}\n"
    file = files / name
    file.write_text(text)
    with pytest.raises(UserError) as refused:
        load_suite(file)
    assert str(refused.value).startswith(f"{file}{said}")


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ([{"path": 5}], "evals[0].files[0]: a file that is not read; write a path, or {path: …}"),
        (["one/a.sh", "two/a.sh"], "evals[0].files[1]: two files would be 'a.sh' in the work folder; rename one"),
    ],
)
def test_files_of_evals_json(files: Path, described: list[object], said: str) -> None:
    row = {"id": 1, "prompt": "Do it.", "expected_output": "Done.", "files": described}
    (files / "evals.json").write_text(json.dumps({"evals": [row]}))
    with pytest.raises(UserError) as refused:
        load_suite(files / "evals.json")
    assert said in str(refused.value)


def test_a_folder_with_too_many_files(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "MAX_FILES", 1)
    (files / "one" / "b.sh").touch()
    task = f"- id: one\n    instruction: Do it.\n    {TEXT}\n    files: [two, one]"
    (files / "tasks.yaml").write_text(f"version: 1\ntasks:\n  {task}\n")
    with pytest.raises(UserError, match=r"files\[1\]: 'one' holds more than 1 files; name the ones it needs"):
        load_suite(files)


def test_a_file_where_spreadsheetbench_has_a_folder(tmp_path: Path) -> None:
    row = {"id": 7, "instruction": "Fill it.", "spreadsheet_path": "book.xlsx", "answer_position": "B2:B9"}
    (tmp_path / "dataset.json").write_text(json.dumps([row]))
    (tmp_path / "book.xlsx").touch()
    with pytest.raises(UserError, match=r"\[0\]\.spreadsheet_path: .*book\.xlsx is no folder; name the one with"):
        load_suite(tmp_path)


def test_an_instruction_of_terminal_bench_without_a_word(tmp_path: Path) -> None:
    first, _, rest = terminal_bench_tasks.CONFIG.partition("instruction: |-\n")
    config = f"{first}instruction: ' '\n{rest.partition(chr(10))[2]}"
    with pytest.raises(UserError, match=r"task\.yaml:2: instruction: is empty; say what the agent is to do"):
        load_suite(terminal_bench_tasks.write(tmp_path, {"alpha": 1}, config))

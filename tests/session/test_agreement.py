"""Two graders are compared on outputs of many kinds, and every disagreement is told."""

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook

from skillgrad_ci.__main__ import main
from skillgrad_ci.method.task import GraderSpec
from skillgrad_ci.session.outputs.variants import WAYS, changes

TASKS = """version: 1
tasks:
  - id: table
    instruction: Write out.csv.
    outputs: [out.csv]
    grader: {type: csv, output: out.csv, golden: right.csv}
    reference: {files: {out.csv: right.csv}}
  - id: word
    instruction: Say North.
    grader: {type: text, exact: North}
    reference: {answer: North}
"""
OFFICIAL = """
import csv, json, pathlib, sys

for line in sys.stdin:
    row = json.loads(line)
    spec = row["graders"][0]
    if spec["kind"] == "text":
        verdict = row["answer"].strip() == spec["options"]["exact"]
    else:
        try:
            read = lambda path: list(csv.reader(pathlib.Path(path).open(newline="")))
            given, right = read(row["work"] + "/out.csv"), read(spec["references"]["golden"])
            verdict = ROUGHLY
        except (OSError, ValueError):
            verdict = False
    print(json.dumps({"passed": verdict}), flush=True)
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    (tmp_path / "tasks.yaml").write_text(TASKS)
    (tmp_path / "right.csv").write_text("name,amount\ncafé,12.5\nbolt,3\nnut,\n")
    return tmp_path


def agree(
    suite: Path, capsys: pytest.CaptureFixture[str], rule: str = "given == right", *words: str
) -> tuple[int, dict[str, Any]]:
    script = suite / "official.py"
    script.write_text(OFFICIAL.replace("ROUGHLY", rule))
    code = main(["agree", str(suite), "--official", shlex.join([sys.executable, str(script)]), "--json", *words])
    out = capsys.readouterr().out
    return code, json.loads(out) if out else {}


def test_a_grader_that_is_as_ours_agrees_but_where_the_rules_differ(
    suite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, facts = agree(suite, capsys)
    assert code == 1
    assert facts["compared"] == facts["outputs"] > 25
    told = {row["kind"] for row in facts["disagreements"]}
    assert "one cell: a number a little more (1e-9)" in told, "ours has a tolerance, and a text has none"
    assert all((row["ours"], row["theirs"]) == (True, False) for row in facts["disagreements"])
    assert facts["kinds"]["copied"] == {"agree": 2}
    assert facts["kinds"]["untouched"] == {"agree": 2}
    assert facts["kinds"]["truncated"] == facts["kinds"]["empty"] == facts["kinds"]["re-saved"] == {"agree": 1}
    assert facts["agree"] + len(facts["disagreements"]) == facts["compared"]
    assert main(["agree", str(suite), "--official", shlex.join([sys.executable, str(suite / "official.py")])]) == 1
    text = capsys.readouterr().out
    assert "table, one cell: a number a little more (1e-9): passes here, fails there" in text
    assert f"{facts['agree']} of {facts['compared']} verdicts agree" in text


def test_a_grader_that_passes_everything_is_found_out(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, facts = agree(suite, capsys, "True", "--ways", "3")
    wrong = [row for row in facts["disagreements"] if row["theirs"] and not row["ours"]]
    assert {"truncated", "empty"} <= {row["kind"] for row in wrong}


def test_a_grader_that_cannot_tell_is_not_compared(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, facts = agree(suite, capsys, "None", "--ways", "0")
    assert {row["task"] for row in facts["untold"]} == {"table"}
    assert facts["compared"] == facts["outputs"] - len(facts["untold"])


@pytest.mark.parametrize(("command", "said"), [("true", "gave no answer"), ("yes maybe", "expected true, false")])
def test_a_grader_that_does_not_answer_ends_it(
    suite: Path, capsys: pytest.CaptureFixture[str], command: str, said: str
) -> None:
    assert main(["agree", str(suite), "--official", command]) == 2
    assert said in capsys.readouterr().err


def test_without_a_right_result_there_is_nothing_to_compare(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = "{id: word, instruction: Say North., grader: {type: command, run: grep -q North answer.txt}}"
    (suite / "tasks.yaml").write_text(f"version: 1\ntasks: [{task}]\n")
    assert main(["agree", str(suite), "--official", "cat"]) == 2
    assert "no task has a right result to make outputs from; give some a reference" in capsys.readouterr().err


def test_a_person_may_stop_it_and_is_told_what_is_compared(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, facts = agree(suite, capsys, f"__import__('os').kill({os.getpid()}, 2) or True", "--ways", "0")
    assert code == 1
    assert facts["cut"].startswith("interrupted after")


def test_secrets_are_not_handed_on(
    suite: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "a-secret-of-this-test")
    monkeypatch.setenv("HEADERS", "x-service: a-secret-of-this-test")
    monkeypatch.setenv("DATABASE_URL", "postgres://ida:pass-of-this-test@localhost/ledger")
    rule = "'of-this-test' in ' '.join(__import__('os').environ.values())"
    _, facts = agree(suite, capsys, rule, "--ways", "0")
    assert not any(row["theirs"] for row in facts["disagreements"])


def test_each_way_changes_one_cell_of_a_workbook_and_no_more(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.worksheets[0]
    rows: list[list[Any]] = [[1.234, "Word", None], [7, "café", -2.5], [0.5, None, 3]]
    for row in rows:
        sheet.append(row)
    sheet["E9"] = "outside"
    book.save(tmp_path / "right.xlsx")
    spec = GraderSpec("xlsx", {"answer_position": "A1:C3", "cases": []})
    assert len(WAYS) == 30
    made = {}
    for kind, change in changes("right.xlsx", spec, 30):
        if kind.startswith("one cell") and (content := change((tmp_path / "right.xlsx").read_bytes())):
            (tmp_path / "changed.xlsx").write_bytes(content)
            new = load_workbook(tmp_path / "changed.xlsx").worksheets[0]
            given = [[cell.value for cell in row] for row in new["A1:C3"]]
            made[kind] = sum(repr(a) != repr(b) for one, two in zip(given, rows, strict=True)
                             for a, b in zip(one, two, strict=True))  # fmt: skip
            assert new["E9"].value == "outside"
    assert len(made) >= 24, "but for dates, which are not there"
    assert {kind: number for kind, number in made.items() if number > 1} == {}

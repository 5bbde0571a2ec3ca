"""Agent Skills evals: both spellings, files where the prompt has them, and what each mistake says."""

import json
from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci.errors import UserError
from skillgrad_ci.skill.skill import Skill
from skillgrad_ci.suites import load_suite
from tests.support import documented


def write(skill: Path, *evals: dict[str, Any], **fields: Any) -> Path:
    (skill / "evals" / "files").mkdir(parents=True, exist_ok=True)
    (skill / "evals" / "files" / "sales.csv").write_text("a,b\n")
    (skill / "SKILL.md").write_text("---\nname: s\ndescription: d\n---\nbody\n")
    file = skill / "evals" / "evals.json"
    file.write_text(json.dumps({"skill_name": "s", "evals": list(evals), **fields}, indent=2))
    return file


def test_the_documented_example(tmp_path: Path) -> None:
    first, second = load_suite(documented.write("agent-skills-evals", tmp_path)).tasks
    assert (first.id, second.id) == ("1", "summary")
    assert set(first.files) == {"data/sales.csv"}
    assert set(second.files) == {"sales.csv"}
    assert first.graders[0].kind == "judge"
    assert first.graders[0].options["assertions"] == ["Names North as the best region.", "Gives 150.5 as its total."]
    assert second.graders[0].options["assertions"] == ["Has exactly three sentences.", "Gives 230.5 as the total."]


def test_the_skill_its_evals_folder_and_the_file_are_one_suite(tmp_path: Path) -> None:
    file = write(tmp_path / "s", {"id": 1, "prompt": "x", "expected_output": "y", "files": ["evals/files/sales.csv"]})
    found = [load_suite(path) for path in (tmp_path / "s", file.parent, file)]
    assert len({suite.digest for suite in found}) == 1
    assert {suite.name for suite in found} == {"s"}


def test_agents_never_see_the_evals(tmp_path: Path) -> None:
    write(tmp_path / "s", {"id": 1, "prompt": "x", "expected_output": "y"})
    assert set(Skill.load(tmp_path / "s").for_agents().files) == {"SKILL.md"}


def test_an_expected_output_alone_is_graded_and_ids_may_be_left_out(tmp_path: Path) -> None:
    write(tmp_path / "s", {"prompt": "x", "expected_output": "y", "notes": "our own key"})
    (task,) = load_suite(tmp_path / "s").tasks
    assert task.id == "1"
    assert task.expected == ["y"]


@pytest.mark.parametrize(
    ("prompt", "place"),
    [
        ("see data/q1/sales.csv.", "data/q1/sales.csv"),
        ("see `sales.csv`", "sales.csv"),
        ("see /home/me/sales.csv", "sales.csv"),
        ("see ../sales.csv", "sales.csv"),
        ("see ~/docs/sales.csv", "sales.csv"),
        ("see my-sales.csv", "sales.csv"),
        ("no file", "sales.csv"),
    ],
)
def test_a_file_lies_where_the_prompt_says(prompt: str, place: str, tmp_path: Path) -> None:
    write(tmp_path / "s", {"prompt": prompt, "expected_output": "y", "files": ["evals/files/sales.csv"]})
    assert set(load_suite(tmp_path / "s").tasks[0].files) == {place}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"id": 2, "promt": "x", "expected_output": "y"}, ":11: evals[1].promt: unknown key; did you mean prompt?"),
        ({"id": 2, "expected_output": "y"}, "evals[1].prompt: is missing"),
        ({"id": 2, "prompt": "x"}, ":9: evals[1]: has nothing to grade by"),
        ({"id": 2, "prompt": "x", "assertions": 5}, "evals[1].assertions[0]: an assertion that is not read"),
        ({"id": 1, "prompt": "x", "expected_output": "y"}, ":10: evals[1].id: '1' stands in line 5 already"),
        ({"id": 2, "prompt": "x", "expected_output": "y", "files": ["no.csv"]}, "evals[1].files[0]: no such file"),
        ({"id": 2, "prompt": "x", "expected_output": "y", "files": ["/etc/passwd"]}, "leads out of"),
        ({"id": 2, "prompt": "x", "expected_output": "y", "files": ["../../../x"]}, "leads out of"),
        ({"id": True, "prompt": "x", "expected_output": "y"}, "evals[1].id"),
        ({"id": "../x", "prompt": "x", "expected_output": "y"}, ":10: evals[1].id: '../x' cannot name a folder"),
        ({"id": "x" * 500, "prompt": "x", "expected_output": "y"}, ":10: evals[1].id: 'xxx"),
        ({"id": 2, "prompt": "", "expected_output": "y"}, "evals[1].prompt: is empty"),
        ({"id": 2, "prompt": None, "expected_output": "y"}, "evals[1].prompt: is missing"),
        ("x", ":9: evals[1]: expected a mapping, got 'x'"),
    ],
)
def test_a_mistake_is_told_with_line_and_field(row: Any, expected: str, tmp_path: Path) -> None:
    file = write(tmp_path / "s", {"id": 1, "prompt": "x", "expected_output": "y"}, row)
    with pytest.raises(UserError) as error:
        load_suite(tmp_path / "s")
    assert expected in str(error.value)
    assert str(error.value).startswith(f"{file}:")


def test_a_null_is_a_field_left_out(tmp_path: Path) -> None:
    row = {"id": 1, "prompt": "x", "expected_output": None, "files": None, "assertions": ["a"], "expectations": None}
    (task,) = load_suite(write(tmp_path / "s", row)).tasks
    assert task.graders[0].options["assertions"] == ["a"]


def test_a_skill_name_never_leads_out_of_a_folder(tmp_path: Path) -> None:
    file = write(tmp_path / "s", {"id": 1, "prompt": "x", "expected_output": "y"}, skill_name="../../evil")
    assert load_suite(file).name == "s"


@pytest.mark.parametrize("content", ["[" * 100_000, '{"evals": [{"id": ' + "9" * 5_000 + "}]}"])
def test_json_that_python_refuses_is_one_line(content: str, tmp_path: Path) -> None:
    file = write(tmp_path / "s", {"id": 1, "prompt": "x", "expected_output": "y"})
    file.write_text(content)
    with pytest.raises(UserError, match="JSON that no suite needs"):
        load_suite(file)


def test_broken_json_is_told_with_its_line(tmp_path: Path) -> None:
    file = write(tmp_path / "s", {"id": 1, "prompt": "x", "expected_output": "y"})
    file.write_text(file.read_text().replace('"prompt": "x",', '"prompt": "x"'))
    with pytest.raises(UserError, match=r"evals\.json:7: no valid JSON"):
        load_suite(tmp_path / "s")
    file.write_text('{"skill_name": "s')
    with pytest.raises(UserError, match=r"evals\.json:1: no valid JSON \(Unterminated string starting at column 16\)"):
        load_suite(tmp_path / "s")
    file.write_text('{"skill_name": "s", "evals": [], "evals": []}')
    with pytest.raises(UserError, match="the key 'evals' stands twice"):
        load_suite(tmp_path / "s")


def test_lines_are_found_in_json_with_tabs(tmp_path: Path) -> None:
    file = write(tmp_path / "s", {"id": 1, "prompt": "x", "expected_output": "y"}, {"id": 2})
    file.write_text(json.dumps(json.loads(file.read_text()), indent="\t"))
    with pytest.raises(UserError, match=r"evals\.json:9: evals\[1\]"):
        load_suite(tmp_path / "s")


@pytest.mark.parametrize("kind", ["llm", "llm_judge", "llm-rubric", "semantic", "manual"])
def test_a_statement_of_a_judges_type_says_what_its_criteria_say(kind: str, tmp_path: Path) -> None:
    """A program's check of an unknown type is not taken for one: its value says nothing to a judge."""
    file = write(tmp_path / "s", {"prompt": "x", "assertions": [{"type": kind, "criteria": "It is short."}]})
    assert load_suite(file).tasks[0].graders[0].options["assertions"] == ["It is short."]
    file = write(tmp_path / "s", {"prompt": "x", "assertions": [{"type": "max_turns", "value": "5"}]})
    with pytest.raises(UserError, match="an assertion of the type 'max_turns' that is not read"):
        load_suite(file)

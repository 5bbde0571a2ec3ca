"""A suite's secrets are not part of the skill, whatever its format and wherever it lies."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from skillgrad_ci.errors import UserError
from skillgrad_ci.session.inputs import read_skill
from skillgrad_ci.skill.skill import MAIN
from skillgrad_ci.suites import load_suite

HEAD = "---\nname: demo\ndescription: Sorts.\n---\n# Demo\n"
SKILLGRADE = """\
tasks:
  - name: order
    instruction: Order the lines.
    workspace: [inputs/lines.txt, assets/template.txt]
    graders:
      - {type: deterministic, run: bash checks/order.sh}
      - {type: llm_rubric, rubric: rubrics/style.md}
    solution: answers/order.sh
"""
NATIVE = """\
version: 1
tasks:
  - id: sum
    instruction: Add them.
    files: [in.csv]
    grader: {type: csv, output: out.csv, golden: gold.csv}
    reference: gold.csv
"""


def lay(top: Path, files: Mapping[str, str]) -> Path:
    for name, content in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(content)
    return top


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """A suite of skillgrade beside `SKILL.md`."""
    return lay(tmp_path / "demo", {
        MAIN: HEAD + "Start from `assets/template.txt`.\n", "references/a.md": "A", "assets/template.txt": "t",
        "eval.yaml": SKILLGRADE, "checks/order.sh": ". checks/lib.sh", "checks/lib.sh": "x",
        "rubrics/style.md": "Nice.",
        "answers/order.sh": "sort", "answers/data.txt": "42", "inputs/lines.txt": "b\na",
        "rehearsal.yaml": "version: 1",
    })  # fmt: skip


def test_a_suite_beside_the_skill_is_left_out_with_all_that_it_names(beside: Path) -> None:
    expected = ["assets/template.txt", "references/a.md"]
    assert read_skill(beside, [load_suite(beside)]).resources == expected
    assert read_skill(beside).resources == expected  # also where another suite measures it


def test_a_folder_in_the_skill_is_left_out_whole(tmp_path: Path) -> None:
    skill = lay(tmp_path / "demo", {MAIN: HEAD, "references/a.md": "A"})
    suite = {"tasks.yaml": NATIVE, "in.csv": "1\n", "gold.csv": "1\n", "notes.md": "how it was made"}
    lay(skill / "benchmarks/small", suite)
    lay(skill / "benchmarks/large", {"unread.csv": "1"})
    assert read_skill(skill, [load_suite(skill / "benchmarks/small")]).resources == ["references/a.md"]


def test_a_suite_elsewhere_that_names_a_file_of_the_skill_takes_it_out(tmp_path: Path) -> None:
    skill = lay(tmp_path / "demo", {MAIN: HEAD, "examples/gold.csv": "1\n", "examples/lines.csv": "1\n"})
    lay(tmp_path, {"suite/tasks.yaml": NATIVE.replace("gold.csv", "../demo/examples/gold.csv"), "suite/in.csv": "1"})
    (tmp_path / ".git").mkdir()
    assert read_skill(skill, [load_suite(tmp_path / "suite")]).resources == []


def test_trigger_sets_and_suites_of_every_format_are_recognised(tmp_path: Path) -> None:
    triggers = json.dumps([{"query": "Sort it", "should_trigger": True}])
    skill = lay(tmp_path / "demo", {
        MAIN: HEAD, "queries.json": triggers, "quality/evals.json": '{"evals": [{"prompt": "a", "assertions": ["b"]}]}',
        "cases/one/instruction.md": "Do.", "cases/one/check.sh": "true", "package.json": "{}", "docs/more.md": "x",
    })  # fmt: skip
    assert read_skill(skill).resources == ["docs/more.md", "package.json"]


def test_a_check_that_the_skill_points_to_is_refused(tmp_path: Path) -> None:
    skill = lay(tmp_path / "demo", {
        MAIN: HEAD + "Run `scripts/verify.py` at the end.\n", "scripts/verify.py": "x", "scripts/other.py": "x",
        "eval.yaml": "tasks: [{name: a, instruction: b, "
        "graders: [{type: deterministic, run: python3 scripts/verify.py}]}]",
    })  # fmt: skip
    with pytest.raises(UserError, match=r"scripts/verify\.py grades the skill, and SKILL\.md points to it"):
        read_skill(skill, [load_suite(skill)])
    (skill / MAIN).write_text(HEAD)
    assert read_skill(skill, [load_suite(skill)]).resources == ["scripts/other.py"]


def test_a_link_to_a_golden_is_left_out(beside: Path) -> None:
    (beside / "hint.md").symlink_to("answers/order.sh")
    (beside / "more").symlink_to("answers")
    assert read_skill(beside, [load_suite(beside)]).resources == ["assets/template.txt", "references/a.md"]


def test_what_is_no_suite_stays(tmp_path: Path) -> None:
    skill = lay(tmp_path / "demo", {
        MAIN: HEAD, "workflows/instruction.md": "how", "config.yaml": "tasks: [a]", "data.json": "[1, 2]",
        "assets/evals.json": '{"evals": []}', "prompts/eval.yaml": "tasks: broken",
    })  # fmt: skip
    assert len(read_skill(skill).resources) == 5

"""Tasks that were proposed for a suite belong to it, teach, and claim nothing until a person has read them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.errors import UserError
from skillgrad_ci.method.acceptance import check_mode, check_split, check_tasks
from skillgrad_ci.method.task import GraderSpec, Split, Suite, Task
from skillgrad_ci.session.split import assign
from skillgrad_ci.skill.skill import Skill
from skillgrad_ci.suites import load_suite, reference_result
from skillgrad_ci.suites.kept_out import kept_out

OWN = "version: 1\ntasks:\n  - {id: one, instruction: Say one., grader: {type: text, exact: one}}\n"
GROWN = """version: 1
tasks:
  - id: two
    instruction: Say two.
    files: [grown/two/inputs/a.txt]
    grader: {type: text, exact: two}
    reference: {answer: two}
    unreviewed: true
    origin: SKILL.md
"""
GRADER = [GraderSpec("text", {"exact": "x"})]


def write(folder: Path, grown: str = GROWN) -> None:
    (folder / "grown/two/inputs").mkdir(parents=True)
    (folder / "grown/two/inputs/a.txt").write_text("a")
    (folder / "grown.yaml").write_text(grown)


def test_they_lie_beside_a_suite_of_any_format(tmp_path: Path) -> None:
    for name, content in (
        ("tasks.yaml", OWN),
        ("evals.json", json.dumps({"evals": [{"id": "one", "prompt": "Say one.", "assertions": ["It says one."]}]})),
        ("triggers.json", json.dumps([{"query": "Say one.", "should_trigger": True}])),
    ):
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        (folder / name).write_text(content)
        write(folder)
        suite = load_suite(folder)
        assert len(suite.tasks) == 2, name
        assert suite.unreviewed == ["two"], name
        result = reference_result(suite, suite.tasks[1], tmp_path / f"{name}-work", None)
        assert result is not None
        assert result.answer == "two", name


def test_a_suite_can_begin_with_them(tmp_path: Path) -> None:
    (tmp_path / "evals").mkdir()
    write(tmp_path / "evals")
    assert load_suite(tmp_path).unreviewed == ["two"]


def test_the_mark_goes_with_its_line_and_the_fingerprint_with_it(tmp_path: Path) -> None:
    (tmp_path / "tasks.yaml").write_text(OWN)
    write(tmp_path)
    before = load_suite(tmp_path)
    (tmp_path / "grown.yaml").write_text(GROWN.replace("    unreviewed: true\n", ""))
    after = load_suite(tmp_path)
    assert after.unreviewed == []
    assert before.digest != after.digest


def test_an_id_of_the_suite_is_not_taken_twice(tmp_path: Path) -> None:
    (tmp_path / "tasks.yaml").write_text(OWN)
    write(tmp_path, GROWN.replace("id: two", "id: one"))
    with pytest.raises(UserError, match=r"grown\.yaml: the id 'one' is one of the suite's own"):
        load_suite(tmp_path)


def test_an_unreviewed_task_cannot_ask_to_report(tmp_path: Path) -> None:
    (tmp_path / "tasks.yaml").write_text(OWN)
    write(tmp_path, GROWN + "    split: heldout\n")
    with pytest.raises(UserError, match="an unreviewed task only trains"):
        load_suite(tmp_path)


def test_no_agent_sees_them_in_the_skill(tmp_path: Path) -> None:
    (tmp_path / "SKILL.md").write_text(f"---\nname: {tmp_path.name}\ndescription: d\n---\nbody\n")
    (tmp_path / "tasks.yaml").write_text(OWN)
    write(tmp_path)
    skill = Skill.load(tmp_path, kept_out(tmp_path, [load_suite(tmp_path)]))
    assert not [name for name in skill.files if "grown" in name]


@given(
    reviewed=st.integers(0, 30),
    unreviewed=st.integers(0, 30),
    seed=st.integers(0, 5),
    recorded=st.sampled_from([None, *Split]),
    passed=st.booleans(),
)
def test_unreviewed_tasks_only_ever_train(
    reviewed: int, unreviewed: int, seed: int, recorded: Split | None, passed: bool
) -> None:
    tasks = [Task(f"r{n}", "x", GRADER) for n in range(reviewed)]
    tasks += [Task(f"u{n}", "x", GRADER, unreviewed=True) for n in range(unreviewed)]
    known = {f"u{n}": recorded for n in range(unreviewed)} if recorded else {}
    outcomes = {task.id: passed for task in tasks}
    assigned = assign(tasks, outcomes, known, seed)
    assert all(assigned.splits[f"u{n}"] is Split.TRAIN for n in range(unreviewed))
    alone = assign(tasks[:reviewed], outcomes, {}, seed)
    assert {task.id: assigned.splits[task.id] for task in tasks[:reviewed]} == alone.splits  # nothing else moves
    assert any("unreviewed" in note for note in assigned.notes) is bool(unreviewed)


def test_the_end_check_looks_at_reviewed_tasks_alone() -> None:
    tasks = [Task("r", "x", GRADER), Task("u", "x", GRADER, unreviewed=True)]
    suite = Suite("s", "native", Path(), tasks).with_splits(assign(tasks).splits)
    assert check_split(suite) is Split.TRAIN
    assert [task.id for task in check_tasks(suite)] == ["r"]


def test_a_run_that_could_claim_nothing_is_not_paid_for() -> None:
    suite = Suite("s", "native", Path(), [Task("u", "x", GRADER, unreviewed=True, split=Split.TRAIN)])
    with pytest.raises(UserError, match="all 1 tasks are unreviewed"):
        check_mode("final", suite)
    check_mode("always", suite)

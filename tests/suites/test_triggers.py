"""Trigger evaluations: tasks whose grader looks at whether the skill was activated."""

import json
from pathlib import Path

import pytest

from skillgrad_ci.errors import UserError
from skillgrad_ci.graders import grade
from skillgrad_ci.graders.trigger import TriggerGrader
from skillgrad_ci.method.evidence import Outcome, Trajectory
from skillgrad_ci.method.ports import Result
from skillgrad_ci.suites import load_suite
from tests.support import documented


def test_the_right_activation_passes(tmp_path: Path) -> None:
    wanted, unwanted = load_suite(documented.write("triggers", tmp_path)).tasks
    for task, activated, outcome in [
        (wanted, True, Outcome.PASSED),
        (wanted, False, Outcome.FAILED),
        (unwanted, True, Outcome.FAILED),
        (unwanted, False, Outcome.PASSED),
    ]:
        result = Result(tmp_path, trajectory=Trajectory(activated=activated))
        assert grade(task, result, {"trigger": TriggerGrader()}).outcome is outcome


def test_ids_stay_when_queries_are_added_or_moved(tmp_path: Path) -> None:
    file = documented.write("triggers", tmp_path)
    before = {task.instruction: task.id for task in load_suite(file).tasks}
    rows = json.loads(file.read_text())
    file.write_text(json.dumps([{"query": "new", "should_trigger": True}, *reversed(rows)]))
    after = {task.instruction: task.id for task in load_suite(file).tasks}
    assert {query: after[query] for query in before} == before


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("should_trigger", "should_triger", ":2: [0].should_triger: unknown key; did you mean should_trigger?"),
        ("true", '"yes"', ":2: [0].should_trigger: expected a valid boolean, got 'yes'"),
        ("Write a poem about the sea.", "Which region sold most in sales.csv?", ":3: [1].query: "),
        ('"query": "Write', '"text": "Write', ":3: [1].query: is missing"),
    ],
)
def test_a_mistake_is_told_with_line_and_field(tmp_path: Path, old: str, new: str, expected: str) -> None:
    file = documented.write("triggers", tmp_path)
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(UserError) as error:
        load_suite(file)
    assert expected in str(error.value)

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
from skillgrad_ci.suites.triggers import is_trigger_set
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
        ("true", "5", ":2: [0].should_trigger: expected a valid boolean, got 5"),
        ("Write a poem about the sea.", "Which region sold most in sales.csv?", ":3: [1].query: "),
        ('"query": "Write', '"words": "Write', ":3: [1].query: is missing"),
    ],
)
def test_a_mistake_is_told_with_line_and_field(tmp_path: Path, old: str, new: str, expected: str) -> None:
    file = documented.write("triggers", tmp_path)
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(UserError) as error:
        load_suite(file)
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("row", "read"),
    [
        ({"text": "Sort these", "expected": True}, True),
        ({"prompt": "Sort these", "skill": "tidy"}, True),
        ({"query": "Sort these", "should_fire": "no"}, True),
        ({"query": "Which region?", "expected": "North"}, False),
        ({"prompt": "Sort these", "skill": "tidy", "assertions": ["It is sorted."]}, False),
        ({"prompt": "Is it so?", "expected": True, "assertions": ["It says so."]}, False),
    ],
)
def test_a_word_that_other_suites_use_makes_a_set_only_where_nothing_else_grades(
    row: dict[str, object], read: bool
) -> None:
    assert is_trigger_set([row]) is read

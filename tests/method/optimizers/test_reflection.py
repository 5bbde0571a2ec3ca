"""Reflection: each execution is read once with its like, and a lesson stands on tasks that its reader saw."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from skillgrad_ci.errors import EnvironmentFailure, ReplyError
from skillgrad_ci.method.acceptance import Incumbent
from skillgrad_ci.method.events import Dropped, Event
from skillgrad_ci.method.evidence import Evidence, Outcome, Trajectory
from skillgrad_ci.method.gradient import MAX_TEXT
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimizers.optimizer import Batch
from skillgrad_ci.method.optimizers.reflection import MAX_LESSONS, LessonReply, ReflectionReply, by_reflection
from skillgrad_ci.method.ports import Reply
from skillgrad_ci.method.run import Iteration, Run
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import GraderSpec, Suite, Task
from skillgrad_ci.method.trajectory import BOUND
from tests.support.worlds import SKILL, Synthetic, edit, world

WAYS = {"p": Outcome.PASSED, "f": Outcome.FAILED, "u": Outcome.UNMEASURED}


def lesson(label: str, *tasks: str, **other: str) -> dict[str, Any]:
    fields = {name: value for name, value in edit(f"Rule {label}.", **other).items() if name != "patterns"}
    return fields | {"label": label, "finding": f"finding of {label}", "tasks": list(tasks)}


@dataclass
class Reader:
    """A diagnoser that replies by what it is asked; keeps that."""

    answer: Callable[[str], list[dict[str, Any]]] = lambda user: []
    asked: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, role: str, system: str, user: str, reply: type[Reply], *, shared: str = "") -> Reply:
        assert (role, reply) == ("diagnoser", ReflectionReply)
        self.asked.append((shared, user))
        return cast("Reply", ReflectionReply.model_validate({"lessons": self.answer(user)}))


def begun(**parts: Any) -> Run:
    config = LoopSettings.model_validate({"optimizer": {"preset": "skillopt", **parts}})
    tasks = [Task("t0", "do", [GraderSpec("text")])]
    return Run(SKILL, SKILL, SKILL, Suite("s", "native", Path("evals"), tasks), config, PatternMemory("s"))


def taught(
    ways: str, agent: Reader, told: list[Event] | None = None, said: str = "I begin.", **parts: Any
) -> Iteration:
    """A step on one task for each letter: p(assed), f(ailed), u(nmeasured)."""
    tasks = [Task(f"t{n}", f"Do number {n}.", [GraderSpec("text")]) for n in range(len(ways))]
    step = [{"kind": "message", "role": "assistant", "text": said}]
    rows = {
        task.id: Evidence(task.id, "d", WAYS[way], feedback=f"feedback on {task.id}", trajectory=Trajectory(step))
        for task, way in zip(tasks, ways, strict=True)
    }
    observe = (told if told is not None else []).append
    begin = Iteration(1, Incumbent(SKILL), PatternMemory("s"))
    return by_reflection(begun(**parts), world(Synthetic(), agent, observe=observe), begin, Batch(tasks, known=rows))


def ids(user: str) -> list[str]:
    return [line.removeprefix("## Task ") for line in user.split("\n") if line.startswith("## Task ")]


@given(st.text("pfu", min_size=1, max_size=9), st.integers(1, 4), st.booleans())
def test_each_measured_execution_is_read_once_with_its_like_failures_first(
    ways: str, size: int, successes: bool
) -> None:
    agent = Reader()
    step = taught(ways, agent, minibatch=size, successes=successes)
    assert [row.task_id for row in step.batch] == [f"t{n}" for n in range(len(ways))]
    read = [ids(user) for _, user in agent.asked]
    if 2 * ways.count("u") > len(ways):
        assert read == [], "of a batch that is mostly unmeasured nothing is learned"
        return
    wanted = []
    for way in "fp" if successes else "f":
        mine = [f"t{n}" for n, each in enumerate(ways) if each == way]
        wanted += [mine[start : start + size] for start in range(0, len(mine), size)]
    assert read == wanted
    for (shared, user), group in zip(agent.asked, wanted, strict=True):
        verdict = "failed" if ways[int(group[0][1:])] == "f" else "passed"
        assert user.endswith(f"## Asked for\n\nThe lessons of these {len(group)} executions, which {verdict}.")
        assert "Be careful." in shared
        for task in group:
            part = user.split(f"## Task {task}\n")[1].split("## Task ")[0]
            assert f"Do number {task[1:]}." in part
            assert f"### Its execution, which {verdict}\n\n" in part
            assert "I begin." in part
            assert f"Grader:\n```\nfeedback on {task}\n```" in part


@pytest.mark.parametrize("size", [1, 2, 8])
def test_the_trajectories_of_one_reader_share_a_bound(size: int) -> None:
    agent = Reader()
    taught("f" * size, agent, said="word " * BOUND, minibatch=size)
    [(_, user)] = agent.asked
    assert min(size, 2) * BOUND * 0.6 < len(user) < min(size, 2) * BOUND + 2_000 * size


def test_a_lesson_stands_on_the_tasks_that_its_reader_saw_and_becomes_diagnoses_and_overlay() -> None:
    def answer(user: str) -> list[dict[str, Any]]:
        if "which passed" in user:
            return [lesson("Keep It", "t2")]
        return [lesson("sort-first", "t1", "t0", "t9"), lesson("nobody", "t2"), lesson("check", "t1")]

    step = taught("ffp", Reader(answer))
    assert [(one.label, one.kind, one.tasks, one.reader) for one in step.lessons] == [
        ("sort-first", "failure", ("t0", "t1"), 0),
        ("check", "failure", ("t1",), 0),
        ("keep-it", "contrastive", ("t2",), 1),
    ]
    assert [(one.edit.patterns, one.edit.tasks, one.edit.iteration) for one in step.lessons[:1]] == [
        (("sort-first",), ("t0", "t1"), 1)
    ]
    assert [
        (told.task_id, told.kind, told.label, told.summary, told.cause, told.guidance) for told in step.diagnoses
    ] == [
        ("t0", "failure", "sort-first", "finding of sort-first", "it helps", "missing"),
        ("t1", "failure", "sort-first", "finding of sort-first", "it helps", "missing"),
        ("t1", "failure", "check", "finding of check", "it helps", "missing"),
        ("t2", "contrastive", "keep-it", "finding of Keep It", "it helps", "missing"),
    ]
    first, second, third = step.overlay.entries
    assert (first.task, first.patterns, first.note) == ("t0", ("sort-first",), "finding of sort-first")
    assert (second.task, second.patterns, second.note) == ("t1", ("sort-first", "check"), "finding of sort-first")
    assert (third.task, third.patterns) == ("t2", ("keep-it",))
    assert first.change == step.lessons[0].edit.summary


def test_one_reader_brings_so_many_lessons_at_most_and_no_long_ones() -> None:
    many = [lesson(f"number-{n}", "t0") | {"finding": "x" * 9_000} for n in range(MAX_LESSONS + 3)]
    step = taught("f", Reader(lambda user: many))
    assert [one.label for one in step.lessons] == [f"number-{n}" for n in range(MAX_LESSONS)]
    assert max(len(one.finding) for one in step.lessons) <= MAX_TEXT


@pytest.mark.parametrize("error", [ReplyError("no reply"), EnvironmentFailure("no network")])
def test_a_reader_that_is_lost_costs_its_own_tasks_and_is_told(error: Exception) -> None:
    def answer(user: str) -> list[dict[str, Any]]:
        if "t0" in ids(user):
            raise error
        return [lesson("sort-first", "t2")]

    told: list[Event] = []
    step = taught("fff", Reader(answer), told, minibatch=2)
    assert step.dropped == {"t0": str(error), "t1": str(error)}
    assert [(one.label, one.reader) for one in step.lessons] == [("sort-first", 1)]
    assert [event for event in told if isinstance(event, Dropped)] == [Dropped("t0, t1", str(error))]


@pytest.mark.parametrize("label", ["", "??", " - "])
def test_a_label_needs_something_to_be_called_by(label: str) -> None:
    with pytest.raises(ValidationError, match="a label needs letters or digits"):
        LessonReply.model_validate(lesson(label))

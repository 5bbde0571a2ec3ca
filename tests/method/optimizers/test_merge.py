"""Merging: many lists become one, support is the union of what it stands for, and a merge that fails loses nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.errors import BudgetExceeded, EnvironmentFailure, ReplyError
from skillgrad_ci.method.acceptance import Incumbent
from skillgrad_ci.method.events import Dropped, Event
from skillgrad_ci.method.gradient import Kind, Lesson
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimizers.merge import MergeReply, by_support, merged
from skillgrad_ci.method.patch import EditResult
from skillgrad_ci.method.ports import Reply
from skillgrad_ci.method.prompting import SHARED_BOUND
from skillgrad_ci.method.run import Iteration, Run
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.skill.edit import Edit
from skillgrad_ci.skill.skill import Skill
from tests.support.worlds import edit, suite, world

MORE = "# More\n\nMeasure twice.\n" + "long " * (SHARED_BOUND // 5)  # more than what all agents are shown at once
HEAD = b"---\nname: s\ndescription: Use it for tests.\n---\n# Guide\n\nBe careful. Read `references/more.md`.\n"
SKILL = Skill("s", {"SKILL.md": HEAD, "references/more.md": MORE.encode()})


def lesson(number: int, *tasks: str, kind: Kind = "failure", reader: int = 0) -> Lesson:
    proposal = Edit("", 1, "B", "SKILL.md", "append", "file", "", f"Rule {number}.", (), tasks, "it helps")
    return Lesson(f"rule-{number}", kind, f"Finding {number}.", tasks, proposal, reader)


def run_of(past: Sequence[Iteration] = (), **parts: Any) -> Run:
    config = LoopSettings.model_validate({"iterations": 4, "optimizer": {"preset": "skillopt", "merge": 2, **parts}})
    return Run(SKILL, SKILL, SKILL, suite(24), config, PatternMemory("s"), iterations=past)


def step_of(*lessons: Lesson, number: int = 1) -> Iteration:
    return Iteration(number, Incumbent(SKILL), PatternMemory("s"), lessons=lessons)


Answer = Callable[[str], list[tuple[str, list[int]]]]


@dataclass
class Merger:
    """Replies with texts and the numbers of the proposals that each stands for; keeps what it was asked."""

    answer: Answer
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def __call__(self, role: str, system: str, user: str, reply: type[Reply], *, shared: str = "") -> Reply:
        self.asked.append((role, shared, user))
        assert reply is MergeReply
        edits = []
        for content, numbers in self.answer(user):
            fields = {name: value for name, value in edit(content).items() if name != "patterns"}
            edits.append(fields | {"proposals": numbers})
        return cast("Reply", MergeReply.model_validate({"edits": edits}))


def every(user: str) -> list[tuple[str, list[int]]]:
    """Each proposal stays, as it is."""
    texts = [text for text in user.split("\n") if text.startswith("Rule ")]
    return [(text, [number]) for number, text in enumerate(texts, 1)]


lessons = st.lists(
    st.tuples(st.frozensets(st.sampled_from(["task-1", "task-2", "task-3"]), min_size=1), st.integers(0, 5)), max_size=9
).map(lambda rows: [lesson(number, *sorted(tasks), reader=reader) for number, (tasks, reader) in enumerate(rows)])


@given(lessons, st.integers(2, 4))
def test_a_merge_that_keeps_everything_keeps_every_lesson_once_with_its_support(seen: list[Lesson], size: int) -> None:
    agent = Merger(every)
    left = merged(run_of(merge=size), world(agent=agent), step_of(*seen))
    assert sorted((one.label, one.tasks, one.edit.content) for one in left) == sorted(
        (one.label, one.tasks, one.edit.content) for one in seen
    )
    lists, calls = len({one.reader for one in seen}), 0
    while lists > 1:
        groups = [min(size, lists - start) for start in range(0, lists, size)]
        calls, lists = calls + sum(group > 1 for group in groups), len(groups)
    assert len(agent.asked) == calls, "a list that is alone in its group is asked nothing"


def test_one_edit_for_several_proposals_has_the_support_of_all_and_the_name_of_the_first() -> None:
    def one(user: str) -> list[tuple[str, list[int]]]:
        return [("Rule of all.", [2, 1, 2, 0, 9, -1]), ("Rule of none.", [7]), ("Rule three.", [3])]

    seen = [lesson(1, "task-1", "task-2"), lesson(2, "task-2", "task-3", reader=1), lesson(3, "task-9", reader=1)]
    both, third = merged(run_of(), world(agent=Merger(one)), step_of(*seen, number=3))
    assert (both.label, both.tasks) == ("rule-2", ("task-2", "task-3", "task-1"))
    assert (both.edit.content, both.edit.tasks, both.edit.patterns) == ("Rule of all.", both.tasks, ("rule-2",))
    assert both.edit.iteration == 3
    assert (third.label, third.edit.content) == ("rule-3", "Rule three.")


@pytest.mark.parametrize("error", [ReplyError("no reply"), EnvironmentFailure("no network")])
def test_lists_that_could_not_be_merged_stay_as_they_are_and_that_is_said(error: Exception) -> None:
    def fails(user: str) -> list[tuple[str, list[int]]]:
        raise error

    told: list[Event] = []
    seen = [lesson(1, "task-1"), lesson(2, "task-1", reader=1)]
    assert merged(run_of(), world(agent=Merger(fails), observe=told.append), step_of(*seen, number=2)) == seen
    assert told == [Dropped("a merge of iteration 2", str(error))]


def test_a_cap_that_is_spent_ends_the_merge() -> None:
    def spent(user: str) -> list[tuple[str, list[int]]]:
        raise BudgetExceeded("budget.usd")

    with pytest.raises(BudgetExceeded):
        merged(run_of(), world(agent=Merger(spent)), step_of(lesson(1, "task-1"), lesson(2, "task-1", reader=1)))


def test_what_is_asked_names_each_proposal_with_its_support_beside_what_stands_already() -> None:
    rejected = replace(lesson(8, "task-1").edit, id="E1", patterns=("rule-8",))
    past = Iteration(1, Incumbent(SKILL), PatternMemory("s"), edits=[EditResult(rejected, "rejected", "no better")])
    agent = Merger(every)
    seen = [lesson(1, "task-1", "task-2"), lesson(2, "task-3", kind="contrastive", reader=1)]
    merged(run_of([past], meta_notes=True), world(agent=agent), step_of(*seen, number=2))
    [(role, shared, user)] = agent.asked
    assert role == "momentum"
    assert "Be careful." in shared, "the skill in hand, so that several calls share their beginning"
    assert "Measure twice." in user, "what has no room there"
    assert "(for rule-8): no better" in user
    assert "append in layer B: 0 accepted, 1 rejected" in user
    place = "append in SKILL.md, target file, address ''"
    assert f"## Proposal 1 (rule-1; 2 failures)\n\nFinding 1.\n\n{place}\n\n```" in user
    assert f"## Proposal 2 (rule-2; 1 successes)\n\nFinding 2.\n\n{place}\n\n```" in user
    assert user.endswith("One list of edits from these 2 proposals.")


def test_edits_are_ranked_by_support_and_at_the_same_support_failures_come_first() -> None:
    seen = [
        lesson(1, "task-1", kind="contrastive"),
        lesson(2, "task-1"),
        lesson(3, "task-1", "task-2", kind="contrastive"),
        lesson(4, "task-2", "task-3"),
    ]
    past = Iteration(1, Incumbent(SKILL), PatternMemory("s"), edits=[EditResult(seen[0].edit, "refused", "x")] * 2)
    step, candidate = by_support(run_of([past], rate="constant", most_edits=3), world(), step_of(*seen, number=2))
    told = [(row.edit.id, row.edit.patterns, row.edit.tasks, row.status) for row in candidate.edits]
    assert told == [
        ("E3", ("rule-4",), ("task-2", "task-3"), "accepted"),
        ("E4", ("rule-3",), ("task-1", "task-2"), "accepted"),
        ("E5", ("rule-2",), ("task-1",), "accepted"),
        ("E6", ("rule-1",), ("task-1",), "refused"),
    ]
    assert candidate.edits[-1].reason == "the edit budget of this step is 3"
    assert [f"Rule {number}." in candidate.skill.text for number in (1, 2, 3, 4)] == [False, True, True, True]
    assert step.verdict == ""


def test_steps_that_close_an_epoch_do_not_lower_the_edit_budget() -> None:
    """A run of several epochs: the budget falls over the steps with a batch, and no other counts."""
    seen = [lesson(number, "task-1") for number in range(6)]
    slow = Iteration(1, Incumbent(SKILL), PatternMemory("s"), slow=True)

    def taken(past: Sequence[Iteration]) -> int:
        run = run_of(past, rate="linear", most_edits=4, least_edits=1)
        _, candidate = by_support(run, world(), step_of(*seen, number=len(past) + 1))
        return sum(row.status == "accepted" for row in candidate.edits)

    plain = replace(slow, slow=False)
    assert [taken([]), taken([plain]), taken([plain] * 2), taken([plain] * 3)] == [4, 3, 2, 1]
    assert taken([plain, slow]) == taken([plain])


def test_a_step_without_a_lesson_proposes_nothing_and_says_why() -> None:
    step, candidate = by_support(run_of(), world(), replace(step_of(), dropped={"task-1": "diagnoser: no reply"}))
    assert (candidate.skill, candidate.edits, step.verdict) == (SKILL, (), "no diagnosis: diagnoser: no reply")

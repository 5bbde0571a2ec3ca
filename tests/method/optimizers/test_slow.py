"""The slow update: what an epoch did to the same tasks, told by group, becomes one bounded block."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, cast

from skillgrad_ci.method.acceptance import Incumbent
from skillgrad_ci.method.evidence import Evidence, Outcome
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimizers.slow import MAX_LINES, PATTERN, SlowReply, epoch_start, slow_update
from skillgrad_ci.method.patch import BLOCK_BEGIN, BLOCK_END, EditResult, block_of
from skillgrad_ci.method.ports import Reply
from skillgrad_ci.method.run import Iteration, Run
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import GraderSpec, Split, Suite, Task
from skillgrad_ci.skill.edit import Edit
from skillgrad_ci.skill.skill import Skill
from tests.support.worlds import SKILL, suite, world

NOW = SKILL.with_file("SKILL.md", f"{SKILL.text}\nSort first.\n")
WAYS = {"p": Outcome.PASSED, "f": Outcome.FAILED, "u": Outcome.UNMEASURED}
PAIRS = ["".join(pair) for pair in product("pfu", repeat=2)]  # before and after
GROUP = {"pf": "regressed", "ff": "still fails", "fp": "improved", "pp": "still passes"}


@dataclass
class Recorded:
    """Outcomes by task, before and after; notes which measurements there were."""

    ways: dict[str, str]
    names: list[str] = field(default_factory=list)

    def __call__(self, skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        self.names.append(iteration)
        assert skill is not None
        outcome = WAYS[self.ways[task.id][skill.digest == NOW.digest]]
        return Evidence(task.id, skill.digest, outcome, feedback=f"feedback on {task.id}")


@dataclass
class Writer:
    """A patcher that replies with these lines; keeps what it was asked."""

    lines: list[str]
    asked: list[str] = field(default_factory=list)

    def __call__(self, role: str, system: str, user: str, reply: type[Reply], *, shared: str = "") -> Reply:
        assert (role, reply) == ("patcher", SlowReply)
        self.asked.append(user)
        return cast("Reply", SlowReply(lines=self.lines, why="it helps"))


def tasks(ways: Sequence[str]) -> Suite:
    made = [Task(way, f"Do {way}.", [GraderSpec("text")], split=Split.TRAIN) for way in ways]
    return replace(suite(), tasks=made)


def update(
    ways: Sequence[str], agent: Writer, skill: Skill = NOW, past: Sequence[Iteration] = (), **parts: Any
) -> tuple[Iteration, Skill, list[EditResult], Recorded]:
    config = LoopSettings.model_validate({"optimizer": {"preset": "skillopt", **parts}})
    run = Run(SKILL, skill, SKILL, tasks(ways), config, PatternMemory("s"), iterations=past)
    step = Iteration(len(past) + 1, Incumbent(skill), PatternMemory("s"), slow=True)
    rollout = Recorded({way: way for way in ways})
    step, candidate = slow_update(run, world(rollout, agent), step)
    return step, candidate.skill, list(candidate.edits), rollout


def test_each_task_is_told_by_what_became_of_it_and_what_was_not_measured_is_in_no_group() -> None:
    agent = Writer(["Keep sorting.", "", "Check the total. "])
    step, skill, [result], rollout = update(PAIRS, agent, slow_tasks=20)
    [asked] = agent.asked
    told = {way: asked.split(f"## Task {way}\n")[1].split("## ")[0] for way in PAIRS if f"## Task {way}\n" in asked}
    assert sorted(told) == ["ff", "fp", "pf"], "what still passes is counted alone"
    for way, part in told.items():
        assert f"Do {way}." in part
        assert f"It {GROUP[way]}. Grader:" in part
        assert f"feedback on {way}" in part
    assert asked.endswith("The block after this epoch (1 regressed, 1 still fails, 1 improved, 1 still passes).")
    assert "Sort first." in asked
    assert "There is none yet." in asked
    assert rollout.names == ["slow-1-before"] * 9 + ["slow-1-after"] * 9
    assert sorted(row.task_id for row in step.batch) == sorted(PAIRS)
    assert {row.skill_digest for row in step.batch} == {NOW.digest}
    assert {entry.task: (entry.patterns, entry.note) for entry in step.overlay.entries} == {
        way: ((PATTERN,), GROUP[way]) for way in told
    }
    assert block_of(skill.body) == f"{BLOCK_BEGIN}\nKeep sorting.\nCheck the total.\n{BLOCK_END}"
    edit = result.edit
    assert (edit.id, edit.op, edit.target, edit.layer, edit.why) == ("E1", "append", "file", "B", "it helps")
    assert (edit.patterns, set(edit.tasks)) == ((PATTERN,), set(told))


def test_a_block_that_stands_is_shown_and_replaced() -> None:
    _, skill, _, _ = update(["ff"], Writer(["One."]))
    rejected = Edit("E1", 1, "B", "SKILL.md", "append", "file", "", "Rule 8.", ("rule-8",), (), "")
    past = Iteration(1, Incumbent(skill), PatternMemory("s"), edits=[EditResult(rejected, "rejected", "no better")])
    agent = Writer(["Two."])
    config = LoopSettings.model_validate({"optimizer": {"preset": "skillopt", "meta_notes": True}})
    run = Run(SKILL, skill, SKILL, tasks(["ff"]), config, PatternMemory("s"), iterations=[past])
    step = Iteration(2, Incumbent(skill), PatternMemory("s"), slow=True)
    rollout = Recorded({"ff": "ff"})
    _, candidate = slow_update(run, world(rollout, agent), step)
    assert f"```\n{BLOCK_BEGIN}\nOne.\n{BLOCK_END}\n```" in agent.asked[0]
    assert "(for rule-8): no better" in agent.asked[0]
    assert "append in layer B: 0 accepted, 1 rejected" in agent.asked[0]
    assert candidate.skill.body.count(BLOCK_BEGIN) == 1
    assert block_of(candidate.skill.body) == f"{BLOCK_BEGIN}\nTwo.\n{BLOCK_END}"
    assert candidate.edits[0].edit.id == "E2"


def test_the_block_has_a_bound_however_its_lines_are_packed() -> None:
    for lines in ([f"Rule {n}." for n in range(30)], ["\n".join(f"Rule {n}." for n in range(30))]):
        _, skill, _, _ = update(["ff"], Writer(lines))
        assert block_of(skill.body).split("\n")[1:-1] == [f"Rule {n}." for n in range(MAX_LINES)]


def test_where_nothing_moved_or_nothing_is_said_the_skill_stays() -> None:
    quiet = Writer(["Never."])
    step, skill, edits, _ = update(["pp", "uf", "fu"], quiet)
    assert (step.verdict, skill, edits, quiet.asked) == ("nothing to learn from", NOW, [], [])
    step, skill, edits, _ = update(["ff"], Writer(["", "  "]))
    assert (skill, edits, len(step.overlay.entries)) == (NOW, [], 1)
    step, skill, edits, rollout = update(["ff"], quiet, skill=SKILL)
    assert (step.verdict, skill, edits, rollout.names) == ("the epoch changed nothing", SKILL, [], [])


def test_the_sample_is_as_large_as_asked_and_the_same_when_it_is_taken_again() -> None:
    one, again = ([row.task_id for row in update(PAIRS, Writer([]), slow_tasks=4)[0].batch] for _ in range(2))
    assert one == again
    assert len(set(one)) == 4


def test_an_epoch_begins_with_the_skill_in_hand_after_the_one_before() -> None:
    def step(number: int, epoch: int, text: str) -> Iteration:
        skill = SKILL.with_file("SKILL.md", f"{SKILL.text}\n{text}\n")
        return Iteration(number, Incumbent(skill), PatternMemory("s"), epoch=epoch)

    past = [step(1, 1, "one"), step(2, 1, "two"), step(3, 2, "three"), step(4, 3, "four")]
    run = Run(SKILL, SKILL, SKILL, suite(), LoopSettings(), PatternMemory("s"), iterations=past)
    assert [epoch_start(run, epoch) for epoch in (1, 2, 3)] == [SKILL, past[1].skill, past[2].skill]

"""Every preset over synthetic worlds: it learns, it goes on where it was cut, and it keeps its parts' rules."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import inf
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from skillgrad_ci.errors import Cancelled, EnvironmentFailure
from skillgrad_ci.method.acceptance import Verdict, no_worse, score
from skillgrad_ci.method.evidence import Evidence, Outcome
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.optimizers.choices import Preset
from skillgrad_ci.method.optimizers.draw import planned
from skillgrad_ci.method.optimizers.merge import budget
from skillgrad_ci.method.optimizers.presets import optimizer_of
from skillgrad_ci.method.patch import BLOCK_BEGIN, BLOCK_END, Rules, block_of, replay, try_patch
from skillgrad_ci.method.ports import Agent, Reply
from skillgrad_ci.method.run import Run, Stop
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import Split, Suite, Task
from skillgrad_ci.skill.edit import Edit
from skillgrad_ci.skill.skill import Skill
from tests.support.skills import skill_of
from tests.support.worlds import SKILL, Oracle, Synthetic, as_json, edit, suite, world

PRESETS: Sequence[Preset] = get_args(Preset)
LEARNING: Sequence[Preset] = ("skillgrad", "skillopt", "evoskill", "trace2skill")
IDLE = "- Be polite to everybody who reads this."


@dataclass
class Player(Oracle):
    """Plays the agents of every preset from what their prompts say; `spoil` makes the edits harmful."""

    spoil: Callable[[int], bool] = lambda number: False
    sent: int = 0

    def __call__(self, role: str, system: str, user: str, reply: type[Reply], *, shared: str = "") -> Reply:
        user = f"{shared}\n\n{user}" if shared else user
        answers: dict[str, Callable[[str], dict[str, Any]]] = {
            "ReflectionReply": self._reflection, "MergeReply": self._merge, "SlowReply": self._slow,
            "PlainReply": self._plain,
        }  # fmt: skip
        if reply.__name__ not in answers:
            return super().__call__(role, system, user, reply)
        with self.lock:
            self.prompts.append((role, user))
            number = sum(name == role for name, _ in self.prompts)
        if self.fails(role, number):
            raise EnvironmentFailure(f"{role}: no reply")
        return reply.model_validate(answers[reply.__name__](user))

    def _reflection(self, user: str) -> dict[str, Any]:
        if user.endswith("passed."):
            return {"lessons": []}
        words: dict[str, list[str]] = {}
        for task, word in re.findall(r"## Task (\S+)\n\n```\nNeeds (\w+)\.", user):
            words.setdefault(word, []).append(task)
        self.sent += 1
        lessons = []
        for word, tasks in words.items():
            content = f"Never use {word}." if self.spoil(self.sent) else f"Use always {word}."
            lessons.append(
                {**edit(content), "label": f"lacks-{word}", "finding": "seen", "tasks": [*tasks, "heldout-1"]}
            )
        return {"lessons": lessons}

    def _merge(self, user: str) -> dict[str, Any]:
        rows = re.findall(r"## Proposal (\d+) \((\S+);.*?```\n(.*?)\n```", user, re.S)
        contents: dict[str, list[int]] = {}
        for number, _, content in rows:
            contents.setdefault(content, []).append(int(number))
        return {"edits": [{**edit(content), "proposals": [*numbers, 99]} for content, numbers in contents.items()]}

    def _slow(self, user: str) -> dict[str, Any]:
        words = dict.fromkeys(re.findall(r"lacks (\w+)\n", user))
        return {"lines": [f"- In doubt, always {word}." for word in words], "why": "they still fail"}

    def _plain(self, user: str) -> dict[str, Any]:
        if "shorter" in user:
            edits = [edit("", op="delete", target="text", address=IDLE)] if IDLE in user else []
            return {"edits": edits}
        return {"edits": [edit("Use always alpha.")]}


def run(
    name: Preset, tasks: Suite | None = None, skill: Skill = SKILL, agent: Agent | None = None, **parts: Any
) -> Run:
    config = LoopSettings.model_validate({"optimizer": name, **parts.pop("config", {})})
    return optimize(skill, tasks or suite(24), config, PatternMemory("s"), world(agent=agent or Player(), **parts))


def accepted(result: Run) -> list[Edit]:
    return [row.edit for step in result.iterations for row in step.edits if row.status == "accepted"]


@pytest.mark.parametrize("name", LEARNING)
def test_each_published_optimizer_repairs_what_the_tasks_need(name: Preset) -> None:
    result = run(name)
    assert result.verdict is Verdict.BETTER
    assert all(f"always {word}" in result.final.text for word in ("alpha", "beta", "gamma"))
    assert all(row.passed for row in result.measured)
    unseen = {task.id for task in result.suite.tasks if task.split is not Split.TRAIN}
    assert {row.task_id for row in result.measured} == unseen


@pytest.mark.parametrize("name", PRESETS)
def test_accepted_edits_made_again_on_the_initial_skill_give_the_candidate(name: Preset) -> None:
    """So that a pull request can hold one commit an edit, whatever line of a frontier was the best."""
    result = run(name, skill=SKILL.with_file("SKILL.md", f"{SKILL.text}{IDLE}\n"))
    again, outcomes = replay(result.initial, accepted(result))
    assert again == result.candidate
    assert {row.status for row in outcomes} <= {"accepted"}
    ids = [row.edit.id for step in result.iterations for row in step.edits]
    assert ids == [f"E{number}" for number in range(1, len(ids) + 1)]


@pytest.mark.parametrize("name", PRESETS)
def test_no_agent_of_any_preset_sees_an_unseen_task(name: Preset) -> None:
    agent = Player()
    result = run(name, agent=agent)
    unseen = [task.id for task in result.suite.tasks if task.split is not Split.TRAIN]
    text = "\n".join(prompt for _, prompt in agent.prompts)
    assert not [task for task in unseen if re.search(rf"{task}\b", text)]


@dataclass
class Cut:
    """A world that is cut at one of its calls, and remembers what it paid for, as a journal does."""

    at: float = inf
    known: dict[str, Any] = field(default_factory=dict)
    paid: int = 0
    rollout: Synthetic = field(default_factory=Synthetic)
    agent: Player = field(default_factory=Player)

    def once(self, key: str, make: Callable[[], Any]) -> Any:
        if key not in self.known:
            if self.paid >= self.at:
                raise Cancelled("killed")
            self.paid += 1
            self.known[key] = make()
        return self.known[key]

    def execute(self, skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        key = f"{skill.digest if skill else ''} {task.id} {iteration} {trial}"
        done: Evidence = self.once(key, lambda: self.rollout(skill, task, iteration=iteration, trial=trial))
        return done

    def ask(self, role: str, system: str, user: str, reply: type[Reply], *, shared: str = "") -> Reply:
        user = f"{shared}\n\n{user}" if shared else user
        said: BaseModel = self.once(f"{role} {system} {user}", lambda: self.agent(role, system, user, reply))
        return reply.model_validate(said.model_dump())


@pytest.mark.parametrize("name", PRESETS)
@given(st.integers(1, 150), st.integers(0, 5))
@settings(max_examples=8, deadline=None)
def test_a_run_that_was_killed_goes_on_to_the_same_end_and_pays_nothing_twice(name: Preset, at: int, seed: int) -> None:
    config = {"seed": seed}
    whole = Cut()
    expected = run(name, config=config, rollout=whole.execute, agent=whole.ask)
    broken = Cut(at=at)
    first = run(name, config=config, rollout=broken.execute, agent=broken.ask)
    assert (first.stop is Stop.CANCELLED) is (at < whole.paid)
    broken.at = inf
    assert as_json(run(name, config=config, rollout=broken.execute, agent=broken.ask)) == as_json(expected)
    assert broken.paid == whole.paid


def test_trace2skill_executes_nothing_but_the_base_run_and_the_final_measurement() -> None:
    rollout = Synthetic()
    result = run("trace2skill", rollout=rollout)
    assert {iteration for iteration, _ in rollout.done} == {"base", "final"}
    [step] = result.iterations
    assert {row.task_id for row in step.batch} == {task.id for task in result.suite.of(Split.TRAIN)}


def test_rewrite_learns_from_nothing() -> None:
    agent, rollout = Player(), Synthetic()
    result = run("rewrite", agent=agent, rollout=rollout)
    assert [role for role, _ in agent.prompts] == ["patcher"]
    assert "task-" not in agent.prompts[0][1]
    assert {iteration for iteration, _ in rollout.done} == {"base", "final"}
    assert "always alpha" in result.final.text


def test_support_is_counted_by_code_and_only_over_tasks_that_were_seen() -> None:
    result = run("skillopt", config={"optimizer": {"preset": "skillopt", "minibatch": 2, "merge": 2}})
    step = next(step for step in result.iterations if step.edits)
    failed = {row.task_id for row in step.batch if row.failed}
    for row in step.edits:
        word = row.edit.content.split()[-1].rstrip(".")
        needing = {task.id for task in result.suite.tasks if task.instruction == f"Needs {word}."}
        assert set(row.edit.tasks) == needing & failed
    counts = [len(row.edit.tasks) for row in step.edits]
    assert counts == sorted(counts, reverse=True)


def test_the_edit_budget_falls_as_asked() -> None:
    def falls(rate: str) -> list[int | None]:
        parts = {"preset": "skillopt", "rate": rate, "most_edits": 6, "least_edits": 2}
        config = LoopSettings.model_validate({"optimizer": parts})
        return [budget(config, step, 9) for step in range(1, 10)]

    assert falls("none") == [None] * 9
    assert falls("constant") == [6] * 9
    assert falls("linear") == [6, 6, 5, 4, 4, 4, 3, 2, 2]
    assert falls("cosine") == [6, 6, 5, 5, 4, 3, 3, 2, 2]
    paper = LoopSettings.model_validate({"optimizer": "skillopt"})
    assert (budget(paper, 1, 4), budget(paper, 4, 4), budget(paper, 1, 1)) == (4, 2, 4)


def test_a_step_makes_no_more_edits_than_its_budget_and_the_best_supported_ones() -> None:
    words = ("alpha", "beta", "gamma", "delta", "epsilon")
    tight = {"preset": "skillopt", "rate": "constant", "most_edits": 2}
    result = run("skillopt", suite(40, words), config={"optimizer": tight, "iterations": 1})
    [step] = [step for step in result.iterations if not step.slow]
    assert [row.status for row in step.edits] == ["accepted"] * 2 + ["refused"] * 3
    assert all("edit budget of this step is 2" in row.reason for row in step.edits[2:])
    assert min(len(row.edit.tasks) for row in step.edits[:2]) >= max(len(row.edit.tasks) for row in step.edits[2:])


def test_a_worse_child_never_enters_the_frontier() -> None:
    result = run("evoskill", agent=Player(spoil=lambda number: number in (1, 3)))
    scores: list[list[Any]] = []
    for step in result.iterations:
        assert len(step.frontier) <= 3
        validation = {task.id for task in result.suite.of(Split.VALIDATION)}
        scores.append([score([row for row in one.validation if row.task_id in validation]) for one in step.frontier])
        assert scores[-1] == sorted(scores[-1], reverse=True)
        assert step.skill == step.frontier[0].skill
    assert all(min(later) >= min(earlier) for earlier, later in pairwise(scores) if len(earlier) == 3)
    assert "Never use" not in result.candidate.text
    assert result.verdict is Verdict.BETTER


def test_edits_of_another_line_than_the_best_are_rejected_in_the_end() -> None:
    result = run("evoskill", suite(48, ("alpha", "beta", "gamma", "delta")), config={"batch_size": 2, "iterations": 9})
    line = result.incumbent.line
    taken = [step.number for step in result.iterations if step.verdict == "accepted"]
    assert set(line) < set(taken)
    for step in result.iterations:
        statuses = {row.status for row in step.edits} - {"refused"}
        assert statuses <= ({"accepted"} if step.number in line else {"rejected"})


def test_the_block_of_the_slow_update_is_written_at_the_end_of_an_epoch_and_only_if_it_is_better() -> None:
    """The tasks need what no lesson of a step is allowed to bring: the slow update brings it."""
    only = {"preset": "skillopt", "rate": "constant", "most_edits": 1, "least_edits": 1, "slow_tasks": 12, "epochs": 2}
    result = run("skillopt", config={"optimizer": only})
    slow = [step for step in result.iterations if step.slow]
    assert slow[0].verdict == "accepted"
    assert "always beta" in block_of(result.final.body) + block_of(slow[0].skill.body)
    assert {row.edit.patterns for row in slow[0].edits} == {("slow-update",)}
    assert slow[0].validation, "it went through the same acceptance"

    class Idle(Player):
        def _slow(self, user: str) -> dict[str, Any]:
            return {"lines": ["- Mind the gap."], "why": "so"}

    rejected = [step for step in run("skillopt", config={"optimizer": only}, agent=Idle()).iterations if step.slow]
    assert rejected[0].verdict == "rejected: no better on validation"
    assert all(block_of(step.skill.body) == "" for step in rejected)


def test_a_slow_update_of_an_epoch_that_changed_nothing_executes_nothing() -> None:
    rollout = Synthetic()
    result = run("skillopt", rollout=rollout, agent=Player(fails=lambda role, number: role == "diagnoser"))
    assert {step.verdict for step in result.iterations if step.slow} == {"the epoch changed nothing"}
    assert not [iteration for iteration, _ in rollout.done if iteration.startswith("slow")]


BLOCK = f"{BLOCK_BEGIN}\n- In doubt, look.\n{BLOCK_END}"


@pytest.mark.parametrize(
    "made",
    [
        Edit("E1", 1, "B", "SKILL.md", "replace", "text", "- In doubt, look.", "- Never look.", ("p",)),
        Edit("E1", 1, "B", "SKILL.md", "delete", "text", BLOCK, "", ("p",)),
        Edit("E1", 1, "B", "SKILL.md", "delete", "heading", "Last", "", ("p",)),
        Edit("E1", 1, "B", "SKILL.md", "insert_after", "text", "- In doubt, look.", "- Or not.", ("p",)),
        Edit("E1", 1, "B", "SKILL.md", "append", "file", "", BLOCK, ("p",)),
        Edit("E1", 1, "B", "SKILL.md", "insert_after", "heading", "First", f"{BLOCK_BEGIN}\n- Early.", ("p",)),
    ],
)
def test_edits_of_steps_cannot_touch_the_block(made: Edit) -> None:
    skill = skill_of(f"# Demo\n\n## First\n\nText.\n\n## Last\n\n{BLOCK}\n")
    after, [result] = try_patch(skill, [made], Rules([], {"p"}))
    assert after == skill
    assert "touches the block of the slow update" in result.reason
    other = Edit("E2", 1, "B", "SKILL.md", "append", "heading", "First", "More.", ("p",))
    assert try_patch(skill, [other], Rules([], {"p"}))[1][0].status == "accepted"
    assert try_patch(skill, [made], Rules([], {"p"}, in_block=True))[0] != skill


def test_shrink_takes_what_is_not_worse_and_refuses_what_makes_longer() -> None:
    known = "".join(f"Use always {word}.\n" for word in ("alpha", "beta", "gamma"))
    skill = SKILL.with_file("SKILL.md", f"{SKILL.text}{known}{IDLE}\n")
    tasks = suite(48)
    result = run("shrink", tasks, skill=skill)
    assert result.stop is Stop.ITERATIONS, "that everything passes is no reason to stop"
    assert IDLE not in result.final.text
    assert len(result.final.text) < len(skill.text)

    class Greedy(Player):
        def _plain(self, user: str) -> dict[str, Any]:
            longer = edit("Much more text than before.")
            return {"edits": [longer, edit("", op="delete", target="text", address="Use always alpha.")]}

    result = run("shrink", tasks, skill=skill, agent=Greedy())
    assert result.final == skill
    first = result.iterations[0]
    assert [row.status for row in first.edits] == ["refused", "rejected"]
    assert "does not make the skill shorter" in first.edits[0].reason
    assert "a loss of up to" in first.verdict


def rows(passed: int, failed: int) -> list[Evidence]:
    outcomes = [Outcome.PASSED] * passed + [Outcome.FAILED] * failed
    return [Evidence(f"t{number}", "d", outcome) for number, outcome in enumerate(outcomes)]


def test_not_worse_leaves_no_room_where_few_tasks_are_measured() -> None:
    assert [no_worse(rows(n, 0), rows(n, 0), 0.1)[0] for n in (3, 6, 7, 20)] == [False, False, True, True]
    assert not no_worse(rows(19, 1), rows(20, 0), 0.1)[0]
    assert no_worse(rows(59, 1), rows(60, 0), 0.1)[0]
    assert no_worse(rows(20, 0), rows(18, 2), 0.0)[0], "what was gained is taken off"
    assert no_worse([], rows(5, 0), 1.0) == (False, "nothing can be said: 0 of 0 tasks could be measured in both")


def test_rejected_edits_are_shown_for_an_epoch_or_for_good() -> None:
    def shown(rejected: str) -> list[bool]:
        agent = Player(spoil=lambda number: True)
        parts = {"preset": "skillopt", "rejected": rejected, "slow_tasks": 0, "epochs": 2}
        run("skillopt", config={"optimizer": parts, "batch_size": 6, "iterations": 4}, agent=agent)
        prompts = [prompt for role, prompt in agent.prompts if role == "diagnoser"]
        return ["## Edits that were rejected" in prompt for prompt in prompts]

    assert shown("epoch") == [False, True, False, True]
    assert shown("memory") == [False, True, True, True]


def test_notes_on_kinds_of_edits_reach_the_agents_and_never_the_skill() -> None:
    agent = Player()
    result = run("skillopt", agent=agent, config={"batch_size": 6})
    told = [prompt for _, prompt in agent.prompts if "## Which kinds of edits were kept so far" in prompt]
    assert told
    assert re.search(r"- append in layer B: \d+ accepted, \d+ rejected by measurement", told[-1])
    assert "rejected by measurement" not in result.candidate.text


def test_references_are_no_more_than_asked() -> None:
    skill = skill_of("# Demo\n\nRead `references/a.md` when lost. Skip when not.\n", {"references/a.md": "# A\n"})
    new = Edit("E1", 1, "Q", "references/b.md", "append", "file", "", "# B", ("p",))
    pointer = Edit(
        "E2", 1, "B", "SKILL.md", "append", "file", "", "Read `references/b.md` when lost. Skip when not.", ("p",)
    )
    _, results = try_patch(skill, [new, pointer], Rules([], {"p"}, references=1))
    assert [row.status for row in results] == ["refused", "refused"]
    assert "more than 1 files under references/" in results[0].reason
    _, results = try_patch(skill, [new, pointer], Rules([], {"p"}, references=2))
    assert [row.status for row in results] == ["accepted", "accepted"]


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 4), st.integers(1, 30))
def test_an_epoch_shows_every_task_once_and_the_plan_is_what_is_drawn(
    size: int, batch: int, epochs: int, most: int
) -> None:
    from skillgrad_ci.method.optimizers.draw import epochs as draw

    parts = {"preset": "skillopt", "epochs": epochs, "slow_tasks": 0}
    config = LoopSettings.model_validate({"optimizer": parts, "batch_size": batch, "iterations": most})
    tasks = [replace(task, split=Split.TRAIN) for task in suite(size).tasks]
    whole = Run(SKILL, SKILL, SKILL, replace(suite(size), tasks=tasks), config, PatternMemory())
    drawn = list(draw(whole))
    plan = planned(config, size)
    assert len(drawn) == plan.steps
    assert sum(len(one.tasks) for one in drawn) <= plan.shown
    for epoch in range(1, epochs + 1):
        mine = [one for one in drawn if one.epoch == epoch]
        if mine and mine[-1].ends_epoch:
            ids = [task.id for one in mine for task in one.tasks]
            assert sorted(ids) == sorted(task.id for task in tasks)


@given(st.sampled_from(PRESETS), st.integers(1, 30), st.integers(1, 9), st.integers(1, 9), st.integers(0, 4))
def test_no_preset_draws_more_than_its_plan(name: Preset, size: int, batch: int, most: int, slow: int) -> None:
    parts = {"preset": name, "slow_tasks": slow} | ({"epochs": 3} if name == "skillopt" else {})
    config = LoopSettings.model_validate({"optimizer": parts, "batch_size": batch, "iterations": most})
    tasks = [replace(task, split=Split.TRAIN) for task in suite(size).tasks]
    base = [Evidence(task.id, "d", Outcome.FAILED) for task in tasks]
    whole = Run(SKILL, SKILL, SKILL, replace(suite(size), tasks=tasks), config, PatternMemory(), baseline=base)
    drawn = list(optimizer_of(config.optimizer).draw(whole))
    executed = sum(task.id not in one.known for one in drawn[1:] for task in one.tasks)
    compared = 2 * min(slow, size) * sum(one.ends_epoch for one in drawn)
    plan = planned(config, size)
    assert len(drawn) == plan.steps
    assert executed + compared <= plan.executions
    if size % batch == 0:
        assert executed + compared == plan.executions
        assert sum(len(one.tasks) for one in drawn) == plan.shown


def test_diagnoses_of_the_base_runs_trajectories_execute_nothing_again() -> None:
    rollout, parts = Synthetic(), {"preset": "skillgrad", "evidence": "all"}
    [step] = run("skillgrad", config={"optimizer": parts, "iterations": 3}, rollout=rollout).iterations
    assert {iteration for iteration, _ in rollout.done} == {"base", "final"}
    trained = {task.id for task in suite(24).tasks if task.split is Split.TRAIN}
    assert {row.task_id for row in step.batch} == trained
    assert {diagnosis.task_id for diagnosis in step.diagnoses} == trained


def test_a_preset_brings_its_defaults_and_what_is_said_wins() -> None:
    assert LoopSettings() == LoopSettings.model_validate({"optimizer": "skillgrad"})
    chosen = LoopSettings.model_validate({"optimizer": {"preset": "evoskill", "frontier": 2}, "batch_size": 3})
    assert (chosen.optimizer.frontier, chosen.optimizer.evidence, chosen.batch_size) == (2, "epochs", 3)
    assert (chosen.iterations, chosen.accept) == (7, "validate")
    said = chosen.model_dump(exclude_unset=True)
    assert said == {"optimizer": {"preset": "evoskill", "frontier": 2}, "batch_size": 3}
    assert LoopSettings.model_validate(said) == chosen


@pytest.mark.parametrize(
    ("settings_said", "problem"),
    [
        ({"optimizer": "adam"}, "preset"),
        ({"optimizer": {"preset": "evoskill"}, "accept": "always"}, "frontier"),
        ({"optimizer": {"aggregation": "merge"}}, "gradient: reflection"),
        ({"optimizer": {"gradient": "none"}}, "aggregation: shrink or rewrite"),
        ({"optimizer": {"preset": "shrink", "evidence": "epochs"}}, "evidence: none"),
        ({"optimizer": {"most_edits": 1, "least_edits": 2}}, "least_edits"),
        ({"optimizer": {"epoch": 3}}, "did you mean epochs"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(settings_said: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        LoopSettings.model_validate(settings_said)

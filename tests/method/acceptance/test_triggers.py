"""The trigger check in synthetic worlds: what makes triggering worse is rejected, and nothing else is."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.method.acceptance import Incumbent, Verdict, compare
from skillgrad_ci.method.acceptance.triggers import check_triggers
from skillgrad_ci.method.budget import Cap, Ledger
from skillgrad_ci.method.evidence import Evidence, Outcome, Usage
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.patch import EditResult, replay
from skillgrad_ci.method.run import Run, Stop
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import GraderSpec, Suite, Task
from skillgrad_ci.session.inputs import with_triggers
from skillgrad_ci.skill.edit import Edit
from skillgrad_ci.skill.skill import Skill
from tests.support.worlds import SKILL, Oracle, Synthetic, as_json, edit, suite, world

GREEDY = "Use it for tests and for all else."
OUTCOMES = {"p": Outcome.PASSED, "f": Outcome.FAILED, "u": Outcome.UNMEASURED}


def evidence(outcomes: str) -> list[Evidence]:
    """One execution of a query for each letter: p(assed), f(ailed), u(nmeasured)."""
    return [Evidence(f"trigger-{n}", "d", OUTCOMES[letter]) for n, letter in enumerate(outcomes)]


@dataclass
class Describer(Oracle):
    """A patcher that rewrites the description besides, and, with `alone`, does nothing else."""

    alone: bool = False

    def _patch(self, user: str) -> dict[str, Any]:
        edits = super()._patch(user)["edits"]
        if GREEDY in user.split("## The record")[0] or not edits:
            return {"edits": edits}
        claim = edit(GREEDY, *edits[0]["patterns"], op="replace", target="description")
        return {"edits": [claim] if self.alone else [*edits, claim]}


@dataclass
class Queries:
    """A trigger set whose outcome follows from the description; keeps what was asked of it."""

    greedy: str
    modest: str = "pppf"
    asked: list[str] = field(default_factory=list)

    def __call__(self, skill: Skill, name: str) -> Sequence[Evidence]:
        self.asked.append(name)
        return evidence(self.greedy if skill.description == GREEDY else self.modest)


def run(triggers: Queries | None, agent: Oracle | None = None, **config: Any) -> Run:
    settings = LoopSettings(**({"iterations": 4} | config))
    return optimize(SKILL, suite(), settings, PatternMemory("s"), world(agent=agent or Describer(), triggers=triggers))


def statuses(result: Run) -> set[tuple[str, str]]:
    return {(row.edit.layer, row.status) for step in result.iterations for row in step.edits}


def test_a_description_that_triggers_worse_is_rejected_alone() -> None:
    queries = Queries(greedy="ppff")
    result = run(queries)
    assert statuses(result) == {("H", "rejected"), ("B", "accepted")}
    assert result.verdict is Verdict.BETTER
    assert result.final.description == SKILL.description
    assert all(f"always {word}" in result.final.text for word in ("alpha", "beta", "gamma"))
    assert {step.verdict for step in result.iterations if step.edits} == {"accepted"}
    [refused, *_] = result.memory.rejected
    assert (refused.by, refused.reason) == ("validation", "trigger accuracy fell from 75.0% to 50.0% (4 queries)")
    assert all(list(step.triggers) == evidence("pppf") for step in result.iterations)


@pytest.mark.parametrize("greedy", ["pppp", "ppfp"])
def test_a_description_that_triggers_no_worse_is_taken_and_measured_once(greedy: str) -> None:
    queries = Queries(greedy)
    result = run(queries)
    assert ("H", "accepted") in statuses(result)
    assert result.final.description == GREEDY
    assert queries.asked == ["triggers-base", "triggers-1"]
    assert list(result.triggers) == evidence("pppf")
    assert list(result.iterations[-1].triggers) == evidence(greedy)


def test_what_an_outage_left_unknown_is_not_taken() -> None:
    result = run(Queries(greedy="uuup"))
    assert result.final.description == SKILL.description
    assert ("H", "accepted") not in statuses(result)
    assert result.memory.rejected[0].reason == "triggering is unknown: 1 of 4 trigger queries could be measured in both"
    assert run(Queries(greedy="pppp", modest="uuuu")).final.description == SKILL.description


def test_a_patch_of_nothing_but_a_worse_description_leaves_the_skill_as_it_was() -> None:
    result = run(Queries(greedy="ffff"), Describer(alone=True))
    assert result.candidate == SKILL
    assert result.iterations[0].verdict == "rejected: trigger accuracy fell from 75.0% to 0.0% (4 queries)"


def test_a_description_that_validation_rejects_leaves_the_known_evidence() -> None:
    tasks = [replace(t, instruction="Needs delta.") if t.split == "validation" else t for t in suite().tasks]
    parts = world(agent=Describer(), triggers=Queries("pppp"))
    settings = LoopSettings(iterations=2, accept="validate")
    result = optimize(SKILL, replace(suite(), tasks=tasks), settings, PatternMemory("s"), parts)
    assert {step.verdict for step in result.iterations} == {"rejected: tie on validation"}
    assert all(list(step.triggers) == evidence("pppf") for step in result.iterations)


def test_without_edits_of_the_description_a_trigger_set_changes_nothing() -> None:
    queries = Queries(greedy="ffff")
    asked, plain = run(queries, Oracle()), run(None, Oracle())
    assert queries.asked == ["triggers-base"]

    def blind(one: Incumbent) -> Incumbent:
        return replace(one, triggers=())

    steps = [
        replace(step, incumbent=blind(step.incumbent), frontier=[*map(blind, step.frontier)])
        for step in asked.iterations
    ]
    assert as_json(replace(asked, iterations=steps, triggers=())) == as_json(plain)


def test_without_a_trigger_set_no_description_is_checked() -> None:
    assert run(None).final.description == GREEDY


def test_the_ledger_covers_trigger_executions() -> None:
    cost = Usage(1, 10, 0, 10, 0.01)
    queries = Suite("q", "triggers", Path("q"), [Task(f"q-{n}", "Needs alpha.", [GraderSpec("t")]) for n in range(40)])

    def capped(usd: float) -> tuple[Run, Ledger]:
        ledger = Ledger(Cap(usd=usd))
        parts = world(Synthetic(cost=cost, ledger=ledger), Describer(), ledger=ledger)
        return optimize(
            SKILL, suite(), LoopSettings(iterations=3), PatternMemory("s"), with_triggers(parts, queries, 1)
        ), ledger

    full, ledger = capped(10.0)
    assert (ledger.spent.usd or 0) >= 0.01 * (16 + 2 * 40)
    assert len(full.triggers) == 40
    short, ledger = capped(0.4)
    assert (short.stop, short.final) == (Stop.BUDGET, SKILL)
    assert (ledger.spent.usd or 0) <= 0.4


def made(ident: str, **fields: Any) -> Edit:
    return Edit(ident, 1, **({"layer": "B", "file": "SKILL.md", "op": "append", "target": "file"} | fields))


EDITS = [
    made("E1", content="- One."),
    made("E2", layer="H", op="replace", target="description", content=GREEDY),
    made("E3", layer="Q", file="references/x.md", content="Text."),
    made("E4", content="- Read `references/x.md` when unsure."),
]


@given(st.text("pfu", min_size=4, max_size=4), st.text("pfu", min_size=4, max_size=4))
def test_the_description_is_taken_exactly_where_triggering_is_known_and_no_worse(old: str, new: str) -> None:
    candidate, results = replay(SKILL, EDITS)
    refused = EditResult(made("E5", content="x"), "refused", "said before")
    known = evidence(old)
    checked = check_triggers(
        lambda skill, name: evidence(new), "n", Incumbent(SKILL, (), known), candidate, [*results, refused]
    )
    taken = compare(evidence(new), known) in (Verdict.BETTER, Verdict.TIE)
    assert (checked.skill.description == GREEDY) is taken
    assert list(checked.triggers) == (evidence(new) if taken else known)
    assert [row.edit.id for row in checked.edits] == ["E1", "E2", "E3", "E4", "E5"]
    expected = ["accepted", "accepted" if taken else "rejected", "accepted", "accepted", "refused"]
    assert [row.status for row in checked.edits] == expected
    assert bool(checked.rejected) is not taken
    accepted = [row.edit for row in checked.edits if row.status == "accepted"]
    assert checked.skill == replay(SKILL, accepted)[0]
    assert checked.skill.body == candidate.body

"""The ledger's books: what is kept back, what a call was for, and what of a request makes it another one."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from skillgrad_ci.errors import BudgetExceeded, Cancelled, EnvironmentFailure, ReplyError, UserError
from skillgrad_ci.method.budget import Cap, Ledger, Purpose, Reserve, purpose, spending_on
from skillgrad_ci.method.budget.metered import Journaled, Metered
from skillgrad_ci.method.evidence import Usage
from skillgrad_ci.method.ports import ModelReply, ModelRequest
from skillgrad_ci.session.journal.file_journal import FileJournal

BOUND, TAKES = Usage(1, 90, 0, 90, 0.2), Usage(1, 5, 2, 5, 0.1)


@dataclass
class Counting:
    """A model that answers by the number of its call, or fails."""

    error: Exception | None = None
    name: str = "counting"
    calls: int = 0

    def bound(self, request: ModelRequest) -> Usage:
        return BOUND

    def complete(self, request: ModelRequest) -> ModelReply:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return ModelReply(f"reply {self.calls}", stop="length", usage=TAKES)


@dataclass
class Notes:
    """A journal in memory."""

    records: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def recall(self, key: str) -> Mapping[str, Any] | None:
        return self.records.get(key)

    def record(self, key: str, kind: str, value: Mapping[str, Any]) -> None:
        self.records[key] = dict(value)


limits = st.none() | st.integers(1, 10**6)


@given(limits, limits, limits, st.sampled_from([0.25, 0.5, 1.0]))
def test_a_share_of_a_cap_is_that_share_of_each_limit_and_no_cap_stays_none(
    usd: int | None, tokens: int | None, minutes: int | None, share: float
) -> None:
    part = Cap(usd, tokens, minutes).part(share)
    assert part.usd == (None if usd is None else usd * share)
    assert part.minutes == (None if minutes is None else minutes * share)
    assert part.tokens == (None if tokens is None else max(1, int(tokens * share))), "whole tokens, and never none"


def test_nothing_known_the_share_of_every_cap_is_kept_and_of_no_cap_nothing() -> None:
    ledger = Ledger(Cap(3.0, 300, 30.0))
    ledger.reserve_share(1 / 3)
    assert ledger.reserve == Reserve(1.0, 100.0, 10.0)
    ledger = Ledger()
    ledger.reserve_share(1 / 3)
    assert ledger.reserve == Reserve()


def test_a_judges_calls_to_come_are_counted_as_mean_calls_of_the_executor() -> None:
    ledger = Ledger()
    seen = [Usage(2, 20, 0, 10, 0.3), Usage(2, 20, 0, 10, 0.1)]
    ledger.reserve_executions(6, seen, seconds=0, calls=2)
    assert ledger.reserve.usd == pytest.approx(1.2 * (6 * 0.2 + 2 * 0.1))
    assert ledger.reserve.tokens == pytest.approx(1.2 * (6 * 30 + 2 * 15))
    ledger.hold(BOUND)
    ledger.reserve_executions(0, seen, seconds=0)
    assert ledger.reserve == Reserve(), "where nothing is to come, no call's bound is kept"
    ledger.reserve_executions(1, [Usage(usd=None)], seconds=0)
    assert (ledger.reserve.usd, ledger.reserve.tokens) == (BOUND.usd, BOUND.tokens)


def test_the_reserve_is_closed_again_after_the_final_measurement() -> None:
    ledger = Ledger(Cap(usd=1.0), reserve=Reserve(usd=0.6))
    with pytest.raises(RuntimeError), ledger.final_measurement():
        raise RuntimeError("the measurement broke off")
    with pytest.raises(BudgetExceeded, match=r"0\.5 of 1, 0\.6 of it kept for the final measurement"):
        ledger.hold(Usage(1, usd=0.5))
    with pytest.raises(BudgetExceeded, match=r"to 1,200 of 1,000$"):
        Ledger(Cap(tokens=1000)).hold(Usage(1, 1200))


def test_calls_are_booked_on_what_they_were_for_also_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        ledger = Ledger()
        with FileJournal(tmp_path) as journal:
            ledger.resume(journal, journal.replayed)
            if not ledger.by_purpose:
                model = Metered(Counting(), ledger, "executor")
                with spending_on(iteration="base"):
                    with spending_on(task="t1"):
                        model.complete(ModelRequest([]))
                    model.complete(ModelRequest([]))
                    ledger.hold(BOUND)
                    ledger.settle("judge", BOUND, TAKES, Purpose("2", "t9"))
                assert purpose() == Purpose()
                ledger.hold(BOUND)
                ledger.settle("executor", BOUND, Usage())
        assert ledger.by_purpose == {
            ("executor", Purpose("base", "t1")): TAKES,
            ("executor", Purpose("base")): TAKES,
            ("judge", Purpose("2", "t9")): TAKES,
        }
        assert ledger.by_role == {"executor": TAKES + TAKES, "judge": TAKES}


@pytest.mark.parametrize("error", [UserError("no key"), ReplyError("no text"), Cancelled("stopped")])
def test_a_call_that_was_not_made_holds_and_costs_nothing(error: Exception) -> None:
    ledger = Ledger(Cap(usd=0.2))
    for _ in range(3):
        with pytest.raises(type(error)):
            Metered(Counting(error), ledger, "executor").complete(ModelRequest([]))
    assert ledger.spent == Usage()


def test_what_ends_in_a_way_that_nobody_foresaw_is_counted_in_full() -> None:
    ledger = Ledger()
    with pytest.raises(ZeroDivisionError):
        Metered(Counting(ZeroDivisionError()), ledger, "executor").complete(ModelRequest([]))
    assert ledger.spent == BOUND


class Form(BaseModel):
    """A reply's form."""

    text: str


ASK = ModelRequest([{"role": "user", "content": "hello"}], max_tokens=100)
OTHERS = [
    replace(ASK, messages=[{"role": "user", "content": "hello again"}]),
    replace(ASK, tools=[{"type": "function"}]),
    replace(ASK, schema=Form),
    replace(ASK, max_tokens=101),
    replace(ASK, shared="the skill"),
    replace(ASK, shared="another skill"),
]


def test_a_request_is_another_one_where_anything_of_it_differs_and_is_replayed_as_it_was() -> None:
    model, journal = Counting(), Notes()
    journaled = Journaled(Metered(model, Ledger(), "patcher"), journal)
    first = [journaled.complete(request) for request in (ASK, *OTHERS)]
    assert model.calls == 1 + len(OTHERS)
    assert [journaled.complete(request) for request in (ASK, *OTHERS)] == first
    assert model.calls == 1 + len(OTHERS)
    assert (first[0].text, first[0].stop, first[0].usage) == ("reply 1", "length", TAKES)
    for other in (
        Journaled(Metered(model, Ledger(), "diagnoser"), journal),
        Journaled(Metered(replace(model, name="another"), Ledger(), "patcher"), journal),
    ):
        assert other.complete(ASK) != first[0]
    assert journaled.name == "counting"
    assert journaled.bound(ASK) == BOUND


def test_a_failure_is_told_as_it_was() -> None:
    journal = Notes()
    failing = Journaled(Metered(Counting(EnvironmentFailure("no network")), Ledger(), "patcher"), journal)
    for _ in range(2):
        with pytest.raises(EnvironmentFailure, match="no network"):
            failing.complete(ASK)
    assert list(journal.records.values()) == [{"failed": "no network"}]

"""One cap: held before each call, kept with any number of calls in flight."""

import contextlib
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from skillgrad_ci.errors import BudgetExceeded, EnvironmentFailure, UserError
from skillgrad_ci.method.budget import Cap, Ledger, Reserve
from skillgrad_ci.method.budget.metered import LOST_REPLIES, Journaled, Metered
from skillgrad_ci.method.evidence import Usage
from skillgrad_ci.method.ports import ModelReply, ModelRequest
from skillgrad_ci.session.journal.file_journal import END, FileJournal


@dataclass
class Priced:
    """A model whose bound is `most` and whose calls take `takes`; counts calls and the peak in flight."""

    most: Usage
    takes: Usage
    errors: list[Exception] = field(default_factory=list)
    name: str = "priced"
    calls: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def bound(self, request: ModelRequest) -> Usage:
        return self.most

    def complete(self, request: ModelRequest) -> ModelReply:
        with self.lock:
            self.calls += 1
            if self.errors:
                raise self.errors.pop(0)
        return ModelReply("text", usage=self.takes)


ASK = ModelRequest([{"role": "user", "content": "hello"}])
amounts = st.integers(1, 50).map(lambda cents: cents / 100)


@given(cap=amounts, most=amounts, share=st.floats(0.1, 1), workers=st.integers(1, 16))
def test_the_cap_holds_with_any_number_in_flight(cap: float, most: float, share: float, workers: int) -> None:
    model = Priced(Usage(1, 10, 0, 10, most), Usage(1, 5, 0, 5, most * share))
    ledger = Ledger(Cap(usd=cap))

    def work(_: int) -> bool:
        try:
            Metered(model, ledger, "executor").complete(ASK)
        except BudgetExceeded:
            return False
        return True

    with ThreadPoolExecutor(workers) as pool:
        done = list(pool.map(work, range(30)))
    assert ledger.spent.usd is not None
    assert ledger.spent.usd <= cap + 1e-9
    assert ledger.spent.calls == sum(done) == model.calls
    if not all(done):  # refused only where even a lone call could have passed the cap
        assert ledger.spent.usd + most > cap - 1e-9


def test_a_call_waits_for_those_in_flight_before_it_is_refused() -> None:
    ledger = Ledger(Cap(tokens=100))
    ledger.hold(Usage(1, 60))
    settled = threading.Timer(0.1, lambda: ledger.settle("executor", Usage(1, 60), Usage(1, 10)))
    settled.start()
    ledger.hold(Usage(1, 60))  # 60 held + 60 would pass 100; 10 spent + 60 does not
    with pytest.raises(BudgetExceeded, match=r"budget\.tokens: the next call could take the run to 170 of 100"):
        Ledger(Cap(tokens=100), by_role={"executor": Usage(1, 110)}).hold(Usage(1, 60))


def test_the_reserve_is_for_the_final_measurement_alone() -> None:
    ledger = Ledger(Cap(usd=1.0), reserve=Reserve(usd=0.6))
    with pytest.raises(BudgetExceeded, match="kept for the final measurement"):
        ledger.hold(Usage(1, usd=0.5))
    with ledger.final_measurement():
        ledger.hold(Usage(1, usd=0.5))


def test_what_is_kept_for_later_can_be_spent_later_alone() -> None:
    ledger = Ledger(Cap(usd=1.0, tokens=100))
    with ledger.keeping(0.2), pytest.raises(BudgetExceeded, match=r"0\.9 of 0\.8"):
        ledger.hold(Usage(1, usd=0.9))
    ledger.hold(Usage(1, usd=0.9))
    assert ledger.cap == Cap(usd=1.0, tokens=100)


def test_the_reserve_covers_the_executions_to_come() -> None:
    ledger = Ledger(Cap(usd=10, tokens=1_000, minutes=60))
    ledger.hold(Usage(1, 30, 0, 10, 0.2))
    ledger.settle("executor", Usage(1, 30, 0, 10, 0.2), Usage(1, 20, 0, 5, 0.1))
    ledger.reserve_executions(10, [Usage(3, 20, 0, 5, 0.1), Usage(3, 20, 0, 5, 0.3)], seconds=30)
    assert ledger.reserve.usd == pytest.approx(1.2 * 10 * 0.2 + 0.2)
    assert ledger.reserve.tokens == pytest.approx(1.2 * 10 * 25 + 40)
    assert ledger.reserve.minutes == pytest.approx(1.2 * 0.5)


def test_the_reserve_covers_the_judge_of_the_executions_to_come() -> None:
    ledger = Ledger(Cap(usd=10), by_role={"executor": Usage(9, 90, 0, 10, 1.0), "judge": Usage(3, 40, 0, 10, 0.5)})
    ledger.reserve_executions(2, [Usage(3, 20, 0, 5, 0.1)], seconds=30)
    assert ledger.reserve.usd == pytest.approx(1.2 * 2 * 0.1 * 1.5)
    assert ledger.reserve.tokens == pytest.approx(1.2 * 2 * 25 * 1.5)


def test_minutes_count_from_the_start() -> None:
    now = [0.0]
    ledger = Ledger(Cap(minutes=2), clock=lambda: now[0])
    ledger.hold(Usage(1))
    ledger.settle("executor", Usage(1), Usage(1))
    now[0] = 121.0
    with pytest.raises(BudgetExceeded, match=r"budget\.minutes"):
        ledger.hold(Usage(1))


def test_minutes_of_earlier_processes_count(tmp_path: Path) -> None:
    """A run that is killed and started again keeps its cap in minutes, and tells all that it took."""
    now = [0.0]
    for process in range(3):
        ledger = Ledger(Cap(minutes=2), clock=lambda: now[0])
        with FileJournal(tmp_path, clock=lambda: now[0]) as journal:
            ledger.resume(journal, journal.replayed, journal.elapsed)
            assert ledger.minutes == pytest.approx(process * 50 / 60)
            if process == 2:
                now[0] += 21
                with pytest.raises(BudgetExceeded, match=r"budget\.minutes"):
                    ledger.hold(Usage(1))
                return
            ledger.hold(Usage(1))
            now[0] += 50
            ledger.settle("executor", Usage(1), Usage(1))


def test_a_cap_in_dollars_refuses_an_unknown_price() -> None:
    with pytest.raises(BudgetExceeded, match="price of a model is unknown"):
        Ledger(Cap(usd=1.0)).hold(Usage(1, 10, usd=None))


def test_what_failed_is_charged_only_where_it_may_have_been_billed() -> None:
    bound = Usage(1, 100, 0, 100, 1.0)
    outage = Priced(bound, Usage(1, 1, 0, 1, 0.1), [EnvironmentFailure("no connection")])
    ledger = Ledger()
    with pytest.raises(EnvironmentFailure):
        Metered(outage, ledger, "executor").complete(ASK)
    assert ledger.spent.calls == 0
    with pytest.raises(UserError):
        Metered(Priced(bound, bound, [UserError("no key")]), ledger, "executor").complete(ASK)
    assert ledger.spent.calls == 0
    lost = Priced(bound, Usage(1, 1, 0, 1, 0.1), [EnvironmentFailure("reset", billed=True)])
    Metered(lost, ledger, "executor").complete(ASK)
    assert ledger.spent.calls == 2
    assert ledger.spent.usd == pytest.approx(1.1)
    gone = Priced(bound, bound, [EnvironmentFailure("reset", billed=True)] * 9)
    with pytest.raises(EnvironmentFailure):
        Metered(gone, Ledger(), "executor").complete(ASK)
    assert gone.calls == LOST_REPLIES + 1


class Notes:
    """A journal in memory, that goes through JSON-like copies."""

    def __init__(self) -> None:
        self.records: dict[str, Mapping[str, Any]] = {}

    def recall(self, key: str) -> Mapping[str, Any] | None:
        return self.records.get(key)

    def record(self, key: str, kind: str, value: Mapping[str, Any]) -> None:
        self.records[key] = dict(value)


def test_a_request_is_paid_for_once() -> None:
    model = Priced(Usage(1, 9, 0, 9, 0.2), Usage(1, 5, 0, 5, 0.1))
    ledger, journal = Ledger(), Notes()
    first = Journaled(Metered(model, ledger, "patcher"), journal).complete(ASK)
    second = Journaled(Metered(model, ledger, "patcher"), journal).complete(ASK)
    assert first == second
    assert (model.calls, ledger.spent.calls) == (1, 1)
    Journaled(Metered(model, ledger, "diagnoser"), journal).complete(ASK)
    assert model.calls == 2  # another role is another request


def test_a_failure_is_replayed_unless_it_is_to_be_asked_afresh() -> None:
    model = Priced(Usage(1), Usage(1), [EnvironmentFailure("no network")])
    journal = Notes()
    for _ in range(2):
        with pytest.raises(EnvironmentFailure, match="no network"):
            Journaled(Metered(model, Ledger(), "patcher"), journal).complete(ASK)
    assert model.calls == 1
    assert Journaled(Metered(model, Ledger(), "patcher"), journal, afresh=True).complete(ASK).text == "text"
    assert Journaled(Metered(model, Ledger(), "patcher"), journal).complete(ASK).text == "text"
    assert model.calls == 2


def test_after_a_restart_every_call_counts_once_whatever_became_of_its_work(tmp_path: Path) -> None:
    """Calls of an execution that was cut, and lost replies, are in no result; they were paid for all the same."""
    bound, takes = Usage(1, 90, 0, 90, 0.2), Usage(1, 5, 2, 5, 0.1)
    spent: list[dict[str, Usage]] = []
    for errors in ([], [EnvironmentFailure("reset", billed=True)], [EnvironmentFailure("no network")]):
        ledger, model = Ledger(Cap(usd=2.0)), Priced(bound, takes, list(errors))
        with FileJournal(tmp_path) as journal:
            ledger.resume(journal, journal.replayed)
            assert spent == [] or ledger.by_role == spent[-1]
            with contextlib.suppress(EnvironmentFailure):
                Metered(model, ledger, "executor").complete(ASK)  # for no result
            Journaled(Metered(model, ledger, "patcher"), journal).complete(ASK)
        spent.append(dict(ledger.by_role))
    assert spent[-1]["patcher"] == takes
    assert spent[-1]["executor"].usd == pytest.approx(0.1 + 0.2 + 0.1)
    full = Ledger(Cap(usd=0.5), by_role=spent[-1])
    with pytest.raises(BudgetExceeded):
        full.hold(bound)


class Choice(BaseModel):
    """A structured reply that `Priced`, which always says "text", never gives."""

    taken: bool


@given(starts=st.lists(st.sampled_from(["lacking", "whole", "killed"]), min_size=1, max_size=6))
@pytest.mark.parametrize("role", ["judge", "patcher"])
def test_a_reply_without_use_is_asked_for_again_once_after_each_end_that_lacks_measurements(
    role: str, starts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A kill is not an end: what was asked for since the last one is not paid twice."""
    messages = [{"role": each, "content": "x"} for each in ("system", "user", "assistant", "user")]
    first, repair = ModelRequest(messages[:2], schema=Choice), ModelRequest(messages, schema=Choice)
    folder, ended, asked = tmp_path_factory.mktemp("run"), "", False
    for how in starts:
        model = Priced(Usage(1), Usage(1))
        with FileJournal(folder) as journal:
            again = ended == "lacking"
            journaled = Journaled(Metered(model, Ledger(), role), journal, again, journal.stale)
            for request in (first, repair, first, repair):
                assert journaled.complete(request).text == "text"
            fresh = 0 if asked else 2 if ended == "" else 0 if not again else 2 if role == "judge" else 1
            assert model.calls == fresh
            asked = True
            if how != "killed":
                journal.record(END, END, {"stop": how})
                ended, asked = how, how != "lacking"

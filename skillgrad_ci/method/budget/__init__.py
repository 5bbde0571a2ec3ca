"""One cap: a ledger over every role, asked before each call. `metered.py` has the models that ask it.

A call first holds the most that it can cost; what it did cost replaces the hold when it ends. So
with any number of calls in flight the sum of spent and held never passes the cap. The final
measurement has a share that only it may use.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, replace
from math import inf
from uuid import uuid4

from skillgrad_ci.errors import BudgetExceeded
from skillgrad_ci.method.evidence import Usage
from skillgrad_ci.method.ports import Journal

MORE = 1.2  # how much of the foreseen is kept for the final measurement: executions differ


@dataclass(frozen=True)
class Cap:
    """What a run may take: US dollars, tokens, minutes. None: no such cap."""

    usd: float | None = None
    tokens: int | None = None
    minutes: float | None = None

    def part(self, share: float) -> "Cap":
        """The cap of a share of the work."""
        tokens = None if self.tokens is None else max(1, int(self.tokens * share))
        return Cap(self.usd and self.usd * share, tokens, self.minutes and self.minutes * share)


@dataclass(frozen=True)
class Reserve:
    """What is kept back for the final measurement."""

    usd: float = 0.0
    tokens: float = 0.0
    minutes: float = 0.0


@dataclass(frozen=True)
class Purpose:
    """What a call is for: a measurement or an iteration (`base`, `1`), and the task, where it is for one."""

    iteration: str = ""
    task: str = ""


_purpose: ContextVar[Purpose] = ContextVar("purpose")


def purpose() -> Purpose:
    """What this thread's calls are for."""
    return _purpose.get(Purpose())


@contextmanager
def spending_on(**what: str) -> Iterator[None]:
    """Calls that are made inside are for this `iteration`, and this `task`."""
    before = _purpose.set(replace(purpose(), **what))
    try:
        yield
    finally:
        _purpose.reset(before)


@dataclass
class Ledger:
    """Spent and held, by role and by what it was for, behind one lock. Thread-safe; `clock` gives seconds."""

    cap: Cap = field(default_factory=Cap)
    clock: Callable[[], float] = time.monotonic
    reserve: Reserve = field(default_factory=Reserve)
    by_role: dict[str, Usage] = field(default_factory=dict)
    by_purpose: dict[tuple[str, Purpose], Usage] = field(default_factory=dict)
    journal: Journal | None = None
    settled: Callable[[], object] = lambda: None  # told after each call, outside of the lock
    _held: list[Usage] = field(default_factory=list)
    largest: Usage = field(default_factory=Usage)  # the most that one call could have taken: as prompt tokens, usd
    _final: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self._started = self.clock()

    @property
    def spent(self) -> Usage:
        with self._changed:
            return sum(self.by_role.values(), Usage())

    @property
    def minutes(self) -> float:
        return (self.clock() - self._started) / 60

    def hold(self, bound: Usage) -> None:
        """Hold the most that a call can take, before it is made.

        Where only other calls in flight are in the way, waits for one to end. Raises BudgetExceeded
        where the call could pass the cap even alone.
        """
        with self._changed:
            while (refusal := self._refusal(bound)) and self._held:
                self._changed.wait(timeout=1.0)
            if refusal:
                raise BudgetExceeded(refusal)
            self._held.append(bound)
            self.largest = Usage(
                prompt_tokens=max(self.largest.tokens, bound.tokens), usd=max(self.largest.usd or 0, bound.usd or 0)
            )

    def _refusal(self, bound: Usage) -> str | None:
        keep = Reserve() if self._final else self.reserve
        after = sum([*self.by_role.values(), *self._held, bound], Usage())
        rows = [
            ("minutes", self.minutes, self.cap.minutes, keep.minutes),
            ("tokens", after.tokens, self.cap.tokens, keep.tokens),
            ("usd", after.usd, self.cap.usd, keep.usd),
        ]
        for unit, value, cap, reserve in rows:
            if cap is None:
                continue
            if value is None:
                return f"budget.{unit}: the price of a model is unknown, so a cap in {unit} cannot be kept"
            if value > cap - reserve:
                kept = f", {_figure(reserve)} of it kept for the final measurement" if reserve else ""
                return f"budget.{unit}: the next call could take the run to {_figure(value)} of {_figure(cap)}{kept}"
        return None

    def settle(self, role: str, bound: Usage, actual: Usage, on: Purpose | None = None) -> None:
        """Replace a hold by what the call took, and write that down. `on`: what it was for, if not this thread's."""
        on = on or purpose()
        with self._changed:
            self._held.remove(bound)
            self._count(role, on, actual)
            self._changed.notify_all()
        if self.journal is not None and actual.calls:
            self.journal.record(uuid4().hex, "spent", {"role": role, "spent": asdict(actual), "on": asdict(on)})
        self.settled()

    def _count(self, role: str, on: Purpose, usage: Usage) -> None:
        if usage.calls:
            self.by_purpose[role, on] = self.by_purpose.get((role, on), Usage()) + usage
        self.by_role[role] = self.by_role.get(role, Usage()) + usage

    def resume(self, journal: Journal, keys: Iterable[str], seconds: float = 0.0) -> None:
        """Count what earlier processes of this run paid for: it is part of the cap. Further calls are written down.

        A call is counted by itself, and not with the result that it was for: work that was cut or could
        not be measured was paid for too. `keys` are the records that the journal held at the start, `seconds`
        is the time that the run took up to now, in this process and those before it.
        """
        for value in filter(None, map(journal.recall, keys)):
            if "spent" in value:
                self._count(value["role"], Purpose(**value.get("on", {})), Usage(**value["spent"]))
        self._started = self.clock() - seconds
        self.journal = journal

    def reserve_share(self, share: float) -> None:
        """Before anything is known: keep this share of every cap for the final measurement."""
        cap = self.cap
        self.reserve = Reserve((cap.usd or 0) * share, (cap.tokens or 0) * share, (cap.minutes or 0) * share)

    def reserve_executions(self, number: int, seen: Sequence[Usage], seconds: float, calls: int = 0) -> None:
        """Keep what `number` executions and their judge should take, a fifth more, and room for one call's bound.

        `seen` are executors' usages in such executions; `seconds` is the time that all of them take of the run. `calls`
        are those of a judge that it has not made yet, each counted as a mean call of an executor.
        """
        total = sum(seen, Usage())
        each = MORE * (number / max(1, len(seen)) + calls / max(1, total.calls))
        room = self.largest if number else Usage()
        done, judged = self.by_role.get("executor", Usage()), self.by_role.get("judge", Usage())
        usd = each * (total.usd or 0) * (1 + (judged.usd or 0) / (done.usd or inf))
        tokens = each * total.tokens * (1 + judged.tokens / (done.tokens or inf))
        self.reserve = Reserve(usd + (room.usd or 0), tokens + room.tokens, MORE * seconds / 60)

    @contextmanager
    def keeping(self, share: float) -> Iterator[None]:
        """Inside, this share of the cap cannot be spent: it is for what comes after."""
        whole, self.cap = self.cap, self.cap.part(1 - share)
        try:
            yield
        finally:
            self.cap = whole

    @contextmanager
    def final_measurement(self) -> Iterator[None]:
        """Inside, the reserve may be used."""
        self._final = True
        try:
            yield
        finally:
            self._final = False


def _figure(value: float) -> str:
    """A number for a person: whole from 1,000 on, with four digits below."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"

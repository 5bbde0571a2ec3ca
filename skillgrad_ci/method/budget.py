"""One cap: a ledger over every role, asked before each call, and the models that ask it.

A call first holds the most that it can cost; what it did cost replaces the hold when it ends. So
with any number of calls in flight the sum of spent and held never passes the cap. The final
measurement has a share that only it may use.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, replace
from math import inf
from typing import Any
from uuid import uuid4

from skillgrad_ci.errors import BudgetExceeded, Cancelled, EnvironmentFailure, ReplyError, UserError
from skillgrad_ci.method.evidence import Usage
from skillgrad_ci.method.ports import Journal, Model, ModelReply, ModelRequest
from skillgrad_ci.method.prompting import read_reply
from skillgrad_ci.method.task import digest_of

MORE = 1.2  # how much of the foreseen is kept for the final measurement: executions differ
LOST_REPLIES = 2  # how often a reply that was lost on its way, and may have been paid for, is asked for again


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


@dataclass(frozen=True)
class Metered:
    """A model whose every call is asked of the ledger first, for one role."""

    model: Model
    ledger: Ledger
    role: str

    @property
    def name(self) -> str:
        return self.model.name

    def bound(self, request: ModelRequest) -> Usage:
        return self.model.bound(request)

    def complete(self, request: ModelRequest) -> ModelReply:
        """As the model's. A reply that was lost is asked for again, each time as a call of its own."""
        for _ in range(LOST_REPLIES):
            try:
                return self._once(request)
            except EnvironmentFailure as failure:
                if not failure.billed:
                    raise
        return self._once(request)

    def _once(self, request: ModelRequest) -> ModelReply:
        bound = self.model.bound(request)
        self.ledger.hold(bound)
        actual = bound  # what ends in a way that nobody foresaw is counted in full
        try:
            reply = self.model.complete(request)
            actual = reply.usage
            return reply
        except EnvironmentFailure as failure:
            actual = bound if failure.billed else Usage()
            raise
        except (UserError, ReplyError, Cancelled):
            actual = Usage()
            raise
        finally:
            self.ledger.settle(self.role, bound, actual)


@dataclass(frozen=True)
class Journaled:
    """A metered model that never pays twice for one request: it replays what the journal holds.

    Failures are replayed too, so that a resumed run makes the same steps. `afresh` is for a run that ended for want
    of measurements: a call that failed is made again, and so is one whose reply could not be used, once in a
    start. (`stale` tells the replies that were there when that run ended.) Such a run asks its judge only about
    what could not be measured, so none of the judge's stale replies was of use.
    """

    model: Metered
    journal: Journal
    afresh: bool = False
    stale: Callable[[str], bool] | None = None

    @property
    def name(self) -> str:
        return self.model.name

    def bound(self, request: ModelRequest) -> Usage:
        return self.model.bound(request)

    def complete(self, request: ModelRequest) -> ModelReply:
        schema = request.schema.model_json_schema() if request.schema else None
        asked = [self.name, self.model.role, list(request.messages), list(request.tools), schema, request.max_tokens]
        asked += [request.shared] if request.shared else []
        key = digest_of(asked)
        known = self.journal.recall(key)
        if known is None or (self.afresh and self._is_no_use(key, request, known)):
            self._ask(key, request)
            known = self.journal.recall(key)
        if known is None:
            raise EnvironmentFailure("the journal lost a record that it had just written; look at the disk")
        if "failed" in known:
            raise EnvironmentFailure(known["failed"])
        return ModelReply(known["text"], (), known["stop"], Usage(**known["usage"]))

    def _is_no_use(self, key: str, request: ModelRequest, known: Mapping[str, Any]) -> bool:
        """Of a reply that was repaired, the repair counts: the reply itself is replayed."""
        if "failed" in known:
            return True
        if request.schema is None or not (self.stale and self.stale(key)):
            return False
        if self.model.role == "judge":
            return True
        try:
            read_reply(ModelReply(known["text"], (), known["stop"]), request.schema)
        except ReplyError:
            return request.goes_on
        return False

    def _ask(self, key: str, request: ModelRequest) -> None:
        """Make the call, and write down what became of it."""
        try:
            reply = self.model.complete(request)
        except EnvironmentFailure as failure:
            self.journal.record(key, "call", {"failed": str(failure)})
            raise
        self.journal.record(key, "call", {"usage": asdict(reply.usage), "text": reply.text, "stop": reply.stop})

"""One execution's line: who may ask, for what, how often, and what becomes of a call.

A reply is read to its end before any of it is passed on. So a call that fails half-way is asked again
here, by the rules of every other call, and an agent never sees half a reply.
"""

import hmac
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from socket import socket
from typing import Any, Protocol

from skillgrad_ci.errors import BudgetExceeded, Cancelled, EnvironmentFailure, SkillGradError
from skillgrad_ci.method.budget import Ledger, Purpose, purpose
from skillgrad_ci.method.budget.metered import LOST_REPLIES
from skillgrad_ci.method.evidence import ModelCall, Usage
from skillgrad_ci.method.ports.gateway import PaidReplies
from skillgrad_ci.models.advice import failure
from skillgrad_ci.models.faults import Fault, Kind, retries_of
from skillgrad_ci.models.gateway import server
from skillgrad_ci.models.gateway.dialect import Answer, Asked, Call, Dialect
from skillgrad_ci.models.gateway.paid import content_of, kept, replayed
from skillgrad_ci.models.gateway.recorder import Recorder
from skillgrad_ci.models.gateway.upstream import Attempting
from skillgrad_ci.models.provider import LONGEST_WAIT
from skillgrad_ci.models.replies import Said

SIDE_CALLS = 3  # calls without tools for each turn that an agent may take
AT_ONCE = 32  # requests of one execution that are read or answered at once: each may be large
OVER = "no further call is answered in this execution: {}"
TOLD = {Kind.TOO_LONG: "context", Kind.FILTERED: "refused"}  # what an agent may still act on, and its end if not
PASSED_ON = {*TOLD, Kind.REFUSED}
Metered = tuple[tuple[Said, Answer] | Fault, Usage]  # what became of a call, and what its last attempt took


class Backend(Protocol):
    """What a line asks of the gateway behind it: one model, its provider and the ledger."""

    @property
    def name(self) -> str: ...

    @property
    def model(self) -> str:
        """The name that an agent asks for."""
        ...

    @property
    def dialect(self) -> Dialect: ...

    @property
    def ledger(self) -> Ledger: ...

    @property
    def role(self) -> str: ...

    @property
    def timeout(self) -> float: ...

    @property
    def retries(self) -> int: ...

    @property
    def stop(self) -> threading.Event: ...

    def attempt(self, call: Call) -> Attempting: ...

    def pause(self, attempt: int, asked: float | None) -> float: ...

    def bound(self, asked: Asked) -> Usage: ...

    def taken(self, asked: Asked, said: Said) -> Usage: ...


@dataclass
class OpenLine:
    """`ports.gateway.Line`. Agents ask several calls at once, so it is thread-safe."""

    gateway: Backend
    turns_allowed: int
    refusal: int
    record: Recorder
    replies: PaidReplies
    purpose: Purpose = field(default_factory=purpose)  # of the thread that opened it, for others serve it
    turns: int = 0
    usage: Usage = field(default_factory=Usage)
    stopped: str = ""
    room: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(AT_ONCE), repr=False)
    _side_calls: int = 0
    _error: SkillGradError | None = None
    _fault: Fault | None = None  # of the last call that was answered
    _leaving: threading.Event = field(default_factory=threading.Event)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _in_flight: int = 0
    _waited: float = 0.0
    _since: float = 0.0

    @property
    def token(self) -> str:
        return self.replies.token

    @property
    def events(self) -> list[Mapping[str, Any]]:
        return self.record.events

    @property
    def model_calls(self) -> list[ModelCall]:
        return self.record.model_calls

    @property
    def answer(self) -> str:
        return self.record.answer

    @property
    def waited(self) -> float:
        with self._lock:
            running = time.monotonic() - self._since if self._in_flight else 0.0
            return self._waited + running

    @property
    def dialect(self) -> Dialect:
        return self.gateway.dialect

    def serve(self, connection: socket) -> None:
        server.serve(connection, self)

    def admits(self, key: str) -> bool:
        return hmac.compare_digest(key.encode(), self.token.encode())

    def stop(self, reason: str) -> None:
        with self._lock:
            self.stopped = self.stopped or reason
        self.leave()

    def leave(self) -> None:
        """Wait no longer for calls that are on their way."""
        self._leaving.set()

    def check(self) -> None:
        """What the last call ended on counts: an agent that went on after a fault, and was answered, is measured."""
        with self._lock:
            if self._error is not None:
                raise self._error
            if self._fault is not None and self._fault.kind not in TOLD:
                raise failure(self.gateway.name, self._fault)
            if self._fault is not None and not self.stopped:
                self.stopped = TOLD[self._fault.kind]

    def answer_call(self, call: Call, beat: Callable[[], None]) -> Answer:
        """The answer to a call. `beat` is called a few times a second while the provider is waited for."""
        stream = call.asked.stream
        if call.asked.model != self.gateway.model:
            unknown = f"the model {call.asked.model[:80]!r} is not configured; there is {self.gateway.model}"
            return self.gateway.dialect.refusal(HTTPStatus.BAD_REQUEST, unknown, stream=False)
        if over := self._admit(call.asked):
            return self.gateway.dialect.refusal(self.refusal, OVER.format(over), stream=stream)
        try:
            outcome, usage = self._reply(call, beat)
        except (BudgetExceeded, Cancelled, EnvironmentFailure) as error:  # the last: the journal's disk is full
            self._end(error)  # unless the line itself was stopped, which is not an error
            return self.gateway.dialect.refusal(self.refusal, OVER.format(error), stream=stream)
        if isinstance(outcome, Fault):
            return self._refused(outcome, stream=stream)
        said, answer = outcome
        with self._lock:
            self._fault = Fault(Kind.FILTERED, "the reply was filtered") if said.stop == "content_filter" else None
            if call.asked.has_tools:
                self.record.heard(said, usage)
        return answer

    def _admit(self, asked: Asked) -> str:
        """Take note of a call and count it; why it is not answered, or ''."""
        with self._lock:
            if asked.has_tools:
                self.record.asked(asked)  # also where no answer follows: it holds what the last tools gave back
            if self.stopped:
                return str(self._error or self.stopped)
            if self._leaving.is_set():
                return "its turn has ended"
            used, most = (self.turns, 1) if asked.has_tools else (self._side_calls, SIDE_CALLS)
            if used >= most * self.turns_allowed:
                self.stopped = "turns"
            self.turns += asked.has_tools and not self.stopped
            self._side_calls += not asked.has_tools
            return self.stopped

    def _refused(self, fault: Fault, *, stream: bool) -> Answer:
        """A fault that an agent may act on is passed on; any other ends the execution."""
        with self._lock:
            self._fault = fault
        if fault.kind in PASSED_ON:
            return self.gateway.dialect.refusal(HTTPStatus.BAD_REQUEST, fault.said, stream=False)
        self._end(failure(self.gateway.name, fault))
        return self.gateway.dialect.refusal(self.refusal, OVER.format(fault.said), stream=stream)

    def _end(self, error: SkillGradError) -> None:
        with self._lock:
            if self.stopped and isinstance(error, Cancelled):
                return
            self._error = self._error or error
            self.stopped = self.stopped or ("budget" if isinstance(error, BudgetExceeded) else "outage")

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Inside, time passes for the provider. Calls at once count once."""
        with self._lock:
            if not self._in_flight:
                self._since = time.monotonic()
            self._in_flight += 1
        try:
            yield
        finally:
            with self._lock:
                self._in_flight -= 1
                if not self._in_flight:
                    self._waited += time.monotonic() - self._since

    def _reply(self, call: Call, beat: Callable[[], None]) -> Metered:
        """The reply that is paid for already; else the provider's, which is written down before the agent sees it."""
        place = self.replies.place(content_of(call))
        if known := self.replies.recall(place):
            said, answer, usage = replayed(known)
            with self._lock:
                self.usage += usage
            return (said, answer), usage
        with self._waiting():
            outcome, usage = self._ask(call, beat)
        if not isinstance(outcome, Fault):
            self.replies.keep(place, kept(*outcome, usage))
        return outcome, usage

    def _ask(self, call: Call, beat: Callable[[], None]) -> Metered:
        """Ask the provider until there is a reply, or a fault that waiting does not mend."""
        waits = losses = 0
        gateway = self.gateway
        while True:
            outcome, usage = self._metered(call, beat)
            if not isinstance(outcome, Fault):
                return outcome, usage
            if outcome.kind is Kind.LOST and losses < LOST_REPLIES:
                losses += 1
                continue
            most = retries_of(outcome, gateway.retries, heard=True)  # the probe was answered
            if not most:
                return outcome, usage
            if waits >= most or (outcome.wait or 0.0) > LONGEST_WAIT:
                asked = f", and asks to wait {outcome.wait:.0f} s" if outcome.wait else ""
                return replace(outcome, said=f"{outcome.said} ({waits + 1} attempts{asked})"), usage
            self._pause(gateway.pause(waits, outcome.wait), beat)
            waits += 1

    def _metered(self, call: Call, beat: Callable[[], None]) -> Metered:
        """One attempt, of which the ledger is asked first. What was left half-way is counted in full."""
        gateway = self.gateway
        bound = gateway.bound(call.asked)
        gateway.ledger.hold(bound)
        actual = bound
        try:
            outcome = self._attempt(call, beat)
            if not isinstance(outcome, Fault):
                actual = gateway.taken(call.asked, outcome[0])
            elif outcome.kind is not Kind.LOST:
                actual = Usage()
            return outcome, actual
        finally:
            gateway.ledger.settle(gateway.role, bound, actual, self.purpose)
            with self._lock:
                self.usage += actual

    def _attempt(self, call: Call, beat: Callable[[], None]) -> tuple[Said, Answer] | Fault:
        gateway = self.gateway
        attempt = gateway.attempt(call)
        attempt.start()
        deadline = time.monotonic() + gateway.timeout
        try:
            while not attempt.done.wait(0.1):
                self._still(beat)
                if time.monotonic() > deadline:
                    return Fault(Kind.LOST, f"no whole reply within {gateway.timeout:g} s")
            return attempt.outcome()
        finally:
            attempt.leave()

    def _pause(self, seconds: float, beat: Callable[[], None]) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._still(beat)
            self._leaving.wait(min(0.1, left))

    def _still(self, beat: Callable[[], None]) -> None:
        if self._leaving.is_set() or self.gateway.stop.is_set():
            raise Cancelled(f"interrupted during a call to {self.gateway.name}")
        beat()

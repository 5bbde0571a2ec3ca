"""Models that ask the ledger before each call, and that never pay twice for the same one."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from skillgrad_ci.errors import Cancelled, EnvironmentFailure, ReplyError, UserError
from skillgrad_ci.method.budget import Ledger
from skillgrad_ci.method.evidence import Usage
from skillgrad_ci.method.ports import Journal, Model, ModelReply, ModelRequest
from skillgrad_ci.method.prompting import read_reply
from skillgrad_ci.method.task import digest_of

LOST_REPLIES = 2  # how often a reply that was lost on its way, and may have been paid for, is asked for again


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
        assert known is not None, "a record stands once it is written"
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

"""Every fault of a provider, dealt over a real socket: what becomes of the call, the task, the iteration, the run."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci.errors import EnvironmentFailure, ReplyError, UserError
from skillgrad_ci.executors.tool_loop import CALLS_PER_TURN, ToolLoop
from skillgrad_ci.method.budget import Ledger
from skillgrad_ci.method.budget.metered import LOST_REPLIES, Metered
from skillgrad_ci.method.events import BatchBegun, Dropped, Event
from skillgrad_ci.method.evidence import Evidence, Grade, Outcome
from skillgrad_ci.method.gradient import DiagnosisReply
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.optimizers.momentum import MomentumReply
from skillgrad_ci.method.optimizers.update import PatchReply
from skillgrad_ci.method.ports import ModelReply, ModelRequest, Result
from skillgrad_ci.method.prompting import StructuredAgent, load_prompt
from skillgrad_ci.method.run import Run
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import GraderSpec, Task
from skillgrad_ci.models.prices import OVERHEAD
from skillgrad_ci.models.provider import LONGEST_WAIT, LitellmModel
from skillgrad_ci.sandbox.no_sandbox import NoSandbox
from skillgrad_ci.session.journal.file_journal import FileJournal
from skillgrad_ci.session.rollout import Rollouts
from tests.support import provider_faults as faults
from tests.support.provider_faults import ROWS, Row
from tests.support.scripted_answers import Answer, error
from tests.support.scripted_answers import Reply as Said
from tests.support.scripted_server import ScriptedServer, model_of, serve
from tests.support.worlds import SKILL, Oracle, Synthetic, suite, world

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
REQUEST = ModelRequest([{"role": "user", "content": "hello"}])
rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
RAISES = {
    faults.WAITED: EnvironmentFailure,
    faults.LOST: EnvironmentFailure,
    faults.UNMEASURED: EnvironmentFailure,
    faults.FIRST_TURN: ReplyError,
    faults.STOPS: UserError,
}


def test_the_page_has_every_row() -> None:
    assert faults.table() in PAGE.read_text(), "run: python -m tests.support.provider_faults"


def test_the_page_names_the_limits_that_hold() -> None:
    model, page = LitellmModel("openai/x"), PAGE.read_text()
    waits = [f"{model.backoff * 2**number:g}" for number in range(model.retries)]
    assert f"after {', '.join(waits[:-1])} and {waits[-1]} seconds" in page
    assert f"{model.retries} retries" in faults.WAITED
    assert f"may take {model.timeout:g} seconds" in page
    assert f"{LONGEST_WAIT / 60:g} minutes" in page.replace("two", "2")
    assert LOST_REPLIES == 2
    assert f"{CALLS_PER_TURN} of them run" in faults.FEW_RUN
    assert f"a margin of {OVERHEAD:,} tokens" in page


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    """The library imports much at a process's first call: not on a test's clock."""
    with serve([Said("warm")]) as server:
        model_of(server).complete(REQUEST)


@contextmanager
def dealt(row: Row) -> Iterator[tuple[ScriptedServer, Ledger, Metered]]:
    limit = faults.TIME_LIMIT if "stall" in row.name else 20.0
    with serve(row.script()) as server:
        ledger = Ledger()
        yield server, ledger, Metered(model_of(server, retries=faults.RETRIES, timeout=limit), ledger, "executor")


# The call


@rows
def test_the_call(row: Row) -> None:
    failure = RAISES.get(row.call) or RAISES.get(row.task) or RAISES.get(row.run)
    with dealt(row) as (server, ledger, model):
        bound = model.bound(REQUEST)
        if failure is None:
            assert isinstance(model.complete(REQUEST), ModelReply)
        else:
            with pytest.raises(failure, match="openai/scripted") as caught:
                model.complete(REQUEST)
            assert "\n" not in str(caught.value)
        asked = {faults.WAITED: faults.RETRIES + 1, faults.LOST: LOST_REPLIES + 1}.get(row.call, 1)
        assert len(server.requests) == asked
        charged = sum(sum(tokens) for tokens in server.charged)
        if row.call == faults.LOST:
            assert ledger.spent.tokens == bound.tokens * asked >= charged
        elif row.call == faults.COUNTED:
            assert charged < ledger.spent.tokens <= bound.tokens
        elif failure is not None:
            assert ledger.spent.tokens == 0
        else:
            assert ledger.spent.tokens > 0


@pytest.mark.parametrize("row", [r for r in ROWS if r.call in (faults.WAITED, faults.LOST)], ids=lambda row: row.name)
def test_a_fault_that_passes_leaves_no_trace_but_its_cost(row: Row) -> None:
    with dealt(row) as (server, _, model):
        broken = server.script
        server.script = lambda request: broken(request) if len(server.requests) == 1 else Said("well")
        assert model.complete(REQUEST).text == "well"
    assert len(server.requests) == 2


# The task


class WordGrader:
    """`ports.Grader`: passes an answer that says done."""

    identity = "word/1"

    def grade(self, spec: GraderSpec, task: Task, result: Result) -> Grade:
        passed = result.answer == "done"
        return Grade(Outcome.PASSED if passed else Outcome.FAILED, float(passed), f"answer: {result.answer!r}")


def executed(row: Row, folder: Path, events: list[Event]) -> Evidence:
    """One execution with the real parts of a run."""
    with dealt(row) as (_, _, model):
        loop = ToolLoop(model, load_prompt("execute"), max_turns=4)
        journal = FileJournal(folder)
        rollouts = Rollouts(
            loop, NoSandbox(), {"word": WordGrader()}, journal, events.append,
            lambda iteration, evidence: None,
        )  # fmt: skip
        try:
            return rollouts(SKILL, Task("t", "Say done.", [GraderSpec("word")]), iteration="1")
        finally:
            journal.close()


@rows
def test_the_task(row: Row, tmp_path: Path) -> None:
    if row.run == faults.STOPS:
        with pytest.raises(UserError):
            executed(row, tmp_path, [])
        return
    evidence = executed(row, tmp_path, [])
    results = [event["output"] for event in evidence.trajectory.events if event["kind"] == "tool_result"]
    match row.task:
        case faults.UNMEASURED | faults.FIRST_TURN:
            assert evidence.outcome is Outcome.UNMEASURED
            assert "openai/scripted" in evidence.feedback, "it names what failed"
        case faults.AS_EVER:
            assert evidence.passed
        case faults.TOLD:
            assert evidence.passed
            assert re.search("JSON object|no tool", results[0])
        case faults.MENDED:
            assert (evidence.passed, results) == (True, ["\ufffd\n"])
        case faults.ASKED_ON | faults.EMPTY:
            assert (evidence.trajectory.stopped, evidence.trajectory.turns, evidence.failed) == ("empty", 2, True)
        case faults.FEW_RUN:
            assert evidence.passed
            assert sum("Not run" in output for output in results) == 84
        case faults.AT_TURNS:
            assert (evidence.trajectory.stopped, evidence.trajectory.turns, evidence.failed) == ("turns", 4, True)
        case faults.OUTGROWN:
            assert (evidence.trajectory.stopped, evidence.failed) == ("context", True)
        case faults.REFUSED:
            assert (evidence.trajectory.stopped, evidence.failed) == ("refused", True)
        case _:
            assert row.task == faults.NO_TASK


# The iteration

REPLIES: dict[str, type[Any]] = {"diagnoser": DiagnosisReply, "momentum": MomentumReply, "patcher": PatchReply}


@dataclass
class Agents:
    """Plays the optimizing agents over the socket; `row`'s fault hits a role in the first iteration.

    Of the diagnoser's tasks it hits the first one that is asked about.
    """

    row: Row
    role: str
    oracle: Oracle = field(default_factory=Oracle)
    iteration: int = 0
    victim: str = ""
    dropped: list[Dropped] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.fault = self.row.script()

    def __call__(self, request: dict[str, Any]) -> Answer:
        system, user = (message["content"] for message in request["messages"][:2])
        role = next(role for role, reply in REPLIES.items() if f'"title":"{reply.__name__}"' in system)
        with self.lock:
            if role == self.role and self.iteration == 1 and self._hit(user):
                return self.fault(request)
            return Said(self.oracle(role, "", user, REPLIES[role]).model_dump_json())

    def _hit(self, user: str) -> bool:
        self.victim = self.victim or user
        return self.role != "diagnoser" or user == self.victim

    def observe(self, event: Event, /) -> None:
        if isinstance(event, BatchBegun):
            self.iteration = event.number
        if isinstance(event, Dropped):
            self.dropped.append(event)


def optimized(agents: Agents, rollout: Synthetic | None = None, seed: int = 2) -> Run:
    with serve(agents) as server:
        model = model_of(server, retries=1, timeout=faults.TIME_LIMIT * 3)
        ledger = Ledger()
        agent = StructuredAgent(lambda role: Metered(model, ledger, role), agents.observe)
        parts = world(rollout, agent=agent, ledger=ledger, observe=agents.observe)
        settings = LoopSettings(iterations=2, batch_size=3, accept="always", seed=seed)  # both batches hold failures
        return optimize(SKILL, suite(), settings, PatternMemory(), parts)


KINDS = ["429 without it", "truncated body", "reply that breaks the schema, twice", "413 on the first turn",
         "redirect to another host", "content-filter stop"]  # fmt: skip
hits = pytest.mark.parametrize("row", [row for row in ROWS if row.name in KINDS], ids=lambda row: row.name)


def test_the_kinds_stand_for_every_fault_that_ends_a_step() -> None:
    ends = {(row.call, row.task) for row in ROWS if row.iteration == faults.DROPPED}
    assert {(row.call, row.task) for row in ROWS if row.name in KINDS} == ends


@hits
def test_a_diagnosis_that_cannot_be_had_drops_its_task(row: Row) -> None:
    agents = Agents(row, "diagnoser")
    run = optimized(agents)
    first = run.iterations[0]
    (dropped,) = agents.dropped
    assert dropped.what in {evidence.task_id for evidence in first.batch}
    assert {d.task_id for d in first.diagnoses} == {e.task_id for e in first.batch} - {dropped.what}
    assert first.verdict == "accepted", "the others are learned from"
    assert first.dropped == {dropped.what: dropped.why}


@hits
def test_a_momentum_reply_that_cannot_be_had_keeps_the_old_record(row: Row) -> None:
    run = optimized(Agents(row, "momentum"))
    first, second = run.iterations
    assert first.memory == PatternMemory()
    assert first.skill == SKILL
    assert not first.edits
    assert first.verdict.startswith("no patch: ")
    assert second.verdict == "accepted"


@hits
def test_a_patch_that_cannot_be_had_leaves_the_skill_unchanged(row: Row) -> None:
    run = optimized(Agents(row, "patcher"))
    first, second = run.iterations
    assert first.skill == SKILL
    assert not first.edits
    assert all(not pattern.remedy_log for pattern in first.memory.patterns), "nothing is recorded as done"
    assert first.verdict.startswith("no patch: ")
    assert second.verdict == "accepted"


def test_an_iteration_with_more_than_half_of_its_batch_unmeasured_is_not_used() -> None:
    out: set[str] = set()

    def outage(iteration: str, task: Task) -> bool:
        if iteration == "2" and len(out) < 2:
            out.add(task.id)
        return iteration == "2" and task.id in out

    run = optimized(Agents(ROWS[0], "nobody"), Synthetic(outage), seed=5)
    first, second = run.iterations
    assert first.verdict == "accepted"
    assert second.verdict.startswith("not used")
    assert (second.skill, second.memory, second.edits) == (first.skill, first.memory, ())


# The run


@pytest.mark.parametrize("role", list(REPLIES))
@pytest.mark.parametrize("row", [row for row in ROWS if row.run == faults.STOPS], ids=lambda row: row.name)
def test_what_a_person_must_fix_stops_the_run(row: Row, role: str) -> None:
    with pytest.raises(UserError, match="openai/scripted"):
        optimized(Agents(row, role))


def test_a_run_without_faults_learns_in_both_iterations() -> None:
    """Else the tests above could not fail."""
    run = optimized(Agents(Row("none", error(500), "", ""), "nobody"))
    assert [step.verdict for step in run.iterations] == ["accepted", "accepted"]
    assert all(len(step.diagnoses) == 3 for step in run.iterations)

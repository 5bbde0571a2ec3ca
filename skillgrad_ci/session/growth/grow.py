"""A suite grows: propose from a piece of material, prove, write, and again, until enough tasks wait for a person.

Nothing paid for is lost. A call's reply is in the journal before it is used, a turn's tasks are written at once, and
a prompt holds the tasks that exist: whoever starts again meets the same prompts, or goes on behind them.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from skillgrad_ci.errors import BudgetExceeded, Cancelled, EnvironmentFailure, ReplyError, UserError
from skillgrad_ci.method.events import Noted
from skillgrad_ci.method.ports import Journal
from skillgrad_ci.method.task import Suite, Task, digest_of
from skillgrad_ci.session.growth.admission import Admission
from skillgrad_ci.session.growth.making import MadeTask
from skillgrad_ci.session.growth.material import Gathered, Material
from skillgrad_ci.session.growth.proposal import ProposalReply, ask
from skillgrad_ci.session.growth.written import add_tasks, count_waiting
from skillgrad_ci.skill.skill import Skill
from skillgrad_ci.suites.native import tasks_file
from skillgrad_ci.suites.native.grown import GROWN

TURN = "turn"  # the journal's records of turns: what was refused, and why
PATIENCE = 2  # turns without a new task, or as many as there are pieces, after which a source is exhausted


@dataclass(frozen=True)
class Growth:
    """What is to grow: the suite (None: there is none yet), where its grown tasks lie, for which skill, from what."""

    suite: Suite | None
    root: Path
    skill: Skill | None
    gathered: Gathered

    @property
    def digest(self) -> str:
        """Content address of a growth. The tasks that wait are not in it, so that a second start meets the first."""
        texts = [[piece.origin, piece.text] for piece in self.gathered.pieces]
        known = self.suite.tasks if self.suite else ()
        own = sorted(task.digest for task in known if not task.unreviewed)
        return digest_of([own, self.skill.digest if self.skill else "", texts])

    def tasks(self) -> list[Task]:
        """All tasks as they lie on disk now, proposed ones included."""
        path = self.root / GROWN
        grown = list(tasks_file.load(path).tasks) if path.is_file() else []
        ids = {task.id for task in grown}
        own = [task for task in (self.suite.tasks if self.suite else ()) if not task.format and task.id not in ids]
        return [*own, *grown]


@dataclass
class Grown:
    """What came of it: admitted tasks with their origins, refused ones with why, and why it ended."""

    added: list[tuple[str, str]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    waiting: int = 0
    ended: str = ""
    cut: bool = False  # at the cap
    cancelled: bool = False


def grow(growth: Growth, wanted: int, admission: Admission, journal: Journal, turns: Sequence[str]) -> Grown:
    """Grow until `wanted` tasks wait for a person. `turns` are the keys of the turns that the journal holds.

    Ends at the cap, at an outage, or where the material gives no more; what was admitted is kept.
    """
    grown = Grown(waiting=count_waiting(growth.root))
    pieces, dry, turn = growth.gathered.pieces, 0, len(turns)
    refused = [line for key in turns for line in (journal.recall(key) or {}).get("refused", ())]
    try:
        while grown.waiting < wanted and dry < max(PATIENCE, len(pieces)):
            piece, turn, tasks = pieces[turn % len(pieces)], turn + 1, growth.tasks()
            try:
                reply = ask(admission.parts.agent, growth.skill, piece, tasks, refused, turn)
                lines: list[str] = []
            except ReplyError as problem:
                reply, lines = ProposalReply(tasks=[]), [f"(no usable reply: {problem})"]
            with ExitStack() as trials:
                made = list(_admitted(reply, piece, tasks, admission, lines, trials))[: wanted - grown.waiting]
                if made:
                    add_tasks(growth.root, made)
            grown.added += [(str(one.row["id"]), str(one.row["origin"])) for one in made]
            grown.waiting += len(made)
            grown.refused += lines
            refused += lines
            dry = 0 if made else dry + 1
            journal.record(f"{TURN}-{turn}", TURN, {"added": [one.row["id"] for one in made], "refused": lines})
            admission.parts.observe(Noted(f"{piece.origin}: {len(made)} new tasks, {len(lines)} refused"))
        grown.ended = "" if grown.waiting >= wanted else "the material gives no more; name another source with --from"
    except BudgetExceeded as error:
        grown.ended, grown.cut = str(error), True
    except Cancelled as error:
        grown.ended, grown.cancelled = str(error), True
    except EnvironmentFailure as error:
        grown.ended = str(error)
    return grown


def _admitted(
    reply: ProposalReply,
    piece: Material,
    tasks: Sequence[Task],
    admission: Admission,
    refused: list[str],
    trials: ExitStack,
) -> Iterator[MadeTask]:
    """The tasks of a reply that may enter; why not the others is put into `refused`."""
    known = list(tasks)
    for proposal in reply.tasks:
        try:
            made, task = admission.admit(proposal, piece, known, trials)
        except UserError as problem:
            refused.append(admission.redactor(f"{proposal.id[:60]}: {problem}"))
            continue
        known.append(task)
        yield made

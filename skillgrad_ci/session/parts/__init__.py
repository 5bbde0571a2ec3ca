"""Builds a run's parts from its settings: models, budget, sandbox, executor, graders; and ends them on a signal.

Each is made when it is first asked for, and once: `made_once.py`.
"""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import TYPE_CHECKING

from skillgrad_ci.config.config import SkillRun, refuse_outside
from skillgrad_ci.config.settings import REHEARSAL, Player
from skillgrad_ci.errors import BudgetExceeded, Cancelled
from skillgrad_ci.method.budget import Cap, Ledger
from skillgrad_ci.method.budget.metered import Journaled, Metered
from skillgrad_ci.method.events import Noted
from skillgrad_ci.method.grader_options import JudgeOptions
from skillgrad_ci.method.ports import Agent, Executor, Grader, Journal, Model, Observer, Warming
from skillgrad_ci.method.prompting import StructuredAgent
from skillgrad_ci.method.task import Suite, Task
from skillgrad_ci.session.agents import (
    by_subscription,
    installation_of,
    make_executor,
    place_for,
    refuse_unfit,
    runs_commands,
)
from skillgrad_ci.session.inputs import trigger_set
from skillgrad_ci.session.journal.file_journal import NoJournal
from skillgrad_ci.session.journal.part import RunJournal
from skillgrad_ci.session.parts.made_once import MadeOnce, Making
from skillgrad_ci.session.rollout import lacks
from skillgrad_ci.skill.skill import MAIN, Skill
from skillgrad_ci.suites.triggers import WANTED

if TYPE_CHECKING:
    from skillgrad_ci.models.provider import LitellmModel
    from skillgrad_ci.models.rehearsal.generic import Solution
    from skillgrad_ci.sandbox.choose import StoppableSandbox

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PLAYERS: tuple[Player, ...] = ("executor", "optimizer", "judge")
ROLES: Mapping[str, Player] = {
    "executor": "executor", "diagnoser": "optimizer", "momentum": "optimizer", "patcher": "optimizer", "judge": "judge",
    "proposer": "optimizer",
}  # fmt: skip


@dataclass(frozen=True)
class Parts:
    """The real parts of one skill's run, each made when it is first asked for, to be closed at its end.

    `stop`, once set, ends model calls and kills what runs in the sandbox. `others` are the skills
    that lie beside the measured one. `share` is the part of the whole run's cap that these parts may spend.
    """

    job: SkillRun
    suite: Suite
    observe: Observer
    stop: threading.Event = field(default_factory=threading.Event)
    journal: Journal = field(default_factory=NoJournal)
    others: Sequence[Skill] = ()
    share: float = 1.0
    making: Making = field(default_factory=Making, repr=False)
    _closing: ExitStack = field(default_factory=ExitStack)
    _graders: dict[str, Grader] = field(default_factory=dict)  # by kind, those that were made
    _sandboxes: list["StoppableSandbox"] = field(default_factory=list)  # the one that was made

    def on(self, suite: Suite) -> "Parts":
        """These parts for another suite: one ledger, the same models, sandbox and graders, closed with these."""
        made = replace(self, suite=suite, making=Making())
        made.__dict__.update({name: getattr(self, name) for name in ("ledger", "models", "agent")})
        return made

    def close(self) -> None:
        """Stop LibreOffice, which a grader may have started."""
        self._closing.close()

    @MadeOnce
    def ledger(self) -> Ledger:
        """The one ledger over all roles. Raises UserError for a cap that cannot be kept."""
        return Ledger(self._cap[0].part(self.share))

    @property
    def budget_notes(self) -> Sequence[str]:
        """What a person must know about the cap."""
        return self._cap[1]

    @MadeOnce
    def _cap(self) -> tuple[Cap, list[str]]:
        settings = self.job.settings
        return settings.budget.cap(self.unpriced) if settings.models.named else (Cap(), [])  # unnamed: none is called

    @MadeOnce
    def models(self) -> Mapping[Player, "LitellmModel"]:
        """The model of every player. Raises UserError for a name or a script that cannot be used."""
        from skillgrad_ci.models.provider import LitellmModel

        settings = self.job.settings.models
        made: dict[Player, LitellmModel] = {}
        for player in PLAYERS:
            name = settings.of(player)
            price = settings.prices.get(name)
            made[player] = LitellmModel(
                self._rehearsal if name == REHEARSAL else name,
                api_base=settings.api_base,
                price=price.as_price() if price else None,
                parameters=settings.parameters.get(player, {}),
                stop=self.stop,
                tell=lambda text: self.observe(Noted(text)),
            )
        return made

    @MadeOnce
    def _rehearsal(self) -> str:
        """litellm's name for the rehearsal: the script that the settings name, else the suite's, else a generic one."""
        from skillgrad_ci.models.rehearsal.generic import generic_script
        from skillgrad_ci.models.rehearsal.register import FILE, register, register_script

        named = self.job.settings.rehearsal
        beside = self.suite.root if self.suite.root.is_dir() else self.suite.root.parent
        if named or (beside / FILE).is_file():
            return register(refuse_outside(self.job, named) if named else beside / FILE)
        self.observe(Noted(f"no {FILE} beside the suite: a generic rehearsal plays, and marks what it writes"))
        skill = Skill.load(self.job.path) if (self.job.path / MAIN).is_file() else None
        probes = trigger_set(self.job)
        asked = [*self.suite.tasks, *(probes.tasks if probes else ())]
        script = generic_script(
            [solution for task in self.suite.tasks if (solution := solution_of(task))],
            [task.instruction for task in asked if WANTED in task.tags],
            skill.description if skill else "",
            skill.name if skill and self.others else "",
        )
        return register_script(script, self.suite.name)

    @property
    def unpriced(self) -> set[str]:
        """The models whose price is unknown, or whose calls have none."""
        known = {self.models["executor"].name} if by_subscription(self.job) else set()
        return known | {model.name for model in self.models.values() if not model.priced}

    @MadeOnce
    def agent(self) -> Agent:
        """The optimizing agents and the judge: structured calls that the journal replays."""
        return StructuredAgent(self._journaled, self.observe)

    def check_access(self) -> None:
        """One small call of each model, before anything is spent. Raises UserError for what a person must fix."""
        from skillgrad_ci.models.provider import check_access

        asked = set()
        first = [] if by_subscription(self.job) else ["executor"]
        for role in (*first, "patcher", *(["judge"] if "judge" in self.graders else [])):
            model = self.models[ROLES[role]]
            if model.name not in asked and not model.name.startswith(f"{REHEARSAL}/"):
                try:
                    check_access(self._journaled(role, afresh=True))
                except BudgetExceeded as error:
                    raise BudgetExceeded(f"{error}; raise it to begin, or to go on with what is measured") from error
            asked.add(model.name)

    def _journaled(self, role: str, *, afresh: bool = False) -> Model:
        metered = Metered(self.models[ROLES[role]], self.ledger, role)
        stale = self.journal.stale if isinstance(self.journal, RunJournal) else None
        return Journaled(metered, self.journal, afresh or lacks(self.journal), stale)

    @MadeOnce
    def executor(self) -> Executor:
        """The agent. Raises UserError for one that there is not, or that cannot do the suite's tasks."""
        refuse_unfit(self.job, self.suite)
        return make_executor(self.job, self.models["executor"], self.ledger, self.others)

    @MadeOnce
    def sandbox(self) -> "StoppableSandbox":
        """The sandbox, proved by its self-test. Raises UserError where one is needed and none can be had."""
        from skillgrad_ci.sandbox.no_sandbox import NoCommands

        return self.running_sandbox() if runs_commands(self.job, self.suite) else NoCommands()

    def running_sandbox(self) -> "StoppableSandbox":
        """The sandbox, whether or not the suite asks for one."""
        from skillgrad_ci.sandbox import choose

        def tell(text: str) -> None:
            self.observe(Noted(text))

        if self._sandboxes:
            return self._sandboxes[0]
        kind, image = place_for(self.job, self.suite, tell)
        sandbox = choose(kind, image, tell=tell, install=installation_of(self.job))

        def end() -> None:
            self.stop.wait()
            sandbox.kill_all()

        threading.Thread(target=end, name="stop", daemon=True).start()
        self._sandboxes.append(sandbox)
        return sandbox

    @MadeOnce
    def graders(self) -> Mapping[str, Grader]:
        """A grader for every kind that the suites ask for; where no model is named, none that needs one."""
        kinds = dict.fromkeys(spec.kind for task in self.suite.tasks for spec in task.graders)
        if self.job.settings.trigger is not None:
            kinds["trigger"] = None
        if not self.job.settings.models.named:
            kinds.pop("judge", None)
        for kind in kinds:
            if kind not in self._graders:
                self._graders[kind] = self._grader(kind)
        return {kind: self._graders[kind] for kind in kinds}

    def warm(self) -> None:
        """Start what grading will need, in the background and once."""
        _ = self._warmed

    @MadeOnce
    def _warmed(self) -> None:
        for grader in self.graders.values():
            if isinstance(grader, Warming):
                grader.warm(self.suite.tasks)

    def _grader(self, kind: str) -> Grader:
        from skillgrad_ci.graders import command, csv, judge, reward, table, text, trigger

        if kind == "xlsx":
            from skillgrad_ci.graders.xlsx import XlsxGrader

            grader = XlsxGrader()
            self._closing.callback(grader.close)
            return grader
        settings = self.job.settings
        plain: Mapping[str, Callable[[], Grader]] = {
            "text": text.TextGrader,
            "table": table.TableGrader,
            "csv": csv.CsvGrader,
            "trigger": trigger.TriggerGrader,
            "command": lambda: command.CommandGrader(self.sandbox),
            "reward": lambda: reward.RewardGrader(self.sandbox),
            "judge": lambda: judge.JudgeGrader(self.agent, self.models["judge"].name, settings.judge_trials),
        }
        return plain[kind]()


def solution_of(task: Task) -> "Solution | None":
    """What a generic rehearsal does to pass a task; None where nothing tells that."""
    from skillgrad_ci.graders.judge import statements_of
    from skillgrad_ci.models.rehearsal.generic import Solution

    reference = task.reference
    if reference is not None and not reference.beside:
        files = {name: source.read_bytes() for name, source in reference.files.items() if source.is_file()}
        return Solution(task.instruction, files, reference.answer, reference.command)
    judged = [JudgeOptions.model_validate(spec.options) for spec in task.graders if spec.kind == "judge"]
    words = [*task.expected, *(text for options in judged for text in statements_of(options))]
    return Solution(task.instruction, answer="\n".join(words)) if words else None


class StopRequest(threading.Event):
    """Set by the first signal. Before `begin_work` it also ends the program: there is nothing to write down yet."""

    def __init__(self) -> None:
        super().__init__()
        self.working = False

    def begin_work(self) -> None:
        self.working = True


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """A request that the first signal makes. A second one ends the program as if nobody had listened.

    Raises Cancelled in the main thread where the signal comes before work has begun.
    """
    stop = StopRequest()

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        for each, handler in before.items():
            signal.signal(each, handler)
        if not stop.working:
            raise Cancelled("interrupted before anything was measured")

    before = {each: signal.signal(each, handle) for each in SIGNALS}
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)

"""What a run is given: the skill, its suite, its memory, the settings, and the skills beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from skillgrad_ci import __version__
from skillgrad_ci.config.config import SkillRun, refuse_outside
from skillgrad_ci.config.settings import Player, Settings
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.budget import Cap
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.memory.memory_file import parse_memory
from skillgrad_ci.method.ports import Model
from skillgrad_ci.method.settings import Chosen
from skillgrad_ci.method.task import Split, Suite, digest_of
from skillgrad_ci.method.world import World
from skillgrad_ci.session.agents import described_version
from skillgrad_ci.session.estimate import affordable_trials
from skillgrad_ci.session.journal.earlier import FinalMeasurement
from skillgrad_ci.session.split import all_teach, assign, read_recorded, recorded_path
from skillgrad_ci.skill.skill import Skill
from skillgrad_ci.suites import load_suite
from skillgrad_ci.suites import triggers as trigger_format
from skillgrad_ci.suites.kept_out import kept_out

MEMORY = "momentum.md"
RUNS = "runs"  # where run folders lie, unless another place is named


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What measures a skill: a suite, the settings, the splits of earlier runs, and what surrounds the skill."""

    job: SkillRun
    suite: Suite
    recorded: Mapping[str, Split] = field(default_factory=dict)
    others: Sequence[Skill] = ()
    triggers: Suite | None = None

    @property
    def measure(self) -> str:
        """Content address of what measures the skill: its suite, the skills beside it, its trigger set, the agent."""
        agent = described_version(self.job)
        if not self.others and self.triggers is None and not agent:
            return self.suite.digest
        beside = sorted([skill.name, skill.for_agents().digest] for skill in self.others)
        return digest_of([self.suite.digest, beside, self.triggers.digest if self.triggers else "", agent])


@dataclass(frozen=True, kw_only=True)
class Inputs(Measurement):
    """What decides an optimization: the skill, its memory so far, and what measures it.

    `earlier` is the final measurement of an earlier run, which changes no result: it is in no content address.
    """

    skill: Skill
    memory: PatternMemory
    earlier: FinalMeasurement | None = None

    @property
    def fingerprint(self) -> str:
        """Content address of a run, for its folder and its name in the memory."""
        splits = {task: str(split) for task, split in self.recorded.items()}
        parts = [self.skill.digest, self.measure, self.job.settings.digest, self.memory.render(), splits]
        return digest_of([__version__, *parts])

    @property
    def name(self) -> str:
        """The run's name in the memory."""
        return self.fingerprint[:8]

    @property
    def folder(self) -> Path:
        return Path(RUNS) / self.skill.name / self.fingerprint[:12]


def with_chosen_trials(job: SkillRun, suite: Suite, recorded: Mapping[str, Split]) -> SkillRun:
    """The job with as many trials as `trials: auto` chooses for the suite, within the budget where a model is named."""
    settings = job.settings
    if settings.trials:
        return job
    models, cap = priced_models(settings) if settings.models.named and not settings.models.rehearsal else ({}, Cap())
    splits = assign(suite.tasks, None, recorded, settings.seed).splits
    trials = affordable_trials(suite.with_splits(splits), settings, models, cap)
    return replace(job, settings=settings.model_copy(update={"trials": Chosen(trials)}))


def priced_models(settings: Settings) -> tuple[Mapping[Player, Model], Cap]:
    """The models whose calls an estimate prices, and the cap over them, whether or not it can be kept."""
    from skillgrad_ci.models.provider import LitellmModel

    players: tuple[Player, ...] = ("executor", "optimizer")
    made: dict[Player, Model] = {}
    unpriced = set()
    for player in players:
        name = settings.models.of(player)
        price = settings.models.prices.get(name)
        model = LitellmModel(name, price=price.as_price() if price else None)
        made[player] = model
        unpriced |= set() if model.priced else {model.name}
    budget = settings.budget
    return made, Cap(usd=budget.usd) if budget.usd and unpriced else budget.cap(unpriced)[0]


def memory_path(job: SkillRun) -> Path:
    """Where a skill's memory lies in its repository."""
    return job.root / ".skillgrad" / job.name / MEMORY


def read_inputs(job: SkillRun, recorded: Mapping[str, Split] | None = None) -> Inputs:
    """Read everything that a run needs. Raises UserError before anything is spent.

    `recorded` are splits of earlier runs; a split file beside the suite wins over them. With `split: cross` every task
    is a training one: which of them a run leaves out is decided fold by fold.
    """
    suite, triggers = with_trials(load_suite(job.tasks), job), trigger_set(job)
    refuse_passes(suite, job)
    skill, others = read_skill(job.path, [suite, triggers]), other_skills(job)
    refuse_twins([skill, *others])
    path = memory_path(job)
    memory = PatternMemory(skill.name)
    if path.is_file():
        memory = parse_memory(path.read_text("utf-8"), str(path))
    by_people = read_recorded(recorded_path(suite)) or {}
    splits = {**(recorded or {}), **by_people}
    if job.settings.split == "cross":  # what earlier runs recorded is no wish: those runs are over
        suite, splits = all_teach(suite, by_people), {}
    job = with_chosen_trials(job, suite, splits)
    return Inputs(job=job, skill=skill, suite=suite, memory=memory, recorded=splits, others=others, triggers=triggers)


def other_skills(job: SkillRun) -> list[Skill]:
    """The skills of `with_skills`. The measured one may be among them, and is left out."""
    here = job.path.resolve()
    paths = dict.fromkeys(refuse_outside(job, name) for name in job.settings.with_skills)
    return [read_skill(path) for path in paths if path != here]


def read_skill(path: Path, suites: Sequence[Suite | None] = ()) -> Skill:
    """The skill in a folder, without what belongs to its suites."""
    return Skill.load(path, kept_out(path, [suite for suite in suites if suite is not None]))


def trigger_set(job: SkillRun) -> Suite | None:
    """The trigger set that the settings name; `{name}` stands for the skill's folder name."""
    if job.settings.trigger is None:
        return None
    path = refuse_outside(job, job.settings.trigger.replace("{name}", job.name))
    suite = load_suite(path)
    if suite.format != trigger_format.FORMAT:
        raise UserError(f"trigger: {path} is a suite of the format {suite.format}; expected {trigger_format.READS}")
    return with_trials(suite, job)


def with_trials(suite: Suite, job: SkillRun) -> Suite:
    """The suite, its trigger queries with the number of trials that the settings give them: one says little."""
    if not any(task.probe for task in suite.tasks):
        return suite
    trials = job.settings.trigger_trials
    tasks = [replace(task, trials=task.times(trials)) if task.probe else task for task in suite.tasks]
    return replace(suite, tasks=tasks)


def refuse_passes(suite: Suite, job: SkillRun) -> None:
    """Raises UserError where passes would decide over preferences: a win is one, and a tie is as little as a loss."""
    preferring = next((task.id for task in suite.tasks if task.prefers), None)
    if preferring is not None and job.settings.decide_by != "score":
        raise UserError(
            f"{suite.root}: task {preferring!r} prefers one of two results, and a loss must weigh as much as a win: "
            "set decide_by: score"
        )


def with_triggers(world: World, triggers: Suite | None, trials: int) -> World:
    """The world in which edits of the description are checked on the trigger set, where there is one."""
    if triggers is None:
        return world
    probes = triggers.tasks
    return replace(world, triggers=lambda skill, name: world.measure(skill, probes, name, trials), probes=probes)


def refuse_twins(skills: Sequence[Skill]) -> None:
    """Raises UserError where an agent could not tell two skills apart, or where a name is not a folder's name."""
    seen: dict[str, Skill] = {}
    for skill in skills:
        if "/" in skill.name or "\0" in skill.name or skill.name in (".", ".."):
            raise UserError(f"{skill.folder}: the name {skill.name[:60]!r} cannot name a folder; correct SKILL.md")
        twin = seen.setdefault(skill.name, skill)
        if twin is not skill:
            both = f"in the folders {twin.folder} and {skill.folder}"
            raise UserError(f"with_skills: two skills are named {skill.name!r} ({both}); rename one in its SKILL.md")

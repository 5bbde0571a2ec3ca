"""What surrounds a skill while it is measured: the other skills that are present, and its trigger set."""

from collections.abc import Sequence
from dataclasses import replace

from skillgrad_ci.config.config import SkillRun, refuse_outside
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.measuring import measure
from skillgrad_ci.method.run import World
from skillgrad_ci.method.task import Suite
from skillgrad_ci.skill.skill import Skill
from skillgrad_ci.suites import load, triggers


def other_skills(job: SkillRun) -> list[Skill]:
    """The skills of `with_skills`. The measured one may be among them, and is left out."""
    here = job.path.resolve()
    paths = dict.fromkeys(refuse_outside(job, name) for name in job.settings.with_skills)
    return [Skill.load(path) for path in paths if path != here]


def trigger_set(job: SkillRun) -> Suite | None:
    """The trigger set that the settings name; `{name}` stands for the skill's folder name."""
    if job.settings.trigger is None:
        return None
    path = refuse_outside(job, job.settings.trigger.replace("{name}", job.name))
    suite = load(path)
    if suite.format != triggers.FORMAT:
        raise UserError(f"trigger: {path} is a suite of the format {suite.format}; expected {triggers.READS}")
    return suite


def with_triggers(world: World, triggers: Suite | None, trials: int) -> World:
    """The world in which edits of the description are checked on the trigger set, where there is one."""
    if triggers is None:
        return world
    return replace(world, triggers=lambda skill, name: measure(world, skill, triggers.tasks, name, trials))


def refuse_twins(skills: Sequence[Skill]) -> None:
    """Raises UserError where an agent could not tell two skills apart, or where a name is no folder's name."""
    seen: dict[str, Skill] = {}
    for skill in skills:
        if "/" in skill.name or "\0" in skill.name or skill.name in (".", ".."):
            raise UserError(f"{skill.folder}: the name {skill.name[:60]!r} cannot name a folder; correct SKILL.md")
        twin = seen.setdefault(skill.name, skill)
        if twin is not skill:
            both = f"in the folders {twin.folder} and {skill.folder}"
            raise UserError(f"with_skills: two skills are named {skill.name!r} ({both}); rename one in its SKILL.md")

"""The agent that works on the tasks: which one the settings name, and what suits it.

An executor's identity begins with the agent's name and version, as in `chat/1`. That is what reports show.
"""

from collections.abc import Sequence

from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.errors import UserError
from skillgrad_ci.executors.agents import load_agent
from skillgrad_ci.method.ports import Executor, Model
from skillgrad_ci.method.prompting import load
from skillgrad_ci.method.task import Suite
from skillgrad_ci.skill.skill import Skill

LOOP, CHAT = "loop", "chat"


def make_executor(job: SkillRun, model: Model, others: Sequence[Skill]) -> Executor:
    """The executor of the agent that the settings name. Raises UserError for a name that nobody has."""
    settings = job.settings
    if settings.agent == CHAT:
        from skillgrad_ci.executors.chat import Chat

        return Chat(model, load("chat"), others=others)
    if settings.agent == LOOP:
        from skillgrad_ci.executors.tool_loop import ToolLoop

        return ToolLoop(model, load("execute"), settings.max_turns, settings.command_timeout, others=others)
    described = load_agent(settings.agent, job.root)
    raise UserError(f"agent: {described.name} is described, and this version cannot run it; take {LOOP} or {CHAT}")


def described_version(job: SkillRun) -> str:
    """The version of a described agent, for a run's fingerprint; that of a built-in one is the program's."""
    return "" if job.settings.agent in (LOOP, CHAT) else load_agent(job.settings.agent, job.root).identity


def refuse_unfit(job: SkillRun, suite: Suite) -> None:
    """Raises UserError for tasks that the agent cannot do whatever a skill says, before anything is spent."""
    contained = any(task.environment for task in suite.tasks)
    if contained and job.settings.agent != LOOP:
        raise UserError(f"{suite.root}: its tasks bring their own containers, where agent {LOOP} alone can work")
    if job.settings.agent != CHAT:
        return
    if job.settings.trigger is not None or any(task.probe for task in suite.tasks):
        raise UserError(f"agent: {CHAT} is given every skill and activates none, so triggers need another agent")
    from skillgrad_ci.executors.chat import refuse_files

    refuse_files(suite)


def runs_commands(job: SkillRun, suite: Suite) -> bool:
    """Whether a sandbox is needed: by the agent, by a grader, or by the command of a reference answer."""
    graded = any(spec.kind in ("command", "reward") for task in suite.tasks for spec in task.graders)
    made = any(task.reference is not None and task.reference.command for task in suite.tasks)
    return job.settings.agent != CHAT or graded or made


def containers_of(suite: Suite, kind: str, image: str | None) -> tuple[str, str | None]:
    """The kind of sandbox and its image: Docker with the first task's image, where tasks bring their containers.

    All of them are fetched or built then, before anything is spent.
    """
    environments = [task.environment for task in suite.tasks if task.environment]
    if not environments:
        return kind, image
    if kind not in ("auto", "docker"):
        raise UserError(f"{suite.root}: its tasks bring their own containers, which sandbox {kind} has not; use docker")
    from skillgrad_ci.sandbox.limits import Limits
    from skillgrad_ci.sandbox.task_image import prepare

    first = prepare(environments, Limits())
    return "docker", image or first


def agent_of(executor: Executor) -> str:
    """The agent's name and version, for reports."""
    return executor.identity.partition(" ")[0]

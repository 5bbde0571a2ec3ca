"""The agent that works on the tasks: which one the settings name, and what suits it.

An executor's identity begins with the agent's name and version, as in `chat/1`. That is what reports show.
"""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.errors import UserError
from skillgrad_ci.executors.agents import load_agent
from skillgrad_ci.method.budget.metered import Metered
from skillgrad_ci.method.ports import Executor
from skillgrad_ci.method.prompting import load_prompt
from skillgrad_ci.method.task import Suite
from skillgrad_ci.skill.skill import Skill

if TYPE_CHECKING:
    from skillgrad_ci.method.budget import Ledger
    from skillgrad_ci.models.provider import LitellmModel

LOOP, CHAT = "loop", "chat"
SUBSCRIPTION = "CLAUDE_CODE_OAUTH_TOKEN"  # a login that stands for a key, for its own agent alone


def make_executor(job: SkillRun, source: "LitellmModel", ledger: "Ledger", others: Sequence[Skill]) -> Executor:
    """The executor of the agent that the settings name. Raises UserError for a name that nobody has."""
    settings = job.settings
    model = Metered(source, ledger, "executor")
    if settings.agent == CHAT:
        from skillgrad_ci.executors.chat import Chat

        return Chat(model, load_prompt("chat"), others=others)
    if settings.agent == LOOP:
        from skillgrad_ci.executors.tool_loop import ToolLoop

        return ToolLoop(
            model,
            load_prompt("execute"),
            settings.max_turns,
            settings.command_timeout,
            others=others,
            probe_turns=settings.trigger_turns,
        )
    from skillgrad_ci.executors.acp import AcpExecutor
    from skillgrad_ci.models.gateway import ProviderGateway

    agent = load_agent(settings.agent, job.root)
    gateway = ProviderGateway.of(source, ledger, agent.dialect, agent.title)
    return AcpExecutor(agent, gateway, settings.max_turns, others, settings.trigger_turns)


def is_foreign(job: SkillRun) -> bool:
    """Whether the agent is a program of somebody else's, that runs in the sandbox."""
    return job.settings.agent not in (LOOP, CHAT)


def by_subscription(job: SkillRun) -> bool:
    """Whether the agent's model is reached by a login, which no call but the agent's own may use."""
    anthropic = (job.settings.models.executor or "").startswith("anthropic/")
    return is_foreign(job) and anthropic and SUBSCRIPTION in os.environ and "ANTHROPIC_API_KEY" not in os.environ


def place_of(job: SkillRun, tell: Callable[[str], None]) -> tuple[str, str | None]:
    """The kind of sandbox and its image: for a foreign agent a container in which it is installed."""
    settings = job.settings
    if not is_foreign(job) or settings.sandbox == "none":
        return settings.sandbox, settings.image
    if settings.sandbox == "sandlock":
        raise UserError(f"sandbox: the agent {settings.agent} runs in a container of its own; use sandbox: docker")
    from skillgrad_ci.sandbox.agent_image import agent_image

    agent = load_agent(settings.agent, job.root)
    return "docker", agent_image(settings.image or agent.image, agent.installation, tell)


def prove_foreign(job: SkillRun, suite: Suite, tell: Callable[[str], None]) -> None:
    """Raises UserError where a foreign agent's model cannot be asked, or where the agent cannot be installed."""
    if not is_foreign(job):
        return
    from skillgrad_ci.method.budget import Ledger
    from skillgrad_ci.models.provider import LitellmModel

    models = job.settings.models
    source = LitellmModel(
        models.of("executor"), api_base=models.api_base, parameters=models.parameters.get("executor", {})
    )
    make_executor(job, source, Ledger(), [])
    place_for(job, suite, tell)


def described_version(job: SkillRun) -> str:
    """The version of a described agent, for a run's fingerprint; that of a built-in one is the program's."""
    return load_agent(job.settings.agent, job.root).identity if is_foreign(job) else ""


def refuse_unfit(job: SkillRun, suite: Suite) -> None:
    """Raises UserError for tasks that the agent cannot do whatever a skill says, before anything is spent."""
    if job.settings.agent != CHAT:
        return
    if any(task.environment for task in suite.tasks):
        raise UserError(
            f"{suite.root}: its tasks bring their own containers, where agent {CHAT} does nothing; take the agent loop"
        )
    if job.settings.trigger is not None or any(task.probe for task in suite.tasks):
        raise UserError(f"agent: {CHAT} is given every skill and activates none, so triggers need another agent")
    from skillgrad_ci.executors.chat import refuse_files

    refuse_files(suite)


def runs_commands(job: SkillRun, suite: Suite) -> bool:
    """Whether a sandbox is needed: by the agent, by a grader, or by the command of a reference answer."""
    graded = any(spec.kind in ("command", "reward") for task in suite.tasks for spec in task.graders)
    made = any(task.reference is not None and task.reference.command for task in suite.tasks)
    return job.settings.agent != CHAT or graded or made


def installation_of(job: SkillRun) -> str:
    """The shell line that installs a foreign agent; '' for a built-in one."""
    return load_agent(job.settings.agent, job.root).installation if is_foreign(job) else ""


def place_for(job: SkillRun, suite: Suite, tell: Callable[[str], None]) -> tuple[str, str | None]:
    """The kind of sandbox and its image, with every image that the suite's tasks need made or fetched.

    Raises UserError where the agent cannot be installed in one of them.
    """
    contained = bool(suite.tasks) and all(task.environment for task in suite.tasks)
    settings = job.settings
    kind, image = (settings.sandbox, settings.image) if contained else place_of(job, tell)
    return containers_of(suite, kind, image, installation_of(job), tell)


def containers_of(
    suite: Suite, kind: str, image: str | None, install: str = "", tell: Callable[[str], None] = lambda _: None
) -> tuple[str, str | None]:
    """The kind of sandbox and its image: Docker with the first task's image, where tasks bring their containers.

    All of them are fetched or built then, before anything is spent, and the agent is installed in them by `install`.
    """
    environments = [task.environment for task in suite.tasks if task.environment]
    if not environments:
        return kind, image
    if kind not in ("auto", "docker"):
        raise UserError(f"{suite.root}: its tasks bring their own containers, which sandbox {kind} has not; use docker")
    from skillgrad_ci.sandbox.supervise import Limits
    from skillgrad_ci.sandbox.task_image import TaskImages, prepare

    first = prepare(environments, TaskImages(Limits(), install, tell))
    return "docker", image or first


def agent_of(executor: Executor) -> str:
    """The agent's name and version, for reports."""
    return executor.identity.partition(" ")[0]

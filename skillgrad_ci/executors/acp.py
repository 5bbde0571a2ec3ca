"""Foreign agents over the Agent Client Protocol (https://agentclientprotocol.com).

The protocol is for control, permission and progress. What happened is taken from the gateway, which sees
every call: agents tell usage in five ways, lose output, and end a turn as if nothing was after an outage.
"""

import asyncio
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from skillgrad_ci.document.inert_text import one_line
from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.executors.acp_client import AgentFailure, Conversation
from skillgrad_ci.executors.agents import AgentDescription, expand
from skillgrad_ci.executors.relay import relayed
from skillgrad_ci.executors.replies import Replies
from skillgrad_ci.executors.skill_tools import SkillTools
from skillgrad_ci.executors.tool_loop import OUTPUT_BOUND, task_message, turns_of
from skillgrad_ci.method.evidence import Trajectory
from skillgrad_ci.method.ports import Journal, PipingSession, Session
from skillgrad_ci.method.ports.gateway import Gateway, Line
from skillgrad_ci.method.task import Task, digest_of
from skillgrad_ci.skill.skill import Skill, present

SETUP = 20.0  # seconds for the agent's home to be made
ACTIVATORS = ("skill", "activate_skill", "load_skill", "loadskill")  # tools that activate a skill by its name
ENDS = {"refusal": "refused", "max_turn_requests": "turns"}  # the protocol's stop reasons that we tell apart


@dataclass(frozen=True)
class AcpExecutor:
    """`ports.Executor` over an agent that is installed in the sandbox's image.

    `others` are skills that are present whatever skill is measured. A task's time limit is spent by the
    agent and its commands; waiting for the model does not count.
    """

    agent: AgentDescription
    gateway: Gateway
    max_turns: int = 30
    others: Sequence[Skill] = ()
    probe_turns: int | None = None  # the most turns of a probe; None: as many as of any task
    journal: Journal | None = None
    key: str = ""  # of the execution whose replies the journal keeps

    @property
    def identity(self) -> str:
        others = sorted([skill.name, skill.for_agents().digest] for skill in self.others)
        beside = f" others={digest_of(others)[:12]}" if others else ""
        limits = f"turns={self.max_turns} probe={self.probe_turns or 'all'}"
        return f"{self.agent.identity} acp/1 {self.gateway.identity} model={self.gateway.model} {limits}{beside}"

    def resuming(self, journal: Journal, key: str) -> "AcpExecutor":
        """The executor of one execution, which pays for no call that the journal holds."""
        return replace(self, journal=journal, key=key)

    def execute(self, task: Task, skill: Skill | None, session: Session) -> Trajectory:
        if not isinstance(session, PipingSession):
            raise UserError(f"agent {self.agent.name}: it runs in a container of its own; use sandbox: docker")
        skills = present(skill, self.others)
        tools = SkillTools(skills, OUTPUT_BOUND) if skills else None
        replies = Replies(self.journal, self.key, self.agent.fleeting)
        return _Execution(self, task, session, skill.name if skill else None, tools, replies).run()


@dataclass
class _Execution:
    """One task in the hands of a foreign agent."""

    executor: AcpExecutor
    task: Task
    session: PipingSession
    measured: str | None
    skills: SkillTools | None
    replies: Replies
    line: Line = field(init=False)

    def run(self) -> Trajectory:
        agent, gateway = self.executor.agent, self.executor.gateway
        turns = turns_of(self.task, self.executor.max_turns, self.executor.probe_turns)
        work, home = self.prepare()
        limits: dict[str, Any] = {"turns": turns, "refusal": agent.refusal}
        with gateway.open(**limits, notice=self.notice, replies=self.replies) as line:
            self.line = line
            with relayed(self.session, line) as address:
                values = {"gateway": address, "key": line.token, "model": gateway.model, "home": home}
                ended = self.converse(work, values)
            return self.trajectory(ended)

    def prepare(self) -> tuple[str, str]:
        """Make the agent's home, with the skills in its own folder for them; the paths of work folder and home.

        The skills lie read-only beside the work folder: a link leads there, so nothing of ours is in what is graded.
        """
        skills = shlex.quote(self.executor.agent.skills.removeprefix("~/"))
        command = 'export HOME="$TMPDIR/home" && mkdir -p "$HOME"'
        if self.skills:
            command += f' && mkdir -p "$(dirname "$HOME"/{skills})" && ln -s "$PWD/../skill" "$HOME"/{skills}'
        command += ' && printf "%s\\n%s" "$PWD" "$HOME"'
        done = self.session.run(command, timeout=SETUP)
        work, _, home = done.output.strip().partition("\n")
        if done.exit_code != 0 or not home:
            said = one_line(done.output)[-200:]
            raise EnvironmentFailure(f"sandbox: no home for the agent can be made ({said}); make room there")
        return work, home

    def converse(self, work: str, values: Mapping[str, str]) -> str:
        """One prompt. Returns the protocol's stop reason; '' where the agent failed, which the line may explain."""
        agent = self.executor.agent
        env = {"HOME": values["home"]} | {name: expand(value, values) for name, value in agent.environment.items()}
        with self.session.pipe(self.command(values), env) as pipe:
            conversation = Conversation(pipe, self.line, self.task.timeout)
            try:
                return asyncio.run(conversation.hold(work, task_message(self.task), self.login(values)))
            except AgentFailure as failure:
                self.line.check()
                if self.line.stopped:
                    return ""
                self.replies.forget()
                raise EnvironmentFailure(
                    f"{agent.title}: {failure}: {pipe.said()}; mend that, or start the run again"
                ) from None

    def command(self, values: Mapping[str, str]) -> list[str]:
        """How the agent is started, once its files are written: no command may run beside it, for one ends all."""
        agent = self.executor.agent
        steps = ["set -e"]
        for name, text in agent.files.items():
            target = shlex.quote(f"{values['home']}/{name.removeprefix('~/')}")
            steps.append(f'mkdir -p "$(dirname {target})"; printf %s {shlex.quote(expand(text, values))} > {target}')
        steps.append('exec "$@"')
        return ["sh", "-c", "; ".join(steps), "sh", *(expand(part, values) for part in agent.command)]

    def login(self, values: Mapping[str, str]) -> Mapping[str, Any] | None:
        login = self.executor.agent.login
        if login is None:
            return None
        headers = {name: expand(value, values) for name, value in login.headers.items()}
        return {"baseUrl": expand(login.base, values), "headers": headers}

    def notice(self, event: Mapping[str, Any]) -> None:
        """Look at an event for skills. A probe's question is answered once the measured one is activated."""
        if self.skills is None or event["kind"] != "tool_call":
            return
        arguments = event["arguments"]
        if event["tool"].lower() in ACTIVATORS and isinstance(arguments, Mapping):
            named = arguments.get("skill") or arguments.get("name") or ""
            self.skills.activate(str(named).rpartition(":")[2])
        else:
            for text in _texts(arguments):
                self.skills.notice(text)
        if self.task.probe and self.measured in self.skills.activated:
            self.line.stop("activated")

    def trajectory(self, ended: str) -> Trajectory:
        line = self.line
        line.check()
        if not line.turns and not line.stopped:
            raise EnvironmentFailure(
                f"{self.executor.agent.title}: it ended its turn without a call to its model; look at its description"
            )
        activated = self.skills.activated if self.skills else []
        used = self.skills.used(self.measured) if self.skills and self.measured else []
        return Trajectory(
            events=list(line.events),
            answer=line.answer,
            turns=line.turns,
            activated=self.measured in activated,
            references_read=used,
            stopped=line.stopped or ENDS.get(ended, "answered"),
            usage=line.usage,
            model_calls=list(line.model_calls),
            others_activated=[name for name in activated if name != self.measured],
        )


def _texts(value: Any) -> Iterator[str]:
    """Every string in the arguments of a tool."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)

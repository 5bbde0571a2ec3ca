"""The built-in executor: a model with a shell and skills, turn by turn, until it answers.

What the model does wrong (broken arguments, unknown tools, a hundred calls at once, no end) is told to
the model, or ends the execution: it is graded as it stands. What the outside does wrong is raised.
"""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from skillgrad_ci.document import json_text
from skillgrad_ci.errors import EnvironmentFailure, ReplyError
from skillgrad_ci.executors.skill_tools import SkillTools
from skillgrad_ci.executors.turns import Turns
from skillgrad_ci.method.evidence import ModelCall, Trajectory, Usage
from skillgrad_ci.method.ports import Journal, Model, ModelReply, ModelRequest, Session, ToolCall
from skillgrad_ci.method.prompting import cut_middle, fill
from skillgrad_ci.method.task import Task, digest_of
from skillgrad_ci.skill.skill import Skill, present

CALLS_PER_TURN = 16
OUTPUT_BOUND = 16_000  # characters of one result that the model sees
SKILLS = """
## Skills

A skill holds instructions that others found to work. Where a skill's description fits the task, activate it before anything else and follow it. Where its body points to a further file for a task like yours, you must read that file before you write code or results: the body alone leaves out what went wrong before in such tasks, and agents that skip the file repeat it.

"""  # noqa: E501
CUT = "Your reply was cut at the output limit. Go on from there, in smaller steps."
EMPTY = "Your reply was empty. Call a tool to go on, or give your answer."
EMPTY_REPLIES = 2  # in a row, that end an execution


def _tool(name: str, description: str, parameter: str, meaning: str) -> dict[str, Any]:
    properties = {parameter: {"type": "string", "description": meaning}}
    parameters = {"type": "object", "properties": properties, "required": [parameter], "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


SHELL = _tool("shell", "Run a shell command in the work folder.", "command", "the command, as for sh -c")
SKILL_TOOLS = [
    _tool("activate_skill", "Get a skill's instructions and the list of its files.", "name", "the skill's name"),
    _tool("read_reference", "Read a text file of an activated skill.", "path", "its path in the skill's folder"),
]
PARAMETERS = {"shell": "command", "activate_skill": "name", "read_reference": "path"}


@dataclass(frozen=True)
class ToolLoop:
    """`ports.Executor` over native tool calling. `prompt` is the template of the system message.

    `others` are skills that are present whatever skill is measured, also where none is.
    A task's time limit is spent by its commands. Waiting for the model is the provider's time: it does
    not count, so that a slow day of a provider cannot fail a task.
    """

    model: Model
    prompt: str
    max_turns: int = 30
    command_timeout: float = 120.0  # seconds
    output_bound: int = OUTPUT_BOUND
    max_tokens: int = 8192  # of one reply
    clock: Callable[[], float] = time.monotonic
    others: Sequence[Skill] = ()
    probe_turns: int | None = None  # the most turns of a probe; None: as many as of any task
    journal: Journal | None = None
    key: str = ""  # of the execution whose turns the journal keeps

    @property
    def identity(self) -> str:
        facts = [self.prompt, SKILLS, SHELL, SKILL_TOOLS, CALLS_PER_TURN, self.output_bound, self.max_tokens, CUT]
        facts += [
            EMPTY,
            EMPTY_REPLIES,
            *sorted([skill.name, skill.for_agents().digest] for skill in self.others),
        ]
        probe = f" probe={self.probe_turns}" if self.probe_turns else ""
        limits = f"turns={self.max_turns}{probe} command={self.command_timeout:g}s"
        return f"loop/1 model={self.model.name} {limits} prompt={digest_of(facts)[:12]}"

    def resuming(self, journal: Journal, key: str) -> "ToolLoop":
        """The executor of one execution, which goes on where a process that was killed left it."""
        return replace(self, journal=journal, key=key)

    def execute(self, task: Task, skill: Skill | None, session: Session) -> Trajectory:
        skills = present(skill, self.others)
        tools = SkillTools(skills, self.output_bound) if skills else None
        turns = Turns(self.journal, self.key)
        return _Execution(self, task, session, skill.name if skill else None, tools, turns).run()


@dataclass
class _Execution:
    """One task's conversation: the messages the model is sent, and the events that are kept."""

    loop: ToolLoop
    task: Task
    session: Session
    measured: str | None  # the name of the skill that the execution is for
    skills: SkillTools | None
    turns: Turns
    messages: list[dict[str, Any]] = field(default_factory=list)
    events: list[Mapping[str, Any]] = field(default_factory=list)
    model_calls: list[ModelCall] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0  # spent in commands

    def run(self) -> Trajectory:
        skills = f"{SKILLS}{self.skills.catalog()}" if self.skills else ""
        self.say("system", fill(self.loop.prompt, skills=skills).strip())
        self.say("user", task_message(self.task))
        answer, empty = "", 0
        turns = turns_of(self.task, self.loop.max_turns, self.loop.probe_turns)
        for turn in range(1, turns + 1):
            try:
                reply = self.ask()
            except ReplyError as error:
                if turn == 1:  # the model did nothing yet: what is too long is ours, or a proxy's limit
                    raise EnvironmentFailure(
                        f"{error} (the first request); shorten the task, or take a larger model"
                    ) from None
                return self.end("context", answer, turn - 1)
            answer = reply.text.strip() or answer
            self.heard(reply)
            if reply.stop == "content_filter":
                return self.end("refused", answer, turn)
            empty = 0 if reply.tool_calls or reply.text.strip() else empty + 1
            if empty == EMPTY_REPLIES:
                return self.end("empty", answer, turn)
            if not reply.tool_calls and reply.stop != "length" and not (empty and self.idle):
                return self.end("answered", answer, turn)
            if not reply.tool_calls:
                self.say("user", CUT if reply.stop == "length" else EMPTY)
            for position, call in enumerate(reply.tool_calls):
                self.result(call, *self.call(call, position))
            if self.task.probe and self.skills and self.measured in self.skills.activated:
                return self.end("activated", answer, turn)
            if self.seconds >= self.task.timeout:
                return self.end("timeout", answer, turn)
        return self.end("turns", answer, turns)

    @property
    def idle(self) -> bool:
        """Whether nothing was done yet. After some work an empty reply is how models say that they are done."""
        return not any(event["kind"] == "tool_call" for event in self.events)

    def ask(self) -> ModelReply:
        tools = [*SKILL_TOOLS, SHELL] if self.skills else [SHELL]
        request = ModelRequest(list(self.messages), tools, max_tokens=self.loop.max_tokens)
        reply = self.turns.reply(lambda: self.loop.model.complete(request))
        self.usage += reply.usage
        self.model_calls.append(ModelCall(len(self.events), reply.usage))
        return reply

    def say(self, role: str, text: str) -> None:
        self.messages.append({"role": role, "content": text})
        self.events.append({"kind": "message", "role": role, "text": text})

    def heard(self, reply: ModelReply) -> None:
        """Keep a reply, in a form that every provider takes back."""
        if reply.text:
            self.events.append({"kind": "message", "role": "assistant", "text": reply.text})
        message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
        if reply.tool_calls:
            message["tool_calls"] = [_sent_back(call) for call in reply.tool_calls]
        elif not reply.text:
            message["content"] = "(empty)"
        self.messages.append(message)

    def call(self, call: ToolCall, position: int) -> tuple[str, int | None]:
        """Run one tool call: what the model is told, and the exit code (None where no command ended by itself)."""
        if position >= CALLS_PER_TURN:
            return f"Not run: at most {CALLS_PER_TURN} tool calls are run in one turn. Call it again.", None
        known = ["shell", *(["activate_skill", "read_reference"] if self.skills else [])]
        if call.name not in known:
            return f"There is no tool {call.name!r}. The tools are {', '.join(known)}.", None
        arguments, wanted = _parsed(call.arguments), PARAMETERS[call.name]
        value = arguments.get(wanted) if arguments else None
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            got = cut_middle(json_text.mend(call.arguments), 500)
            return f'The arguments of {call.name} are a JSON object like {{"{wanted}": "…"}}; got: {got}', None
        if call.name == "shell":
            return self.shell(value)
        assert self.skills is not None
        return (self.skills.activate(value) if call.name == "activate_skill" else self.skills.read(value)), 0

    def shell(self, command: str) -> tuple[str, int | None]:
        left = self.task.timeout - self.seconds
        if left <= 0:
            return "Not run: the task's time is used up.", None
        limit = max(0.1, round(min(self.loop.command_timeout, left), 1))
        started = self.loop.clock()
        done = self.session.run(command, timeout=limit)
        took = max(self.loop.clock() - started, limit if done.timed_out else 0.0)  # a clock may be coarse
        done, took = self.turns.ran(done, took)
        self.seconds += took
        if self.skills:
            self.skills.notice(command)
        output = cut_middle(done.output, self.loop.output_bound) or "(no output)"
        if done.exit_code:
            output += f"\n(exit code {done.exit_code})"
        return output, done.exit_code

    def result(self, call: ToolCall, output: str, exit_code: int | None) -> None:
        arguments = _parsed(call.arguments)
        kept = cut_middle(json_text.mend(call.arguments), self.loop.output_bound) if arguments is None else arguments
        self.events.append({"kind": "tool_call", "id": call.id, "tool": call.name, "arguments": kept})
        event = {"kind": "tool_result", "id": call.id, "tool": call.name, "output": output, "exit_code": exit_code}
        self.events.append(event)
        self.messages.append({"role": "tool", "tool_call_id": call.id, "content": output})

    def end(self, stopped: str, answer: str, turns: int) -> Trajectory:
        activated = self.skills.activated if self.skills else []
        used = self.skills.used(self.measured) if self.skills and self.measured else []
        others = [name for name in activated if name != self.measured]
        return Trajectory(
            self.events,
            answer,
            turns,
            self.measured in activated,
            used,
            stopped,
            self.usage,
            others_activated=others,
            model_calls=self.model_calls,
        )


def turns_of(task: Task, most: int, probe: int | None) -> int:
    """How many turns an execution may have."""
    return min(probe or most, most) if task.probe else most


def task_message(task: Task) -> str:
    """The user's message: the task's own words, then what lies in the work folder and what should."""
    parts = [task.instruction.strip()]
    for title, names in (("Files in the work folder", sorted(task.files)), ("Files to write", list(task.outputs))):
        if names:
            parts.append(f"{title}:\n" + "\n".join(f"- {name}" for name in names))
    return "\n\n".join(parts)


def _parsed(arguments: str) -> dict[str, Any] | None:
    """The arguments of a tool call; None where they are not a JSON object."""
    try:
        value = json_text.loads(arguments)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _sent_back(call: ToolCall) -> dict[str, Any]:
    """A tool call as a later request repeats it. Providers refuse a request that repeats a broken one."""
    parsed, arguments = _parsed(call.arguments), call.arguments
    if parsed is None:
        arguments = "{}"
    elif json_text.has_half(arguments):
        arguments = json.dumps(parsed)
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", call.name)[:64] or "unnamed"
    return {"id": call.id, "type": "function", "function": {"name": name, "arguments": arguments}}

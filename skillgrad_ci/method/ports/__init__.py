"""What the method asks of the world. Adapters implement these; the method names no adapter.

`gateway.py` is what an adapter asks of another: a foreign agent's way to its model.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel

from skillgrad_ci.method.events import Event
from skillgrad_ci.method.evidence import Evidence, Grade, Trajectory, Usage
from skillgrad_ci.method.task import Environment, GraderSpec, Task
from skillgrad_ci.skill.skill import Skill

Reply = TypeVar("Reply", bound=BaseModel)
PART = "# Your part"  # heads an agent's own prompt where a part that it shares stands before it
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class ToolCall:
    """A tool that a model wants called. `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class ModelRequest:
    """One call: chat `messages` and `tools` in the OpenAI form; `schema` asks for a JSON reply.

    `shared` stands before the system message, which comes first then: a text that several calls have in common to the
    byte, for providers' caches.
    """

    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    schema: type[BaseModel] | None = None
    max_tokens: int = 8192
    shared: str = ""

    @property
    def parted(self) -> list[dict[str, Any]]:
        """The messages as they go out, with the shared part as one of its own."""
        messages = [dict(message) for message in self.messages]
        if self.shared:
            messages[0]["content"] = f"{PART}\n\n{messages[0]['content']}"
            messages.insert(0, {"role": "system", "content": self.shared})
        return messages

    @property
    def joined(self) -> list[dict[str, Any]]:
        """The same for models that take one system message."""
        messages = self.parted
        if self.shared:
            shared = messages.pop(0)
            messages[0]["content"] = f"{shared['content']}\n\n{messages[0]['content']}"
        return messages

    @property
    def goes_on(self) -> bool:
        """Whether a reply came before: a conversation, or the repair of a structured reply."""
        return any(message["role"] == "assistant" for message in self.messages)


@dataclass(frozen=True)
class ModelReply:
    """A model's turn. `stop` is `stop`, `tool_calls`, `length` or `content_filter`."""

    text: str = ""
    tool_calls: Sequence[ToolCall] = ()
    stop: str = "stop"
    usage: Usage = field(default_factory=Usage)


class Model(Protocol):
    """A chat model, retries included.

    `complete` raises `EnvironmentFailure` when the provider cannot be reached after its retries,
    `UserError` for a key or a model name that is refused, `ReplyError` where the request is too
    long for the model or its reply is not a reply.
    """

    @property
    def name(self) -> str: ...

    def bound(self, request: ModelRequest) -> Usage:
        """The most that `complete(request)` can take; `usd` is None where no price is known."""
        ...

    def complete(self, request: ModelRequest) -> ModelReply: ...


class Agent(Protocol):
    """A structured call of one optimizing agent (or the judge): prompt in, validated reply out.

    `shared` is what it has in common with other calls, to the byte; it is read first.
    Raises `ReplyError` after one repair of a bad reply, `EnvironmentFailure` on an outage.
    """

    def __call__(self, role: str, system: str, user: str, reply: type[Reply], *, shared: str = "") -> Reply: ...


@dataclass(frozen=True)
class Workspace:
    """The folders of one execution on this machine.

    Commands start in `work` (read and write); each `readonly` folder is seen beside it as `../NAME`
    (the skill as `../skill/<skill name>`). Nothing else of the machine but its system is visible. The
    `private` ones of these are not for a program that a command has run apart from itself.

    With an `environment` all of it is in that container, and a `readonly` name may be an absolute path there.
    `fresh`: the work folder begins with what the environment's image holds in it, below what `work` holds.
    """

    work: Path
    readonly: Mapping[str, Path] = field(default_factory=dict)
    private: frozenset[str] = frozenset()
    environment: Environment | None = None
    fresh: bool = False


@dataclass(frozen=True)
class CommandResult:
    """A command's end. `output` is stdout and stderr, cut in the middle to the sandbox's bound."""

    output: str
    exit_code: int | None = 0  # None: killed by a limit
    timed_out: bool = False


class Session(Protocol):
    """An open sandbox over one workspace. `run` never raises for what the command did."""

    def run(self, command: str, *, timeout: float) -> CommandResult: ...


class Pipe(Protocol):
    """A program that runs inside, at the other end of its standard input and output."""

    @property
    def stdin(self) -> IO[bytes]: ...

    @property
    def stdout(self) -> IO[bytes]: ...

    def said(self) -> str:
        """The end of what it wrote to its standard error, on one line."""
        ...


@runtime_checkable
class PipingSession(Protocol):
    """A session whose sandbox can also hold programs that we talk to while they run."""

    def run(self, command: str, *, timeout: float) -> CommandResult: ...

    def pipe(self, command: Sequence[str], env: Mapping[str, str]) -> AbstractContextManager[Pipe]:
        """Start a program in the work folder. On leaving, it and all that it started is gone."""
        ...


class Sandbox(Protocol):
    """A way to run commands chosen by a model. `name` and version go into every report."""

    @property
    def identity(self) -> str: ...

    def open(self, workspace: Workspace, *, network: bool = False) -> AbstractContextManager[Session]:
        """On leaving, every process is gone and `workspace.work` holds the result.

        Raises `EnvironmentFailure` where the sandbox cannot be had.
        """
        ...


class Executor(Protocol):
    """An agent that works on a task with a skill, through an open sandbox session."""

    @property
    def identity(self) -> str: ...

    def execute(self, task: Task, skill: Skill | None, session: Session) -> Trajectory: ...


@runtime_checkable
class Resumable(Protocol):
    """An executor that keeps the turns of an execution in the journal, so that a kill repeats one call at most."""

    def resuming(self, journal: "Journal", key: str) -> Executor: ...


@dataclass(frozen=True)
class Shown:
    """A result as a judge is shown it: `text` is for the prompt, in `words` its quotes are looked up."""

    text: str
    words: str


@dataclass(frozen=True)
class Result:
    """What an execution left: its work folder and its last message.

    `initial` is what the initial skill left of the same task and trial, for a judge that compares the two; None where
    no run has begun with a skill.
    """

    work: Path
    answer: str = ""
    trajectory: Trajectory = field(default_factory=Trajectory)
    initial: Shown | None = None


class Grader(Protocol):
    """Grades a result. Raises `EnvironmentFailure` for what it could not measure."""

    @property
    def identity(self) -> str: ...

    def grade(self, spec: GraderSpec, task: Task, result: Result) -> Grade: ...


@runtime_checkable
class Warming(Protocol):
    """A grader that starts something slow for itself, while agents work on these tasks."""

    def warm(self, tasks: Iterable[Task]) -> object: ...


class Rollout(Protocol):
    """Execute a task with a skill (None: without one) and grade it. Never raises for an outage."""

    def __call__(self, skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence: ...


class Journal(Protocol):
    """Paid-for results by content address: recorded and flushed before they are used."""

    def recall(self, key: str) -> Mapping[str, Any] | None: ...

    def record(self, key: str, kind: str, value: Mapping[str, Any]) -> None: ...


class Each(Protocol):
    """`map` or a thread pool's: results in the order of `items`, whatever finished first."""

    def __call__(self, function: Callable[[T], R], items: Iterable[T], /) -> Iterable[R]: ...


class Observer(Protocol):
    """Is told what happens, as it happens, from any thread."""

    def __call__(self, event: Event, /) -> None: ...

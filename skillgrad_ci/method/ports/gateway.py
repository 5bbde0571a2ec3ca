"""A foreign agent's way to its model: the executor asks for it, the gateway answers."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from socket import socket
from typing import Any, Protocol

from skillgrad_ci.method.evidence import ModelCall, Usage


class PaidReplies(Protocol):
    """The replies to the calls of one execution of a foreign agent that are paid for. Thread-safe."""

    @property
    def token(self) -> str:
        """What the agent is given for a key; the same in every start of the execution."""
        ...

    def place(self, asked: Sequence[Any]) -> str:
        """Where the reply to a call that says this, as JSON, is kept: for each time that it is asked another place."""
        ...

    def recall(self, place: str) -> Mapping[str, Any] | None: ...

    def keep(self, place: str, reply: Mapping[str, Any]) -> None:
        """Write a reply down. Raises EnvironmentFailure where that cannot be done."""
        ...


class Line(Protocol):
    """The way of one execution of a foreign agent to its model: HTTP that the gateway answers.

    What happened is told by `events` (as a `Trajectory` has them), for every request carries the results
    of the tools. `answer` is the model's last text; `turns` counts the calls with tools.
    """

    @property
    def token(self) -> str:
        """What the agent is given for a key: good for this line alone, and worthless elsewhere."""
        ...

    @property
    def events(self) -> Sequence[Mapping[str, Any]]: ...

    @property
    def model_calls(self) -> Sequence[ModelCall]: ...

    @property
    def answer(self) -> str: ...

    @property
    def turns(self) -> int: ...

    @property
    def usage(self) -> Usage: ...

    @property
    def waited(self) -> float:
        """Seconds in which a call was on its way: the provider's time, not the agent's."""
        ...

    @property
    def stopped(self) -> str:
        """Why no further call is answered, in the words of `Trajectory.stopped`; '' while calls are answered."""
        ...

    def stop(self, reason: str) -> None:
        """Answer no further call, and leave those that are on their way."""
        ...

    def serve(self, connection: socket) -> None:
        """Answer the requests of one connection until it ends."""
        ...

    def check(self) -> None:
        """Raises what the execution ended on, where that was no doing of the agent's: an outage, the cap."""
        ...


class Gateway(Protocol):
    """What foreign agents see as their provider: it holds the key, asks the ledger, retries and records."""

    @property
    def identity(self) -> str: ...

    @property
    def model(self) -> str:
        """The model's name as its provider knows it."""
        ...

    def open(
        self, *, turns: int, refusal: int, notice: Callable[[Mapping[str, Any]], None], replies: PaidReplies
    ) -> AbstractContextManager[Line]:
        """A line of at most `turns` calls with tools. `notice` is told every event as it happens.

        `refusal` is the status that ends the agent at its first call; what is in `replies` is not asked for again.
        """
        ...

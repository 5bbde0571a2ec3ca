"""Where nothing is run: for agents without tools, so that no sandbox has to be had for them."""

from collections.abc import Iterator
from contextlib import contextmanager

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.method.ports import CommandResult, Session, Workspace


class NoCommands:
    """`ports.Sandbox` that opens at once and runs no command."""

    identity = "no commands"

    @contextmanager
    def open(self, workspace: Workspace, *, network: bool = False) -> Iterator[Session]:  # noqa: ARG002
        yield _Closed()

    def kill_all(self) -> None:
        """Nothing runs here."""


class _Closed:
    def run(self, command: str, *, timeout: float) -> CommandResult:  # noqa: ARG002
        raise EnvironmentFailure("no command is run here: the agent has no tools")

"""The client's side of the Agent Client Protocol: one conversation of one prompt, within its limits."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from skillgrad_ci.method.ports import Pipe
from skillgrad_ci.method.ports.gateway import Line

if TYPE_CHECKING:
    import acp
    from acp.client.connection import ClientSideConnection

START = 120.0  # seconds for an agent to be ready for its prompt
TICK = 0.2  # seconds between looks at the limits
GRACE = 3.0  # seconds for an agent to end by itself once nothing is answered any more
CANCEL = 5.0  # seconds for a cancelled agent to say so
LONGEST_LINE = 64 << 20  # bytes of one message: it may hold the output of a tool
AT_ONCE = ("activated", "timeout")  # ends that the agent does not learn of by its next call
ALLOWING = ("allow_always", "allow_once")


class AgentFailure(Exception):
    """The agent did not start, crashed, or answered with an error."""


@dataclass(frozen=True)
class Conversation:
    """With the agent at the other end of `pipe`. `seconds` is what it may take without its model's time."""

    pipe: Pipe
    line: Line
    seconds: float

    async def hold(self, work: str, prompt: str, login: Mapping[str, Any] | None) -> str:
        """Start a session in the folder `work`, prompt it, and see it to its end. Returns the stop reason.

        Raises AgentFailure.
        """
        import acp

        logging.getLogger("acp").setLevel(logging.CRITICAL)
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        connection = acp.connect_to_agent(cast("acp.Client", _Client()), *await _streams(self.pipe))
        try:
            async with asyncio.timeout(START):
                session = await _opened(connection, work, login)
            return await self._prompted(connection, session, prompt)
        except TimeoutError:
            raise AgentFailure(f"it was not ready within {START:g} s") from None
        except acp.RequestError as error:
            raise AgentFailure(
                f"it answered with the error {error.code} ({' '.join(str(error).split())[:300]})"
            ) from None
        except (ConnectionError, EOFError):
            raise AgentFailure("it ended in the middle") from None
        finally:
            with suppress(ConnectionError):  # an agent that has gone says so here too
                await connection.close()

    async def _prompted(self, connection: "ClientSideConnection", session: str, prompt: str) -> str:
        import acp

        started = time.monotonic()
        turn = asyncio.ensure_future(connection.prompt(session_id=session, prompt=[acp.text_block(prompt)]))
        while not turn.done() and not self.line.stopped:
            await asyncio.wait([turn], timeout=TICK)
            if time.monotonic() - started - self.line.waited > self.seconds and not turn.done():
                self.line.stop("timeout")
        if not turn.done() and self.line.stopped not in AT_ONCE:
            await asyncio.wait([turn], timeout=GRACE)
        if not turn.done():
            await connection.cancel(session_id=session)
            await asyncio.wait([turn], timeout=CANCEL)
        if not turn.done():
            turn.cancel()
            raise AgentFailure("it did not end when it was cancelled")
        return str((await turn).stop_reason)


async def _opened(connection: "ClientSideConnection", work: str, login: Mapping[str, Any] | None) -> str:
    """A new session's id. Reading and writing files, and terminals, are left to the agent, in its sandbox."""
    import acp
    from acp.schema import ClientCapabilities

    able = ClientCapabilities.model_validate({"auth": {"_meta": {"gateway": True}}} if login else {})
    await connection.initialize(protocol_version=acp.PROTOCOL_VERSION, client_capabilities=able)
    if login:
        await connection.authenticate(method_id="gateway", gateway=dict(login))
    return str((await connection.new_session(cwd=work, mcp_servers=[])).session_id)


class _Client:
    """What an agent may ask of us: permission, and nothing else. It is in a sandbox, so all is permitted there."""

    async def request_permission(self, options: Sequence[Any], **_: Any) -> Any:
        from acp.schema import AllowedOutcome, DeniedOutcome, RequestPermissionResponse

        allowing = [option for kind in ALLOWING for option in options if option.kind == kind]
        if not allowing:
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        return RequestPermissionResponse(outcome=AllowedOutcome(outcome="selected", option_id=allowing[0].option_id))

    async def session_update(self, **_: Any) -> None:
        """Progress. What counts is read at the gateway."""


async def _streams(pipe: Pipe) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe.stdout)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, pipe.stdin)
    return asyncio.StreamWriter(transport, protocol, None, loop), reader

"""litellm itself: imported at the first call (which takes seconds) and called on threads that can be left."""

import gc
import logging
import threading
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx

from skillgrad_ci.models.envelopes import Envelopes

QUIET = ("LiteLLM", "httpx", "openai")


@cache
def litellm() -> Any:
    """The library, set up to print nothing, to retry nothing and to drop parameters a model does not know."""
    library = _imported_once()
    library.suppress_debug_info = True
    library.telemetry = False
    library.drop_params = True
    _put_border(library)
    _leave_mcp_out()
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return library


def _imported_once() -> Any:
    """The import, without the collector, which would look through half a million new objects again and again.

    Nor does it later: what a module is made of lives as long as the program.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        import litellm as library
    finally:
        gc.freeze()
        if collecting:
            gc.enable()
    return library


def _put_border(library: Any) -> None:
    """Let every reply cross the border: in the client of litellm's SDK providers, and of those it asks itself."""
    from litellm.llms.custom_httpx.http_handler import get_ssl_configuration

    from skillgrad_ci.models import border

    verify = get_ssl_configuration()
    library.client_session = border.client(verify)
    library.sync_transport = border.transport(verify)


def _leave_mcp_out() -> None:
    """No tool of ours is an MCP server's, and to see that litellm would import its proxy, which wants further packages.

    It looks before each call of OpenAI's Responses, which models such as gpt-5-codex are asked by alone.
    """
    from litellm.responses import main

    main._responses_try_dispatch_mcp_gateway = lambda **_: None


class LibraryCall:
    """One completion on a daemon thread, which neither its caller nor the program's end has to wait for."""

    def __init__(self, arguments: Mapping[str, Any], envelopes: Envelopes) -> None:
        self.done = threading.Event()
        self.returned = False
        self.response: Any = None  # None although it returned: a 422 to which litellm found no way round
        self.error: Exception | None = None
        self._library = litellm()  # imported by the caller: not on its clock, and not by a thread that may be left
        self._arguments = arguments
        self._envelopes = envelopes

    def start(self) -> None:
        threading.Thread(target=self._run, name="model call", daemon=True).start()

    def _run(self) -> None:
        try:
            self.response = self._envelopes.complete(self._library, self._arguments)
            self.returned = True
        except (ImportError, httpx.HTTPError, *self._library.LITELLM_EXCEPTION_TYPES) as error:
            self.error = error
        finally:
            self.done.set()

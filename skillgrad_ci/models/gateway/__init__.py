"""What foreign agents see as their provider. Start at `gateway.py`: one run's; `line.py` decides about the calls of one
execution, `server.py` speaks HTTP.

`dialect.py` is what must be known of a call, whatever it is written in: `anthropic.py`, `chat.py`, `gemini.py` or
`responses.py`. `hosted.py` takes out what a call may not ask, `upstream.py` asks the real provider, `translation/` one
that speaks another dialect. `recorder.py` reads from the calls what happened, `paid.py` keeps the replies.
"""

from skillgrad_ci.models.gateway.gateway import ProviderGateway

__all__ = ["ProviderGateway"]

"""Models through litellm, which is told here to make no request of its own: prices come with its package.

Start at `provider.py`: one chat model. `litellm_library.py` imports litellm late and calls it, `envelopes.py` does
without it where it wrote the same request before, `schemas.py` asks for structured replies. `border.py` bounds what
comes back, `wire.py` knows its shapes, `replies.py` reads it. `faults.py` says what an error means, `advice.py` what
its person is told, `prices.py` what a call costs. `gateway/` is what foreign agents see as their provider,
`rehearsal/` a stand-in for a model.
"""

import os

for _name in ("LITELLM_LOCAL_MODEL_COST_MAP", "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS"):
    os.environ.setdefault(_name, "True")

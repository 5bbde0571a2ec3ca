"""Calls in a dialect that the model's provider does not speak. Start at `translating.py`. `transcript.py` writes a
conversation as chat completions; `anthropic.py`, `chat.py`, `gemini.py` and `responses.py` are the dialects, and
`writing.py` is what their replies have in common.
"""

from skillgrad_ci.models.gateway.translation.translating import LibraryAttempt, Translating

__all__ = ["LibraryAttempt", "Translating"]

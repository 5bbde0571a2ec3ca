"""Calls in a dialect that the model's provider does not speak. Start at `translating.py`; a file for each dialect."""

from skillgrad_ci.models.gateway.translation.translating import LibraryAttempt, Translating

__all__ = ["LibraryAttempt", "Translating"]

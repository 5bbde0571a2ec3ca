"""What comes from outside as text. `document.py` reads files that people write, with `parsing.py`; `json_text.py` makes
safe what machines send, `inert_text.py` shows what others wrote without obeying it. That one serves a Python without
packages as well, so `document.py`, which needs some, is imported when something of it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skillgrad_ci.document.document import Document, Foreign, Known, Strict, Where

__all__ = ["Document", "Foreign", "Known", "Strict", "Where"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("skillgrad_ci.document.document"), name)

"""How pages are filled: the filters that make texts of models and tasks inert, and the templates' environment.

The HTML page escapes such texts, the Markdown page takes their markup away.
"""

from functools import cache, partial
from typing import TYPE_CHECKING

from skillgrad_ci.document.inert_text import code, shown
from skillgrad_ci.report.headline import percent, points
from skillgrad_ci.report.statistics import wilson

if TYPE_CHECKING:
    from jinja2 import Environment


SECONDS_TOLD = 120  # below so many, a duration is told in seconds


def usd(amount: float | None) -> str:
    return "unknown price" if amount is None else f"${amount:.4f}" if amount < 1 else f"${amount:.2f}"


def duration(minutes: float) -> str:
    """How long a run took, for people: every page says the same of it."""
    seconds = round(60 * minutes)
    if seconds < SECONDS_TOLD:
        return f"{seconds} second{'' if seconds == 1 else 's'}"
    return f"{round(minutes)} minutes"


def score_words(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.2f}"


@cache
def environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    made = Environment(
        loader=PackageLoader("skillgrad_ci.report"),
        autoescape=select_autoescape(["html"]),  # Markdown is made safe by `shown` and `code`
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"percent": percent, "points": points, "usd": usd, "score": score_words, "duration": duration}
    made.filters |= {"shown": partial(shown, limit=None), "code": partial(code, limit=None)}
    made.globals["wilson"] = wilson
    return made

"""How pages are filled: the filters that make texts of models and tasks inert, and the templates' environment.

The HTML page escapes such texts, the Markdown page takes their markup away.
"""

import html
import re
from functools import cache
from typing import TYPE_CHECKING

from skillgrad_ci.report.headline import percent, points
from skillgrad_ci.report.statistics import wilson

if TYPE_CHECKING:
    from jinja2 import Environment

MARKDOWN = re.compile(r"([\\`*_\[\]|~])")


def plain(text: object) -> str:
    """Text for Markdown: on one line, its markup and HTML shown instead of followed."""
    return MARKDOWN.sub(r"\\\1", html.escape(" ".join(str(text).split()), quote=False))


def code(text: object) -> str:
    """Text as a code span, whatever backticks it holds."""
    content = " ".join(str(text).split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", content)), default=0))
    pad = " " if content.startswith("`") or content.endswith("`") else ""
    return f"{fence}{pad}{content.replace('|', chr(92) + '|')}{pad}{fence}" if content else ""


def usd(amount: float | None) -> str:
    return "unknown price" if amount is None else f"${amount:.4f}" if amount < 1 else f"${amount:.2f}"


def score(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.2f}"


@cache
def environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    made = Environment(
        loader=PackageLoader("skillgrad_ci.report"),
        autoescape=select_autoescape(["html"]),  # Markdown is made safe by `plain` and `code`
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"percent": percent, "points": points, "plain": plain, "code": code, "usd": usd, "score": score}
    made.globals["wilson"] = wilson
    return made

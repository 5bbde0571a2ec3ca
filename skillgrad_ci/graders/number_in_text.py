"""The number that a text ends with, as a reader takes it.

Not every row of digits is one: `CO2` and `m2` are words, `1/2`, `12:30` and `10^3` are other things
than the number at their end, and a year in brackets behind the answer is a remark.
"""

import re
from decimal import Decimal, InvalidOperation

_SPACE = "[ \u00a0\u2009\u202f]"
_PLAIN = rf"(?:\d{{1,3}}(?:{_SPACE}\d{{3}})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,'’]\d+)*|(?<![\d.,])\.\d+)"
# What a reader takes for one thing: a figure, or figures joined by / : ^ and the like.
_FIGURE = re.compile(
    rf"(?:(?<![^\W\d_])|(?<=\b(?:USD|EUR|GBP|CHF|JPY|CNY|INR|AUD|CAD|SEK|NOK|DKK|PLN|CZK)))"
    rf"(?<![\d])(?:(?<!\w)[-+−])?{_PLAIN}(?:[eE][-+]?\d{{1,3}}(?!\w))?(?:{_SPACE}?[/:^×]{_SPACE}?[-−]?\d[\d.,]*)*"
)
_NUMBER = re.compile(
    rf"[-+−]?(?:\d{{1,3}}(?:,\d{{3}}|['’]\d{{3}}|{_SPACE}\d{{3}})+|\d+)?(?:\.\d+)?(?:[eE][-+]?\d{{1,3}})?"
)
_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")


def number_in(text: str) -> tuple[str, Decimal | None]:
    """How the last number is written ("" where there is none), and its value (None where that is not plain).

    What is in brackets counts only where nothing stands outside.
    """
    outside = _BRACKETS.sub(lambda match: " " * len(match[0]), text)
    found = _FIGURE.findall(outside) or _FIGURE.findall(text)
    if not found:
        return "", None
    written = str(found[-1]).strip()
    if not _NUMBER.fullmatch(written):
        return written, None
    try:
        return written, Decimal(re.sub(rf"[,'’]|{_SPACE}", "", written).replace("−", "-"))
    except InvalidOperation:
        return written, None

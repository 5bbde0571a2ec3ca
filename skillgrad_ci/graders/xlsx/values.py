"""A cell's value as SpreadsheetBench compares it.

Numbers, and texts that read as numbers, are rounded to two decimals (true is 1). A date with a time is rounded to
whole days since 1899-12-30, a time of day to hours and minutes. An empty text is an empty cell. Two cells are equal
when their values have one type and are equal. So a NaN equals nothing, and letter case and spaces of a text count.
"""

import datetime
import hashlib

Value = float | str | tuple[str, str]  # a tuple for the rare rest: the type's name and the value's text

MAX_TEXT = 40_000  # characters that are kept; Excel's cells hold 32,767, and a longer text only its digest
_EPOCH = datetime.datetime(1899, 12, 30)
_DAY = 86_400.0


def normalised(raw: object) -> Value | None:
    """What is compared for a value as openpyxl reads it; None for an empty cell."""
    match raw:
        case None | "":
            return None
        case bool() | int() | float():
            return _rounded(raw)
        case str():
            try:
                return round(float(raw), 2)
            except ValueError:
                return (
                    raw
                    if len(raw) <= MAX_TEXT
                    else ("text", hashlib.sha256(raw.encode("utf-8", "surrogatepass")).hexdigest())
                )
        case datetime.time():
            return str(raw)[:-3]
        case datetime.datetime():
            past = raw - _EPOCH
            return round(past.days + past.seconds / _DAY, 0)
    return type(raw).__name__, str(raw)


def _rounded(number: float) -> Value:
    try:
        return round(float(number), 2)
    except OverflowError:  # an integer that no float holds; the evaluation stops there
        return "int", str(number)[:50]


def shown_value(raw: object) -> str:
    """A value for a reader: a date as a date, though it is compared as a number."""
    text = raw if isinstance(raw, str) else str(raw)
    return repr(text[:97] + "..." if len(text) > 100 else text) if isinstance(raw, str) else text[:100]

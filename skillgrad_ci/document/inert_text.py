"""Text of others, made inert: it is shown as text, and nobody that shows it obeys it.

Many readers obey what they are shown: a terminal obeys control characters, a model characters that nobody sees,
Markdown its marks, GitHub mentions, closing keywords and addresses, and a squashed commit its trailers and `[skip ci]`.
Each has one function here. Secrets are masked elsewhere (`secrets.py`), and HTML is escaped by its templates.
"""

import re
import unicodedata

JOINER = "\u2060"  # word joiner: no width, and no part of a login, a number or an address
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_ACTIVE = re.compile(r"@(?=\w)|#(?=\d)|(?<=\bGH)-(?=\d)|(?<=:)//|(?<=www)\.|(?<=mailto):", re.IGNORECASE)
_SKIP = re.compile(r"(?<=\[)(?=(?:(?:skip|no)[ ]ci|ci[ ]skip|skip[ ]actions|actions[ ]skip)\])", re.IGNORECASE)
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~!$&])")
_LEADING = re.compile(r"^(\s*)([-+=]|\d+(?=[.)]))", re.MULTILINE)
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # OSC: titles, links, clipboard
    r"|\x1b[PX^_][^\x1b\n]*(?:\x1b\\)?"  # DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]?"  # any other
    r"|\x9b[0-?]*[ -/]*[@-~]"  # CSI in one byte
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all of C0 and C1 but tab and newline


def one_line(text: str, limit: int | None = None) -> str:
    """White space folded; of a line longer than `limit` characters the start, with a mark at its end."""
    line = " ".join(text.split())
    return line if limit is None or len(line) <= limit else f"{line[: limit - 1].rstrip()}…"


def terminal_safe(text: object) -> str:
    """Text for a terminal: a blank for each character that it would obey and not show; line feeds stay."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in str(text))


def printable(text: str, limit: int | None = None) -> str:
    """The same on one line, for records, reasons and messages."""
    return one_line(terminal_safe(text), limit)


def without_escapes(text: str) -> str:
    """What a command printed, as plain text: no escapes, no control characters; newlines are `\\n`, tabs stay."""
    text = _ESCAPES.sub("", text.replace("\r\n", "\n"))
    return _CONTROLS.sub("", text.replace("\r", "\n"))


def inbound(text: str) -> str:
    """What GitHub shows of a text: no HTML comments, no invisible characters, for instructions hide there."""
    return "".join(c for c in _COMMENT.sub("", text) if c in "\n\t" or not _hidden(c))


def _hidden(character: str) -> bool:
    """Categories: control, format (zero width, bidirectional, tags), surrogate, private, unassigned.

    Two ranges look like letters or marks to Unicode and show nothing: fillers and variation selectors.
    """
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn"}:
        return True
    point = ord(character)
    return point in {0x034F, 0x115F, 0x1160, 0x3164, 0xFFA0} or 0xFE00 <= point <= 0xFE0F or 0xE0100 <= point <= 0xE01EF


def defused(text: str) -> str:
    """Text in which mentions, issue references (so closing keywords too) and addresses are inert."""
    return _ACTIVE.sub(lambda match: f"{JOINER}{match[0]}{JOINER}", inbound(text))


def shown(text: str, limit: int | None = 500) -> str:
    """One line of Markdown that shows `text` as it is, in at most about `limit` characters, fit for a table."""
    line = defused(one_line(inbound(text), limit))
    return _LEADING.sub(r"\1\\\2", _MARKDOWN.sub(r"\\\1", line))


def code(text: str, limit: int | None = 200) -> str:
    """Text as a code span, whatever backticks are in it, fit for a table."""
    line = one_line(inbound(text), limit).replace("|", "¦")
    ticks, pad = _ticks(line, 1), " " if "`" in line else ""
    return f"{ticks}{pad}{line}{pad}{ticks}" if line else ""


def fence(text: str, info: str = "") -> str:
    """Text as a code block that nothing in it can close."""
    ticks = _ticks(text, 3)
    return f"{ticks}{info}\n{text.rstrip()}\n{ticks}"


def fenced(text: str, info: str = "", limit: int = 4000) -> str:
    """The same without what nobody sees, in at most about `limit` characters."""
    block = inbound(text)
    return fence(block if len(block) <= limit else f"{block[:limit]}\n… {len(block) - limit:,} characters more", info)


def _ticks(text: str, least: int) -> str:
    """More backticks than stand in a row anywhere in `text`."""
    return "`" * max(least, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))


def trailer(text: str, limit: int = 200) -> str:
    """Text for a commit message: one inert line, that cannot start a trailer of its own or switch workflows off.

    A squash puts it into the default branch's commit, where `[skip ci]` would count.
    """
    return _SKIP.sub(JOINER, one_line(defused(text)))[:limit]

"""A record of the journal as a line of text, with the sum by which damage is found.

A record is `{"sum", "key", "kind", "time", "elapsed", "value"}`, where `sum` is the SHA-256 of the rest.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Any

from skillgrad_ci.document.json_text import has_half, mend

START = b'{"sum": "'  # of a record
VALUE = b', "value": '  # stands before its value, and nowhere before: in a key its quotes would be escaped


@dataclass(frozen=True)
class Record:
    """A record whose sum is right. Its value is read when it is asked for."""

    key: str
    kind: str
    elapsed: float
    text: bytes
    time: str = ""

    @property
    def said(self) -> bytes:
        """Content address of the value."""
        return sha256(self.text).digest()

    @property
    def identity(self) -> bytes:
        """The same in every copy of the record and in no other; `elapsed` says where it stands, and is left out."""
        return sha256(b"\0".join([self.key.encode(), self.kind.encode(), self.time.encode(), self.said])).digest()

    @property
    def value(self) -> Mapping[str, Any]:
        value: Mapping[str, Any] = json.loads(self.text)
        # Older versions kept halves of surrogate pairs, which nothing that is written later can hold.
        return mend(value) if has_half(self.text.decode("utf-8", "replace")) else value


def told(kept: int, lost: int) -> str:
    """What a person reads of a line that is not one whole record."""
    parts = [f"{kept} records stood on one line and are kept"] if kept > 1 else []
    if lost == 1:
        parts.append("the record at its end was torn or damaged and is dropped; its work is done again")
    elif lost:
        parts.append(f"{lost} records at its end were torn or damaged and are dropped; their work is done again")
    return "; ".join(parts)


def pieces_of(line: bytes) -> list[tuple[bytes, Record | None]]:
    """A line's records: one, or several where the newline between them was damaged; None for what is not a record."""
    whole = parse_line(line)
    if whole is not None:
        return [(line, whole)]
    starts = [0, *(found.start() for found in re.finditer(re.escape(START), line) if found.start())]
    return [(piece, parse_line(piece)) for piece in (line[a:b] for a, b in pairwise([*starts, len(line)]))]


def line_of(content: str) -> bytes:
    checksum = sha256(content.encode()).hexdigest()
    return f'{{"sum": "{checksum}", {content[1:]}\n'.encode()


def moved(record: Record, elapsed: float) -> bytes:
    """The record as a line of another journal, in which it came after so many seconds."""
    facts = json.dumps({"key": record.key, "kind": record.kind, "time": record.time, "elapsed": elapsed})
    return line_of(facts[:-1] + VALUE.decode() + record.text.decode() + "}")


def parse_line(line: bytes) -> Record | None:
    """The record of a line; None if the line is not one. Its newline may be missing, or another byte."""
    line = line.rstrip(b"\n")
    for text in (line, line[:-1]):
        head, separator, rest = text.partition(b'", ')
        if separator and head == START + sha256(b"{" + rest).hexdigest().encode():
            facts, _, value = rest.partition(VALUE)
            about = json.loads(b"{" + facts + b"}")
            return Record(
                mend(about["key"]), about["kind"], about.get("elapsed", 0.0), value[:-1], about.get("time", "")
            )
    return None

"""Watches the errors that tests provoke, and keeps one example of each message.

SKILLGRAD_MESSAGES names a folder in which every process of a test session leaves what it saw.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import yaml

from skillgrad_ci.errors import SkillGradError
from tests.messages import FILE, LONGEST, PACKAGE, PLACED, known, messages

WHERE = "SKILLGRAD_MESSAGES"
TEMPORARY = re.compile(r"(?:/[\w.+-]+)*/pytest-of-[\w.-]+/pytest-\d+/[\w.\[\]-]+/?(?:popen-gw\d+/)?|/tmp/[\w.-]*/?")


def watch_where_asked() -> None:
    """For a test session, and for a program that a test starts."""
    if WHERE in os.environ:
        watch()


def watch() -> None:
    """From now on, each error of the program that is made leaves its place and message."""
    folder = Path(os.environ[WHERE]).resolve()  # tests and their programs change their working folder
    os.environ[WHERE] = str(folder)
    folder.mkdir(parents=True, exist_ok=True)
    make, places = SkillGradError.__init__, [(message.file, message.lines, message.key) for message in messages()]

    def made(self: SkillGradError, *arguments: object) -> None:
        make(self, *arguments)
        frames = [*_makers(sys._getframe(1))] if arguments else []
        if frames:
            made_at = [
                (Path(frame.f_code.co_filename).relative_to(PACKAGE).as_posix(), frame.f_lineno) for frame in frames
            ]
            keys = [key for file, lines, key in places for at, line in made_at if file == at and line in lines]
            row = [keys, str(arguments[0])]
            with (folder / f"{os.getpid()}.jsonl").open("a", encoding="utf-8") as seen:
                seen.write(json.dumps(row) + "\n")

    SkillGradError.__init__ = made  # type: ignore[assignment, method-assign]


def _makers(frame: FrameType | None) -> Iterator[FrameType]:
    """The frame that called the error's class, past an error's own `__init__`; and who called that to name a place."""
    while frame is not None and frame.f_code.co_name == "__init__" and frame.f_code.co_filename.endswith("errors.py"):
        frame = frame.f_back
    while frame is not None and Path(frame.f_code.co_filename).is_relative_to(PACKAGE):
        yield frame
        frame = frame.f_back if frame.f_code.co_name in PLACED else None


def collect(folder: Path) -> None:
    """Write the examples down: those that still fit stay as they are."""
    rows = [
        json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text("utf-8").splitlines()
    ]
    before, examples = known(), {}
    for message in messages():
        seen = [text for keys, text in rows if message.key in keys and message.fits(text)]
        kept = before.get(message.key)
        if kept is not None and message.fits(kept):
            examples[message.key] = kept
        elif seen:
            examples[message.key] = _plain(min(seen, key=lambda text: (len(text), text)))
    text = yaml.safe_dump(examples, allow_unicode=True, width=10**6, sort_keys=True)
    FILE.write_text(text, "utf-8")


def _plain(text: str) -> str:
    """An example without the folders of the test that provoked it."""
    text = TEMPORARY.sub("", text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


if __name__ == "__main__":
    collect(Path(os.environ[WHERE]))

"""What a task's graders say, as texts that an added line must not repeat.

There are three kinds: *answers* (as strings, also when a number is written otherwise), *statements* (prose whose runs
of words count) and *programs* (lines of check scripts). Of programs only longer runs count, because code repeats
itself.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from skillgrad_ci.method.task import GraderSpec, Task

MAX_BYTES = 200_000  # of one file of a check; a larger one is data
MAX_FILES = 50  # of one check
Kind = Literal["answer", "statement", "program"]
_SENTENCE = re.compile(r"(?<=[.!?;:])\s+|\n+")
_QUOTED = re.compile(r"""(?<![\w\\])(["'])((?:(?!\1)[^\\\n]|\\.)+)\1""")
_BARE = re.compile(r"(?<![\w./-])(?=\w*\d)(?=\w*[^\W\d])\w{6,}(?![\w./(-])")  # XYZZY42: letters and digits mixed
_COMMON = re.compile(r"(?i)(?:python|sha|base|utf|md|u?int|float|latin|iso|ipv|http|node|es)_?\d+\w*")
_PLAIN = re.compile(r"[\w./-]+")  # one word, or a path: said too often to be anybody's
_LITERAL = re.compile(r"\\[a-zA-Z]|\[(?:\\.|[^\]])*\]|\{\d*,?\d*\}|\(\?[:=!<>P\w]*|[.^$*+?()|]")


@dataclass(frozen=True)
class Words:
    """One text of a grader, and what to call it."""

    kind: Kind
    what: str
    text: str


def words_of(task: Task) -> Iterator[Words]:
    """Every text of the task's graders; of a probe also its query."""
    if task.probe:
        yield Words("statement", "a trigger query", task.instruction)
    for spec in task.graders:
        if spec.kind == "csv":
            yield from _csv(spec, task)
        elif spec.kind in _READ:
            yield from _READ[spec.kind](spec)


def _judge(spec: GraderSpec) -> Iterator[Words]:
    options = spec.options
    for statement in options.get("assertions", ()):
        yield Words("statement", "a judge's statement", statement)
    for field, what in (("rubric", "a judge's rubric"), ("expected_output", "a judge's expected output")):
        for sentence in _SENTENCE.split(options.get(field, "")):
            yield Words("statement", what, sentence)


def _text(spec: GraderSpec) -> Iterator[Words]:
    options = spec.options
    for field in ("exact", "choice"):
        if options.get(field):
            yield Words("answer", "an expected answer", options[field])
    for part in options.get("contains") or ():
        yield Words("answer", "an expected answer", part)
    if options.get("number") is not None:
        yield Words("answer", "an expected answer", f"{options['number']:.15g}")
    for value in _leaves(options.get("json", options.get("equals_json"))):
        yield Words("answer", "an expected answer", value)
    if options.get("regex"):
        yield Words("answer", "a grader's regular expression", options["regex"])
        for literal in _LITERAL.split(options["regex"]):
            yield Words("answer", "a part of a grader's regular expression", literal.replace("\\", "").strip())


def _leaves(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for one in value.values():
                yield from _leaves(one)
        case list():
            for one in value:
                yield from _leaves(one)
        case str():
            yield value
        case int() | float() if not isinstance(value, bool):
            yield str(value)


def _table(spec: GraderSpec) -> Iterator[Words]:
    for target in [*spec.options["targets"], *(spec.options.get("canonical") or ())]:
        yield Words("answer", "an expected answer", target)


def _csv(spec: GraderSpec, task: Task) -> Iterator[Words]:
    """The golden's cells that are in no input."""
    given = [_read(source) for source in task.files.values()]
    for cell in _cells(spec.references["golden"], spec.options.get("delimiter", ",")):
        if not any(cell in text for text in given):
            yield Words("answer", "an expected answer", cell)


@lru_cache(maxsize=256)
def _cells(golden: Path, delimiter: str) -> tuple[str, ...]:
    cells = (cell.strip() for line in _read(golden).splitlines() for cell in line.split(delimiter))
    return tuple(dict.fromkeys(cell.strip('"') for cell in cells))


def _command(spec: GraderSpec) -> Iterator[Words]:
    scripts = [spec.options.get("run", ""), spec.options.get("setup", "")]
    files = (file for source in spec.references.values() for file in _files(source))
    scripts += [_read(file) for _, file in zip(range(MAX_FILES), files, strict=False)]
    for script in scripts:
        yield from _program(script)


@lru_cache(maxsize=1024)
def _program(script: str) -> tuple[Words, ...]:
    """A check's lines, the comments in it, and what it compares with."""
    found = []
    for line in map(str.strip, script.splitlines()):
        if line.startswith(("#", "//")) and not line.startswith("#!"):
            found.append(Words("statement", "a comment of a check", line.lstrip("#/ ")))
        elif line:
            found.append(Words("program", "a line of a check", line))
            literals = [match[2] for match in _QUOTED.finditer(line) if not _PLAIN.fullmatch(match[2])]
            literals += [word for word in _BARE.findall(line) if not _COMMON.fullmatch(word)]
            found += [Words("answer", "what a check looks for", text) for text in literals if not _is_report(text)]
    return tuple(found)


def _is_report(literal: str) -> bool:
    """Whether a literal is the check's own verdict: JSON with a score."""
    if "score" not in literal:
        return False
    try:
        return isinstance(json.loads(literal.replace('\\"', '"')), dict)
    except ValueError:
        return "{" in literal


def _files(source: Path) -> Iterator[Path]:
    if source.is_file():
        yield source
    elif source.is_dir():
        yield from (path for path in sorted(source.rglob("*")) if path.is_file())


def _read(file: Path) -> str:
    """A text of moderate size; of any other file nothing."""
    try:
        facts = file.stat()
        return _read_state(file, facts.st_mtime_ns, facts.st_size)
    except OSError:
        return ""


@lru_cache(maxsize=512)
def _read_state(file: Path, _changed: int, size: int) -> str:
    content = file.read_bytes() if size <= MAX_BYTES else b""
    return "" if b"\0" in content else content.decode("utf-8", errors="replace")


_READ = {"judge": _judge, "text": _text, "table": _table, "command": _command, "reward": _command}

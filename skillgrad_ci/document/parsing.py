"""A text of people as plain data: UTF-8, JSON or YAML in which no key stands twice and nothing nests without end."""

import json
from pathlib import Path
from typing import Any

import yaml

from skillgrad_ci.errors import UserError

MAX_BYTES = 50_000_000
MAX_DEPTH = 100
CORRECT = "correct the path"  # what to do about a file that is not there
MERGE = "tag:yaml.org,2002:merge"
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_text(path: Path, hint: str = CORRECT) -> str:
    """A text file of people, as UTF-8. Raises UserError if it is not one; `hint` says what to do if it is not there."""
    try:
        if not path.is_file():
            what = "no file" if path.exists() else "no such file"  # a pipe would be waited for without end
            raise UserError(f"{path}: {what}; {hint}")
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: larger than {MAX_BYTES:,} bytes; split it, or take out what no suite needs")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); look at its name, its disk and this user's rights"
        ) from None


def json_data(path: Path, text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _unique(path, pairs))
    except json.JSONDecodeError as error:
        what = error.msg.strip(": ").removesuffix(" at")  # some of the library's words end with the place's first
        raise UserError(f"{path}:{error.lineno}: no valid JSON ({what} at column {error.colno}); mend it") from None
    except (RecursionError, ValueError) as error:  # nested too deep, or a number of thousands of digits
        raise UserError(f"{path}: JSON that no suite needs ({str(error)[:80]}); flatten or shorten it") from None


def _unique(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UserError(f"{path}: the key {twice!r} stands twice in one object; keep one")
    return fields


def yaml_data(path: Path, text: str) -> Any:
    try:
        _refuse_depth(path, text)
        refuse_twice(str(path), yaml.compose(text, LOADER))
        return yaml.load(text, LOADER)  # noqa: S506 (a safe loader, in C where it is built)
    except yaml.YAMLError as error:
        raise invalid_yaml(str(path), error) from None
    except ValueError as error:  # a date such as 2026-13-45, a number without end
        raise UserError(f"{path}: a value cannot be read ({str(error)[:80]}); put it in quotes") from None


def _refuse_depth(path: Path, text: str) -> None:
    """Raises UserError for what is nested without end: the composer, in C, would end the whole program."""
    depth = 0
    for event in yaml.parse(text, LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise UserError(f"{path}:{line}: nested more than {MAX_DEPTH} deep; flatten it")


def invalid_yaml(path: str, error: yaml.YAMLError, first_line: int = 1, remedy: str = "; mend it") -> UserError:
    """What is wrong with the YAML of a file, where it starts on `first_line`; to be raised."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or error
    line = first_line + (mark.line if mark else 0)
    return UserError(f"{path}:{line}: no valid YAML ({' '.join(str(problem).split())}){remedy}")


def refuse_twice(path: str, node: yaml.Node | None, first_line: int = 1, seen: set[int] | None = None) -> None:
    """Raises UserError for a key that stands twice: PyYAML would keep the last in silence.

    A node met before is an alias: it is not walked again, for aliases can grow without bound.
    """
    seen = set() if seen is None else seen
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        keys = set()
        for key, value in node.value:
            if key.value in keys and key.tag != MERGE:
                line = first_line + key.start_mark.line
                raise UserError(f"{path}:{line}: the key {key.value!r} stands twice; keep one")
            keys.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
            refuse_twice(path, value, first_line, seen)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            refuse_twice(path, item, first_line, seen)

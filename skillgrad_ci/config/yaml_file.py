"""Where settings came from, so that every error names its file, line and key."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from skillgrad_ci.errors import UserError

Place = tuple[str | int, ...]  # ("skills", 0, "path")
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Source:
    """A file with the line of each key, or flags, which have none."""

    name: str
    lines: Mapping[Place, int] = field(default_factory=dict)

    def error(self, at: Place, problem: str) -> UserError:
        line = next((self.lines[at[:n]] for n in range(len(at), 0, -1) if at[:n] in self.lines), None)
        where = f"{self.name}:{line}" if line else self.name
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at).lstrip(".")
        return UserError(f"{where}: {key}: {problem}" if key else f"{where}: {problem}")

    def validate(self, model: type[M], value: Any, at: Place = ()) -> M:
        """`value`, which stands at the place `at`, as `model`. Raises UserError for the first thing wrong."""
        try:
            return model.model_validate(value)
        except ValidationError as error:
            errors = error.errors(include_url=False)
            first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
        place = first["loc"]
        if first["type"] == "extra_forbidden":
            problem = _unknown(str(place[-1]), sorted(_keys(model, place[:-1])))
        elif first["type"] == "missing":
            problem = "this key is needed"
        else:
            expected = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
            problem = f"expected {expected}, not {first['input']!r:.80}"
        raise self.error(at + place, problem)


def _unknown(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"unknown key; did you mean {near[0]!r}?" if near else f"unknown key; known keys are {', '.join(known)}"


def _keys(model: type[BaseModel], place: Place) -> Iterator[str]:
    """The keys that `model` has at `place`."""
    for part in place:
        if isinstance(part, str) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation) or model
    yield from model.model_fields


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The pydantic model that a field's type holds, through mappings and unions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, getattr(annotation, "__args__", ()))), None)


def read_yaml(path: Path) -> tuple[dict[str, Any], Source]:
    """A YAML mapping and its source. Raises UserError for what cannot be read, line included."""
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited on for ever
            raise UserError(f"{path}: not a file; write one with skills, each with path and tasks")
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; write one with skills, each with path and tasks") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 (byte {error.start}); save it as UTF-8") from None
    try:
        lines = dict(_lines(path, yaml.compose(text, Loader=yaml.SafeLoader), (), set()))
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise UserError(f"{path}{line}: no valid YAML ({getattr(error, 'problem', None) or error})") from None
    except RecursionError:
        raise UserError(f"{path}: nested too deep to be read; flatten it") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}:1: expected keys like skills and models")
    return content, Source(str(path), lines)


def _lines(path: Path, node: yaml.Node | None, at: Place, met: set[int]) -> Iterator[tuple[Place, int]]:
    """The line of every key; a key that stands twice is an error, for YAML would drop the first.

    A node met before is an alias: it is not walked again, for aliases can grow without bound.
    """
    if node is None or id(node) in met:
        return
    met.add(id(node))
    children: list[tuple[str | int, int, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        children = [(str(key.value), key.start_mark.line + 1, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        children = [(number, item.start_mark.line + 1, item) for number, item in enumerate(node.value)]
    seen: set[str | int] = set()
    for part, line, child in children:
        if part in seen:
            raise UserError(f"{path}:{line}: {part}: this key stands twice; keep one")
        seen.add(part)
        yield (*at, part), line
        yield from _lines(path, child, (*at, part), met)

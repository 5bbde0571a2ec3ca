"""A YAML or JSON file whose every value knows its line, so that an error can say where.

JSON is composed as YAML to find lines (with tabs taken for spaces); its values come from `json`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from skillgrad_ci.errors import UserError
from skillgrad_ci.suites.strict import nearest

MAX_BYTES = 50_000_000
Where = Sequence[str | int]  # keys and positions from the top of a document
Model = TypeVar("Model", bound=BaseModel)
T = TypeVar("T")
_NOTHING = object()
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Document:
    """A parsed file: `value` as plain data, and `text` to find lines in."""

    path: Path
    text: str
    value: Any

    @classmethod
    def read(cls, path: Path) -> "Document":
        """Parse a `.json` file as JSON and any other as YAML. Raises UserError with the line."""
        text = read_text(path)
        if path.suffix == ".json":
            return cls(path, text, _json(path, text))
        return cls(path, text, _yaml(path, text))

    @cached_property
    def _root(self) -> yaml.Node | None:
        try:
            return yaml.compose(self.text.replace("\t", " ") if self.path.suffix == ".json" else self.text, _LOADER)
        except yaml.YAMLError:
            return None

    def line(self, where: Where) -> int:
        """The line (from 1) of the value at `where`, or of its nearest parent that is in the file."""
        node, line = self._root, 1
        for step in where:
            found = _child(node, step)
            if found is not None:
                line, node = found[0].start_mark.line + 1, found[1]
        return line

    def error(self, where: Where, problem: str) -> UserError:
        """`file:line: field: problem`, to be raised."""
        value, field = self.value, ""
        for step in where:
            if isinstance(step, int) and isinstance(value, dict):
                continue  # one entry that stands for a list of one
            field += f"[{step}]" if isinstance(step, int) else f".{step}"
            value = _down(value, step)
        field = field.lstrip(".")
        return UserError(f"{self.path}:{self.line(where)}: {field + ': ' if field else ''}{problem}")

    def parse(self, model: type[Model]) -> Model:
        """The document as a `model`. Raises UserError for its first fault, and counts the others."""
        if not isinstance(self.value, dict):
            raise self.error((), f"expected a mapping of fields, got {_kind(self.value)}")
        return self._validate(TypeAdapter(model))

    def parse_list(self, model: type[Model]) -> list[Model]:
        """The document as a list of `model`, in the same way."""
        return self._validate(TypeAdapter(list[model]))  # type: ignore[valid-type]

    def _validate(self, adapter: TypeAdapter[T]) -> T:
        try:
            return adapter.validate_python(self.value)
        except ValidationError as invalid:
            errors = invalid.errors(include_url=False)
            where, problem = self._explain(errors[0])
            more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
            raise self.error(where, problem + more) from None

    def _explain(self, error: ErrorDetails) -> tuple[list[str | int], str]:
        where = self._in_file(error["loc"])
        context = error.get("ctx", {})
        match error["type"]:
            case "unknown_key":
                return [*where, context["key"]], error["msg"]
            case "missing":
                field = str(error["loc"][-1])  # in the file where it is null
                return where if where[-1:] == [field] else [*where, field], "is missing"
            case "union_tag_invalid":
                known = [tag.strip(" '") for tag in str(context["expected_tags"]).split(",")]
                return [*where, "type"], f"unknown type {context['tag']!r}; {nearest(str(context['tag']), known)}"
            case "union_tag_not_found":
                return where, "type is missing"
            case "value_error":
                return where, str(context.get("error", error["msg"]))
            case "too_short" | "string_too_short":
                return where, "is empty; expected at least one entry or character"
        problem = error["msg"].removeprefix("Input should be ")
        if error["type"] == "model_type":
            problem = "a mapping"
        quote = (
            "; put it in quotes"
            if problem == "a valid string" and not isinstance(error["input"], dict | list | None)
            else ""
        )
        return where, f"expected {problem}, got {_kind(error['input'])}{quote}"

    def _in_file(self, location: Where) -> list[str | int]:
        """A pydantic location without the steps (union tags) that are not in the file."""
        value, where = self.value, list[str | int]()
        for step in location:
            below = _down(value, step)
            if below is not _NOTHING:
                value = below
                where.append(step)
        return where


def read_text(path: Path) -> str:
    """A suite's text file, as UTF-8. Raises UserError where it is none."""
    try:
        if not path.is_file():
            raise UserError(f"{path}: {'no file' if path.exists() else 'no such file'}")
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: larger than {MAX_BYTES:,} bytes; a suite's text files are small")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def _json(path: Path, text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _unique(path, pairs))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: no valid JSON ({error.msg} at column {error.colno})") from None
    except (RecursionError, ValueError) as error:  # nested too deep, or a number of thousands of digits
        raise UserError(f"{path}: JSON that no suite needs ({str(error)[:80]})") from None


def _unique(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UserError(f"{path}: the key {twice!r} stands twice in one object; the first would be lost")
    return fields


def _yaml(path: Path, text: str) -> Any:
    try:
        node = yaml.compose(text, _LOADER)
        _refuse_twice(path, node)
        return yaml.load(text, _LOADER)  # noqa: S506 (a safe loader, in C where it is built)
    except RecursionError:
        raise UserError(f"{path}: nested too deep for a suite") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        raise UserError(f"{path}:{line}: no valid YAML ({problem})") from None


def _refuse_twice(path: Path, node: yaml.Node | None, seen: set[int] | None = None) -> None:
    """PyYAML keeps the last of two equal keys in silence."""
    seen = set() if seen is None else seen
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        keys = set()
        for key, value in node.value:
            if key.value in keys and key.tag != "tag:yaml.org,2002:merge":
                raise UserError(f"{path}:{key.start_mark.line + 1}: the key {key.value!r} stands twice")
            keys.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
            _refuse_twice(path, value, seen)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_twice(path, item, seen)


def _child(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """Where one step leads: the node that marks its line, and the node to go on from."""
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


def _down(value: Any, step: str | int) -> Any:
    """One step down in plain data, `_NOTHING` where it leads nowhere."""
    if isinstance(value, dict):
        return value.get(step, _NOTHING)
    return value[step] if isinstance(value, list) and isinstance(step, int) and step < len(value) else _NOTHING


def _kind(value: Any) -> str:
    """What was found instead, in a reader's words."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case bool():
            return "true" if value else "false"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."

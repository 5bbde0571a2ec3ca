"""The one border of files that people write: YAML or JSON whose every value knows its line.

Configuration, suites and the rehearsal's script are read here, frontmatter shares the rules of YAML.
An unknown key names its neighbour, a key that stands twice is an error, and every error says where.
JSON is composed as YAML to find lines (with tabs taken for spaces); its values come from `json`. What machines
send as JSON is made safe in `json_text.py`, and `inert_text.py` shows what others wrote without obeying it.
"""

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from skillgrad_ci.errors import UserError

MAX_BYTES = 50_000_000
MAX_DEPTH = 100
MERGE = "tag:yaml.org,2002:merge"
Where = Sequence[str | int]  # keys and positions from the top of a document
Model = TypeVar("Model", bound=BaseModel)
T = TypeVar("T")
_NOTHING = object()
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Known(BaseModel):
    """Base of what people write: an unknown key names its neighbour, values do not change once they are read."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, use_attribute_docstrings=True)
    tolerant: ClassVar[bool] = False

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, value: Any) -> Any:
        if isinstance(value, dict):
            if cls.tolerant:
                value = {key: one for key, one in value.items() if one is not None}
            known = [info.alias or name for name, info in cls.model_fields.items()]
            for key in value:
                if key not in known and (not cls.tolerant or _close(str(key), known, 0.75)):
                    context = {"key": str(key), "hint": nearest(str(key), known)}
                    raise PydanticCustomError("unknown_key", "unknown key; {hint}", context)
        return value


class Strict(Known):
    """Base of what stands in a suite's file: nothing is coerced."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class Foreign(Strict):
    """What stands in a file of another tool: keys of its own are left alone, misspelt ones are not.

    A field that is null (an empty `files:`) is one left out.
    """

    model_config = ConfigDict(extra="ignore")
    tolerant: ClassVar[bool] = True


def nearest(word: str, known: Sequence[str]) -> str:
    """The likeliest of `known` for a misspelt `word`, as the end of an error's sentence."""
    close = _close(word, known, 0.6)
    return f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"


def _close(word: str, known: Sequence[str], cutoff: float) -> list[str]:
    return difflib.get_close_matches(word, known, n=1, cutoff=cutoff)


@dataclass(frozen=True)
class Document:
    """A parsed file: `value` as plain data, and `text` to find lines in; None where it has none (flags)."""

    path: Path
    text: str | None = None
    value: Any = None

    @classmethod
    def read(cls, path: Path, hint: str = "") -> "Document":
        """Parse a `.json` file as JSON and any other as YAML. Raises UserError with the line.

        `hint` says what to do where there is no such file.
        """
        text = read_text(path, hint)
        if path.suffix == ".json":
            return cls(path, text, _json(path, text))
        return cls(path, text, _yaml(path, text))

    @cached_property
    def _root(self) -> yaml.Node | None:
        text = self.text or ""
        try:
            return yaml.compose(text.replace("\t", " ") if self.path.suffix == ".json" else text, _LOADER)
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
        line = f":{self.line(where)}" if self.text is not None else ""
        return UserError(f"{self.path}{line}: {field + ': ' if field else ''}{problem}")

    def parse(self, model: type[Model]) -> Model:
        """The document as a `model`. Raises UserError for its first fault, and counts the others."""
        if not isinstance(self.value, dict):
            raise self.error((), f"expected a mapping of fields, got {_kind(self.value)}")
        return self.validate(model, self.value)

    def parse_list(self, model: type[Model]) -> list[Model]:
        """The document as a list of `model`, in the same way."""
        return self._validate(TypeAdapter(list[model]), self.value, ())  # type: ignore[valid-type]

    def validate(self, model: type[Model], value: Any, where: Where = ()) -> Model:
        """`value`, which stands at `where`, as a `model`. Raises UserError as `parse` does."""
        return self._validate(TypeAdapter(model), value, where)

    def _validate(self, adapter: TypeAdapter[T], value: Any, at: Where) -> T:
        try:
            return adapter.validate_python(value)
        except ValidationError as invalid:
            errors = invalid.errors(include_url=False)
            first = next((one for one in errors if one["type"] == "unknown_key"), errors[0])  # it explains the others
            where, problem = self._explain(first, value)
            more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
            raise self.error([*at, *where], problem + more) from None

    def _explain(self, error: ErrorDetails, value: Any) -> tuple[list[str | int], str]:
        where = _in_file(error["loc"], value)
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


def _in_file(location: Where, value: Any) -> list[str | int]:
    """A pydantic location without the steps (union tags) that are not in the file."""
    where = list[str | int]()
    for step in location:
        below = _down(value, step)
        if below is not _NOTHING:
            value = below
            where.append(step)
    return where


def read_text(path: Path, hint: str = "") -> str:
    """A text file of people, as UTF-8. Raises UserError where it is none; `hint` says what to do then."""
    try:
        if not path.is_file():
            what = "no file" if path.exists() else "no such file"  # a pipe would be waited for without end
            raise UserError(f"{path}: {what}{'; ' if hint else ''}{hint}")
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: larger than {MAX_BYTES:,} bytes; such files are small")
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
        _refuse_depth(path, text)
        refuse_twice(str(path), yaml.compose(text, _LOADER))
        return yaml.load(text, _LOADER)  # noqa: S506 (a safe loader, in C where it is built)
    except yaml.YAMLError as error:
        raise invalid_yaml(str(path), error) from None
    except ValueError as error:  # a date such as 2026-13-45, a number without end
        raise UserError(f"{path}: a value cannot be read ({str(error)[:80]}); put it in quotes") from None


def _refuse_depth(path: Path, text: str) -> None:
    """Raises UserError for what is nested without end: the composer, in C, would end the whole program."""
    depth = 0
    for event in yaml.parse(text, _LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise UserError(f"{path}:{line}: nested more than {MAX_DEPTH} deep; flatten it")


def invalid_yaml(path: str, error: yaml.YAMLError, first_line: int = 1) -> UserError:
    """What is wrong with the YAML of a file, where it starts on `first_line`; to be raised."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or error
    line = first_line + (mark.line if mark else 0)
    return UserError(f"{path}:{line}: no valid YAML ({' '.join(str(problem).split())})")


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

"""The one border of files that people write: YAML or JSON whose every value knows its line.

Configuration, suites and the rehearsal's script are read here, frontmatter shares the rules of YAML.
An unknown key names its neighbour, a key that stands twice is an error, and every error says where.
JSON is composed as YAML to find lines (with tabs taken for spaces); its values come from `json` (`parsing.py`).
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from skillgrad_ci.document.parsing import CORRECT, LOADER, json_data, read_text, yaml_data
from skillgrad_ci.errors import UserError

Where = Sequence[str | int]  # keys and positions from the top of a document
Model = TypeVar("Model", bound=BaseModel)
T = TypeVar("T")
_NOTHING = object()


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
    """Base of what is in a suite's file: nothing is coerced."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class Foreign(Strict):
    """What is in a file of another tool: keys of its own are left alone, misspelt ones are not.

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
    def read(cls, path: Path, hint: str = CORRECT) -> "Document":
        """Parse a `.json` file as JSON and any other as YAML. Raises UserError with the line.

        `hint` says what to do where there is no such file.
        """
        text = read_text(path, hint)
        if path.suffix == ".json":
            return cls(path, text, json_data(path, text))
        return cls(path, text, yaml_data(path, text))

    @cached_property
    def _root(self) -> yaml.Node | None:
        text = self.text or ""
        try:
            return yaml.compose(text.replace("\t", " ") if self.path.suffix == ".json" else text, LOADER)
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

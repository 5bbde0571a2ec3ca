"""What other tools' suites have in common: durations, texts given inline, and checks of a plain kind."""

import atexit
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from skillgrad_ci.method.grader_options import ANSWER, TextOptions
from skillgrad_ci.method.task import GraderSpec, digest_of

_UNITS = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?\s*(?:ms|sec|s|min|m|h)\s*)+")
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|sec|s|min|m|h)")


def seconds(value: Any) -> Any:
    """`5m`, `1h30m` or `90s` as seconds; any other value as it is, to be refused or taken by the model."""
    if isinstance(value, str) and _DURATION.fullmatch(value.strip()):
        return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(value))
    return float(value) if isinstance(value, str) and re.fullmatch(r"\d+(?:\.\d+)?", value) else value


def one_or_more(value: Any) -> Any:
    """A single value stands for a list of one."""
    return value if value is None or isinstance(value, list) else [value]


Seconds = Annotated[float, BeforeValidator(seconds), Field(gt=0)]
Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[list[Text], BeforeValidator(one_or_more)]


@cache
def _shelf() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="skillgrad-inline-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def inline(content: str) -> Path:
    """A file with a text that a suite gives inline, for as long as this process runs."""
    file = _shelf() / digest_of(content)[:32]
    if not file.exists():
        file.write_text(content, encoding="utf-8")
    return file


def plain_check(kind: str, value: Any, output: str = ANSWER, weight: float = 1.0) -> GraderSpec | None:
    """A program check by its name in other tools (`contains`, `output_matches`, `file_exists`); None for another kind.

    `not-` or `not_` before a kind turns it round, where it can be turned.
    """
    name = re.sub(r"[\s-]+", "_", kind.strip().lower()).removeprefix("output_").removeprefix("response_")
    turned = name.startswith("not_")
    name = name.removeprefix("not_")
    options = _options(name, value, turned)
    if options is None:
        return None
    options.setdefault("output", output)
    checked = TextOptions.model_validate(options)
    return GraderSpec("text", checked.model_dump(mode="json", by_alias=True, exclude_unset=True), weight=weight)


def _options(name: str, value: Any, turned: bool) -> dict[str, Any] | None:
    texts = [str(item) for item in one_or_more(value) or []]
    match name:
        case "file_exists" | "exists" if not turned and isinstance(value, str):
            return {"output": value, "exists": True}
        case "file_contains" if isinstance(value, dict) and {"path", "value"} <= set(value):
            return {"output": str(value["path"]), "not_contains" if turned else "contains": str(value["value"])}
        case "is_json" if not turned:
            return {"is_json": True}
    if not texts:
        return None
    pattern = "|".join(map(re.escape, texts))
    match name:
        case "contains" | "contains_all" | "includes" | "icontains" | "icontains_all":
            folded = {"ignore_case": True} if name.startswith("i") and name != "includes" else {}
            return {"not_contains" if turned else "contains": texts} | folded
        case "excludes" | "omits":
            return {"not_contains": texts}
        case "contains_any" | "icontains_any":
            found = f"(?s)\\A(?!.*(?:{pattern}))" if turned else pattern
            return {"regex": found} | ({"ignore_case": True} if name.startswith("i") else {})
        case "equals" | "exact" | "exact_match" if not turned and len(texts) == 1:
            return {"exact": texts[0]}
        case "starts_with" if not turned and len(texts) == 1:
            return {"regex": rf"\A\s*{pattern}"}
        case "regex" | "matches" | "match" | "pattern" if len(texts) == 1:
            return {"regex": f"(?s)\\A(?!.*(?:{texts[0]}))" if turned else texts[0]}
    return None

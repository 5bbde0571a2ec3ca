"""`text`: one check of the last message or of a text file."""

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.graders.result_files import Unusable, read_text
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.grader_options import TextOptions
from skillgrad_ci.method.ports import Result
from skillgrad_ci.method.task import GraderSpec, Task

REGEX_SECONDS = 10.0
# What a reader takes for one number (12,34 and 1.234,50 too), and how it must be written to be read as one.
_FIGURE = re.compile(r"(?:(?<!\w)[-+−])?(?:\d+(?:[.,'’\u00a0\u202f]\d+)*|(?<![\d.,])\.\d+)(?:[eE][-+]?\d{1,3}(?!\w))?")
_NUMBER = re.compile(r"[-+−]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:[eE][-+]?\d{1,3})?")

# Backtracking can take for ever, and nothing can stop it inside this process.
_SEARCH = "import json,re,sys; p,f,t=json.load(sys.stdin); print(int(re.search(p,t,f) is not None))"


class TextGrader:
    """A score of 1 or 0; for `contains` the share of what is there."""

    identity = "text/1"

    def grade(self, spec: GraderSpec, task: Task, result: Result) -> Grade:
        options = TextOptions.model_validate(spec.options)
        checks: dict[str, Callable[[str, TextOptions], tuple[float, str]]] = {
            "exact": _exact,
            "contains": _contains,
            "regex": _regex,
            "number": _numeric,
            "json": _json,
            "choice": _choice,
        }
        try:
            score, feedback = checks[options.kind](read_text(result, options.output), options)
        except Unusable as problem:
            score, feedback = 0.0, str(problem)
        except subprocess.TimeoutExpired:
            raise EnvironmentFailure(
                f"task {task.id}: the regex took longer than {REGEX_SECONDS:g} s on this text; simplify it"
            ) from None
        return Grade(Outcome.PASSED if score >= 1.0 else Outcome.FAILED, score, feedback)


def _fold(text: str, options: TextOptions) -> str:
    return text.casefold() if options.ignore_case else text


def _exact(text: str, options: TextOptions) -> tuple[float, str]:
    wanted = (options.exact or "").replace("\r\n", "\n").strip()
    if _fold(text.strip(), options) == _fold(wanted, options):
        return 1.0, "the text is right"
    return 0.0, f"expected {wanted[:500]!r}, got {text.strip()[:500]!r}"


def _contains(text: str, options: TextOptions) -> tuple[float, str]:
    wanted = options.contains or []
    missing = [part for part in wanted if _fold(part, options) not in _fold(text, options)]
    if not missing:
        return 1.0, "every part is there"
    return 1 - len(missing) / len(wanted), "missing: " + ", ".join(repr(part[:200]) for part in missing)


def _regex(text: str, options: TextOptions) -> tuple[float, str]:
    question = json.dumps([options.regex, int(re.IGNORECASE) if options.ignore_case else 0, text])
    command = [sys.executable, "-I", "-S", "-c", _SEARCH]
    done = subprocess.run(  # noqa: S603 (our own program; pattern and text are its input)
        command, input=question, capture_output=True, text=True, encoding="utf-8", timeout=REGEX_SECONDS, check=False
    )
    if done.returncode != 0:
        raise EnvironmentFailure(f"the regex could not be tried ({done.stderr.strip()[-200:]})")
    found = done.stdout.strip() == "1"
    return (1.0, "the pattern is found") if found else (0.0, f"{options.regex!r} is not found in {text[-300:]!r}")


def _numeric(text: str, options: TextOptions) -> tuple[float, str]:
    wanted = options.number
    assert wanted is not None
    found = [match[0] for match in _FIGURE.finditer(text)]
    if not found:
        return 0.0, f"expected the number {wanted:g}; there is none in {text[-300:]!r}"
    if not _NUMBER.fullmatch(found[-1]):
        return 0.0, f"expected {wanted!r} (± {options.tolerance:g}); {found[-1]!r} must be written as in 1,234.5"
    given = float(found[-1].replace(",", "").replace("−", "-"))
    if math.isfinite(given) and abs(given - wanted) <= options.tolerance:
        return 1.0, f"{found[-1]} is right"
    return 0.0, f"expected {wanted!r} (± {options.tolerance:g}), got {found[-1]}"


def _json(text: str, options: TextOptions) -> tuple[float, str]:
    given = _at(_parsed(text), options.path)
    wanted = options.equals_json
    if _same(given, wanted):
        return 1.0, "the JSON value is right"
    place = f" at {options.path}" if options.path else ""
    return 0.0, f"expected {json.dumps(wanted)[:500]}{place}, got {_shown(given)}"


def _shown(value: Any) -> str:
    try:
        return json.dumps(value)[:500]
    except RecursionError:
        return "a value nested too deep to show"


def _parsed(text: str) -> Any:
    """The text's JSON: all of it, or its last fenced block."""
    for candidate in [text, _last_block(text)]:
        try:
            return json.loads(candidate)
        except (ValueError, RecursionError):
            continue
    raise Unusable(f"no JSON value: {text.strip()[:200]!r}")


def _last_block(text: str) -> str:
    """What stands in the last closed fence."""
    block: list[str] = []
    last, is_open = "", False
    for line in text.split("\n"):
        if not line.startswith("```"):
            block.append(line)
            continue
        last = "\n".join(block) if is_open else last
        block, is_open = [], not is_open
    return last


def _at(value: Any, path: str) -> Any:
    """The value at `items.0.name`. Raises Unusable where the path leads nowhere."""
    for step in path.split(".") if path else []:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            raise Unusable(f"the JSON has nothing at {path!r} (no {step!r})")
    return value


def _same(a: Any, b: Any) -> bool:
    """JSON equality: 1 equals 1.0, true does not equal 1, the order of keys does not count."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)


def _choice(text: str, options: TextOptions) -> tuple[float, str]:
    """The one choice that stands alone, or else the only one that the last line names."""
    lines = [line for line in text.split("\n") if line.strip()]
    last = lines[-1] if lines else ""
    choices = options.choices or []
    bare = _fold(text.strip().strip("*_`\"'()[]. \n"), options)
    named = [choice for choice in choices if _fold(choice, options) == bare] or [
        choice
        for choice in choices
        if re.search(rf"(?<!\w){re.escape(_fold(choice, options))}(?!\w)", _fold(last, options))
    ]
    if named == [options.choice]:
        return 1.0, f"{options.choice!r} is right"
    got = "none of the choices" if not named else " and ".join(repr(choice) for choice in named)
    return 0.0, f"expected {options.choice!r}, got {got} in {last[-300:]!r}"

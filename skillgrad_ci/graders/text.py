"""`text`: one check of the last message or of a text file.

Texts are compared in Unicode's composed form (NFC), with no-break spaces as spaces.
"""

import json
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.graders.json_in_text import at_path, json_of, same
from skillgrad_ci.graders.number_in_text import number_in
from skillgrad_ci.graders.result_files import Unusable, check_exists, read_output
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.grader_options import TextOptions
from skillgrad_ci.method.ports import Result
from skillgrad_ci.method.task import GraderSpec, Task

REGEX_SECONDS = 10.0
_SPACES = {ord(space): " " for space in "\u00a0\u2007\u202f"}  # no-break, figure and narrow no-break space

# Backtracking can take for ever, and nothing can stop it inside this process.
_SEARCH = "import json,re,sys; p,f,t=json.load(sys.stdin); print(int(re.search(p,t,f) is not None))"


class TextGrader:
    """A score of 1 or 0; for `contains` the share of what is there, for `not_contains` of what is not."""

    identity = "text/2"

    def grade(self, spec: GraderSpec, task: Task, result: Result) -> Grade:
        options = TextOptions.model_validate(spec.options)
        checks: dict[str, Callable[[str, TextOptions], tuple[float, str]]] = {
            "exact": _exact,
            "contains": _contains,
            "not_contains": _not_contains,
            "regex": _regex,
            "number": _numeric,
            "json": _json,
            "is_json": _is_json,
            "choice": _choice,
        }
        try:
            if options.exists:
                check_exists(result.work, options.output)
                score, feedback = 1.0, f"{options.output} is there"
            else:
                text = _composed(read_output(result, options.output))
                score, feedback = checks[options.kind](text, options)
        except Unusable as problem:
            score, feedback = 0.0, str(problem)
        except subprocess.CalledProcessError as failed:
            why = (failed.stderr.strip() or "no output").splitlines()[-1][:200]
            raise EnvironmentFailure(f"task {task.id}: the regex cannot be tried ({why}); simplify it") from None
        except subprocess.TimeoutExpired:
            raise EnvironmentFailure(
                f"task {task.id}: the regex took longer than {REGEX_SECONDS:g} s on this text; simplify it"
            ) from None
        return Grade(Outcome.PASSED if score >= 1.0 else Outcome.FAILED, score, feedback)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text).translate(_SPACES)


def _fold(text: str, options: TextOptions) -> str:
    text = _composed(text)
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


def _not_contains(text: str, options: TextOptions) -> tuple[float, str]:
    unwanted = options.not_contains or []
    there = [part for part in unwanted if _fold(part, options) in _fold(text, options)]
    if not there:
        return 1.0, "none of it is there"
    return 1 - len(there) / len(unwanted), "should not be there: " + ", ".join(repr(part[:200]) for part in there)


def _regex(text: str, options: TextOptions) -> tuple[float, str]:
    question = json.dumps([_composed(options.regex or ""), int(re.IGNORECASE) if options.ignore_case else 0, text])
    command = [sys.executable, "-I", "-S", "-c", _SEARCH]
    done = subprocess.run(  # noqa: S603 (our own program; pattern and text are its input)
        command, input=question, capture_output=True, text=True, encoding="utf-8", timeout=REGEX_SECONDS, check=True
    )
    found = done.stdout.strip() == "1"
    return (1.0, "the pattern is found") if found else (0.0, f"{options.regex!r} is not found in {text[-300:]!r}")


def _numeric(text: str, options: TextOptions) -> tuple[float, str]:
    wanted, tolerance = Decimal(repr(options.number)), Decimal(repr(options.tolerance))
    written, given = number_in(text)
    if not written:
        return 0.0, f"expected the number {wanted}; there is none in {text[-300:]!r}"
    if given is None:
        return 0.0, f"expected {wanted} (± {tolerance}); {written} must be written as in 1,234.5"
    if abs(given - wanted) <= tolerance:
        return 1.0, f"{written} is right"
    return 0.0, f"expected {wanted} (± {tolerance}), got {written}"


def _json(text: str, options: TextOptions) -> tuple[float, str]:
    given = at_path(json_of(text), options.path)
    wanted = options.equals_json
    tolerance = options.tolerance if "tolerance" in options.model_fields_set else 0.0
    if same(given, wanted, tolerance):
        return 1.0, "the JSON value is right"
    place = f" at {options.path}" if options.path else ""
    return 0.0, f"expected {_shown(wanted)}{place}, got {_shown(given)}"


def _is_json(text: str, _options: TextOptions) -> tuple[float, str]:
    try:
        json.loads(text)
    except (ValueError, RecursionError) as problem:
        return 0.0, f"no JSON ({str(problem)[:100]}): {text.strip()[:200]!r}"
    return 1.0, "the text is JSON"


def _shown(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)[:500]
    except RecursionError:
        return "a value nested too deep to show"


def _choice(text: str, options: TextOptions) -> tuple[float, str]:
    """The one choice that stands alone, or else the only one that the last line names, the longest first."""
    lines = [line for line in text.split("\n") if line.strip()]
    last = lines[-1] if lines else ""
    folded = {_fold(choice, options): choice for choice in options.choices or []}
    bare = _fold(text.strip().strip("*_`\"'()[]. \n"), options)
    longest_first = sorted(folded, key=len, reverse=True)
    pattern = "|".join(rf"(?<!\w){re.escape(choice)}(?!\w)" for choice in longest_first)
    found = [bare] if bare in folded else [match[0] for match in re.finditer(pattern, _fold(last, options))]
    named = list(dict.fromkeys(folded[choice] for choice in found))
    if named == [options.choice]:
        return 1.0, f"{options.choice!r} is right"
    got = "none of the choices" if not named else " and ".join(repr(choice) for choice in named)
    return 0.0, f"expected {options.choice!r}, got {got} in {last[-300:]!r}"

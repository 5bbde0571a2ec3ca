"""The forms in which `lint` answers: for people, one JSON document, SARIF, and a workflow's annotations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from skillgrad_ci import __version__
from skillgrad_ci.commands.terminal import say, say_json
from skillgrad_ci.skill.rules import RULES, Finding

SPECIFICATION = "https://agentskills.io/specification"
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


@dataclass(frozen=True)
class Linted:
    """A finding and the skill's folder that it is in, as it was named."""

    skill: Path
    finding: Finding

    @property
    def file(self) -> str:
        return (self.skill / self.finding.file).as_posix()


def as_text(found: Sequence[Linted], skills: int) -> None:
    for item in found:
        one = item.finding
        say(f"{item.file}:{one.line}: {one.severity} {one.rule}: {one.message}")
    errors = _errors(found)
    say(_counted(errors, len(found) - errors, skills))


def _counted(errors: int, warnings: int, skills: int) -> str:
    numbers = {"error": errors, "warning": warnings, "skill": skills}
    error, warning, skill = (f"{number} {word}{'' if number == 1 else 's'}" for word, number in numbers.items())
    return f"{error}, {warning} in {skill}"


def json(found: Sequence[Linted], skills: int) -> None:
    errors = _errors(found)
    rows = [{"skill": str(item.skill), **asdict(item.finding)} for item in found]
    say_json({"findings": rows, "errors": errors, "warnings": len(found) - errors, "skills": skills})


def sarif(found: Sequence[Linted], _skills: int) -> None:
    """SARIF 2.1.0 (OASIS), as code scanning takes it: paths relative to the working folder."""
    ids = list(RULES)
    rules = [
        {
            "id": rule,
            "shortDescription": {"text": said},
            "defaultConfiguration": {"level": severity},
            "helpUri": SPECIFICATION,
        }
        for rule, (severity, said) in RULES.items()
    ]
    driver = {"name": "skillgrad-ci", "version": __version__, "informationUri": SPECIFICATION, "rules": rules}
    results = [_result(item, ids.index(item.finding.rule)) for item in found]
    say_json({"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]})


def _result(item: Linted, index: int) -> dict[str, Any]:
    one = item.finding
    place = {
        "artifactLocation": {"uri": quote(item.file), "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": one.line},
    }
    return {
        "ruleId": one.rule,
        "ruleIndex": index,
        "level": one.severity,
        "message": {"text": one.message},
        "locations": [{"physicalLocation": place}],
    }


def github(found: Sequence[Linted], skills: int) -> None:
    """Workflow commands: GitHub shows each beside its line."""
    for item in found:
        one = item.finding
        where = f"file={_property(item.file)},line={one.line},title={one.rule}"
        say(f"::{one.severity} {where}::{_data(one.message)}")
    errors = _errors(found)
    say(_counted(errors, len(found) - errors, skills))


def _data(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")


def _errors(found: Sequence[Linted]) -> int:
    return sum(item.finding.severity == "error" for item in found)


FORMATS: Mapping[str, Callable[[Sequence[Linted], int], None]] = {
    "text": as_text,
    "json": json,
    "sarif": sarif,
    "github": github,
}

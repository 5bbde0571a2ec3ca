"""The forms in which `lint` answers: for people, one JSON document, SARIF, and a workflow's annotations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from skillgrad_ci.commands.terminal import say, say_json
from skillgrad_ci.report.forms import sarif_log, sarif_result
from skillgrad_ci.skill.rules import RULES, Finding

SPECIFICATION = "https://agentskills.io/specification"


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
    """As code scanning takes it."""
    results = [
        sarif_result(RULES, item.finding.rule, item.finding.message, item.file, item.finding.line) for item in found
    ]
    say_json(sarif_log(RULES, results, SPECIFICATION))


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

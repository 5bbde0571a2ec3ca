"""Trigger evaluations: which queries should make an agent activate the skill, and which should not.

They ask whether the description (layer H) makes the model activate the right skill. Each query is a task whose grader
looks at the trajectory alone. Read in the shapes that are out there: a list of `{query, should_trigger}`, such a
list under one key, two lists, and rows that name the skill that should fire; as JSON or YAML.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from skillgrad_ci.document.document import Document, Foreign, Where
from skillgrad_ci.method.grader_options import TriggerOptions
from skillgrad_ci.method.ports import Result
from skillgrad_ci.method.task import GraderSpec, Suite, Task, digest_of
from skillgrad_ci.skill.skill import MAIN, name_of
from skillgrad_ci.suites.paths import file_with

FORMAT = "triggers"
READS = "a list of {query, should_trigger}: trigger evaluations"
NAMES = ("evals.json", "triggers.json", "triggers.yaml", "triggers.yml")  # looked for in a folder
WANTED, UNWANTED, FIRES = "should-trigger", "should-not-trigger", "fires:"
QUERIES = ("query", "prompt", "input", "utterance", "message", "text")
CLEAR = ("should_trigger", "should_activate", "shouldTrigger", "should_fire", "expected_skill")
VERDICTS = (*CLEAR, "trigger", "activate", "triggers", "skill", "expected")
POSITIVE = ("should_trigger", "should_activate", "positive", "positives", "trigger", "should_fire")
NEGATIVE = ("should_not_trigger", "should_not_activate", "negative", "negatives", "no_trigger", "should_not_fire")
NO_SKILL = {"none", "null", ""}
YES_OR_NO = {"yes": True, "true": True, "y": True, "on": True, "no": False, "false": False, "n": False, "off": False}


class Query(Foreign):
    query: str = Field(min_length=1)
    should_trigger: bool


@dataclass(frozen=True)
class AskedQuery:
    """A query as it was read, where, and the skill that should fire where the file names it."""

    query: str
    should_trigger: bool
    where: Where
    skill: str | None = None


def is_trigger_set(value: Any) -> bool:
    """Whether a file's content is a trigger set."""
    if isinstance(value, dict):
        return _two_lists(value) is not None or bool(_under_keys(value))
    return _is_list(value)


def _is_list(value: Any) -> bool:
    return any(isinstance(row, dict) and _is_query(row) for row in (value if isinstance(value, list) else []))


def _is_query(row: dict[str, Any]) -> bool:
    """Whether a row is a query and its verdict. A word that other suites use too counts where nothing else grades."""
    if not any(key in row for key in (*QUERIES, *CLEAR)):
        return False
    verdicts = [key for key in VERDICTS if key in row]
    if any(key in CLEAR for key in verdicts) or set(row) <= {"query", "id"}:
        return True
    asks = set(row) - {*QUERIES, *VERDICTS, "id", "name", "reason", "notes", "note", "category", "tags"}
    return not asks and any(key == "skill" or isinstance(row[key], bool) for key in verdicts)


def _two_lists(value: dict[str, Any]) -> tuple[str | None, str | None] | None:
    """The keys of the positive and the negative queries; one of them may be absent."""
    keys = [next((key for key in names if isinstance(value.get(key), list)), None) for names in (POSITIVE, NEGATIVE)]
    lists = [item for key in keys if key for item in value[key]]
    plain = all(isinstance(item, str) or (isinstance(item, dict) and _query(item)) for item in lists)
    return (keys[0], keys[1]) if lists and plain else None


def _under_keys(value: dict[str, Any]) -> list[str]:
    """The keys of the lists: one, or several such as `train` and `test`."""
    return [key for key, rows in value.items() if _is_list(rows)]


def suite_at(path: Path) -> Path | None:
    """The trigger set that `path` is, or that it holds under one of `NAMES`, where no other suite lies in it."""
    if path.is_dir() and any((path / name).is_file() for name in ("tasks.yaml", "eval.yaml")):
        return None
    file = file_with(path, NAMES, {".json", ".yaml", ".yml"}, is_trigger_set)
    return None if file and file.name != "evals.json" and (path / "evals.json").is_file() else file


def load(file: Path) -> Suite:
    """Task ids come from the queries, so they stay when queries are added or moved."""
    document = Document.read(file)
    asked = list(_asked(document, _Skill(file, document.value)))
    first: dict[str, AskedQuery] = {}
    for one in asked:
        if first.setdefault(one.query, one) is not one:
            line = document.line(first[one.query].where)
            raise document.error([*one.where, "query"], f"{one.query!r} stands in line {line} already; leave one out")
    tasks = [
        Task(
            id=f"trigger-{digest_of(one.query)[:8]}",
            instruction=one.query,
            graders=[GraderSpec("trigger", TriggerOptions(should_trigger=one.should_trigger).model_dump())],
            probe=True,
            tags=[WANTED if one.should_trigger else UNWANTED, *([f"{FIRES}{one.skill}"] if one.skill else [])],
        )
        for one in asked
    ]
    return Suite(file.stem, FORMAT, file.parent, tasks, named=[file])


class _Skill:
    """The skill that a set is about: named in the file, else the one that it lies in."""

    def __init__(self, file: Path, value: Any) -> None:
        self._file = file
        fields = value if isinstance(value, dict) else {}
        self._named = next((fields[key] for key in ("skill_name", "skill") if isinstance(fields.get(key), str)), None)

    def name(self, document: Document, where: Where) -> str:
        """Raises UserError where nothing says which skill is meant."""
        if self._named:
            return str(self._named)
        for folder in list(self._file.resolve().parents)[:3]:
            if (folder / MAIN).is_file():
                return name_of(folder)
        raise document.error(
            where, "names a skill, and nothing says which one is measured; add skill_name: … at the top"
        )


def _asked(document: Document, skill: _Skill) -> Iterator[AskedQuery]:
    value: Any = document.value
    if isinstance(value, dict) and (keys := _two_lists(value)):
        for key, wanted in zip(keys, (True, False), strict=True):
            for position, item in enumerate(value[key] if key else []):
                query = item if isinstance(item, str) else str(_query(item))
                yield AskedQuery(query, wanted, [key or "", position])
        return
    for key in _under_keys(value) if isinstance(value, dict) else [None]:
        where: list[str | int] = [key] if key else []
        for position, row in enumerate(value[key] if key else value):
            yield _row(document, row, [*where, position], skill)


def _query(row: dict[str, Any]) -> str | None:
    return next((row[key] for key in QUERIES if isinstance(row.get(key), str) and row[key]), None)


def _row(document: Document, row: Any, where: Where, skill: _Skill) -> AskedQuery:
    """One row. A text where a verdict is expected names the skill that should fire."""
    fields, fires = dict(row) if isinstance(row, dict) else row, None
    if isinstance(fields, dict):
        spelling = next((key for key in QUERIES if isinstance(fields.get(key), str)), None)
        if spelling is not None and "query" not in fields:
            fields["query"] = fields.pop(spelling)
        key = next((key for key in VERDICTS if key in fields), None)
        verdict = fields.get(key) if key else None
        if isinstance(verdict, str) and verdict.lower() in YES_OR_NO:
            verdict = YES_OR_NO[verdict.lower()]
        elif key and (verdict is None or isinstance(verdict, str)):
            fires = "" if verdict is None or verdict.lower() in NO_SKILL else str(verdict)
            verdict = bool(fires) and fires == skill.name(document, [*where, key])
        if key:
            fields.pop(key)
            fields["should_trigger"] = verdict
    read = document.validate(Query, fields, where)
    return AskedQuery(read.query, read.should_trigger, where, fires)


def reference_result(_task: Task, _work: Path) -> Result | None:
    """None: what passes is a behaviour, not a result."""
    return None


def untouched_result(_task: Task, _work: Path) -> Result | None:
    """None: doing nothing is right wherever the skill should stay out."""
    return None

"""promptfoo configurations: `prompts`, and `tests` with `vars` and asserts of the plain kinds.

Each prompt is asked with each test's variables. `equals`, `contains`, `icontains`, `regex`, `is-json`, `starts-with`
and their `-all`, `-any` and `not-` forms are checked by program, `llm-rubric` by the judge, `python` and `javascript`
as commands. Providers and models are the run's configuration here.
"""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from skillgrad_ci.document.document import Document, Foreign, Where
from skillgrad_ci.method.grader_options import CommandOptions, JudgeOptions
from skillgrad_ci.method.task import GraderSpec, Suite, Task
from skillgrad_ci.suites.foreign import inline, one_or_more, plain_check
from skillgrad_ci.suites.paths import Files, file_with
from skillgrad_ci.suites.references import reference_result, untouched_result

__all__ = ["FORMAT", "READS", "is_config", "load", "reference_result", "suite_at", "untouched_result"]

FORMAT = "promptfoo"
READS = "promptfooconfig.yaml: promptfoo"
NAMES = ("promptfooconfig.yaml", "promptfooconfig.yml", "promptfooconfig.json")
IGNORED = {"cost", "latency", "perplexity"}  # what a run here reports by itself
JUDGED = {"llm-rubric", "model-graded-closedqa", "g-eval", "factuality", "answer-relevance"}
_VARIABLE = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")
_LOGIC = re.compile(r"\{%|\{\{[^}]*\|")
_FILE = "file://"
Rows = Annotated[list[Any], BeforeValidator(one_or_more)]
# The program is a file of the check; the output is the agent's last message. A bare expression is returned.
_PYTHON = """\
import importlib.util, json, sys
output = open("../result/answer.txt", encoding="utf-8").read()
context = {"vars": json.load(open("../grader/vars.json", encoding="utf-8"))}
spec = importlib.util.spec_from_file_location("check", "../grader/check.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
result = module.get_assert(output, context)
if isinstance(result, dict):
    result = result.get("score", float(bool(result.get("pass"))))
print(json.dumps({"score": float(result)}))
"""
_JAVASCRIPT = """\
const fs = require("fs");
const output = fs.readFileSync("../result/answer.txt", "utf-8");
const context = {vars: JSON.parse(fs.readFileSync("../grader/vars.json", "utf-8"))};
let result = require("../grader/check.js")(output, context);
if (result !== null && typeof result === "object")
  result = "score" in result ? result.score : Number(Boolean(result.pass));
console.log(JSON.stringify({score: Number(result)}));
"""


class Assert(Foreign):
    type: str = Field(min_length=1)
    value: Any = None
    weight: float = Field(1.0, ge=0)


class Test(Foreign):
    description: str = ""
    vars: dict[str, Any] = Field(default_factory=dict)
    asserts: Rows = Field(default_factory=list, alias="assert")
    threshold: float | None = Field(None, gt=0, le=1)


def is_config(value: Any) -> bool:
    """Whether a file's content is a promptfoo configuration."""
    return isinstance(value, dict) and "prompts" in value and ("tests" in value or "scenarios" in value)


def suite_at(path: Path) -> Path | None:
    return file_with(path, NAMES, {".yaml", ".yml", ".json"}, is_config)


def load(file: Path) -> Suite:
    document = Document.read(file)
    files = Files(document, file.parent)
    value = document.value
    if "scenarios" in value:
        raise document.error(
            ["scenarios"], "scenarios are not read; write each of their tests under tests, with its vars"
        )
    default = document.validate(Test, value.get("defaultTest") or {}, ["defaultTest"])
    prompts = [_prompt(files, one, ["prompts", n]) for n, one in enumerate(one_or_more(value["prompts"]) or [])]
    if not isinstance(value["tests"], list):
        raise document.error(["tests"], "tests in a file or from a program are not read; write them here as a list")
    warnings: list[str] = []
    tasks = [
        task
        for number, row in enumerate(value["tests"])
        for task in _tasks(files, prompts, default, document.validate(Test, row, ["tests", number]), number, warnings)
    ]
    return Suite(file.parent.resolve().name, FORMAT, file.parent, tasks, list(dict.fromkeys(warnings)), files.named)


def _prompt(files: Files, one: Any, where: Where) -> str:
    text = one.get("raw") or one.get("label") if isinstance(one, dict) else one
    if not isinstance(text, str) or not text.strip():
        raise files.document.error(where, "a prompt is no text; write one, or file://path")
    text = files.text(text.removeprefix(_FILE), where) if text.startswith(_FILE) else text
    if _LOGIC.search(text):
        raise files.document.error(where, "filters and blocks of Nunjucks are not read; write out what they say")
    return text


def _tasks(
    files: Files, prompts: list[str], default: Test, row: Test, number: int, warnings: list[str]
) -> Iterator[Task]:
    where: list[str | int] = ["tests", number]
    values = {name: _value(files, one, [*where, "vars", name]) for name, one in {**default.vars, **row.vars}.items()}
    specs = [
        spec
        for position, one in enumerate([*default.asserts, *row.asserts])
        for spec in _spec(files, one, values, [*where, "assert", position - len(default.asserts)], warnings)
    ]
    if not specs:
        raise files.document.error(where, "has no assert that is read; add one such as {type: llm-rubric, value: …}")
    for position, prompt in enumerate(prompts):
        missing = sorted(set(_VARIABLE.findall(prompt)) - set(values))
        if missing:
            raise files.document.error(
                [*where, "vars"], f"the prompt asks for {missing[0]!r}, which is not there; give it in vars"
            )
        name = re.sub(r"[,/\\\s]+", " ", row.description).strip()[:80] or f"test-{number + 1}"
        yield Task(
            id=f"{name} {position + 1}" if len(prompts) > 1 else name,
            instruction=_VARIABLE.sub(lambda match: str(values[match[1]]), prompt),
            graders=specs,
            threshold=row.threshold or default.threshold or 1.0,
        )


def _value(files: Files, one: Any, where: Where) -> Any:
    if isinstance(one, str) and one.startswith(_FILE):
        return files.text(one.removeprefix(_FILE), where)
    if isinstance(one, list):
        raise files.document.error(where, "a list stands for several tests; write one test for each value")
    return one


def _spec(files: Files, one: Any, values: dict[str, Any], where: Where, warnings: list[str]) -> Iterator[GraderSpec]:
    row = files.document.validate(Assert, one, where)
    if row.type in IGNORED:
        warnings.append(f"{files.document.path}: asserts of the type {row.type} are not applied; a run reports it")
        return
    value = row.value
    if isinstance(value, str):
        value = _VARIABLE.sub(lambda match: str(values.get(match[1], match[0])), value)
    if row.type in JUDGED and value:
        options = JudgeOptions(assertions=[str(item) for item in one_or_more(value)])
        yield GraderSpec("judge", options.model_dump(mode="json", exclude_unset=True), weight=row.weight)
    elif row.type in ("python", "javascript") and isinstance(value, str):
        yield _program(files, row, value, values, where)
    elif (spec := plain_check(row.type, value if value is not None else True, weight=row.weight)) is not None:
        yield spec
    else:
        raise files.document.error(
            [*where, "type"], f"{row.type!r} is not read; say it as llm-rubric, or as python with a program"
        )


def _program(files: Files, row: Assert, value: str, values: dict[str, Any], where: Where) -> GraderSpec:
    python = row.type == "python"
    if value.startswith(_FILE):
        source = files.find_file(value.removeprefix(_FILE), [*where, "value"])
    elif python:
        body = value if "\n" in value.strip() else f"return {value}"
        indented = "\n".join(f"    {line}" for line in body.splitlines())
        source = inline(f"import json, re\n\ndef get_assert(output, context):\n{indented}\n")
    else:
        body = value if "\n" in value.strip() else f"return ({value});"
        source = inline(f"module.exports = (output, context) => {{\n{body}\n}};\n")
    program, interpreter = (_PYTHON, "python3 -c") if python else (_JAVASCRIPT, "node -e")
    options = CommandOptions(run=f"{interpreter} {shlex.quote(program)}", verdict="json")
    references = {"check.py" if python else "check.js": source, "vars.json": inline(json.dumps(values, default=str))}
    return GraderSpec("command", options.model_dump(mode="json", exclude_unset=True), references, row.weight)

"""A report in the forms that other tools read: JUnit for test reporters, SARIF for code scanning, ATIF for viewers."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from skillgrad_ci import __version__
from skillgrad_ci.errors import UserError
from skillgrad_ci.report.document import Report
from skillgrad_ci.report.executions import FOLDER

SARIF = "https://json.schemastore.org/sarif-2.1.0.json"
BROKEN, FAILS, FLAGGED = "task-broken", "task-fails", "line-to-review"
RULES = {  # of SARIF: a rule's level and what it says
    BROKEN: ("error", "A task that the initial skill passed fails with the edited one"),
    FAILS: ("note", "A task fails at the end of the run"),
    FLAGGED: ("warning", "An added line to look at by hand"),
}


def as_junit(found: Report) -> str:
    """Each task as a test case, as it ended: with the edited skill where that was measured, else with the initial one.

    A task that could not be measured is skipped, not failed. The form is the one that GitLab, Jenkins and the
    reporters of Actions read.
    """
    suite = ElementTree.Element("testsuite", name=f"{found.skill} on {found.suite.name}", tests=str(len(found.tasks)))
    counts = {"failures": 0, "skipped": 0}
    for task in found.tasks:
        case = ElementTree.SubElement(suite, "testcase", classname=task.split or "task", name=task.id)
        rate = task.end
        if rate is None:
            counts["skipped"] += 1
            ElementTree.SubElement(case, "skipped", message="unmeasured")
        elif rate < 1:
            counts["failures"] += 1
            message = "failed" if rate == 0 else f"passed in {rate:.0%} of its trials"
            ElementTree.SubElement(case, "failure", message=message).text = _xml_text(task.feedback)
    suite.attrib.update({name: str(count) for name, count in counts.items()})
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _xml_text(text: str) -> str:
    """Text without the control characters that XML 1.0 cannot hold."""
    return "".join(char for char in text if char in "\t\n\r" or char >= " ").replace("\ufffe", "").replace("\uffff", "")


def as_sarif(found: Report) -> str:
    """What a reviewer should look at: tasks that the edits broke, tasks that still fail, added lines that are flagged.

    A task's place is the suite, for formats keep tasks in many ways; a flag's is its line in the edited skill.
    """
    results = [*_tasks(found), *_flags(found)]
    return json.dumps(sarif_log(RULES, results, ""), indent=2, ensure_ascii=False) + "\n"


def _tasks(found: Report) -> Iterator[Mapping[str, Any]]:
    for task in found.tasks:
        rate = task.end
        if rate is None or rate == 1:
            continue
        broken = task.final is not None and task.baseline is not None and task.final < task.baseline
        said = f": {task.feedback}" if task.feedback else ""
        text = f"{task.id} {'passed before, and fails now' if broken else 'fails'}{said}"
        yield sarif_result(RULES, BROKEN if broken else FAILS, text, found.suite.path, 1)


def _flags(found: Report) -> Iterator[Mapping[str, Any]]:
    folder = Path(found.skill_path)
    here = os.path.relpath(folder) if folder.is_absolute() else found.skill_path
    for flag in found.flags:
        yield sarif_result(
            RULES, FLAGGED, f"{flag.kind}: {flag.text}", f"{Path(here).as_posix()}/{flag.file}", flag.line
        )


def sarif_result(rules: Mapping[str, tuple[str, str]], rule: str, text: str, file: str, line: int) -> Mapping[str, Any]:
    """One result; `file` is relative to the working folder."""
    place = {
        "artifactLocation": {"uri": quote(file), "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": line},
    }
    return {
        "ruleId": rule,
        "ruleIndex": list(rules).index(rule),
        "level": rules[rule][0],
        "message": {"text": text},
        "locations": [{"physicalLocation": place}],
    }


def sarif_log(
    rules: Mapping[str, tuple[str, str]], results: Sequence[Mapping[str, Any]], help_uri: str
) -> Mapping[str, Any]:
    """SARIF 2.1.0 (OASIS), as code scanning takes it: paths relative to the working folder."""
    described = [
        {
            "id": rule,
            "shortDescription": {"text": said},
            "defaultConfiguration": {"level": level},
            **({"helpUri": help_uri} if help_uri else {}),
        }
        for rule, (level, said) in rules.items()
    ]
    driver = {"name": "skillgrad-ci", "version": __version__, "rules": described}
    if help_uri:
        driver["informationUri"] = help_uri
    return {"$schema": SARIF, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def as_atif(folder: Path) -> Iterator[str]:
    """Each execution of a run folder as one line of JSON, an ATIF document, in the order of measurement and task.

    Raises UserError where there is none.
    """
    files = sorted((folder / FOLDER).glob("*/*.atif.json"))
    if not files:
        raise UserError(f"{folder / FOLDER}: no execution in ATIF is here; name a run folder with its {FOLDER}")
    for file in files:
        yield json.dumps(json.loads(file.read_text("utf-8"))) + "\n"  # in ASCII: U+2028 would end a line for some

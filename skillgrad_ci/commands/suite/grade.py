"""`grade`: outputs that exist already, graded with no executor."""

import argparse
from collections import Counter

from skillgrad_ci.commands.cli import DONE, ELSE
from skillgrad_ci.commands.jobs import suite_job
from skillgrad_ci.commands.suite.told import SHOWN
from skillgrad_ci.commands.suite.workshop import workshop
from skillgrad_ci.commands.terminal import say, say_json, say_table
from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.report.headline import percent
from skillgrad_ci.session.json_documents import as_printed
from skillgrad_ci.session.json_documents.of_suites import GradeDocument
from skillgrad_ci.session.outputs.grade_outputs import grade_outputs
from skillgrad_ci.suites import load_suite


def grade_command(arguments: argparse.Namespace) -> int:
    suite = load_suite(arguments.suite)
    with workshop(suite_job(arguments), suite, arguments.verbose) as (made, each):
        rows = grade_outputs(suite, arguments.outputs, made, each)
    counts = Counter(row.grade.outcome for row in rows)
    passed, lost = counts[Outcome.PASSED], counts[Outcome.UNMEASURED]
    measured = len(rows) - lost
    accuracy = passed / measured if measured else None
    tasks = [{"id": row.task, "verdict": str(row.grade.outcome), "score": row.grade.score,
              "feedback": row.grade.feedback, "version": row.grade.version} for row in rows]  # fmt: skip
    if arguments.json:
        say_json(as_printed(GradeDocument, {"suite": suite.name, "passed": passed, "measured": measured,
                                            "unmeasured": lost, "accuracy": accuracy, "tasks": tasks}))  # fmt: skip
    else:
        lines = [[row.task, row.grade.outcome, _score(row.grade), row.grade.feedback[:SHOWN]] for row in rows]
        say_table(["task", "verdict", "score", "feedback"], lines)
        say(f"{percent(accuracy)}: {passed} of {measured} tasks pass" + (f", {lost} unmeasured" if lost else ""))
    return DONE if measured else ELSE


def _score(grade: Grade) -> str:
    """What is unmeasured has no score; 0.00 would read as a verdict."""
    return "" if grade.outcome is Outcome.UNMEASURED else f"{grade.score:.2f}"

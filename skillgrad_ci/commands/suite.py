"""The commands on a suite: grade, suite. Each returns its exit code."""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skillgrad_ci.commands.cli import DONE, ELSE, USER
from skillgrad_ci.commands.jobs import suite_job
from skillgrad_ci.commands.progress import showing
from skillgrad_ci.commands.terminal import say, say_json, say_table
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.method.evidence import Evidence, Outcome
from skillgrad_ci.method.ports import Each
from skillgrad_ci.method.task import Suite, digest_of
from skillgrad_ci.report.headline import percent, points
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.check import Standing, check_suite, of
from skillgrad_ci.session.evaluation import WITH, WITHOUT, evaluate, reliability
from skillgrad_ci.session.grade_outputs import grade_outputs
from skillgrad_ci.session.inputs import RUNS, Measurement, read_skill
from skillgrad_ci.session.json_documents import (
    GradeDocument,
    SuiteDocument,
    as_printed,
    check_facts,
    power_facts,
    split_facts,
    suite_facts,
)
from skillgrad_ci.session.open_run import open_run
from skillgrad_ci.session.parts import Parts, open_parts, stop_on_signals
from skillgrad_ci.session.split import assign, read_recorded, recorded_path, write_recorded
from skillgrad_ci.suites import load

SHOWN = 200  # characters of a grader's feedback in a table


@contextmanager
def workshop(job: SkillRun, suite: Suite, verbose: bool) -> Iterator[tuple[Parts, Each]]:
    """The parts for work on a suite, with a pool to map over its tasks."""
    with (
        stop_on_signals() as stop,
        showing(sys.stderr, verbose) as observe,
        open_parts(job, suite, observe, stop) as parts,
        ThreadPoolExecutor(job.settings.concurrency) as pool,
    ):
        _ = parts.ledger  # once, before threads ask for it
        yield parts, pool.map


def grade(arguments: argparse.Namespace) -> int:
    suite = load(arguments.suite)
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
        lines = [[row.task, row.grade.outcome, f"{row.grade.score:.2f}", row.grade.feedback[:SHOWN]] for row in rows]
        say_table(["task", "verdict", "score", "feedback"], lines)
        say(f"{percent(accuracy)}: {passed} of {measured} tasks pass" + (f", {lost} unmeasured" if lost else ""))
    return DONE if measured else ELSE


def suite(arguments: argparse.Namespace) -> int:
    read, job = load(arguments.suite), suite_job(arguments)
    path = recorded_path(read)
    assigned = assign(read.tasks, None, read_recorded(path), job.settings.seed)
    facts = suite_facts(read, assigned)
    code = DONE
    if arguments.split or arguments.write:
        facts["split"] = split_facts(assigned)
    if arguments.write:
        write_recorded(path, assigned.splits)
        facts["written"] = str(path)
    if arguments.check:
        with workshop(job, read, arguments.verbose) as (made, each):
            proofs = check_suite(read, made, each)
        facts["check"] = check_facts(proofs)
        code = USER if of(proofs, Standing.WRONG) else ELSE if of(proofs, Standing.UNMEASURED) else DONE
    if arguments.trials:
        facts["trials"] = reliability(_executed(read, job, arguments))
    churn = facts["trials"]["churn"] if facts.get("trials") else None
    facts["power"] = power_facts(facts["counts"]["heldout"], churn)
    facts = Redactor.from_environment(os.environ).clean(as_printed(SuiteDocument, facts))
    if arguments.json:
        say_json(facts)
    else:
        _say_suite(facts)
    return code


def _executed(suite: Suite, job: SkillRun, arguments: argparse.Namespace) -> Sequence[Evidence]:
    """Every task, as often as asked, with the skill that `--skill` names or without one."""
    skill = read_skill(arguments.skill, [suite]) if arguments.skill else None
    redactor = Redactor.from_environment(os.environ)
    key = digest_of([suite.digest, skill.digest if skill else "", job.settings.digest])
    folder = Path(RUNS) / suite.name / f"trials-{key[:12]}"
    measurement, arm = Measurement(job=job, suite=suite), WITH if skill else WITHOUT
    with (
        stop_on_signals() as stop,
        showing(sys.stderr, arguments.verbose) as observe,
        open_run(measurement, folder, observe, stop, redactor) as opened,
    ):
        return evaluate({arm: skill}, opened.suite, job.settings.trials, opened.rollout, opened.each).arms[arm]


def _say_suite(facts: Mapping[str, Any]) -> None:
    graders = ", ".join(f"{number} {kind}" for kind, number in facts["graders"].items())
    counts = ", ".join(f"{number} {split}" for split, number in facts["counts"].items())
    say(f"{facts['name']}: {facts['tasks']} tasks ({facts['format']}), graders: {graders}; {counts}")
    say(*(f"warning: {warning}" for warning in facts["warnings"]))
    for split, tasks in facts.get("split", {}).items():
        say(f"{split}: {', '.join(tasks)}")
    if "written" in facts:
        say(f"The split is written to {facts['written']}.")
    if "check" in facts:
        check = facts["check"]
        rows = [[p["task"], p["standing"], p["reference"] or "", p["untouched"] or "", p["said"][:SHOWN]]
                for p in check["proofs"] if p["standing"] not in (Standing.PROVED, Standing.UNPROVED)]  # fmt: skip
        if rows:
            say_table(["task", "standing", "reference", "untouched", "why"], rows)
        numbers = ", ".join(f"{number} {standing}" for standing, number in check["standing"].items() if number)
        say(f"checked {check['tasks']} tasks: {numbers}")
    say_reliability(facts.get("trials"))
    _say_power(facts["power"])


def say_reliability(trials: Mapping[str, Any] | None) -> None:
    """pass@k and pass^k, and the tasks by name."""
    if trials is None:
        return
    k = trials["k"]
    say(f"pass@{k} {percent(trials['pass_at_k'])}, pass^{k} {percent(trials['pass_all_k'])}; "
        f"{percent(trials['can_teach'])} of the tasks can teach")  # fmt: skip
    for name in ("always_pass", "always_fail", "flicker"):
        say(f"{name.replace('_', ' ')}: {', '.join(trials[name]) or 'none'}")


def _say_power(power: Mapping[str, Any]) -> None:
    change, tasks, trials = power["detectable_change"], power["tasks"], power["trials_for_5_points"]
    if not tasks:
        needed = power["tasks_for_5_points"]
        say(f"no heldout tasks: no change can be confirmed; {needed} heldout tasks show one of 5 points")
        return
    shows = f"a change of {points(change)} or more" if change is not None else "no change at all"
    more = f"{power['tasks_for_5_points']} of them" + (
        f", or {trials} trials of these," if trials and trials > 1 else ""
    )
    basis = "" if power["churn"] is not None else " (if one task in ten flips by chance)"
    say(f"{tasks} heldout tasks show {shows} in four of five runs{basis}; for 5 points, {more} are needed")

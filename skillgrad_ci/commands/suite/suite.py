"""`suite`: what a suite holds, whether its graders are right, and how small a change it can show."""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from skillgrad_ci.commands.cli import DONE, ELSE, USER
from skillgrad_ci.commands.jobs import suite_job
from skillgrad_ci.commands.progress import showing
from skillgrad_ci.commands.suite.told import say_suite
from skillgrad_ci.commands.suite.workshop import workshop
from skillgrad_ci.commands.terminal import say_json
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.task import Suite, digest_of
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.evaluation import WITH, WITHOUT, evaluate, reliability
from skillgrad_ci.session.inputs import RUNS, Measurement, read_skill
from skillgrad_ci.session.json_documents import as_printed
from skillgrad_ci.session.json_documents.of_suites import (
    SuiteDocument,
    check_facts,
    power_facts,
    split_facts,
    suite_facts,
)
from skillgrad_ci.session.open_run import open_run
from skillgrad_ci.session.parts import stop_on_signals
from skillgrad_ci.session.proof.check import Standing, check_suite, of
from skillgrad_ci.session.split import assign, read_recorded, recorded_path, write_recorded
from skillgrad_ci.suites import load_suite


def suite(arguments: argparse.Namespace) -> int:
    if arguments.triggers:
        from skillgrad_ci.commands.suite.triggers import confusion

        return confusion(arguments)
    if arguments.suite is None:
        raise UserError("suite: no suite is named; give its path, or --triggers with skills")
    if arguments.grow is not None:
        from skillgrad_ci.commands.suite.growing import grow_suite

        return grow_suite(arguments)
    read, job = load_suite(arguments.suite), suite_job(arguments, asks=bool(arguments.trials))
    path = recorded_path(read)
    assigned = assign(read.tasks, None, read_recorded(path), job.settings.seed)
    facts = suite_facts(read, assigned)
    code = DONE
    if arguments.splits or arguments.write:
        facts["split"] = split_facts(assigned)
    if arguments.write:
        unreviewed = set(read.unreviewed)  # where they will be used is not decided yet
        write_recorded(path, {task: own for task, own in assigned.splits.items() if task not in unreviewed})
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
        say_suite(facts)
    return code


def _executed(suite: Suite, job: SkillRun, arguments: argparse.Namespace) -> Sequence[Evidence]:
    """Every task, as often as asked, with the skill that `--skill` names or without one."""
    skill = read_skill(arguments.skill, [suite]) if arguments.skill else None
    suite = replace(suite, tasks=[replace(task, unreviewed=False) for task in suite.tasks])  # trials claim no gain
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

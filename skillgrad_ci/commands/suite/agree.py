"""`agree`: our graders against another one of the suite's owner, on outputs that are made from its right results."""

import argparse
import os
from collections.abc import Mapping
from typing import Any

from skillgrad_ci.commands.cli import DONE, ELSE
from skillgrad_ci.commands.jobs import suite_job
from skillgrad_ci.commands.suite.told import SHOWN
from skillgrad_ci.commands.suite.workshop import workshop
from skillgrad_ci.commands.terminal import say, say_json, say_table
from skillgrad_ci.errors import Cancelled
from skillgrad_ci.method.events import Noted
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.json_documents import as_printed
from skillgrad_ci.session.json_documents.of_suites import AgreementDocument
from skillgrad_ci.session.outputs.agreement import TwoVerdicts, agreement_facts, compare_graders
from skillgrad_ci.suites import load_suite

TOLD = 50  # outputs between two words of progress


def agree(arguments: argparse.Namespace) -> int:
    suite = load_suite(arguments.suite)
    rows: list[TwoVerdicts] = []
    cut = ""
    try:
        with workshop(suite_job(arguments), suite, arguments.verbose) as (parts, _):
            for row in compare_graders(suite, parts, arguments.official, arguments.ways):
                rows.append(row)
                if len(rows) % TOLD == 0:
                    parts.observe(Noted(f"{len(rows)} outputs compared, the last of {row.task}"))
    except Cancelled:  # what is compared is told
        cut = f"interrupted after {len(rows)} outputs"
    facts = as_printed(AgreementDocument, {**agreement_facts(suite, rows), "cut": cut})
    facts = Redactor.from_environment(os.environ).clean(facts)
    if arguments.json:
        say_json(facts)
    else:
        _say(facts)
    return DONE if facts["compared"] and not facts["disagreements"] and not cut else ELSE


def _say(facts: Mapping[str, Any]) -> None:
    rows = [
        [kind, *(counts.get(word, 0) for word in ("agree", "disagree", "untold"))]
        for kind, counts in facts["kinds"].items()
    ]
    say_table(["output", "agree", "disagree", "untold"], rows)
    for row in facts["disagreements"]:
        ours, theirs = ("passes" if row[side] else "fails" for side in ("ours", "theirs"))
        say(f"{row['task']}, {row['kind']}: {ours} here, {theirs} there: {row['feedback'][:SHOWN]}")
    say(*(f"{row['task']}, {row['kind']}: not compared: {row['why'][:SHOWN]}" for row in facts["untold"]))
    say(*([facts["cut"]] if facts["cut"] else []))
    say(f"{facts['agree']} of {facts['compared']} verdicts agree ({facts['outputs']} outputs)")

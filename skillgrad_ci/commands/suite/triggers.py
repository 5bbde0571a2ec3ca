"""`suite --triggers`: which of several skills fire on whose queries."""

import argparse
import glob
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from skillgrad_ci.commands.cli import BUDGET, DONE, ELSE
from skillgrad_ci.commands.flags import given
from skillgrad_ci.commands.jobs import nearest_config
from skillgrad_ci.commands.progress import showing
from skillgrad_ci.commands.terminal import say, say_json, say_table
from skillgrad_ci.config.config import SkillRun, load_config, with_flags
from skillgrad_ci.config.settings import Settings
from skillgrad_ci.errors import BudgetExceeded, UserError
from skillgrad_ci.method.task import Suite, digest_of
from skillgrad_ci.report.headline import percent
from skillgrad_ci.report.report import cost_of
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.inputs import RUNS, Measurement, read_skill, trigger_set
from skillgrad_ci.session.json_documents import as_printed
from skillgrad_ci.session.json_documents.of_suites import TriggersDocument
from skillgrad_ci.session.open_run import open_run
from skillgrad_ci.session.parts import stop_on_signals
from skillgrad_ci.session.side_by_side.confusion import Queries, confusion_facts, queries_of, run_all, together
from skillgrad_ci.skill.skill import MAIN
from skillgrad_ci.suites import is_suite, load_suite
from skillgrad_ci.suites.triggers import NAMES

NONE = "(none)"


def confusion(arguments: argparse.Namespace) -> int:
    settings = with_flags(Settings(), given(arguments))
    queries = [_queries(folder, settings) for folder in _folders(arguments.triggers)]
    suite = together(queries)
    others = [one.skill for one in queries]
    inputs = Measurement(job=SkillRun(Path(), Path(), settings, Path.cwd()), suite=suite, others=others)
    key = digest_of([inputs.measure, settings.digest])[:12]
    redactor = Redactor.from_environment(os.environ)
    with (
        stop_on_signals() as stop,
        showing(sys.stderr, arguments.verbose) as observe,
        open_run(inputs, Path(RUNS) / f"triggers-{key}", observe, stop, redactor) as opened,
    ):
        warnings = opened.warnings
        rows, ended = run_all(queries, opened.rollout, opened.each)
        facts = {
            **confusion_facts(queries, rows),
            "warnings": list(warnings),
            "rehearsal": settings.models.rehearsal,
            "cost": cost_of(dict(opened.ledger.by_role), dict(opened.ledger.by_purpose)).model_dump(mode="json"),
            "cut": str(ended or ""),
        }
    facts = redactor.clean(as_printed(TriggersDocument, facts))
    if arguments.json:
        say_json(facts)
    else:
        _say(facts)
    if ended is not None:
        return BUDGET if isinstance(ended, BudgetExceeded) else ELSE
    return ELSE if any(one["broken"] for one in facts["skills"]) else DONE


def _folders(patterns: list[str]) -> list[Path]:
    """The skills' folders. A pattern that no shell has filled in is filled in here."""
    paths = [Path(path) for pattern in patterns for path in (sorted(glob.glob(pattern)) or [pattern])]  # noqa: PTH207
    folders = [path for path in dict.fromkeys(paths) if (path / MAIN).is_file()]
    if not folders:
        raise UserError(f"--triggers {' '.join(patterns)}: no folder with {MAIN} there; name skills")
    return folders


def _queries(folder: Path, settings: Settings) -> Queries:
    """A skill's queries: its trigger set, or what its own suite asks. Raises UserError where it has neither."""
    suites = list(_suites(folder))
    if not suites:
        raise UserError(
            f"{folder}: nothing says when it should fire; add a trigger set (evals/triggers.json in it), or list "
            "the skill with `tasks:` or `trigger:` in .skillgrad.yml"
        )
    return queries_of(read_skill(folder, suites), suites[0], settings.trigger_trials)


def _suites(folder: Path) -> Iterator[Suite]:
    """The suites of a skill: a trigger set first."""
    config = nearest_config(folder)
    here = folder.resolve()
    run = next((one for one in load_config(config, {}).skills if one.path.resolve() == here), None) if config else None
    if run is not None and (configured := trigger_set(run)) is not None:
        yield configured
    for place in (folder / "evals", folder):
        for name in NAMES[1:]:
            if (place / name).is_file() and is_suite(place / name):
                yield load_suite(place / name)
    if run is not None and is_suite(run.tasks):
        yield load_suite(run.tasks)
    elif is_suite(folder):
        yield load_suite(folder)


def _say(facts: dict[str, Any]) -> None:
    names = [one["skill"] for one in facts["skills"]]
    rows = [
        [one["skill"], one["executions"], *(one["fired"].get(name, 0) for name in names), one["none"],
         percent(one["precision"]), percent(one["recall"]), one["source"]]
        for one in facts["skills"]
    ]  # fmt: skip
    say_table(["queries of", "runs", *names, NONE, "precision", "recall", "from"], rows)
    say(*(f"{row['thief']} takes from {row['owner']}, {row['times']} times: {row['query']}" for row in facts["stolen"]))
    say(*(f"a broken signal, {one['skill']}: {one['broken']}" for one in facts["skills"] if one["broken"]))
    say(*facts["warnings"], *([facts["cut"]] if facts["cut"] else []))
    if facts["rehearsal"]:
        say("This is a rehearsal: it says nothing about a real model.")

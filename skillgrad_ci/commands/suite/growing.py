"""`suite --grow`: propose tasks for a suite, or for a skill that has none yet."""

import argparse
import os
import sys
from contextlib import closing
from pathlib import Path

from skillgrad_ci.commands.cli import BUDGET, DONE, ELSE
from skillgrad_ci.commands.jobs import listed, suite_job
from skillgrad_ci.commands.progress import showing
from skillgrad_ci.commands.terminal import say, say_json
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.task import Suite, Task, digest_of
from skillgrad_ci.report.report import cost_of
from skillgrad_ci.report.templating import usd
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.growth.admission import Admission
from skillgrad_ci.session.growth.grow import TURN, Grown, Growth, grow
from skillgrad_ci.session.growth.material import gather
from skillgrad_ci.session.inputs import RUNS, read_skill
from skillgrad_ci.session.journal.file_journal import FileJournal
from skillgrad_ci.session.json_documents import as_printed
from skillgrad_ci.session.json_documents.of_suites import GrowthDocument
from skillgrad_ci.session.open_run import keep_out_of_git
from skillgrad_ci.session.parts import Parts, stop_on_signals
from skillgrad_ci.skill.skill import MAIN
from skillgrad_ci.suites import is_suite, load_suite
from skillgrad_ci.suites.native.grown import GROWN, folder_beside

EVALS = "evals"  # where the suite of a skill begins that has none


def grow_suite(arguments: argparse.Namespace) -> int:
    if arguments.grow < 1:
        raise UserError("--grow: give the number of tasks that shall wait for a review, at least 1")
    job, redactor = suite_job(arguments, asks=True), Redactor.from_environment(os.environ)
    growth = _growth(arguments)
    folder = Path(RUNS) / _name(growth) / f"grow-{_key(growth, job)}"
    base = growth.suite or Suite(_name(growth), "native", growth.root, [Task("grow", "None yet.", ())])
    with (
        stop_on_signals() as stop,
        showing(sys.stderr, arguments.verbose) as observe,
        FileJournal(folder, redactor) as journal,
        closing(Parts(job, base, observe, stop, journal)) as parts,
    ):
        keep_out_of_git(folder)
        parts.ledger.resume(journal, journal.replayed_of("spent"), journal.elapsed)
        model = job.settings.models.of("optimizer")
        stop.begin_work()
        grown = grow(
            growth, arguments.grow, Admission(parts, redactor, model, growth.root), journal, journal.replayed_of(TURN)
        )
        cost = cost_of(dict(parts.ledger.by_role), dict(parts.ledger.by_purpose))
    _say(arguments, as_printed(GrowthDocument, redactor.clean({
        "suite": _name(growth), "written": str(growth.root / GROWN), "read": growth.gathered.told,
        "added": [{"id": task, "origin": origin} for task, origin in grown.added], "refused": grown.refused,
        "waiting": grown.waiting, "ended": grown.ended, "rehearsal": job.settings.models.rehearsal,
        "cost": cost.model_dump(mode="json"),
    })))  # fmt: skip
    return _code(grown)


def _code(grown: Grown) -> int:
    if grown.cut:
        return BUDGET
    return ELSE if grown.ended else DONE


def _growth(arguments: argparse.Namespace) -> Growth:
    """The suite at PATH with its skill; a skill without a suite begins one in its `evals/`."""
    path: Path = arguments.suite
    suite = load_suite(path) if is_suite(path) else None
    folder = _skill_folder(arguments, path)
    if suite is None and folder is None:
        load_suite(path)  # says why it is not a suite
    skill = read_skill(folder, [suite]) if folder else None
    root = folder_beside(suite) if suite else path / EVALS if (path / MAIN).is_file() else path
    return Growth(suite, root, skill, gather(arguments.source, skill, suite))


def _skill_folder(arguments: argparse.Namespace, path: Path) -> Path | None:
    """The skill that is named, that PATH is or lies in, or that the configuration lists with this suite."""
    if arguments.skill:
        return Path(arguments.skill)
    if arguments.source and (Path(arguments.source) / MAIN).is_file():
        return Path(arguments.source)
    above = [path.resolve(), *list(path.resolve().parents)[:3]]
    if found := next((folder for folder in above if (folder / MAIN).is_file()), None):
        return found
    run = listed(path)
    return run.path if run else None


def _name(growth: Growth) -> str:
    if growth.suite:
        return growth.suite.name
    return growth.skill.name if growth.skill else growth.root.name


def _key(growth: Growth, job: SkillRun) -> str:
    return digest_of([str(growth.root.resolve()), growth.digest, job.settings.digest])[:12]


def _say(arguments: argparse.Namespace, facts: dict[str, object]) -> None:
    if arguments.json:
        say_json(facts)
        return
    document = GrowthDocument.model_validate(facts)
    say(f"read: {document.read}")
    say(*(f"added    {task.id}  ({task.origin})" for task in document.added))
    say(*(f"refused  {line}" for line in document.refused))
    say(f"{document.waiting} tasks wait for a review in {document.written}; cost {usd(document.cost.usd)}")
    say(*([f"ended: {document.ended}"] if document.ended else []))
    if document.waiting:
        say("Read each, correct it, and delete its line `unreviewed: true`: until then it only teaches.")
    if document.rehearsal:
        say("This is a rehearsal: its tasks come from a script, and say nothing about a real model.")

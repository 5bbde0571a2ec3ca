"""The command `compare`: several settings, or optimizers, on one suite at equal budget, as one table."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from skillgrad_ci.commands.cli import DONE, ELSE
from skillgrad_ci.commands.flags import given
from skillgrad_ci.commands.jobs import run_folder, skill_job
from skillgrad_ci.commands.progress import showing
from skillgrad_ci.commands.side_by_side.setups import REHEARSAL_NOTE
from skillgrad_ci.commands.terminal import MEND, say, say_how_to_go_on, say_json, say_table, say_text
from skillgrad_ci.config.config import SkillRun, load_config, with_flags
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.optimizers.choices import Preset
from skillgrad_ci.method.run import Stop
from skillgrad_ci.report.comparison import AgainstControl, ComparedSetting, SettingsCompared
from skillgrad_ci.report.comparison_pages import write_comparison
from skillgrad_ci.report.headline import percent, points
from skillgrad_ci.report.templating import usd
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.inputs import read_inputs
from skillgrad_ci.session.json_documents import as_printed
from skillgrad_ci.session.parts import stop_on_signals
from skillgrad_ci.session.side_by_side.on_shares import Setting
from skillgrad_ci.session.side_by_side.optimizers import ComparedRuns, compare_settings, document_of, folder_name
from skillgrad_ci.session.side_by_side.shared_base import NONE

REWRITE: Preset = "rewrite"
HEADERS = ["setting", "accuracy", "95% interval", "passed", "against none", "p", "against rewrite", "p",
           "edits", "calls", "tokens", "cost", "ended"]  # fmt: skip


def compare_optimizers(arguments: argparse.Namespace) -> int:
    """Run the control `rewrite` and every setting from one base run, and say what may be claimed."""
    settings = _settings(arguments)
    usual = settings[0].inputs.folder.with_name(folder_name(settings))
    folder = run_folder(arguments, arguments.out or usual)
    redactor = Redactor.from_environment(os.environ)
    with stop_on_signals() as stop, showing(sys.stderr, arguments.verbose) as observe:
        done = compare_settings(settings, folder, observe, stop, redactor, arguments.reproduce)
    found = SettingsCompared.model_validate(redactor.clean(document_of(done, settings, arguments.reproduce)))
    page = write_comparison(folder, found, redactor)
    if arguments.json:
        say_json(as_printed(SettingsCompared, found.model_dump()))
    else:
        _say(found, page)
        if done.cut:
            _say_cut(done, arguments.reproduce)
    return ELSE if done.cut else DONE


def _settings(arguments: argparse.Namespace) -> list[Setting]:
    """The control `rewrite`, then what was asked for. Raises UserError where that does not fit together."""
    jobs = _of_files(arguments) if all(path.is_file() for path in arguments.what) else _of_optimizers(arguments)
    first = next(iter(jobs.values()))
    control = replace(first, settings=with_flags(first.settings, {"optimizer": REWRITE}))
    jobs = {name: job for name, job in jobs.items() if name != REWRITE}
    return [
        Setting(REWRITE, read_inputs(control), control=True),
        *(Setting(name, read_inputs(job)) for name, job in jobs.items()),
    ]


def _of_optimizers(arguments: argparse.Namespace) -> dict[str, SkillRun]:
    """A skill with the optimizers of a list; without one, with all."""
    if len(arguments.what) != 1:
        raise UserError("compare: name one skill's folder, or configuration files with one skill each")
    known = get_args(Preset)
    names = [name.strip() for name in (arguments.optimizers or ",".join(known)).split(",")]
    if wrong := [name for name in names if name not in known]:
        raise UserError(f"--optimizers: {wrong[0]!r} is none of {', '.join(known)}; name some of them")
    values = {**vars(arguments), "skill": arguments.what[0]}
    return {name: skill_job(argparse.Namespace(**{**values, "optimizer": name})) for name in dict.fromkeys(names)}


def _of_files(arguments: argparse.Namespace) -> dict[str, SkillRun]:
    """Configuration files that list one skill each, by the files' names."""
    if arguments.optimizers or arguments.tasks or arguments.config:
        raise UserError("compare: with configuration files, --optimizers, --tasks and --config are said in them")
    jobs: dict[str, SkillRun] = {}
    for path in arguments.what:
        runs = load_config(path, given(arguments)).skills
        name = re.sub(r"[^\w.-]+", "-", path.stem.removeprefix("."))
        if len(runs) != 1:
            raise UserError(f"{path}: skills: has {len(runs)} skills; leave the one that is compared")
        if name in (*jobs, NONE, REWRITE):
            raise UserError(f"{path}: another setting is named {name}; give the file another name")
        jobs[name] = runs[0]
    return jobs


def _say(found: SettingsCompared, page: Path) -> None:
    say("", f"Accuracy on {found.tasks} {found.split} tasks, of the skill that each setting ended with:", "")
    say_table(HEADERS, [_row(row) for row in found.settings])
    each = ", ".join(f"{amount:,} {unit}" for unit, amount in found.budget.items() if amount is not None)
    say("", *(f"- {note}" for note in [*found.notes, *found.warnings]))
    say(*([REHEARSAL_NOTE] if found.rehearsal else []))
    tokens = found.paid.prompt_tokens + found.paid.completion_tokens
    say(f"budget  {each or 'the default'}, each", f"paid    {usd(found.paid.usd)}, {tokens:,} tokens, all together")
    say(f"page    {page}")


def _say_cut(done: ComparedRuns, command: str) -> None:
    """Why settings are missing, and how the comparison goes on."""
    say_text(done.cut)
    if done.stop is Stop.UNMEASURED:
        say_text(MEND)
    else:
        say_how_to_go_on(command, cancelled=done.stop is Stop.CANCELLED)


def _row(row: ComparedSetting) -> Sequence[object]:
    claims = {claim.against: claim for claim in row.claims}
    cells = [cell for against in (NONE, REWRITE) for cell in _claim(claims.get(against))]
    within = "" if row.interval is None else " to ".join(map(percent, row.interval))
    passed = f"{row.measured.passed} of {row.measured.measured}"
    tokens = row.cost.prompt_tokens + row.cost.completion_tokens
    name = f"{row.name} (control)" if row.control else row.name
    spent = [f"{row.cost.calls:,}", f"{tokens:,}", usd(row.cost.usd)]
    return [name, percent(row.measured.accuracy), within, passed, *cells, row.edits, *spent, row.stopped]


def _claim(claim: AgainstControl | None) -> tuple[str, str]:
    """A change and its corrected p; a star says that it is clear."""
    if claim is None or claim.change is None:
        return "", ""
    return f"{points(claim.change.change)}{' *' if claim.clear else ''}", f"{claim.corrected:.2g}"

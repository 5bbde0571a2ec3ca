"""The commands `optimize` and `demo`: after a run by hand its folder holds the pull request that the bot would open.

It is the bot's own page, of the same run; only what GitHub alone could tell is not in it: the commits' addresses, the
workflow's, the issue's.
"""

import argparse
import os
from pathlib import Path

from skillgrad_ci.bot.ended_run import accepted_edits
from skillgrad_ci.bot.pull_request.deliver import PULL_REQUEST, worth_proposing
from skillgrad_ci.bot.pull_request.page import Around, page
from skillgrad_ci.commands.optimize import optimize_command
from skillgrad_ci.commands.start.demo import demo_command
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.optimize_skill import Finished
from skillgrad_ci.skill.folder import write_atomically


def optimize_by_hand(arguments: argparse.Namespace) -> int:
    return optimize_command(arguments, write_offer)


def demo_by_hand(arguments: argparse.Namespace) -> int:
    return demo_command(arguments, write_offer)


def write_offer(done: Finished, job: SkillRun) -> Path | None:
    """The page's file; None where the bot would open nothing: a page of an earlier end of this run is taken away."""
    file, run = done.folder / PULL_REQUEST, done.run
    edits = accepted_edits(run)
    if not worth_proposing(edits, run.verdict, ties=job.reports_ties):
        file.unlink(missing_ok=True)
        return None
    text = page(done.report, run.memory, Around(initial=run.initial, edits=edits))
    write_atomically(file, Redactor.from_environment(os.environ)(text).encode())
    return file

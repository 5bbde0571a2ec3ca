"""The parts for work on a suite, without a run folder."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

from skillgrad_ci.commands.progress import showing
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.method.ports import Each
from skillgrad_ci.method.task import Suite
from skillgrad_ci.session.parts import Parts, stop_on_signals


@contextmanager
def workshop(job: SkillRun, suite: Suite, verbose: bool) -> Iterator[tuple[Parts, Each]]:
    """The parts for work on a suite, with a pool to map over its tasks."""
    with (
        stop_on_signals() as stop,
        showing(sys.stderr, verbose) as observe,
        closing(Parts(job, suite, observe, stop)) as parts,
        ThreadPoolExecutor(job.settings.concurrency) as pool,
    ):
        _ = parts.ledger  # once, before threads ask for it
        yield parts, pool.map

"""The first step of the action: is the event ours at all? Asked on the runner, before an image is pulled.

Every comment on every issue starts the workflow, and most of them are not for the bot. This runs with the runner's own
Python and the standard library alone (a test holds it), and asks the same `decide` that the image asks again. It says
no only where that says so; whatever it cannot know here (no checkout, a broken event) is left to the image.
"""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from skillgrad_ci.bot.decide import LABEL, Nothing, Unsafe, decide
from skillgrad_ci.errors import UserError
from skillgrad_ci.github import context as contexts
from skillgrad_ci.github.context import Context
from skillgrad_ci.github.workflow_log import WorkflowLog

PLAIN_LABEL = re.compile(r"""label: *(?P<quote>["']?)(?P<label>[\w.\-/ ]+?)(?P=quote) *(?:#.*)?$""")
NOTHING = {"skills": "[]", "shards": "[]", "results": "[]"}


def gate(environ: Mapping[str, str], stream: TextIO) -> int:
    """Write the outputs `go` and, where it is `false`, `status` and what the image would have written."""
    try:
        context = contexts.read_context(dict(environ))
    except UserError:
        return _say(WorkflowLog(stream, _output(environ)), "true")
    log = WorkflowLog(stream, context.output)
    asked = decide(context, _label(context))
    if isinstance(asked, Nothing):
        return _say(log, "false", "ignored", asked.why)
    if isinstance(asked, Unsafe) and not asked.fix:
        return _say(log, "false", "refused", asked.why)
    return _say(log, "true")


def _say(log: WorkflowLog, go: str, status: str = "", why: str = "") -> int:
    log.output("go", go)
    if status:
        log.say(f"{status}: {why}")
        for name, value in {"status": status, **NOTHING}.items():
            log.output(name, value)
    return 0


def _output(environ: Mapping[str, str]) -> Path | None:
    return Path(environ["GITHUB_OUTPUT"]) if environ.get("GITHUB_OUTPUT") else None


def _label(context: Context) -> str:
    """The label that asks for a run; the given one where the configuration cannot tell it without a YAML parser."""
    given = str(context.at("label").get("name", ""))
    if context.inputs.label:
        return context.inputs.label
    try:
        lines = (context.workspace / context.inputs.config).read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return given
    said = [line for line in lines if re.match(r"""["']?label\b""", line)]
    if not said:
        return LABEL if all(line[:1] not in "{[" for line in lines if line) else given
    plain = PLAIN_LABEL.fullmatch(said[0].rstrip())
    return plain["label"] if plain and len(said) == 1 else given


if __name__ == "__main__":
    sys.exit(gate(os.environ, sys.stdout))

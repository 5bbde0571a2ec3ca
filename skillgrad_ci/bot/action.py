"""`skillgrad-ci action`: from the event to what is done about it, and what the step reports."""

import dataclasses
import json
import os
import sys
from collections.abc import Callable, MutableMapping, Sequence
from typing import TextIO

from skillgrad_ci.bot.bot import Bot, Ending, annotate_error, ending_of
from skillgrad_ci.bot.decide import AnswerCommand, Evaluate, Nothing, Optimize, Unsafe, decide
from skillgrad_ci.bot.engine import Engine, RealEngine
from skillgrad_ci.bot.jobs.command_job import answer_waiting, command_job
from skillgrad_ci.bot.jobs.evaluate_job import evaluate_job
from skillgrad_ci.bot.jobs.optimize_requests import requested, tell_broken
from skillgrad_ci.config.config import Configuration, SkillRun, load_config, refuse_outside, with_flags
from skillgrad_ci.config.settings import Settings
from skillgrad_ci.errors import SkillGradError, UserError
from skillgrad_ci.github import context as contexts
from skillgrad_ci.github.action_inputs import OUTPUTS
from skillgrad_ci.github.app_token import App
from skillgrad_ci.github.client import Api, Client, Patience
from skillgrad_ci.github.context import Context
from skillgrad_ci.github.dry_run import DryRun
from skillgrad_ci.github.workflow_log import WorkflowLog
from skillgrad_ci.secrets import SHORTEST, Redactor, secrets_in

MakeEngine = Callable[[Redactor], Engine]


def action(
    environ: MutableMapping[str, str] | None = None,
    stream: TextIO | None = None,
    make_engine: MakeEngine | None = None,
    patience: Patience | None = None,
) -> int:
    """Act on the event that `environ` tells of. Returns the exit code: 0, 1, 2 (to fix) or 3 (budget)."""
    environ = os.environ if environ is None else environ
    secrets = secrets_in(environ)  # before the inputs, among them tokens, are taken out
    log = WorkflowLog(stream or sys.stdout, redact=Redactor(secrets))
    context: Context | None = None
    try:
        context = contexts.read_context(environ)
        secrets += [secret for secret in context.inputs.secrets if len(secret) >= SHORTEST]
        log.output_file, log.summary_file, log.redact = context.output, context.summary, Redactor(secrets)
        if environ.get("GITHUB_ACTIONS") == "true":  # elsewhere nobody takes the line away
            for secret in secrets:
                log.mask(secret)
        with log.inert():
            results = _act(context, log, Redactor(secrets), make_engine or RealEngine, patience or Patience())
    except SkillGradError as error:
        results = [ending_of(error)]
    _report(log, results, context)
    return max((result.code for result in results), default=0)


def _act(
    context: Context, log: WorkflowLog, redactor: Redactor, make_engine: MakeEngine, patience: Patience
) -> Sequence[Ending]:
    given = str(context.at("label").get("name", ""))
    first = decide(context, given)  # as if every label were the one: most events end here, without a configuration
    if isinstance(first, Nothing):
        return [Ending("ignored", first.why)]
    if isinstance(first, Unsafe):
        fix = f"; {first.fix}" if first.fix else ""
        return [Ending("refused", f"{first.why}{fix}", code=2 if first.fix else 0)]
    try:
        configuration = _configuration(context)
    except UserError as error:
        tell_broken(context, lambda: _api(context, log, redactor, patience), given, error)
        raise
    decision = decide(context, context.inputs.label or configuration.label)
    if isinstance(decision, Nothing):
        return [Ending("ignored", decision.why)]
    api = _api(context, log, redactor, patience)
    bot = Bot(context, configuration, api, make_engine(redactor), log)
    match decision:
        case Optimize():
            ends = requested(bot, decision)
            if not bot.context.inputs.step and not {"refused", "cancelled"} & {end.status for end in ends}:
                answer_waiting(bot)
            return ends
        case AnswerCommand():
            return [command_job(bot, decision)]
        case Evaluate():
            return evaluate_job(bot, decision)
    raise AssertionError(f"not a decision to act on: {decision}")


def _configuration(context: Context) -> Configuration:
    """The file's, or one skill with the tasks that the workflow names."""
    inputs, root = context.inputs, context.workspace.resolve()
    if not inputs.tasks:
        return load_config(context.workspace / inputs.config, inputs.flags)
    job = SkillRun(root / inputs.skill, root / inputs.tasks, with_flags(Settings(), inputs.flags), root)
    refuse_outside(job, inputs.skill)
    refuse_outside(job, inputs.tasks)
    return Configuration(root, [job])


def _api(context: Context, log: WorkflowLog, redactor: Redactor, patience: Patience) -> Api:
    """GitHub, live; or a dry run that reads where it has a token."""
    inputs = context.inputs
    app = App(inputs.app_id, inputs.private_key) if inputs.app_id else None
    if not (inputs.token or app) and not inputs.dry_run:
        raise UserError("input token: empty; leave it out to use the workflow's own, or set dry_run: true")
    where = context.repository, inputs.token, context.api_url
    client = Client(*where, inputs.bot_login, patience, redactor.clean, app)
    if not inputs.dry_run:
        return client
    folder = context.workspace / inputs.run_folder
    log.say(f"dry run: nothing is written to GitHub; what would be is in {folder}")
    readable = bool(inputs.token or app)
    if not readable:
        log.say("dry run without a token: nothing is read from GitHub, and nobody's access is checked")
    return DryRun(
        context.repository or "OWNER/REPOSITORY",
        folder,
        log,
        redactor.clean,
        client if readable else None,
        inputs.bot_login,
    )


def _report(log: WorkflowLog, endings: Sequence[Ending], context: Context | None) -> None:
    """The step's last words: a line an ending, and the outputs (a line each where there are several endings)."""
    for ending in endings:
        if ending.code and context is not None:
            annotate_error(context, log, ending.line)
        elif ending.code:
            log.annotate("error", ending.line)
        else:
            log.say(f"{ending.status}: {ending.line}")
    ready = [ending.skill for ending in endings if ending.status == "ready"]
    shards = [{"skill": ending.skill, "shard": shard} for ending in endings for shard in ending.shards]
    whole = {"results": json.dumps([_facts(ending) for ending in endings]), "skills": json.dumps(ready)}
    whole["shards"] = json.dumps(shards)
    for known in OUTPUTS:
        values = [getattr(ending, known.name, None) for ending in endings]
        log.output(known.name, whole.get(known.name, "\n".join("" if v is None else str(v) for v in values)))


def _facts(ending: Ending) -> dict[str, object]:
    """What the output `results` tells of one skill."""
    facts = dataclasses.asdict(ending)
    facts["message"] = facts.pop("line")
    del facts["text"], facts["code"], facts["shards"]
    return facts

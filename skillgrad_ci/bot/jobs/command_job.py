"""Answer the slash commands on the bot's pull requests, those that came during a run included."""

from collections.abc import Sequence

from skillgrad_ci.bot import state
from skillgrad_ci.bot.bot import Bot, Ending
from skillgrad_ci.bot.decide import PREFIX, AnswerCommand
from skillgrad_ci.bot.ended_run import found_in
from skillgrad_ci.bot.evaluation.apply import apply
from skillgrad_ci.bot.jobs.command_queue import answered, at_work, left_to_another, promise, waiting
from skillgrad_ci.bot.jobs.optimize_job import optimize_job
from skillgrad_ci.bot.progress import Progress
from skillgrad_ci.bot.pull_request.again import ignore, measure, pause, rebase
from skillgrad_ci.bot.pull_request.branch import branch_name
from skillgrad_ci.bot.pull_request.drop import drop
from skillgrad_ci.bot.pull_request.proposal import Reviewed, memory_of
from skillgrad_ci.bot.pull_request.review_lessons import EDITS
from skillgrad_ci.bot.slash_commands import HELP
from skillgrad_ci.bot.state import Proposal, SkillState
from skillgrad_ci.document.inert_text import code, fenced, shown
from skillgrad_ci.errors import SkillGradError
from skillgrad_ci.github.body import BodyPart, compose
from skillgrad_ci.github.client import find
from skillgrad_ci.github.comments import Comment, eyes, may_write
from skillgrad_ci.report.document import Report

AT_ONCE = 20  # commands answered in one start
LONG = {"drop", "measure", "rerun", "apply"}  # their answer takes its time, and says so meanwhile
ANYWHERE = {"apply", "help"}  # also on pull requests of people


def command_job(bot: Bot, answer: AnswerCommand) -> Ending:
    """Check who asks and what about, show that it was seen, act, and reply. Then read what was asked meanwhile."""
    first = _answered(bot, answer)
    endings = [first]
    for queued in waiting(bot, answer.pull) if first.status == "answered" or first.code else []:
        endings.append(_answered(bot, queued))
        if len(endings) == AT_ONCE:
            break
    return max(endings, key=lambda ending: ending.code)


def answer_waiting(bot: Bot) -> None:
    """What was asked on the bot's open pull requests during a run: where all share a group, GitHub dropped it."""
    if bot.api.dry:
        return
    try:
        for pull in list(bot.api.pages("/pulls", state="open")):
            mine = (pull.get("user") or {}).get("login") == bot.api.login
            for queued in waiting(bot, pull["number"]) if mine and pull["head"]["ref"].startswith(f"{PREFIX}/") else []:
                bot.log.say(_answered(bot, queued).line)
    except SkillGradError as failed:
        bot.log.annotate("warning", f"comments that came during the run were not read: {failed}")


def _answered(bot: Bot, answer: AnswerCommand) -> Ending:
    why_not = not_to_be_answered(bot, answer)
    if why_not:
        return Ending("ignored", why_not)
    if left_to_another(bot, answer):
        return Ending("ignored", f"another run answers {answer.command.verb} on #{answer.pull}")
    if answer.comment:
        eyes(bot.api, f"/issues/comments/{answer.comment}")
    comment = Comment(bot.api, answer.pull, f"answer-{answer.comment or answer.command.verb}")
    try:
        if answer.command.verb in LONG:
            comment.show(at_work(bot, answer.command.verb))
        reply = _reply(bot, answer, comment)
        comment.show(answered(bot, reply))
        if bot.api.dry:
            bot.log.summary(reply)
            bot.log.say(f"the answer would be: {reply}")
        if not answer.comment:
            _untick(bot, answer.pull)
    except SkillGradError as error:
        comment.show(answered(bot, f"It failed: {shown(bot.context.relative(str(error)), 1000)}"))
        return bot.failed(error)
    return Ending("answered", f"answered {answer.command.verb} on #{answer.pull}")


def _untick(bot: Bot, pull: int) -> None:
    """Empty the boxes, so that the next edit of the body asks for nothing again."""
    body = str(bot.api.get(f"/pulls/{pull}").get("body") or "")
    empty = body.replace("- [x] <!-- skillgrad-ci:", "- [ ] <!-- skillgrad-ci:")
    if empty != body:
        bot.api.write("PATCH", f"/pulls/{pull}", {"body": empty})


def not_to_be_answered(bot: Bot, answer: AnswerCommand) -> str:
    """Why a command is left alone, without anything written anywhere; empty where it is to be answered."""
    if bot.api.blind:
        return "" if bot.api.dry else "the pull request cannot be read"
    if not may_write(bot.api, answer.actor):
        return f"{answer.actor} has no write access here: the command is ignored"
    if answer.comment:
        comment = find(bot.api, f"/issues/comments/{answer.comment}")
        if comment is None or comment.get("body") != answer.text:
            return "the comment was changed or deleted after it was written: the command is ignored"
    pull = find(bot.api, f"/pulls/{answer.pull}")
    here = (((pull or {}).get("head") or {}).get("repo") or {}).get("full_name") == bot.api.repository
    return "" if pull and here else f"#{answer.pull} is not a pull request of this repository's own branches"


def _out_of_place(bot: Bot, answer: AnswerCommand) -> str:
    """Why a command means nothing on a pull request, for who wrote it; empty where it does."""
    pull = None if bot.api.blind else bot.api.get(f"/pulls/{answer.pull}")
    if pull is None or answer.command.verb == "help":
        return ""
    mine = (pull.get("user") or {}).get("login") == bot.api.login
    if not mine and answer.command.verb not in ANYWHERE:
        return f"{code(answer.command.verb)} is for my own pull requests. Here there is:\n\n{HELP}"
    if mine and answer.command.verb == "apply":
        return (
            "This pull request holds its edits already: merge it. `apply` is for one of somebody else that I measured."
        )
    if pull["state"] != "open" and answer.command.verb != "explain":
        done = "merged" if pull.get("merged_at") else "closed"
        label = code(bot.context.inputs.label or bot.configuration.label)
        return f"This pull request is {done}, so nothing was done. An issue with the label {label} asks for a new run."
    return ""


def reviewed_in(bot: Bot, pull: int) -> tuple[Reviewed | None, str]:
    """The proposal of a pull request, or the words for who asks about one that cannot be acted on."""
    if bot.api.blind:
        return _rehearsed(bot, pull)
    for record in state.read_all(bot.api):
        proposal = record.proposal(pull)
        if proposal is None:
            continue
        job = bot.configuration.find(record.skill)
        if job is None:
            there = ", ".join(code(name) for name in bot.names())
            return None, (
                f"The skill {code(record.skill)} is not configured here any more (there is {there}). If its folder was "
                "renamed, this pull request belongs to the old name: close it, and let the new one be optimized."
            )
        return Reviewed(job, record, proposal), ""
    return None, f"Nothing is known of this pull request's edits: the branch {code(state.BRANCH)} does not name it."


def _rehearsed(bot: Bot, pull: int) -> tuple[Reviewed | None, str]:
    """Where nothing can be asked, the newest run of the run folder stands for the pull request."""
    folder = bot.context.workspace / bot.context.inputs.run_folder
    outcomes = [outcome for outcome in found_in(folder, list(bot.names())) if outcome.edits]
    if not outcomes:
        return None, "There is no run in the run folder to rehearse a command on: rehearse a label first."
    outcome = outcomes[-1]
    job = bot.configuration.find(outcome.skill)
    assert job is not None
    proposal = Proposal(
        number=pull,
        branch=branch_name(outcome.skill),
        base=outcome.base,
        head="",
        run=outcome.run,
        edits=EDITS.dump_python(outcome.edits, mode="json"),
        report=outcome.report.model_dump(mode="json") if outcome.report else None,
    )
    record = SkillState(skill=outcome.skill, splits=outcome.splits, proposals=[proposal])
    return Reviewed(job, record, proposal), ""


def _reply(bot: Bot, answer: AnswerCommand, comment: Comment) -> str:
    command = answer.command
    if command.verb == "help":
        return f"{shown(command.problem)}\n\n{HELP}" if command.problem else HELP
    if out_of_place := _out_of_place(bot, answer):
        return out_of_place
    if command.verb == "apply":
        return apply(bot, answer.pull)
    reviewed, why_not = reviewed_in(bot, answer.pull)
    if reviewed is None:
        return why_not
    known = [edit["id"] for edit in reviewed.proposal.edits]
    for edit in command.edits:
        if edit not in known:
            return f"There is no edit {code(edit)} here; there is {', '.join(known)}."
    match command.verb:
        case "explain":
            return explain(bot, reviewed, command.edits[0])
        case "drop":
            return drop(bot, reviewed, command.edits, answer.actor, command.reason)
        case "rebase":
            return rebase(bot, reviewed)
        case "measure":
            return measure(bot, reviewed)
        case "ignore":
            return ignore(bot, reviewed, answer.actor, command.reason)
        case "pause":
            return pause(bot, reviewed, answer.actor)
    return _rerun(bot, reviewed, comment)


def _rerun(bot: Bot, reviewed: Reviewed, comment: Comment) -> str:
    """A whole run, as a label would ask for it; its comment tells how far it is."""
    name, url = reviewed.job.name, bot.context.run_url
    progress = Progress(bot.log, name, comment, url, bot.context.debug, lead=promise(bot))
    progress.start()
    ended = optimize_job(bot, reviewed.job, progress, only_changed=False, issue=reviewed.proposal.issue)
    return f"It failed: {shown(ended.line, 1000)}" if ended.code else ended.text or shown(ended.line)


def explain(bot: Bot, reviewed: Reviewed, edit_id: str) -> str:
    """The diagnoses that led to an edit, and what the memory says of its patterns."""
    if reviewed.proposal.report is None:
        return f"The report of this pull request is no longer kept; the run's artifact has what is behind {edit_id}."
    report = Report.model_validate(reviewed.proposal.report)
    step = next(step for step in report.iterations if any(edit.id == edit_id for edit in step.edits))
    edit = next(edit for edit in step.edits if edit.id == edit_id)
    diagnoses = [
        f"- {code(d.task)}: {d.kind}, {code(d.label)} (guidance {d.guidance}): {shown(d.summary)} {shown(d.cause)}"
        for d in step.diagnoses
        if d.task in edit.tasks
    ]
    return compose(
        [
            BodyPart(f"**{edit_id}**, {code(edit.file)}: {shown(edit.why)}", essential=True),
            BodyPart("It says:\n", [fenced(edit.content)] if edit.content else []),
            BodyPart(f"Diagnoses in iteration {step.number} that taught it:\n", diagnoses or ["- none is kept"]),
            BodyPart(
                "What the memory says of its patterns:\n", _patterns(bot, reviewed, edit.patterns) or ["- nothing"]
            ),
        ],
        30_000,
    )


def _patterns(bot: Bot, reviewed: Reviewed, names: Sequence[str]) -> list[str]:
    memory = memory_of(bot, reviewed)
    found = [pattern for pattern in map(memory.get, names) if pattern is not None]
    return [
        f"- {code(p.slug)} ({p.kind}, {p.absorption}): {shown(p.line)} {shown(p.description)} "
        f"Remedies so far: {shown('; '.join(remedy.text for remedy in p.remedy_log), 600) or 'none'}"
        for p in found
    ]

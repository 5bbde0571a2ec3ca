"""What a run may claim, in one sentence and its remarks: said in one place, for every report.

A tie is never sold as a gain, a gain on tasks that chose the skill is called that, and a change that
chance explains is not called a change.
"""

from collections.abc import Collection, Mapping

from skillgrad_ci.method.settings import AUTO
from skillgrad_ci.method.task import NEEDED_FOR_HELDOUT, NEEDED_FOR_VALIDATION, Split
from skillgrad_ci.report.document import SPLITS, Change, Comparison, CrossFitting, Report
from skillgrad_ci.report.power import CHURN, detectable_change
from skillgrad_ci.report.statistics import WITHIN

WHAT = {"pass": "accuracy", "score": "score"}


def headline(report: Report) -> tuple[str, list[str]]:
    """The sentence, and what a reader must know to read it rightly."""
    shown = next((split for split in SPLITS if report.of(split).delta or report.of(split).refused), None)
    remarks = []
    if report.rehearsal:
        remarks.append("This is a rehearsal: its accuracy says nothing about a real model.")
    if report.cross is not None:
        remarks += _cross_remarks(report, report.cross)
    elif shown is not None:
        remarks += _remarks(report, shown, report.of(shown))
    if report.settings.get("trials") == AUTO:
        remarks.append(_trials(report))
    if report.gate:
        remarks.append(report.gate)
    if report.triggers is not None:
        remarks.append(_triggering(report.triggers))
    sentence = _sentence(report, shown) if report.cross is None else _cross_sentence(report.cross)
    if report.accept == "no-worse" and report.kept:
        before, after = report.tokens
        sentence = f"The skill is about {before - after:,} tokens shorter ({before:,} to {after:,}). {sentence}"
    if shown is not None and report.of(shown).refused:
        remarks.append("Give tasks more time, or run fewer at once, and start it again.")
    elif report.stopped == "cancelled":
        remarks.append(f"The run stopped early: {report.why or 'interrupted'}. {_until_then(report)}")
    elif report.stopped in ("budget", "unmeasured", "flat signal") and report.why not in sentence:
        remarks.append(f"The run stopped early ({report.stopped}): {report.why}.")
    if report.sandbox.startswith("none"):
        remarks.append("Commands chosen by the model ran without a sandbox.")
    return sentence, [*remarks, *_untaught(report), *report.warnings]


def _untaught(report: Report) -> list[str]:
    """Iterations that could not learn, for a skill that stays as it was is else taken for one without a fault."""
    lost = [step for step in report.iterations if step.dropped and not step.diagnoses]
    if not lost:
        return []
    why = next(iter(lost[0].dropped.values()))
    told = f"{len(lost)} of {len(report.iterations)} iterations learned nothing: no diagnosis could be had ({why})."
    return [f"{told} Where replies cannot be used, name another model: --optimizer-model."]


def _sentence(report: Report, shown: str | None) -> str:
    if report.stopped in ("flat signal", "unmeasured") and not report.accepted:
        return f"Not optimized: {report.why}."
    if report.stopped == "cancelled" and shown is None:
        return _interrupted(report)
    if not report.accepted:
        cut = "The run came to its cap before an edit was accepted" if report.stopped == "budget" else ""
        return f"{cut or 'No edit was accepted'}: the skill is as it was."
    if shown is None:
        kept = "is kept" if report.kept else "is not kept"
        return f"The edited skill {kept}, and how it compares with the original is not measured."
    if report.of(shown).refused:
        return _refused(report, shown)
    delta = report.of(shown).delta
    assert delta is not None
    if not report.kept:
        return f"{_not_better(report, delta)}: the original skill is kept."
    return _moved(report.of(shown), delta, f"{shown} {WHAT[delta.by]}")


def _interrupted(report: Report) -> str:
    """What was in hand when a person, or a signal, ended the run: nothing is judged by it."""
    if not report.accepted:
        return "The run was interrupted before an edit was accepted: the skill is as it was."
    steps, edits, kept = len(report.iterations), len(report.accepted), "kept" if report.kept else "not kept"
    which = f"the {edits} edits accepted until then are" if edits > 1 else "the one edit accepted until then is"
    after = f"{steps} iteration{'s' if steps > 1 else ''}"
    change = "what they change" if edits > 1 else "what it changes"
    return f"The run was interrupted after {after}: {which} {kept}, and {change} is not measured."


def _until_then(report: Report) -> str:
    """What an interrupted run has, and how it goes on."""
    tasks = sum(task.baseline is not None for task in report.tasks)
    done = f"{tasks} of {report.suite.tasks} tasks were executed with the skill as it was"
    return f"Until then {done}. The same command goes on from there: nothing that is paid for is lost."


def _moved(comparison: Comparison, delta: Change, what: str) -> str:
    """How `what` changed, and how sure that is. `delta` is the comparison's."""
    before, after = delta.baseline, delta.final  # of the paired tasks, so that the three figures agree
    low, high = delta.interval
    tasks = f"{delta.tasks} tasks{_preferred(comparison)}"
    figures = f"95% interval {points(low, unit='')} to {points(high)}, {tasks}, p = {delta.p_value:.2g}"
    if delta.change == 0:
        return f"No measured change in {what}: {percent(before)} before and after ({figures})."
    moved = "rose" if delta.change > 0 else "fell"
    chance = f", though {delta.doubt}" if delta.doubt else ""
    return (
        f"{what[:1].upper()}{what[1:]} {moved} from {percent(before)} to {percent(after)}{chance}: "
        f"{points(delta.change)} ({figures})."
    )


def _cross_sentence(cross: CrossFitting) -> str:
    """What runs like this one gain on tasks that they did not learn from: the delivered skill was not among them."""
    part = cross.comparison
    if part.delta is None:
        why = part.refused or cross.why or "nothing was measured on both sides"
        return f"The edited skill learned from all tasks and is kept; what such a run gains is unmeasured: {why}."
    return _moved(part, part.delta, f"cross-fitted {WHAT[part.delta.by]}, an estimate of the procedure,")


def _cross_remarks(report: Report, cross: CrossFitting) -> list[str]:
    delta, others = cross.comparison.delta, sum(fold.kept for fold in cross.folds)
    learned = sum(report.suite.counts.values())
    choose = report.suite.counts["validation"]
    chosen = f", of which {choose} chose between its steps" if choose else ""
    remarks = [
        f"The estimate is of the procedure, not of this skill: {len(cross.folds)} runs each learned without one fold "
        f"of the tasks and were measured on it; {others} of them ended with an edited skill. The skill that is "
        f"delivered learned from all {learned} tasks{chosen}, and was measured on no task that it did not learn from."
    ]
    if short := sum(fold.stopped == "budget" for fold in cross.folds):
        remarks.append(f"{short} of these runs ended at their part of the budget, so they learned less than this one.")
    if cross.why:
        remarks.append(
            f"{len(cross.folds)} of {cross.planned} folds are measured, and the estimate is of their tasks alone; "
            f"the others may have come out otherwise: {cross.why}."
        )
    if delta is not None and not delta.clear:
        remarks.append(_too_small(report, delta))
    if (own := report.train.delta) is not None:
        remarks.append(
            _moved(report.train, own, f"{WHAT[own.by]} on the tasks that it learned from, which flatters it,")
        )
    return remarks


def _refused(report: Report, shown: str) -> str:
    which, why = "edited" if report.kept else "original", report.of(shown).refused
    return (
        f"{shown.capitalize()} accuracy is unmeasured, for a clock is not a verdict: {why}; the {which} skill is kept."
    )


def _not_better(report: Report, delta: Change) -> str:
    if refused := report.of(report.chosen_on).refused:
        return f"Nothing is compared on {report.chosen_on} tasks ({refused})"
    if report.verdict == "unchecked":
        return f"Too little could be measured on {report.chosen_on} tasks to compare the edited skill"
    if report.verdict == "tie":
        return f"No measured change on {report.chosen_on} tasks{_preferred(report.of(report.chosen_on))}"
    chosen = report.of(report.chosen_on)
    told = f"{points((chosen.delta or delta).change)}{_preferred(chosen)}"
    return f"The edited skill is not better on {report.chosen_on} tasks ({told})"


def _preferred(comparison: Comparison) -> str:
    """How often the judge preferred the edited skill's result, where it compares."""
    if comparison.preferred is None:
        return ""
    return f": {won_and_lost(*comparison.preferred)}"


def won_and_lost(wins: int, ties: int, losses: int) -> str:
    """How often one side's results were preferred to the other's, in words."""
    words = ((wins, "win", "wins"), (ties, "tie", "ties"), (losses, "loss", "losses"))
    return ", ".join(f"{count} {one if count == 1 else many}" for count, one, many in words)


def _remarks(report: Report, shown: str, comparison: Comparison) -> list[str]:
    remarks = []
    delta = comparison.delta
    if delta is not None and not delta.clear:
        remarks.append(_too_small(report, delta))
    if delta is not None and comparison.preferred is not None and sum(comparison.preferred) == delta.tasks:
        remarks.append(
            "The judge compared results with the initial skill's in both orders: a win counts 1, a tie 0.5, a loss 0."
        )
    elif delta is not None and delta.by == "score" and comparison.final is not None:
        whole = f"{percent(comparison.baseline.accuracy)} before, {percent(comparison.final.accuracy)} after"
        remarks.append(f"Partial scores decide here (decide_by: score); accuracy, of whole passes: {whole}.")
    elif comparison.scores is not None and comparison.scores.change != 0:
        remarks.append(_partial(comparison.scores))
    if shown == report.chosen_on and report.kept and report.accept != "always":
        remarks.append("The skill was chosen on these tasks: the figure flatters it.")
    if shown == "train":
        remarks.append("The skill learned from these tasks: the figure says little about others.")
    sides = (("before", comparison.baseline), ("after", comparison.final))
    lost = [f"{side.unmeasured} {name}" for name, side in sides if side and side.unmeasured]
    if lost:
        remarks.append(f"Executions that could not be measured are left out: {', '.join(lost)}.")
    late = [f"{side.timed_out} of {side.measured} {name}" for name, side in sides if side and side.timed_out]
    if late:
        remarks.append(f"Executions that ended at a time limit are graded as they were: {', '.join(late)}.")
    if report.accept == "always":
        remarks.append("Every valid edit was accepted unchecked (accept: always).")
    return remarks


def _trials(report: Report) -> str:
    """What `trials: auto` took, and what gain that could have shown on the tasks that report."""
    tasks = next((number for name, number, _ in report.rows if name in SPLITS), report.suite.tasks)
    least = detectable_change(tasks, _churn(report))
    seen = "no gain can be told on so few tasks"
    if least is not None:
        seen = f"a gain of {points(least).lstrip('+')} or more shows on {tasks} tasks in four of five runs"
    return f"Each task was executed {report.trials} time{'' if report.trials == 1 else 's'} (trials: auto): {seen}."


def _too_small(report: Report, delta: Change) -> str:
    seen = _seen(delta, _churn(report))
    both = (
        "" if delta.doubt == WITHIN else " A change is called clear where interval and p agree, and here they do not."
    )
    return f"The suite is too small to tell a change of this size from chance ({delta.tasks} paired tasks){seen}.{both}"


def _churn(report: Report) -> float:
    """The chance that two measurements of a skill disagree on a task: trials average a task's own noise away alone."""
    return float(report.settings.get("flicker") or CHURN) / report.trials


def _seen(delta: Change, churn: float) -> str:
    """What size of change these tasks could have shown."""
    if delta.by != "pass":
        return ""
    least = detectable_change(delta.tasks, churn)
    what = f"one of {points(least).lstrip('+')} or more" if least is not None else "none, however large,"
    return f": {what} shows on so many in four of five runs"


def _partial(scores: Change) -> str:
    low, high = scores.interval
    chance = f", {scores.doubt}" if scores.doubt else ""
    return (
        f"The mean score went from {percent(scores.baseline)} to {percent(scores.final)}: {points(scores.change)} (95% "
        f"interval {points(low, unit='')} to {points(high)}{chance}). With 'decide_by: score' partial scores decide."
    )


def _triggering(triggers: Comparison) -> str:
    before, after = triggers.baseline, triggers.final
    lost = max(side.unmeasured for side in (before, after) if side)
    queries = f"{before.measured + before.unmeasured} executions of trigger queries"
    unmeasured = f", up to {lost} of them unmeasured" if lost else ""
    shown = f"{percent(before.accuracy)} before, {percent(after.accuracy)} after" if after else percent(before.accuracy)
    return f"Trigger accuracy: {shown} ({queries}{unmeasured})."


def split_notes(splits: Mapping[str, Split], unreviewed: Collection[str] = (), *, crossed: bool = False) -> list[str]:
    """What a reader must know about a suite's splits, by task id. Unreviewed tasks only train.

    Of a cross-fitting, whose every task teaches (`crossed`), the headline says what is estimated.
    """
    reviewed = {task: split for task, split in splits.items() if task not in unreviewed}
    size, present = len(reviewed), set(reviewed.values())
    notes = []
    if unreviewed:
        notes.append(
            f"{len(unreviewed)} of {len(splits)} tasks are unreviewed: they may teach, and no figure counts them"
        )
    if crossed:
        return notes
    if Split.HELDOUT not in present:
        why = f"{size} tasks, {NEEDED_FOR_HELDOUT} needed" if size < NEEDED_FOR_HELDOUT else "no task is marked heldout"
        notes.append(f"no heldout tasks ({why}): nothing independent confirms a gain")
    if Split.VALIDATION not in present:
        few = size < NEEDED_FOR_VALIDATION
        why = f"{size} tasks, {NEEDED_FOR_VALIDATION} needed" if few else "no task is marked validation"
        notes.append(f"no validation tasks ({why}): the final skill is chosen on the tasks that report it")
    if Split.TRAIN not in splits.values():
        notes.append("no training tasks: every task is marked validation or heldout, so none can teach")
    return notes


def percent(accuracy: float | None) -> str:
    return "not measured" if accuracy is None else f"{100 * accuracy:.1f}%"


def points(change: float, unit: str = " points") -> str:
    """A difference of accuracies, in percentage points with its sign."""
    value = round(100 * change, 1)
    return f"{value:+.1f}{unit}" if value else f"0{unit}"

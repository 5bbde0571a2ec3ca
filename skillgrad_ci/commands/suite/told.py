"""What a suite holds, and how far it reaches, as text on a terminal."""

from collections.abc import Mapping
from typing import Any

from skillgrad_ci.commands.terminal import say, say_table
from skillgrad_ci.report.headline import percent, points
from skillgrad_ci.session.check import Standing

SHOWN = 200  # characters of a grader's feedback in a table


def say_suite(facts: Mapping[str, Any]) -> None:
    graders = ", ".join(f"{number} {kind}" for kind, number in facts["graders"].items())
    counts = ", ".join(f"{number} {split}" for split, number in facts["counts"].items())
    say(f"{facts['name']}: {facts['tasks']} tasks ({facts['format']}), graders: {graders}; {counts}")
    say(*(f"warning: {warning}" for warning in facts["warnings"]))
    for split, tasks in facts.get("split", {}).items():
        say(f"{split}: {', '.join(tasks)}")
    if "written" in facts:
        say(f"The split is written to {facts['written']}.")
    if "check" in facts:
        check = facts["check"]
        rows = [[p["task"], p["standing"], p["reference"] or "", p["untouched"] or "", p["said"][:SHOWN]]
                for p in check["proofs"] if p["standing"] not in (Standing.PROVED, Standing.UNPROVED)]  # fmt: skip
        if rows:
            say_table(["task", "standing", "reference", "untouched", "why"], rows)
        numbers = ", ".join(f"{number} {standing}" for standing, number in check["standing"].items() if number)
        say(f"checked {check['tasks']} tasks: {numbers}")
    say_reliability(facts.get("trials"))
    _say_power(facts["power"])


def say_reliability(trials: Mapping[str, Any] | None) -> None:
    """pass@k and pass^k, and the tasks by name."""
    if trials is None:
        return
    k = trials["k"]
    say(f"pass@{k} {percent(trials['pass_at_k'])}, pass^{k} {percent(trials['pass_all_k'])}; "
        f"{percent(trials['can_teach'])} of the tasks can teach")  # fmt: skip
    for name in ("always_pass", "always_fail", "flicker"):
        say(f"{name.replace('_', ' ')}: {', '.join(trials[name]) or 'none'}")
    say(f"two runs of one skill disagree on {percent(trials['churn'])} of the tasks (flicker: {trials['churn']:.2g})")


def _say_power(power: Mapping[str, Any]) -> None:
    change, tasks, trials = power["detectable_change"], power["tasks"], power["trials_for_5_points"]
    if not tasks:
        needed = power["tasks_for_5_points"]
        say(f"no heldout tasks: no change can be confirmed; {needed} heldout tasks show one of 5 points")
        return
    shows = f"a change of {points(change)} or more" if change is not None else "no change at all"
    more = f"{power['tasks_for_5_points']} of them" + (
        f", or {trials} trials of these," if trials and trials > 1 else ""
    )
    basis = "" if power["churn"] is not None else " (if one task in ten flips by chance)"
    say(f"{tasks} heldout tasks show {shows} in four of five runs{basis}; for 5 points, {more} are needed")

"""What a suite holds, and how far it reaches, as text on a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from skillgrad_ci.commands.terminal import say, say_table
from skillgrad_ci.report.headline import percent, points
from skillgrad_ci.session.proof.check import Standing

SHOWN = 200  # characters of a grader's feedback in a table
NAMED = 4  # tasks of one row


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
        if rows := _unproved(check["proofs"]):
            say_table(["task", "standing", "reference", "untouched", "why"], rows)
        numbers = ", ".join(f"{number} {standing}" for standing, number in check["standing"].items() if number)
        say(f"checked {check['tasks']} tasks: {numbers}")
    say_reliability(facts.get("trials"))
    _say_power(facts["power"])


def _unproved(proofs: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """A row for each thing that is in the way, with the tasks of which it is said."""
    tasks: dict[tuple[str, ...], list[str]] = {}
    for proof in proofs:
        if proof["standing"] not in (Standing.PROVED, Standing.UNPROVED):
            sides = proof["reference"] or "", proof["untouched"] or ""
            tasks.setdefault((proof["standing"], *sides, proof["said"][:SHOWN]), []).append(proof["task"])
    return [[_named(names), *row] for row, names in tasks.items()]


def _named(names: Sequence[str]) -> str:
    return (
        ", ".join(names)
        if len(names) <= NAMED
        else f"{', '.join(names[: NAMED - 1])} and {len(names) - NAMED + 1} more"
    )


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
    more = f"{power['tasks_for_5_points']} of them" + (
        f", or {trials} trials of these," if trials and trials > 1 else ""
    )
    basis = "" if power["churn"] is not None else " (if one task in ten flips by chance)"
    needed = f"for 5 points, {more} are needed"
    if change is None:
        say(f"no gain could be called clear with {tasks} heldout task{'s' if tasks > 1 else ''}; {needed}{basis}")
        return
    shows = f"a change of {points(change)} or more"
    say(f"{tasks} heldout tasks show {shows} in four of five runs{basis}; {needed}")

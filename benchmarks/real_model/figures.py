"""The accuracies, each with its 95% interval (Wilson), over all tasks and over those that no edit was learned from."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from skillgrad_ci.report.statistics import wilson

Facts = Mapping[str, Any]


def show(first: Facts, last: Facts, report: Facts) -> None:
    tasks = {row["id"]: row["split"] for row in report["tasks"]}
    heldout = [task for task, split in tasks.items() if split == "heldout"]
    print(f"\nSmolLM2-135M-Instruct (4 bits), one chat call a task; edits by the rehearsal: {report['headline']}\n")
    print("\n".join(table(first, last, {f"all {len(tasks)} tasks": tasks, f"{len(heldout)} heldout tasks": heldout})))
    print("\nThese are figures of a model of 135 million parameters on a suite that was made for it.")


def table(first: Facts, last: Facts, groups: Mapping[str, Collection[str]]) -> Iterator[str]:
    """The rows of a Markdown table: no skill, the initial and the final one."""
    yield f"| | {' | '.join(groups)} |"
    yield f"| --- |{' --- |' * len(groups)}"
    for name, facts, arm in (
        ("without a skill", first, "without skill"),
        ("with the initial skill", first, "with skill"),
        ("with the final skill", last, "with skill"),
    ):
        yield f"| {name} | {' | '.join(_cell(facts, arm, group) for group in groups.values())} |"


def _cell(facts: Facts, arm: str, group: Collection[str]) -> str:
    passed = [bool(row[arm]) for row in facts["tasks"] if row["id"] in group and row[arm] is not None]
    if not passed:
        return "—"
    share = sum(passed) / len(passed)
    low, high = wilson(share, len(passed))
    return f"{share:.1%} ({sum(passed)} of {len(passed)}; {low:.1%} to {high:.1%})"

"""A first suite for a skill that has none: one task, marked unreviewed, for a person to read and correct.

It is made of the skill's own description, and says where further tasks come from. A suite of unreviewed tasks alone is
refused by a run, so nothing is ever optimized on a task that nobody read.
"""

from pathlib import Path

import yaml

from skillgrad_ci.skill.skill import Skill

FOLDER = Path("evals")
NOTE = """\
# A first suite of the skill {name}, which nobody has reviewed: it says what a task looks like.
# Make the instruction one that people really give, make the assertions what a right result must hold, then delete
# `unreviewed: true`. From ten tasks on, some are kept to report; docs/suites.md has the other graders and formats.
# A model proposes more:  skillgrad-ci suite {suite} --skill {skill} --grow 10 --model provider/model
"""


def first_suite(root: Path, skill: Path) -> tuple[Path, str]:
    """The file of a first suite, relative to `root`, and its text."""
    found = Skill.load(root / skill)
    folder = FOLDER / found.name
    task = {
        "id": "first-task",
        "unreviewed": True,
        "instruction": f"Do a small piece of the work that this is for: {found.description.strip()}\n",
        "grader": {
            "type": "judge",
            "assertions": ["The result does what was asked for.", "Nothing in it contradicts what was asked for."],
        },
    }
    note = NOTE.format(name=found.name, suite=folder.as_posix(), skill=skill.as_posix())
    text = yaml.safe_dump({"version": 1, "tasks": [task]}, sort_keys=False, allow_unicode=True, width=110)
    return folder / "tasks.yaml", note + text

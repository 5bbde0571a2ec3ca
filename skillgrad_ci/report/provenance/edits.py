"""Where an edit's words are in the skill, and which batch taught the patterns that it names."""

from skillgrad_ci.errors import UserError
from skillgrad_ci.method.run import Iteration, Run
from skillgrad_ci.skill.edit import Edit
from skillgrad_ci.skill.frontmatter import body_offset
from skillgrad_ci.skill.markdown import outline
from skillgrad_ci.skill.skill import Skill


def stands_under(edit: Edit, skill: Skill) -> str:
    """The heading that the edit's first line has above it in `skill`; empty where it has none, or is not there."""
    if edit.target == "description" or not edit.file.lower().endswith(".md") or edit.file not in skill.files:
        return ""
    try:
        text = skill.read(edit.file)
    except UserError:
        return ""
    structure = outline(text[body_offset(text) :])
    first = next((line.strip() for line in edit.content.splitlines() if line.strip()), "")
    at = next((number for number, line in enumerate(structure.lines) if first and first in line), None)
    if at is None:
        return ""
    return next((s.heading for s in reversed(structure.sections) if s.start < at < s.end), "")


def taught_in(edit: Edit, step: Iteration, run: Run) -> str:
    """For an edit that no task of its own batch taught: the batch in which its patterns were last seen."""
    if edit.tasks:
        return ""
    known = [pattern for pattern in map(step.memory.get, edit.patterns) if pattern is not None]
    stamps = [stamp for pattern in known for stamp in pattern.appeared_in]
    own = [stamp.iteration for stamp in stamps if stamp.run == run.name and stamp.iteration <= step.number]
    if own:
        batch = next((other.batch for other in [*run.iterations, step] if other.number == max(own)), ())
        return f"the batch of iteration {max(own)} ({', '.join(row.task_id for row in batch)})"
    return f"the batch of iteration {stamps[-1].iteration} of an earlier run, {stamps[-1].run}" if stamps else ""

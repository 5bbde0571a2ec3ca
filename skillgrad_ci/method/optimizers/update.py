"""The update: from a batch's diagnoses, the record and the overlay to the next skill.

One structured call of the patcher and, where edits were refused or the patch is large, one more that reads the
resulting skill back and sees the reasons. An edit's tasks are taken from the overlay, not from the reply.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from pydantic import BaseModel, Field

from skillgrad_ci.document.inert_text import fence, printable
from skillgrad_ci.errors import EnvironmentFailure, ReplyError
from skillgrad_ci.method.events import Dropped
from skillgrad_ci.method.gradient import slug
from skillgrad_ci.method.memory import Stamp
from skillgrad_ci.method.optimizers.momentum import momentum, without_memory
from skillgrad_ci.method.optimizers.optimizer import Candidate
from skillgrad_ci.method.patch import EditResult, Rules, try_patch
from skillgrad_ci.method.ports import Agent
from skillgrad_ci.method.prompting import fill, further_files, in_force, load_prompt, render_skill
from skillgrad_ci.method.run import Iteration, Run
from skillgrad_ci.method.world import World
from skillgrad_ci.skill.edit import Edit, Layer, Op, Target
from skillgrad_ci.skill.review_flags import added_lines
from skillgrad_ci.skill.skill import MAIN, Skill

MAX_EDITS = 6
READ_BACK = 12  # a patch that adds more lines than that is read back as a whole
STUCK = 3  # appearances without being absorbed, from which on words alone are not tried again
WITHOUT_SCRIPTS = "Scripts are not yours to edit here: no file under `scripts/`."
WITH_SCRIPTS = "You may edit and add text files under `scripts/`; what a script does must be plain to a reviewer."


class EditFields(BaseModel):
    """An edit as any agent replies it: the operation, its place, the new text, and why."""

    op: Op = Field(
        description="append: at the end of a heading's section or of a file (a missing resource is created); "
        "insert_after: right below a heading line, or below the line that an exact text ends in; "
        "replace: the description, a heading's section, or an exact text; "
        "delete: a heading's section, an exact text, or a whole resource (target file)"
    )
    file: str = Field(description="SKILL.md, or a path such as references/topic.md")
    target: Target = Field(description="what the address names; description: the frontmatter's, with replace only")
    address: str = Field(
        description="heading: the heading as it stands, its section includes deeper headings; "
        "text: words copied exactly from the file that stand there once; otherwise empty"
    )
    content: str = Field(
        description="the new text, in Markdown; empty for delete. When it replaces a section and brings no "
        "heading, the old heading stays"
    )
    why: str = Field(description="one sentence for the reviewer")

    def edit(self, iteration: int, patterns: tuple[str, ...], tasks: tuple[str, ...]) -> Edit:
        """The edit, not numbered yet. Its layer follows from its place; `tasks` are those that taught it."""
        layer: Layer = "H" if self.target == "description" else "B" if self.file == MAIN else "Q"
        return Edit(
            id="",
            iteration=iteration,
            layer=layer,
            file=self.file.strip().removeprefix("./"),
            op=self.op,
            target=self.target,
            address=self.address,
            content=self.content,
            patterns=patterns,
            tasks=tasks,
            why=printable(self.why),
        )


class EditReply(EditFields):
    """One edit of the skill, at one place of one file."""

    patterns: list[str] = Field(description="slugs of the record's patterns that this edit answers, at least one")


class PatchReply(BaseModel):
    """The edits that lead to the next skill, in the order in which they are made; none if none is warranted."""

    edits: list[EditReply]


def by_pattern(run: Run, world: World, step: Iteration) -> tuple[Iteration, Candidate]:
    """Momentum and update: the step with its record and overlay, and the patch that follows from them.

    Where the patcher has no reply, the step of the record stands.
    """
    if not step.diagnoses:
        return step.taught_nothing(), Candidate(step.skill, ())
    at = Stamp(run.name, step.number)
    if run.settings.momentum:
        memory, overlay = momentum(world.agent, step.skill, step.memory, step.diagnoses, at)
        step = replace(step, memory=memory, overlay=overlay)
    else:
        memory, overlay = without_memory(step.diagnoses, at)
        step = replace(step, overlay=overlay)
    try:
        patch = update(world.agent, replace(step, memory=memory), run.rules(world.probes, memory.slugs), run.next_edit)
        return step, Candidate(*patch)
    except (ReplyError, EnvironmentFailure) as error:
        world.observe(Dropped(f"iteration {step.number}", str(error)))
        return replace(step, verdict=f"no patch: {error}"), Candidate(step.skill, ())


def update(agent: Agent, step: Iteration, rules: Rules, first: int) -> tuple[Skill, list[EditResult]]:
    """From the skill in hand to a candidate: by the step's diagnoses, record and overlay. `first` numbers its edits.

    Raises what the agent raises on its first call; without a second one the first one's edits stand.
    """
    skill, memory = step.skill, step.memory
    if not memory.patterns:
        return skill, []  # no edit could name a pattern
    scripts = WITH_SCRIPTS if rules.allow_scripts else WITHOUT_SCRIPTS
    system = fill(load_prompt("patch"), scripts=scripts, max_edits=str(MAX_EDITS))
    shared, user = in_force(skill), _user_part(step)

    def attempt(
        base: Skill, shared: str, user: str, first: int, done: Collection[Edit]
    ) -> tuple[Skill, list[EditResult]]:
        reply = agent("patcher", system, user, PatchReply, shared=shared)
        edits = [_edit(item, step) for item in reply.edits]
        edits = [replace(edit, id=f"E{first + i}") for i, edit in enumerate(e for e in edits if e not in done)]
        after, results = try_patch(base, edits[:MAX_EDITS], rules)
        late = [EditResult(edit, "refused", f"a patch has at most {MAX_EDITS} edits") for edit in edits[MAX_EDITS:]]
        return after, [*results, *late]

    candidate, results = attempt(skill, shared, user, first, ())
    refused = any(result.status != "accepted" for result in results)
    if not refused and sum(1 for _ in added_lines(skill, candidate)) <= READ_BACK:
        return candidate, results
    done = [replace(result.edit, id="") for result in results if result.status == "accepted"]
    again = f"## The skill after your edits\n\n{render_skill(candidate)}\n\n{_verdicts(results)}"
    shown = (shared, f"{user}\n\n{again}") if refused else ("", again)
    try:
        repaired, more = attempt(candidate, *shown, first + len(results), done)
    except (ReplyError, EnvironmentFailure):
        return candidate, results
    return repaired, [*results, *more]


def _edit(reply: EditReply, step: Iteration) -> Edit:
    """A reply's edit, with the patterns that exist and the tasks that taught them."""
    patterns = tuple(name for name in dict.fromkeys(map(slug, reply.patterns)) if name in step.memory.slugs)
    return reply.edit(step.number, patterns, step.overlay.tasks_of(patterns))


def _user_part(step: Iteration) -> str:
    """Stable parts first: the skill changes least from call to call, the diagnoses most."""
    stuck = [p for p in step.memory.patterns if len(p.appeared_in) >= STUCK and p.absorption != "absorbed"]
    due = [f"- {p.slug}: appeared {len(p.appeared_in)} times, {len(p.remedy_log)} remedies tried" for p in stuck]
    return "\n\n".join(
        [
            *further_files(step.skill),
            f"## The record\n\n{step.memory.for_prompt()}",
            *(["## Due for a structural move, not for more words\n\n" + "\n".join(due)] if due else []),
            f"## The overlay of this batch\n\n{step.overlay.render()}",
            "## This batch's diagnoses\n\n" + "\n".join(diagnosis.render() for diagnosis in step.diagnoses),
        ]
    )


def _verdicts(results: Sequence[EditResult]) -> str:
    """What became of a patch, for the repair round. Accepted edits are named, refused ones shown."""
    accepted = [
        f"{r.edit.op} in {r.edit.file} (for {', '.join(r.edit.patterns)})" for r in results if r.status == "accepted"
    ]
    parts = ["## What became of your edits", f"Made already, not to be sent again: {'; '.join(accepted) or 'none'}."]
    for result in results:
        if result.status != "accepted":
            edit = result.edit
            place = f"{edit.op} in {edit.file}, target {edit.target}"
            shown = f"{place}, address {edit.address!r}" if edit.address else place
            parts.append(f"Refused: {shown}\n\nReason: {result.reason}\n\n{fence(edit.content)}")
    parts.append(
        "Read the resulting skill as an agent would that sees it for the first time. Send corrected edits in the place "
        "of the refused ones, and edits that mend what does not read well now: what is said twice or contradicts, a "
        "list that has grown too long, a pointer without its when. They are made on the skill as it stands here. Send "
        "none where nothing is to be mended."
    )
    return "\n\n".join(parts)

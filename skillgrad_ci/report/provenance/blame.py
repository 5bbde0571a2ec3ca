"""For every line of a skill that a run wrote: the edit, and all that led to it.

The commits of the bot say which edit wrote a line. A run folder says it by the edits' own words, and knows more: the
diagnoses and the measurement. Where both are at hand, the commit decides and the folder tells.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from skillgrad_ci.report.document import EditFacts, Facts, IterationFacts, Report
from skillgrad_ci.report.headline import points
from skillgrad_ci.report.provenance.history import CommittedLine
from skillgrad_ci.skill.skill import Skill

Trailers = Mapping[str, str]


class Origin(Facts):
    """An edit as a line's origin. `run` is the run's name, `commit` the bot's, "" where there is none.

    `diagnoses` are those of the tasks that taught the edit, or which batch did; `accepted_by` is the measurement.
    """

    run: str
    edit: str
    commit: str
    iteration: int | None
    layer: str
    patterns: tuple[str, ...]
    tasks: tuple[str, ...]
    why: str
    diagnoses: tuple[str, ...]
    accepted_by: str


class BlamedLine(Facts):
    """A line that a run wrote. `origins` are places in the document's list: several, where a squash leaves it open."""

    file: str
    line: int
    text: str
    origins: tuple[int, ...]


class BlameDocument(Facts):
    """`blame`. `lines` are those that a run wrote, of `of` lines in all."""

    skill: str
    of: int
    lines: tuple[BlamedLine, ...]
    origins: tuple[Origin, ...]
    runs: tuple[str, ...]


@dataclass(frozen=True)
class KnownRun:
    """A run that has a folder, by its name in commits. `added` are the lines by file that its patch adds, stripped."""

    name: str
    report: Report
    added: Mapping[str, frozenset[str]] = field(default_factory=dict)


def added_by(patch: str) -> dict[str, frozenset[str]]:
    """The lines by file that a unified diff adds, stripped."""
    from unidiff.patch import PatchSet

    return {
        file.path: frozenset(line.value.strip() for hunk in file for line in hunk if line.is_added)
        for file in PatchSet(patch)
    }


def blame(
    skill: Skill,
    runs: Sequence[KnownRun],
    committed: Callable[[str], Sequence[CommittedLine]],
    named_by: Callable[[str], Sequence[Trailers]],
) -> BlameDocument:
    """`committed` gives a file's lines with their commits, nothing for a file without history; `named_by` a commit's
    edits. The newest of `runs` comes first."""
    origins: dict[tuple[str, str], Origin] = {}
    lines, total = [], 0
    for file, text in _texts(skill):
        rows = committed(file) or [CommittedLine(n, line, "") for n, line in enumerate(text.split("\n"), 1)]
        for row in rows:
            total += 1
            found = list(_origins(file, row, runs, named_by)) if row.text.strip() else []
            for origin in found:
                origins.setdefault((origin.run, origin.edit), origin)
            if found:
                places = tuple([*origins].index((origin.run, origin.edit)) for origin in found)
                lines.append(BlamedLine(file=file, line=row.number, text=row.text, origins=places))
    return BlameDocument(
        skill=skill.name, of=total, lines=tuple(lines), origins=tuple(origins.values()),
        runs=tuple(dict.fromkeys(origin.run for origin in origins.values())),
    )  # fmt: skip


def accepted_by(report: Report, step: IterationFacts | None = None) -> str:
    """The measurement that let an edit in: its iteration's, and the check at the run's end."""
    own = ""
    if step is not None and step.validation is not None:
        own = f"{step.validation.passed} of {step.validation.measured} on validation after iteration {step.number}; "
    delta = report.of(report.chosen_on).delta if report.chosen_on else None
    if delta is None:
        return f"{own}the end check is not measured" if own else "no measurement"
    low, high = delta.interval
    checked = "not checked" if report.accept == "always" else "checked"
    return (
        f"{own}{checked} at the end: {points(delta.change)} on {delta.tasks} {report.chosen_on} tasks "
        f"({points(low, '')} to {points(high, '')}, p = {delta.p_value:.2g})"
    )


def accepting_measurements(report: Report) -> Mapping[str, str]:
    """The measurement of each edit that the candidate holds, by its id."""
    steps = [(edit, step) for step in report.iterations for edit in step.edits if edit.status == "accepted"]
    return {edit.id: accepted_by(report, step) for edit, step in steps}


def _texts(skill: Skill) -> Iterator[tuple[str, str]]:
    for file in sorted(skill.files):
        try:
            yield file, skill.files[file].decode("utf-8").replace("\r\n", "\n")
        except UnicodeDecodeError:
            continue


def _origins(
    file: str, row: CommittedLine, runs: Sequence[KnownRun], named_by: Callable[[str], Sequence[Trailers]]
) -> Iterator[Origin]:
    """The commit's edits, of several those whose words the line has; else the newest run that wrote the line."""
    if row.commit:
        named = named_by(row.commit)
        known = {run.name: run.report for run in runs}
        writers = [
            trailers for trailers in named if _wrote(known.get(trailers.get("Run", "")), trailers, file, row.text)
        ]
        for trailers in writers or named:
            yield _of_commit(row.commit, trailers, known.get(trailers.get("Run", "")))
        return
    for run in runs:
        if row.text.strip() in run.added.get(file, ()):
            here = [edit for edit in run.report.accepted if edit.file == file and edit.op != "delete"]
            wrote = [edit for edit in here if _has(edit, file, row.text)][-1:]
            yield from (_of_run(run.name, run.report, edit) for edit in wrote or here)
            return


def _wrote(report: Report | None, trailers: Trailers, file: str, text: str) -> bool:
    edit = _edit(report, trailers.get("Edit", ""))
    return edit is not None and _has(edit, file, text)


def _has(edit: EditFacts, file: str, text: str) -> bool:
    """Whether the line has the edit's own words. A description, and what replaces a text, is a part of one."""
    if edit.file != file or edit.op == "delete":
        return False
    lines = [line.strip() for line in edit.content.splitlines() if line.strip()]
    if edit.target == "description":
        return " ".join(edit.content.split()) in " ".join(text.split())
    ends = (*lines[:1], *lines[-1:]) if edit.target == "text" and edit.op == "replace" else ()
    return text.strip() in lines or any(end in text for end in ends)


def _edit(report: Report | None, edit: str) -> EditFacts | None:
    return next((one for one in report.accepted if one.id == edit), None) if report is not None else None


def _of_run(name: str, report: Report, edit: EditFacts, commit: str = "") -> Origin:
    step = next(step for step in report.iterations if edit in step.edits)
    told = [f"{d.task}: {d.label}: {d.summary}" for d in step.diagnoses if d.task in edit.tasks]
    return Origin(
        run=name,
        edit=edit.id,
        commit=commit,
        iteration=step.number,
        layer=edit.layer,
        patterns=edit.patterns,
        tasks=edit.tasks,
        why=edit.why,
        diagnoses=tuple(told or filter(None, [edit.taught_in])),
        accepted_by=accepted_by(report, step),
    )


def _of_commit(commit: str, trailers: Trailers, report: Report | None) -> Origin:
    """The origin as the run folder tells it; without one, as the commit's trailers do."""
    edit = _edit(report, trailers.get("Edit", ""))
    if report is not None and edit is not None:
        return _of_run(trailers["Run"], report, edit, commit)
    iteration = trailers.get("Iteration", "")
    return Origin(
        run=trailers.get("Run", ""),
        edit=trailers.get("Edit", ""),
        commit=commit,
        iteration=int(iteration) if iteration.isdigit() else None,
        layer=trailers.get("Layer", ""),
        patterns=_listed(trailers, "Patterns"),
        tasks=_listed(trailers, "Tasks"),
        why="",
        diagnoses=_listed(trailers, "Diagnoses"),
        accepted_by=trailers.get("Accepted", ""),
    )


def _listed(trailers: Trailers, name: str) -> tuple[str, ...]:
    value = trailers.get(name, "none")
    return () if value == "none" else tuple(part.strip() for part in value.split(","))

"""WikiTableQuestions (Pasupat and Liang, 2015) in its own layout: `data/*.tsv`, `csv/`, `tagged/data/`.

Official splits are kept: the pristine tables are heldout; of the training questions, those of
`random-split-1-dev.tsv` are validation where that file is there, else one in five, by a digest of
the id. A canonical target (`tagged/`) lets an answer in canonical form pass.
"""

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

from skillgrad_ci.document.parsing import read_text
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.grader_options import TableOptions
from skillgrad_ci.method.task import GraderSpec, Reference, Split, Suite, Task, digest_of
from skillgrad_ci.suites.references import reference_result, untouched_result

__all__ = ["FORMAT", "READS", "load", "reference_result", "suite_at", "untouched_result"]

FORMAT = "wikitablequestions"
READS = "data/*.tsv with csv/: WikiTableQuestions"
HEADER = ["id", "utterance", "context", "targetValue"]
TRAINING = "training"
PRISTINE = ("pristine-seen-tables", "pristine-unseen-tables")
DEV = "random-split-1-dev"
TIMEOUT = 300.0  # seconds
ASKED = (
    "{utterance}\n\nThe table is in `{table}`. Your last message must hold the answer alone: "
    "no sentence, no unit that was not asked for; several values one on a line."
)


def suite_at(path: Path) -> Path | None:
    return path if (path / "csv").is_dir() and any((path / "data").glob("*.tsv")) else None


def load(path: Path) -> Suite:
    names = [name for name in (TRAINING, *PRISTINE) if (path / "data" / f"{name}.tsv").is_file()]
    if not names:
        known = ", ".join(f"{name}.tsv" for name in (TRAINING, *PRISTINE))
        raise UserError(f"{path / 'data'}: none of the official files is here ({known}); put some there")
    dev = path / "data" / f"{DEV}.tsv"
    validation = {row[0] for _, row in _rows(dev, HEADER)} if dev.is_file() else None
    table_of = functools.cache(functools.partial(_table, path))  # 2,108 tables for 22,033 questions
    tasks: list[Task] = []
    warnings: list[str] = []
    for name in names:
        canonical = _canonical(path / "tagged" / "data" / f"{name}.tagged")
        new = [
            _task(table_of(row[2]), row, canonical.get(row[0]), _split(name, row[0], validation), where)
            for where, row in _rows(path / "data" / f"{name}.tsv", HEADER)
        ]
        bare = sum(row.id not in canonical for row in new)
        if bare:
            warnings.append(
                f"data/{name}.tsv: {bare} of {len(new)} questions have no canonical target in tagged/: "
                "about 6% of right answers in canonical form (a year for a date, 5 for five) fail there"
            )
        tasks += new
    return Suite(
        path.resolve().name, FORMAT, path, tasks, warnings, [path / name for name in ("data", "csv", "tagged")]
    )


def _rows(file: Path, header: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """`(file:line, fields)` of each row. Tab-separated, unquoted, one line a row."""
    lines = read_text(file).split("\n")
    if lines[0].rstrip("\r").split("\t")[: len(header)] != header:
        raise UserError(f"{file}:1: expected the columns {', '.join(header)}; got {lines[0][:80]!r}")
    columns = lines[0].count("\t") + 1
    for number, line in enumerate(lines[1:], 2):
        fields = line.rstrip("\r").split("\t")
        if line and len(fields) != columns:
            raise UserError(
                f"{file}:{number}: expected {columns} tab-separated fields, got {len(fields)}; mend the row"
            )
        if line:
            yield f"{file}:{number}", fields


def _canonical(file: Path) -> dict[str, list[str]]:
    """Canonical targets by question id; none where the tagged file is absent."""
    if not file.is_file():
        return {}
    columns = read_text(file).split("\n", 1)[0].rstrip("\r").split("\t")
    if columns[:4] != HEADER or "targetCanon" not in columns:
        raise UserError(f"{file}:1: expected the columns id, utterance, context, targetValue … targetCanon")
    position = columns.index("targetCanon")
    return {row[0]: target_values(row[position]) for _, row in _rows(file, columns)}


def target_values(field: str) -> list[str]:
    """The values of a target field: split at `|`, then `\\n`, `\\p` and `\\\\` are unescaped in this order."""
    return [part.replace("\\n", "\n").replace("\\p", "|").replace("\\\\", "\\") for part in field.split("|")]


def _split(file: str, question: str, validation: set[str] | None) -> Split:
    if file in PRISTINE:
        return Split.HELDOUT
    chosen = question in validation if validation is not None else int(digest_of(question)[:8], 16) % 5 == 0
    return Split.VALIDATION if chosen else Split.TRAIN


def _task(table: Path | None, row: list[str], canonical: list[str] | None, split: Split, where: str) -> Task:
    question, utterance, context, target = row[:4]
    targets = target_values(target)
    if canonical is not None and len(canonical) != len(targets):
        raise UserError(f"{where}: targetValue holds {len(targets)} values and tagged/ {len(canonical)}; they pair up")
    if table is None:
        raise UserError(f"{where}: context: no such table below csv/: {context!r}; copy csv/ whole")
    options = TableOptions(targets=targets, canonical=canonical) if canonical else TableOptions(targets=targets)
    return Task(
        id=question,
        instruction=ASKED.format(utterance=utterance, table=table.name),
        graders=[GraderSpec("table", options.model_dump(mode="json", exclude_unset=True))],
        files={table.name: table},
        expected=targets,
        split=split,
        timeout=TIMEOUT,
        reference=Reference(answer="\t".join(value.replace("\n", " ") for value in targets)),
    )


def _table(path: Path, context: str) -> Path | None:
    """The table's file, below `csv/` and nowhere else."""
    file = (path / context).resolve()
    return file if file.is_relative_to(path.resolve() / "csv") and file.is_file() else None

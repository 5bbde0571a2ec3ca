"""`.skillgrad.yml`: which skills, measured by which suites, with which settings.

A skill's entry may override any setting, and a flag overrides both: the three are merged as plain
mappings before they are validated, so that every way in meets the same rules and messages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from skillgrad_ci.config.settings import REHEARSAL, Budget, Positive, Settings
from skillgrad_ci.document.document import Document, Known
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.optimizers.choices import LOOP
from skillgrad_ci.skill.hosts import HostName
from skillgrad_ci.skill.repository import CONFIGURATION
from skillgrad_ci.skill.skill import name_of

FILE = CONFIGURATION
DEFAULT = "skillgrad"
LABEL = "optimize-skill"  # asks for a run, where no other is configured
OF_AN_OPTIMIZER = frozenset({"optimizer", *(key for own in LOOP.values() for key in own)})


class PullRequest(Known):
    """How the bot opens pull requests."""

    draft_on_tie: bool = False
    """Open a draft that claims nothing where no change was measured; otherwise open none."""
    draft_unconfirmed: bool = True
    """Open a draft where neither heldout nor validation tasks show a gain that chance does not explain; where heldout
    ones fell it is a draft in any case."""
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()


class Entry(Settings):
    """A skill, or several by a glob, with the suite that measures it and its own settings."""

    path: str
    """A folder with SKILL.md, relative to this file; globs allowed."""
    tasks: str
    """The suite; `{name}` stands for the skill's folder name."""


class Caps(Known):
    """The caps over several runs, in US dollars; a skill's own run has `usd`, `tokens` and `minutes`."""

    job: Positive | None = None
    """Over all skills of one start of the bot."""
    month: Positive | None = None
    """Over all runs of the bot in a calendar month (UTC); the bot's state branch holds what was spent."""


class FileBudget(Budget, Caps):
    """The budget of a whole file: what each skill's run may take, and all runs together."""


class File(Settings):
    """A whole `.skillgrad.yml`."""

    budget: FileBudget = Field(default_factory=FileBudget)

    skills: tuple[Entry, ...] = Field(min_length=1)
    hosts: tuple[HostName, ...] = ()
    """The hosts whose fields and limits `lint` knows beside the specification's."""
    label: str = LABEL
    """The issue label that asks for a run."""
    pull_request: PullRequest = Field(default_factory=PullRequest)


@dataclass(frozen=True)
class SkillRun:
    """One skill to run: its folder, its suite, and every setting decided.

    Paths inside the settings are relative to `root`. `reports_ties`: a tie is proposed to people, as a draft.
    """

    path: Path
    tasks: Path
    settings: Settings
    root: Path
    reports_ties: bool = False

    @property
    def name(self) -> str:
        return name_of(self.path)


@dataclass(frozen=True)
class Configuration:
    """What a repository asks for. Skills have different names."""

    root: Path
    skills: Sequence[SkillRun]
    hosts: Sequence[str] = ()
    label: str = LABEL
    pull_request: PullRequest = field(default_factory=PullRequest)
    caps: Caps = field(default_factory=Caps)

    def find(self, skill: str) -> SkillRun | None:
        """The configured skill with exactly this folder name or path."""
        wanted = skill.strip().removeprefix("./").rstrip("/")
        named = {run.name: run for run in self.skills}
        return named.get(wanted) or {run.path.relative_to(self.root).as_posix(): run for run in self.skills}.get(wanted)


def load_config(path: Path, flags: Mapping[str, Any] | None = None) -> Configuration:
    """Read a configuration file; `flags` are settings by key, nested as in the file.

    Raises UserError that names file, line, key and what was expected.
    """
    document = Document.read(path, "write one with skills, each with path and tasks")
    whole, content = document.parse(File), document.value
    common = {key: value for key, value in content.items() if key in Settings.model_fields}
    if "budget" in common:
        common["budget"] = {key: value for key, value in common["budget"].items() if key not in Caps.model_fields}
    root = path.resolve().parent
    runs = []
    for number, entry in enumerate(whole.skills):
        own = {key: value for key, value in content["skills"][number].items() if key in Settings.model_fields}
        settings = document.validate(Settings, layered_settings(common, own), ("skills", number))
        settings = with_flags(settings, flags or {})
        for folder in _folders(document, root, number, entry.path):
            tasks = root / entry.tasks.replace("{name}", name_of(folder))
            runs.append(SkillRun(folder, tasks, settings, root, whole.pull_request.draft_on_tie))
    _refuse_twins(document, runs)
    caps = Caps(job=whole.budget.job, month=whole.budget.month)
    return Configuration(root, runs, whole.hosts, whole.label, whole.pull_request, caps)


def with_flags(settings: Settings, flags: Mapping[str, Any]) -> Settings:
    """Settings with flags over them. Asked for as the executor, the rehearsal plays every role no flag gives away."""
    models = flags.get("models", {})
    if models.get("executor") == REHEARSAL:
        flags = {**flags, "models": {"optimizer": REHEARSAL, "judge": REHEARSAL, **models}}
    given = settings.model_dump(mode="json", exclude_unset=True)
    return Document(Path("the command line")).validate(Settings, layered_settings(given, flags))


def layered_settings(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Settings over others, key by key; where `over` names another optimizer, what `under` says of its is set aside.

    That is its parts, and the keys that an optimizer has defaults of its own for. What `over` says of them counts.
    """
    asked, before = over.get("optimizer"), under.get("optimizer")
    if (_preset(asked) or _preset(before) or DEFAULT) != (_preset(before) or DEFAULT):
        under = {key: value for key, value in under.items() if key not in OF_AN_OPTIMIZER}
    elif asked is not None and before is not None:  # parts over parts
        under, over = ({**side, "optimizer": _parts(side["optimizer"])} for side in (under, over))
    return layered(under, over)


def _preset(optimizer: Any) -> Any:
    """The optimizer that is named, if one is."""
    return optimizer.get("preset") if isinstance(optimizer, Mapping) else optimizer


def _parts(optimizer: Any) -> Any:
    """An optimizer's parts: its name alone is one of them."""
    return {"preset": optimizer} if isinstance(optimizer, str) else optimizer


def layered(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` wins key by key, through nested mappings."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = layered(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _folders(document: Document, root: Path, number: int, pattern: str) -> list[Path]:
    at = ("skills", number, "path")
    if not pattern or Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise document.error(at, f"{pattern!r} leaves the repository; write it relative to this file")
    found = [root] if Path(pattern) == Path() else sorted(root.glob(pattern.rstrip("/")))
    folders = [path for path in found if (path / "SKILL.md").is_file() and path.resolve().is_relative_to(root)]
    if not folders:
        raise document.error(at, f"{pattern!r} names no folder with SKILL.md below {root}; correct it")
    return folders


def _refuse_twins(document: Document, runs: Sequence[SkillRun]) -> None:
    """A name is a branch, a memory and a run folder: two skills cannot share it."""
    seen: dict[str, SkillRun] = {}
    for run in runs:
        twin = seen.setdefault(run.name, run)
        if twin is not run:
            both = f"{twin.path} and {run.path}"
            raise document.error(
                ("skills",), f"two skills are named {run.name!r} ({both}); names are unique, so rename one"
            )


def refuse_outside(run: SkillRun, path: str) -> Path:
    """A path that the settings name, below the root. Raises UserError where it leaves it."""
    resolved = (run.root / path).resolve()
    if not resolved.is_relative_to(run.root.resolve()):
        raise UserError(f"{path}: leaves {run.root}; name a path inside the repository")
    return resolved

"""The skill as a commit holds it: what a run starts from, so that its result fits onto the repository.

A checkout may hold something else than the commit: line ends that `.gitattributes` converts, the contents of
Git LFS in place of their pointers, files that were built or are ignored. Measured is what the repository holds.
"""

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.github.client import Api
from skillgrad_ci.github.git_data import EXECUTABLE, LINK, Blob, blob_content, blob_name, commit_at, folder_at
from skillgrad_ci.session.inputs import Inputs, read_inputs
from skillgrad_ci.skill.folder import MAX_FILE_BYTES
from skillgrad_ci.skill.membership import IGNORED
from skillgrad_ci.skill.skill import EVALS, MAIN, Skill
from skillgrad_ci.suites.kept_out import kept_out

POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:(?P<oid>[0-9a-f]{64})\nsize \d+\n")
POINTER_BYTES = 1024  # a pointer is smaller, says the specification of Git LFS


@dataclass(frozen=True)
class Checkout:
    """The skill's folder on disk: for what no blob tells, and for what a suite keeps in it.

    `kept_out` are real paths of files and folders that belong to suites: no agent may see them in any commit.
    """

    folder: Path
    skill: Skill
    kept_out: frozenset[Path] = frozenset()

    def leaves_out(self, name: str) -> bool:
        place = self.folder.resolve() / name
        return place in self.kept_out or any(above in self.kept_out for above in place.parents)

    def links(self, blobs: Mapping[str, Blob]) -> Collection[str]:
        """The skill's links, and files behind them, that lead in a commit where they lead on disk."""
        same = {name for name, blob in blobs.items() if blob.mode == LINK and self._leads_as(name, blob)}
        known = {**self.skill.links, **self.skill.linked}
        return {name for name in known if name in same or same.intersection(map(str, PurePosixPath(name).parents))}

    def _leads_as(self, name: str, blob: Blob) -> bool:
        place = self.folder / name
        return place.is_symlink() and blob_name(str(place.readlink()).encode()) == blob.sha

    def content(self, api: Api, name: str, blob: Blob) -> bytes:
        """A file's content in a commit; an asset of Git LFS as agents see it, where the checkout has it."""
        there = self.skill.files.get(name)
        if there is not None and blob_name(there) == blob.sha:
            return there
        content = blob_content(api, blob)
        pointer = POINTER.fullmatch(content)
        is_asset = pointer and there and hashlib.sha256(there).hexdigest().encode() == pointer["oid"]
        return there if is_asset and there is not None else content


def checkout_of(job: SkillRun) -> Checkout | None:
    """The skill in the checkout; None where it or its suite cannot be read, which whoever measures is told."""
    try:
        return checkout_in(read_inputs(job))
    except UserError:
        return None


def checkout_in(inputs: Inputs) -> Checkout:
    suites = [suite for suite in (inputs.suite, inputs.triggers) if suite is not None]
    return Checkout(inputs.job.path, inputs.skill, kept_out(inputs.job.path, suites))


def skill_at(api: Api, sha: str, path: str, folder: str, checkout: Checkout | None = None) -> Skill | None:
    """The skill as a commit holds it, by the rules of `Skill.load`; None where it is not there."""
    blobs = {
        name: blob
        for name, blob in folder_at(api, commit_at(api, sha), path).items()
        if not _left_out(PurePosixPath(name).parts) and not (checkout and checkout.leaves_out(name))
    }
    files = {name: blob for name, blob in blobs.items() if blob.mode != LINK}  # no edit reaches a link
    led = checkout.links(blobs) if checkout else ()
    if MAIN not in files and MAIN not in led:
        return None
    for name, blob in files.items():
        if blob.size > MAX_FILE_BYTES:
            what = f"larger than {MAX_FILE_BYTES:,} bytes"
            raise UserError(f"{path}/{name} at {sha[:7]}: {what}; a skill holds files of moderate size")
    executable = frozenset(name for name, blob in files.items() if blob.mode == EXECUTABLE)
    if checkout is None:
        return Skill(folder, {name: blob_content(api, blob) for name, blob in files.items()}, executable)
    there = checkout.skill
    return Skill(
        folder,
        {name: checkout.content(api, name, blob) for name, blob in files.items()},
        executable | (there.executable & set(led)),
        {name: target for name, target in there.links.items() if name in led and target in files},
        {name: content for name, content in there.linked.items() if name in led},
    )


def _left_out(parts: tuple[str, ...]) -> bool:
    """A suite inside the skill's folder, and what no skill holds."""
    return parts[0] == EVALS or bool(IGNORED & set(parts))


def as_committed(api: Api, skill: Skill, checkout: Path, path: str, base: str) -> tuple[Skill, list[str]]:
    """The checked-out skill with what commit `base` holds in it, and what is to be said about the differences.

    `path` is the skill's folder in the repository, `checkout` the same on disk. Raises UserError where the
    checkout cannot be brought to what the commit holds: the result of a run could not be delivered.
    """
    blobs = folder_at(api, commit_at(api, base), path)
    if MAIN not in blobs:  # a link, as one to a file elsewhere, is one of the blobs
        raise UserError(
            f"{path or '.'}: not in the repository at {base[:7]}; commit the skill (a path that .gitignore names is "
            "not committed), then start the run again"
        )
    files: dict[str, bytes] = {}
    notes: list[str] = []
    for name, blob in blobs.items():
        if name in skill.files:
            files[name] = _brought_back(api, skill.files[name], blob, f"{path}/{name}".lstrip("/"), base, notes)
        elif blob.mode != LINK and not (checkout / name).exists():
            raise UserError(f"{path}/{name}: missing in the checkout; check out the whole skill (no sparse-checkout)")
    extra = sorted(set(skill.files) - set(files))
    if extra:
        notes.append(f"{path}: left out, because the repository does not hold them: {', '.join(extra[:5])}")
    executable = frozenset(name for name in files if blobs[name].mode == EXECUTABLE)
    executable |= skill.executable & set(skill.linked)
    return replace(skill, files=files, executable=executable), notes


def _brought_back(api: Api, content: bytes, blob: Blob, where: str, base: str, notes: list[str]) -> bytes:
    """A file's content as the repository has it; an asset of Git LFS as agents see it."""
    if blob_name(content) == blob.sha:
        if POINTER.fullmatch(content):
            notes.append(f"{where}: a Git LFS pointer; agents see the file with lfs: true at actions/checkout")
        return content
    unix = content.replace(b"\r\n", b"\n")
    if blob_name(unix) == blob.sha:
        notes.append(f"{where}: read with the repository's line ends; .gitattributes converts them in the checkout")
        return unix
    pointer = POINTER.fullmatch(blob_content(api, blob)) if blob.size <= POINTER_BYTES else None
    if pointer and hashlib.sha256(content).hexdigest().encode() == pointer["oid"]:
        return content
    raise UserError(
        f"{where}: the checkout holds something else than commit {base[:7]}, so a result could not be delivered; "
        "a filter in .gitattributes (take the skill out of it: '*.md -filter -ident') or an earlier step changed it"
    )


def refuse_unread_assets(path: str, base: Skill, head: Skill) -> None:
    """Raises UserError where a head changes an asset of Git LFS: the API gives its pointer, agents need the file."""
    for name, content in head.files.items():
        if base.files.get(name) != content and POINTER.fullmatch(content):
            raise UserError(
                f"{path}/{name}: an asset of Git LFS that this pull request changes, and the API gives its pointer "
                "alone; merge the asset into the base first, so that it can be measured"
            )


class Moved(EnvironmentFailure):
    """The skill is another by now: what was measured does not fit it any more."""


def refuse_moved(api: Api, path: str, begun: str, now: str, branch: str, touched: Mapping[str, object]) -> None:
    """Raises Moved where the skill changed from commit `begun` to commit `now`.

    A file that only `now` has is in the way if an edit would create it.
    """
    if api.blind or begun == now:
        return
    before, after = (folder_at(api, commit_at(api, sha), path) for sha in (begun, now))
    moved = sorted(name for name in before if after.get(name) != before[name])
    moved += sorted(name for name in after if name not in before and name in touched)
    if moved:
        raise Moved(
            f"{path or '.'}: {', '.join(moved[:3])} changed on {branch} since the run began; "
            "nothing was pushed, the next run starts from there"
        )

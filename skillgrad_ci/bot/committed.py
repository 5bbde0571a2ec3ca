"""The skill as a commit holds it: what a run starts from, so that its result fits onto the repository.

A checkout may hold something else than the commit: line ends that `.gitattributes` converts, the contents of
Git LFS in place of their pointers, files that were built or are ignored. Measured is what the repository holds.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.github.client import Api
from skillgrad_ci.github.git_data import EXECUTABLE, LINK, Blob, blob_content, blob_name, commit_at, folder_at
from skillgrad_ci.skill.folder import MAX_FILE_BYTES
from skillgrad_ci.skill.membership import IGNORED
from skillgrad_ci.skill.skill import EVALS, MAIN, Skill

POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:(?P<oid>[0-9a-f]{64})\nsize \d+\n")
POINTER_BYTES = 1024  # a pointer is smaller, says the specification of Git LFS


def skill_at(api: Api, sha: str, path: str, folder: str) -> Skill | None:
    """The skill as a commit holds it, by the rules of `Skill.load`; None where it is not there."""
    blobs = folder_at(api, commit_at(api, sha), path)
    blobs = {
        name: blob
        for name, blob in blobs.items()
        if not _left_out(PurePosixPath(name).parts) and blob.mode != LINK  # no edit reaches a link
    }
    if MAIN not in blobs:
        return None
    for name, blob in blobs.items():
        if blob.size > MAX_FILE_BYTES:
            what = f"larger than {MAX_FILE_BYTES:,} bytes"
            raise UserError(f"{path}/{name} at {sha[:7]}: {what}; a skill holds files of moderate size")
    executable = frozenset(name for name, blob in blobs.items() if blob.mode == EXECUTABLE)
    return Skill(folder, {name: blob_content(api, blob) for name, blob in blobs.items()}, executable)


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

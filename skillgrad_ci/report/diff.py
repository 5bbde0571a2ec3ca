"""The change from one skill to another, as a patch that `git apply` takes in the skill's folder.

`SKILL.md` comes first, its hunks named by layer (H: metadata, B: body), then the resources (Q).
Everything is bytes: CRLF, a missing last newline and other encodings survive. The form is that of
`git diff --full-index`: https://git-scm.com/docs/diff-format.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from hashlib import sha1

from skillgrad_ci.skill.skill import MAIN, Skill

NOTHING = "0" * 40
PLAIN = re.compile(r"[ !#-\[\]-~]+")  # a file name that git does not quote


def skill_patch(initial: Skill, final: Skill) -> bytes:
    """Turns `initial`'s folder into `final`'s, to the byte; empty where they are equal."""
    names = sorted({*initial.files, *final.files}, key=lambda name: (name != MAIN, name))
    return "".join(line for name in names for line in _file(name, initial, final)).encode("latin-1")


def _file(name: str, initial: Skill, final: Skill) -> Iterator[str]:
    """One file's part, as text in which every character is one byte."""
    old, new = initial.files.get(name), final.files.get(name)
    before, after = _mode(initial, name), _mode(final, name)
    if (old, before) == (new, after):
        return
    left, right = _quote(f"a/{name}"), _quote(f"b/{name}")
    yield f"diff --git {left} {right}\n"
    if old is None:
        yield f"new file mode {after}\n"
    elif new is None:
        yield f"deleted file mode {before}\n"
    elif before != after:
        yield f"old mode {before}\nnew mode {after}\n"
    if old == new:
        return
    yield f"index {_blob(old)}..{_blob(new)}{f' {after}' if before == after else ''}\n"
    hunks = _hunks(name, old or b"", new or b"")
    if hunks:
        yield f"--- {_ended(left) if old is not None else '/dev/null'}\n"
        yield f"+++ {_ended(right) if new is not None else '/dev/null'}\n"
        yield from hunks


def _hunks(name: str, old: bytes, new: bytes) -> list[str]:
    before, after = _lines(old), _lines(new)
    fence = _fence(after)
    hunks = []
    for group in difflib.SequenceMatcher(None, before, after).get_grouped_opcodes(3):
        ranges = _range(group[0][1], group[-1][2]), _range(group[0][3], group[-1][4])
        layer = _layer(group, fence) if name == MAIN else "Q"
        hunks.append(f"@@ -{ranges[0]} +{ranges[1]} @@ {layer}\n")
        for tag, i, j, k, m in group:
            if tag == "equal":
                hunks += (_marked(" ", line) for line in before[i:j])
            else:
                hunks += (_marked("-", line) for line in before[i:j])
                hunks += (_marked("+", line) for line in after[k:m])
    return hunks


def _range(start: int, end: int) -> str:
    """Lines start to end (from 0) as git counts them; an empty range stands after its line."""
    return f"{start + (end > start)},{end - start}"


def _marked(mark: str, line: str) -> str:
    return f"{mark}{line}" if line.endswith("\n") else f"{mark}{line}\n\\ No newline at end of file\n"


def _lines(content: bytes) -> list[str]:
    """Lines as git sees them: only a line feed ends one."""
    parts = content.decode("latin-1").split("\n")
    return [f"{part}\n" for part in parts[:-1]] + parts[-1:] * bool(parts[-1])


def _fence(lines: list[str]) -> int:
    """The number of the line that closes the frontmatter, or 0."""
    return next((number for number, line in enumerate(lines[1:], 2) if line.rstrip() == "---"), 0)


def _layer(group: Sequence[tuple[str, int, int, int, int]], fence: int) -> str:
    """The layers of SKILL.md that a hunk changes."""
    changes = [(start, end) for tag, _, _, start, end in group if tag != "equal"]
    layers = ["H"] * any(start < fence for start, _ in changes)
    layers += ["B"] * any(max(start + 1, end) > fence for start, end in changes)
    return " and ".join(layers)


def _mode(skill: Skill, name: str) -> str:
    return "" if name not in skill.files else "100755" if name in skill.executable else "100644"


def _blob(content: bytes | None) -> str:
    """git's object id of a file's content."""
    if content is None:
        return NOTHING
    return sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _quote(name: str) -> str:
    """A file name as git writes it: in C quotes where it has other than plain characters."""
    if PLAIN.fullmatch(name):
        return name
    octal = (f"\\{byte:03o}" if byte < 32 or byte > 126 or byte in b'"\\' else chr(byte) for byte in name.encode())
    return f'"{"".join(octal)}"'


def _ended(name: str) -> str:
    """A tab ends a name with spaces, as git does it, so that no date is looked for behind it."""
    return f"{name}\t" if " " in name else name

"""Git's objects as GitHub keeps them: real names (SHA-1 over real contents), nested trees, refs."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

FILE, EXECUTABLE, FOLDER, SUBMODULE = "100644", "100755", "040000", "160000"


@dataclass(frozen=True)
class Entry:
    mode: str
    sha: str

    @property
    def kind(self) -> str:
        return {FOLDER: "tree", SUBMODULE: "commit"}.get(self.mode, "blob")


@dataclass(frozen=True)
class Commit:
    sha: str
    tree: str
    parents: tuple[str, ...]
    message: str
    author: str
    committer: str = ""  # where it is not the author's account


def git_name(kind: str, content: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content).hexdigest()


@dataclass
class GitStore:
    blobs: dict[str, bytes] = field(default_factory=dict)
    trees: dict[str, dict[str, Entry]] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def blob(self, content: bytes) -> str:
        sha = git_name("blob", content)
        self.blobs[sha] = content
        return sha

    def tree(self, flat: Mapping[str, Entry]) -> str:
        """Write nested trees for a mapping of whole paths to blobs."""
        entries: dict[str, Entry] = {}
        folders: dict[str, dict[str, Entry]] = {}
        for path, entry in flat.items():
            head, _, rest = path.partition("/")
            if rest:
                folders.setdefault(head, {})[rest] = entry
            else:
                entries[head] = entry
        for name, inner in folders.items():
            entries[name] = Entry(FOLDER, self.tree(inner))
        order = sorted(entries.items(), key=lambda item: item[0] + ("/" if item[1].mode == FOLDER else ""))
        content = b"".join(f"{e.mode.lstrip('0')} {name}\0".encode() + bytes.fromhex(e.sha) for name, e in order)
        sha = git_name("tree", content)
        self.trees[sha] = dict(order)
        return sha

    def flat(self, tree: str, prefix: str = "") -> dict[str, Entry]:
        """Whole paths of a tree's blobs."""
        found: dict[str, Entry] = {}
        for name, entry in self.trees[tree].items():
            path = f"{prefix}{name}"
            found |= self.flat(entry.sha, f"{path}/") if entry.mode == FOLDER else {path: entry}
        return found

    def commit(self, tree: str, parents: Iterable[str], message: str, author: str) -> str:
        parents = tuple(parents)
        content = f"{tree} {parents} {message} {author} {len(self.commits)}"  # its place stands for its time
        sha = git_name("commit", content.encode())
        self.commits[sha] = Commit(sha, tree, parents, message, author)
        return sha

    def ancestors(self, sha: str) -> list[str]:
        """A commit and all before it, nearest first."""
        found, todo = [], [sha]
        while todo:
            current = todo.pop(0)
            if current not in found:
                found.append(current)
                todo += self.commits[current].parents
        return found

    def files(self, ref: str) -> dict[str, bytes]:
        """Every file of a branch, tag path (`heads/main`) or commit."""
        commit = self.commits[self.refs.get(ref, ref)]
        return {path: self.blobs[entry.sha] for path, entry in self.flat(commit.tree).items()}

    def change(self, ref: str, files: Mapping[str, bytes | None], author: str, message: str = "Change") -> str:
        """Commit on a ref, as somebody with a clone would (None removes a file); the first one makes the ref."""
        parent = self.refs.get(ref)
        flat = self.flat(self.commits[parent].tree) if parent else {}
        flat |= {path: Entry(FILE, self.blob(content)) for path, content in files.items() if content is not None}
        kept = {path: entry for path, entry in flat.items() if files.get(path, b"") is not None}
        self.refs[ref] = self.commit(self.tree(kept), [parent] if parent else [], message, author)
        return self.refs[ref]

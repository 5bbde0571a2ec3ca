"""A dry run: reads go to GitHub where there is a token, writes go to a file and to the log.

Answers to writes are made up from what was sent, so that later writes can refer to earlier ones; what
was written is not read back.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.github.action_inputs import ACTIONS
from skillgrad_ci.github.client import Api, Refusal
from skillgrad_ci.github.workflow_log import WorkflowLog

FILE = "api-calls.jsonl"


@dataclass
class DryRun:
    """Records writes below `folder`. Without a `reader`, nothing is known of the repository."""

    repository: str
    folder: Path
    log: WorkflowLog
    clean: Callable[[Any], Any] = lambda body: body
    reader: Api | None = None
    expected_login: str = ACTIONS
    calls: list[Mapping[str, Any]] = field(default_factory=list)
    dry: bool = True

    def __post_init__(self) -> None:
        """An earlier dry run's calls are not this one's."""
        with self._writing():
            (self.folder / FILE).unlink(missing_ok=True)

    @property
    def blind(self) -> bool:
        return self.reader is None

    @property
    def login(self) -> str:
        return self.reader.login if self.reader else self.expected_login

    def get(self, path: str, **query: str) -> Any:
        if self.reader is None:
            raise Refusal(f"dry run without a token: {path} is not known", 404, "Not Found")
        return self.reader.get(path, **query)

    def pages(self, path: str, **query: str) -> Iterator[Mapping[str, Any]]:
        return self.reader.pages(path, **query) if self.reader else iter(())

    def write(self, verb: str, path: str, body: Any = None, *, done: Callable[[], Any] | None = None) -> Any:
        del done  # no answer is ever lost here
        call = {"method": verb, "path": f"/repos/{self.repository}{path}", "body": self.clean(body)}
        self.calls.append(call)
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / FILE).open("a", encoding="utf-8") as file:
                file.write(json.dumps(call, ensure_ascii=False) + "\n")
        self.log.say(f"dry run, not sent: {verb} {call['path']}")
        return self._answer(body)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise EnvironmentFailure(
                f"{self.folder / FILE}: cannot be written ({error.strerror}); choose another run_folder"
            ) from None

    def _answer(self, body: Any) -> dict[str, Any]:
        """What GitHub's answer to a write tells: a name, and where to look."""
        name = hashlib.sha1(json.dumps([len(self.calls), body]).encode(), usedforsecurity=False).hexdigest()
        return {"sha": name, "number": 0, "id": len(self.calls), "html_url": "", "head": {"sha": name}}

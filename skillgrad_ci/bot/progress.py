"""Progress for those who wait: one comment kept up to date, and lines in the log."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from skillgrad_ci.commands.progress import describe
from skillgrad_ci.document.inert_text import code, shown
from skillgrad_ci.errors import SkillGradError
from skillgrad_ci.github.comments import Comment
from skillgrad_ci.github.workflow_log import WorkflowLog
from skillgrad_ci.method.events import BatchBegun, Dropped, Event, IterationDone, Measuring

SECONDS_BETWEEN = 20.0  # a comment's history is read by people; GitHub limits writes, too


@dataclass
class Progress:
    """An observer of the loop. Thread-safe; a comment that cannot be written stops no run.

    `lead` are hidden lines that stand before the text until there is a result.
    """

    log: WorkflowLog
    skill: str
    comment: Comment | None = None
    run_url: str = ""
    verbose: bool = False
    clock: Callable[[], float] = time.monotonic
    lead: str = ""
    _lines: list[str] = field(default_factory=list)
    _shown_at: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, event: Event, /) -> None:
        told, line = describe(event, self.verbose), _told(event)
        with self._lock:
            if told is not None:
                for part in told.splitlines():
                    self.log.say(part)
            if line is None:
                return
            self._lines.append(line)
            if self._shown_at is None or self.clock() - self._shown_at >= SECONDS_BETWEEN:
                self._show("")

    def note(self, line: str) -> None:
        """A line of the comment, shown at once."""
        with self._lock:
            self._lines.append(line)
            self._show("")

    def start(self) -> None:
        """Say at once that the bot is at work."""
        with self._lock:
            self._show("")

    def end(self, result: str) -> None:
        """Replace the progress by the result, which is Markdown of ours."""
        with self._lock:
            self._show(result)

    def _show(self, result: str) -> None:
        self._shown_at = self.clock()
        if self.comment is None:
            return
        where = f"[workflow run]({self.run_url})" if self.run_url else "workflow run"
        text = result or f"{self.lead}Optimizing {code(self.skill)}; details are in the {where}."
        steps = "\n".join(f"- {shown(line, 200)}" for line in self._lines[-30:])
        whole = f"{text}\n\n<details><summary>What was done</summary>\n\n{steps}\n\n</details>" if steps else text
        try:
            self.comment.show(whole)
        except SkillGradError as error:  # an expired token among them
            self.log.annotate("warning", f"the progress comment was not updated: {error}")


def _told(event: Event) -> str | None:
    """A line for the events that a person who waits for the end cares about."""
    match event:
        case Measuring(name, executions, at_most):
            return f"measuring ({name}): {'at most ' if at_most else ''}{executions} executions"
        case BatchBegun(number, tasks, _, reused):
            return f"iteration {number}: {len(tasks)} tasks" + (f", {len(reused)} not executed again" if reused else "")
        case IterationDone(number, verdict):
            return f"iteration {number}: {verdict}"
        case Dropped(_, why):
            return f"left out: {why}"
    return None

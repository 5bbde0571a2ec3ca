"""The faults of a provider, one row each: what it deals, and what docs/reliability.md says of it.

`python -m tests.support.provider_faults` prints the page's table.
"""

import gzip
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.scripted_answers import Answer, Call, Raw, Reply, Reset, Script, Stall, error

RETRIES = 2  # in the tests; the program waits longer and oftener
TIME_LIMIT = 1.0  # seconds, in the tests

# What becomes of the call.
WAITED = "waited out: up to 6 retries over a minute, at least as long as `Retry-After` asks; not counted as spent"
LOST = "may have been charged: counted in full, then asked again as a call of its own, twice at most"
USED = "used as it is"
COUNTED = "used; its tokens are counted at the most they can have been"
APART = "used; cached tokens are counted beside the prompt's from then on, and that is said once"
AS_A_CALL = "taken as a tool call of today's form"
REPAIRED = "asked once to repair it; both calls are counted"
ENDED = "not repeated"

# What becomes of the task whose executor it hits.
UNMEASURED = "unmeasured once the call is given up: neither passed nor failed, and nothing is learned from it"
AS_EVER = "goes on"
TOLD = "the model is told what was wrong and goes on"
FEW_RUN = "16 of them run, the others are answered with a note; goes on"
AT_TURNS = "ends at the turn limit and is graded as it stands"
OUTGROWN = "ends, and is graded as it stands: the conversation was the model's to keep short"
FIRST_TURN = "unmeasured: the model did nothing yet, so what is too long is ours, or a proxy's limit"
MENDED = "the half is replaced by U+FFFD, and the command runs; goes on"
ASKED_ON = "asked once to go on; the second empty reply in a row ends it, graded as it stands. After work it is the end"
EMPTY = "ends after two in a row, and is graded as it stands"
REFUSED = "ends, and is graded as it stands: the refusal is the model's"
NO_TASK = "–"

# What becomes of the iteration: where an optimizing agent is hit, and the call is given up.
DROPPED = "diagnosis: that task leaves the batch; momentum: the old record stays; patch: the skill stays"
NOTHING = "–"

GOES_ON = "goes on"
STOPS = "stops at once with what to fix (exit code 2); the check before the base run finds it first"


@dataclass(frozen=True)
class Row:
    """A fault. `deal` is what the provider answers, each time it is asked while the fault lasts."""

    name: str
    deal: Answer | Sequence[Answer]
    call: str
    task: str
    iteration: str = DROPPED
    run: str = GOES_ON

    def script(self) -> Script:
        """The fault without end; of several answers the last one lasts."""
        answers: list[Answer] = list(self.deal) if isinstance(self.deal, Sequence) else [self.deal]

        def script(_: dict[str, Any]) -> Answer:
            return answers.pop(0) if len(answers) > 1 else answers[0]

        return script


def tool_calls(*calls: Call) -> list[Answer]:
    """A turn of tool calls, then an answer."""
    return [Reply(calls=calls), Reply("done")]


def said(usage: Any = None, **message: Any) -> Raw:
    """A reply of OpenAI's form with any message in it."""
    whole = {"role": "assistant", "content": None, **message}
    counts = usage or {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
    body = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "usage": counts}
    return Raw(body=json.dumps({**body, "choices": [{"index": 0, "message": whole, "finish_reason": "stop"}]}).encode())


def as_reply(code: int | str, message: str = "scripted") -> Raw:
    """An error that comes with HTTP 200."""
    return Raw(body=json.dumps({"error": {"message": message, "code": code}}).encode())


HUNDRED = [Call("shell", {"command": "true"}) for _ in range(100)]
DIGITS, HALF = '{"command": ' + "9" * 6_000 + "}", '{"command": "echo \\ud83d"}'
LIST = Call("shell", {"command": "ls"})
BESIDE = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 800}}
ABSURD = {"prompt_tokens": -9, "completion_tokens": 10**30, "prompt_tokens_details": {"cached_tokens": -1}}
BOMB = Raw(body=gzip.compress(bytes(5_000_000)), headers={"content-encoding": "gzip"})
JSON_REPLY = (
    b'{"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "finish_reason": '
    b'"stop", "message": {"role": "assistant", "content": "done"}}], "usage": {"prompt_tokens": 9, '
    b'"completion_tokens": 1, "total_tokens": 10}}'
)

ROWS = [
    Row("429 with `Retry-After`", error(429, retry_after="0.01"), WAITED, UNMEASURED),
    Row("429 without it", error(429), WAITED, UNMEASURED),
    Row("500", error(500), WAITED, UNMEASURED),
    Row("502", Raw(502, b"<html>bad gateway</html>", "text/html"), WAITED, UNMEASURED),
    Row("529", error(529, "overloaded"), WAITED, UNMEASURED),
    Row("reset before the body", Reset(), LOST, UNMEASURED),
    Row("reset during the body", Reset(after=40), LOST, UNMEASURED),
    Row("stall past the time limit", Stall(seconds=30), LOST, UNMEASURED),
    Row("truncated body", Raw(body=JSON_REPLY[:90], missing=200), LOST, UNMEASURED),
    Row("empty body", Raw(), LOST, UNMEASURED),
    Row("HTML instead of JSON", Raw(body=b"<html>welcome</html>", content_type="text/html"), LOST, UNMEASURED),
    Row("wrong content type", Raw(body=JSON_REPLY, content_type="text/plain"), USED, AS_EVER, NOTHING),
    Row("missing `usage`", Reply("done", usage=False), COUNTED, AS_EVER, NOTHING),
    Row("reply that breaks the schema, twice", Reply('{"edits": 7}'), REPAIRED, NO_TASK),
    Row("tool call with broken JSON", tool_calls(Call("shell", '{"command": "l')), USED, TOLD, NOTHING),
    Row("unknown tool", tool_calls(Call("browse", {"url": "x"})), USED, TOLD, NOTHING),
    Row("a hundred tool calls at once", tool_calls(*HUNDRED), USED, FEW_RUN, NOTHING),
    Row("endless tool loop", Reply(calls=[Call("shell", {"command": "true"})]), USED, AT_TURNS, NOTHING),
    Row("tool call nested 100,000 deep", tool_calls(Call("shell", "[" * 100_000)), USED, TOLD, NOTHING),
    Row("tool call with a number of 6,000 digits", tool_calls(Call("shell", DIGITS)), USED, TOLD, NOTHING),
    Row("tool call with half an emoji", tool_calls(Call("shell", HALF)), USED, MENDED, NOTHING),
    Row(
        "legacy `function_call`",
        [said(function_call={"name": "shell", "arguments": "{}"}), Reply("done")],
        AS_A_CALL,
        TOLD,
        NOTHING,
    ),
    Row("refusal without content", said(refusal="I will not."), USED, REFUSED),
    Row("null content", said(), USED, ASKED_ON, NOTHING),
    Row("empty replies at the output limit", Reply("", stop="length"), USED, EMPTY, NOTHING),
    Row("cached tokens above the prompt's", said(BESIDE, content="done"), APART, AS_EVER, NOTHING),
    Row("counts of tokens below zero or beyond sense", said(ABSURD, content="done"), COUNTED, AS_EVER, NOTHING),
    Row("reply of another shape", Raw(body=b'{"choices": [{"message": "hello"}]}'), LOST, UNMEASURED),
    Row("body above 4 MiB, also once unpacked", BOMB, LOST, UNMEASURED),
    Row("error with status 200 that says 429", as_reply(429), WAITED, UNMEASURED),
    Row("redirect to another host", Raw(307, headers={"location": "http://localhost:9/v1"}), ENDED, UNMEASURED),
    Row(
        "context-length error on the first turn", error(400, "long", code="context_length_exceeded"), ENDED, FIRST_TURN
    ),
    Row("413 on the first turn", error(413, "too large"), ENDED, FIRST_TURN),
    Row(
        "context-length error or 413 later on", [Reply(calls=[LIST]), error(413, "too large")], ENDED, OUTGROWN, NOTHING
    ),
    Row("content-filter stop", Reply("I", stop="content_filter"), USED, REFUSED),
    Row("authentication error", error(401, "bad key"), ENDED, NO_TASK, NOTHING, STOPS),
    Row("`insufficient_quota`, in any status", as_reply("insufficient_quota"), ENDED, NO_TASK, NOTHING, STOPS),
    Row(
        "model that does not exist", error(404, "no such model", code="model_not_found"), ENDED, NO_TASK, NOTHING, STOPS
    ),
]


def table() -> str:
    """The rows as the page shows them."""
    lines = ["| fault | the call | the task | the iteration | the run |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {row.name} | {row.call} | {row.task} | {row.iteration} | {row.run} |" for row in ROWS]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")

"""A proposal that cannot be a task is refused with what its model must change."""

from collections.abc import Mapping
from typing import Any

import pytest

from skillgrad_ci.errors import UserError
from skillgrad_ci.sandbox.no_sandbox import NoSandbox
from skillgrad_ci.session.growth.making import MOST_BYTES, MOST_FILES, MadeTask, make
from skillgrad_ci.session.growth.proposal import ProposedTask

GOOD: Mapping[str, Any] = {
    "id": "total",
    "instruction": "Write the total of in.csv to out.csv.",
    "inputs": [{"name": "in.csv", "content": "amount\n3\n4\n"}],
    "make_results": "open('out.csv', 'w').write('total\\n7\\n')",
    "grader": {"type": "csv", "output": "out.csv"},
    "quote": "total",
}
TEXT = {"type": "text", "check": "exact", "value": "7"}


def made(**changed: object) -> MadeTask:
    return make(ProposedTask.model_validate({**GOOD, **changed}), "total", "material", NoSandbox)


def test_its_programs_make_the_right_files() -> None:
    task = made()
    assert task.files["grown/total/reference/out.csv"] == b"total\n7\n"
    assert task.files["grown/total/inputs/in.csv"] == b"amount\n3\n4\n"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"inputs": [{"name": f"{n}.txt", "content": ""} for n in range(MOST_FILES + 1)]}, "more than 20 files"),
        ({"make_results": "raise SystemExit('no such column')"}, "make_results failed: no such column"),
        ({"make_inputs": "raise SystemExit(3)"}, "make_inputs failed: no output"),
        ({"make_results": f"open('out.csv', 'w').truncate({MOST_BYTES + 1})"}, "make_results wrote more than 5"),
        ({"grader": {**TEXT, "check": ""}}, "its text grader names no check"),
        ({"grader": {**TEXT, "check": "number", "value": "seven"}}, "its number check has no such value .*'seven'"),
        ({"grader": {**TEXT, "check": "json", "value": "{seven"}}, "its json check has no such value"),
        ({"grader": {"type": "command", "program": " "}}, "its command grader has no program"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_task_is_refused_with_what_is_wrong(changed: Mapping[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        made(**changed)

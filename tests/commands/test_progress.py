"""Progress shows what happened, and nothing that a model wrote can act on the terminal or the runner."""

import io
import os
import re
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from skillgrad_ci.commands.progress import Lines, Live, describe, showing
from skillgrad_ci.method.events import (
    BatchBegun,
    Dropped,
    Estimated,
    Event,
    Executed,
    Executing,
    IterationDone,
    Measuring,
    Noted,
    Replied,
    SpentSoFar,
)
from skillgrad_ci.method.evidence import Outcome
from skillgrad_ci.session.parts import stop_on_signals

EVENTS: list[Event] = [
    Estimated("about 3 USD"),
    Measuring("base", 2),
    Executed("base", "t1", 0, Outcome.PASSED, "", 1.0),
    Executed("base", "t2", 1, Outcome.FAILED, "a\nb", 1.0),
    BatchBegun(1, ["t2"]),
    Dropped("t2", "no reply"),
    Dropped("iteration 1", "no patch"),
    Replied("patcher", "{\n}"),
    IterationDone(1, "accepted"),
]


def test_lines_tell_each_event_once_with_the_time() -> None:
    stream, now = io.StringIO(), iter(range(0, 1000, 61))
    lines = Lines(stream, clock=lambda: next(now))
    for event in EVENTS:
        lines(event)
    assert stream.getvalue().splitlines() == [
        "  1:01 estimate: about 3 USD",
        "  2:02 base: 2 executions",
        "  3:03   ✓ t1 passed",
        "  4:04   ✗ t2 (trial 2) failed: a b",
        "  5:05 iteration 1: t2",
        "  6:06 dropped (t2): no reply",
        "  7:07 dropped (iteration 1): no patch",
        "  8:08 iteration 1: accepted",
    ]


def test_a_run_into_a_pipe_says_at_once_that_it_has_started() -> None:
    stream = io.StringIO()
    with showing(stream):
        assert stream.getvalue() == "  0:00 starting: reading skill and suite\n"


def test_a_secret_is_masked_before_its_line_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-123456789")
    told = describe(Executed("base", "t1", 0, Outcome.FAILED, "x" * 155 + "sk-123456789", 1.0))
    assert told is not None
    assert "sk-1" not in told


def test_replies_are_shown_when_asked_for() -> None:
    assert describe(Replied("patcher", "{\n}")) is None
    assert describe(Replied("patcher", "{\n}"), verbose=True) == "patcher replies:\n  | {\n  | }"


@given(st.text())
def test_no_control_character_reaches_a_terminal_and_no_line_starts_as_a_command(text: str) -> None:
    stream = io.StringIO()
    lines = Lines(stream, verbose=True)
    hostile = f"{text}\n::add-mask::x\r::set-output name=a::b\x1b[31m\u202e"
    lines(Replied("patcher", hostile))
    lines(Executed("base", hostile, 0, Outcome.FAILED, hostile, 1.0))
    lines(Noted(hostile))
    shown = stream.getvalue()
    assert not set(shown) & {"\x1b", "\r", "\x07", "\x9b", "\u202e", "\u2066", "\u200b"}
    assert not [line for line in shown.splitlines() if line.startswith("::")]


def test_a_terminal_gets_a_live_view() -> None:
    stream = io.StringIO()
    with Live(Console(file=stream, force_terminal=True, width=100), verbose=True) as live:
        for event in EVENTS:
            live(event)
    shown = stream.getvalue()
    assert "✗ t2 (trial 2) failed: a b" in shown
    assert "| {" in shown


def test_the_live_view_tells_iteration_accuracy_money_time_and_what_is_in_flight_on_80_columns() -> None:
    stream, now = io.StringIO(), [0.0]
    console = Console(file=stream, force_terminal=True, width=80, legacy_windows=False)
    with Live(console, clock=lambda: now[0]) as live:
        live(Estimated("…", executions=10))
        live(Executed("base", "taken-over", 0, Outcome.PASSED, "", 1.0))
        live(BatchBegun(2, ["a", "b", "c", "d", "e"], at_most=5))
        for task in "abcde":
            live(Executing("2", task * 30, 0))
        now[0] = 120.0
        live(Executed("2", "a" * 30, 0, Outcome.PASSED, "", 1.0))
        live(Executed("2", "b" * 30, 0, Outcome.FAILED, "", 1.0))
        live(SpentSoFar("$0.31 of $5"))
        live._live.refresh()
    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]+", stream.getvalue())]
    assert any("iteration 2 of 5" in line and "2/5 1 passed, 1 failed (50%)" in line for line in lines)
    assert any(line.startswith("$0.31 of $5 · at most 7 min left · running ccc") for line in lines)
    assert max(map(len, lines)) <= 80


def test_a_task_has_one_row_and_a_sentence_is_broken_between_words() -> None:
    stream = io.StringIO()
    sentence = "at most 71 executions (24 base; 36 in batches, fewer where a patch is not accepted; 11 to report)"
    with Live(Console(file=stream, force_terminal=True, width=80)) as live:
        live(Noted(sentence))
        live(Executed("base", "t1", 0, Outcome.FAILED, "the grader says much of it " * 9, 1.0))
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\n", stream.getvalue()).splitlines()]
    assert {"at most 71 executions (24 base; 36 in batches, fewer where a patch is not", "accepted; 11 to report)"} <= {
        *lines
    }
    (row,) = [line for line in lines if "grader says" in line]
    assert row.endswith("…")
    assert len(row) <= 80


def test_an_iteration_says_why_it_has_no_patch_on_one_row() -> None:
    stream = io.StringIO()
    done = IterationDone(2, "no patch: E4 is refused (Q03: references/forms.md is nowhere pointed to; add a pointer)")
    with Live(Console(file=stream, force_terminal=True, width=80)) as live:
        live(done)
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\n", stream.getvalue()).splitlines()]
    (row,) = [line for line in lines if "iteration 2" in line]
    assert row.startswith("iteration 2: no patch: E4 is refused (Q03: references/forms.md is nowhere")
    assert row.endswith("…")
    assert len(row) <= 80
    assert len(describe(IterationDone(2, "x " * 200)) or "") <= 180, "a log's line is bounded too"


def test_markup_of_a_model_is_text() -> None:
    stream = io.StringIO()
    with Live(Console(file=stream, force_terminal=True, width=100)) as live:
        live(Noted("[bold red]loud[/] [link=http://evil]x[/link]"))
    assert "[bold red]loud[/] [link=http://evil]x[/link]" in stream.getvalue()


def test_elsewhere_than_on_a_terminal_there_are_lines() -> None:
    with showing(io.StringIO()) as observe:
        assert isinstance(observe, Lines)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_to_stop_and_the_second_is_not_caught(number: int) -> None:
    before = signal.getsignal(number)
    with stop_on_signals() as stop:
        stop.begin_work()
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        assert stop.wait(5)
        assert signal.getsignal(number) == before
    assert signal.getsignal(number) == before

"""A trajectory in a prompt: bounded whatever it holds, what matters kept, what was cut named."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.method.evidence import Trajectory
from skillgrad_ci.method.trajectory import BOUND, EVENTS, render_both, render_trajectory


def call(command: str, output: str, said: str = "", code: int = 0) -> list[dict[str, Any]]:
    return [
        {"kind": "message", "role": "assistant", "text": said or f"thinking of {command}"},
        {"kind": "tool_call", "id": command, "tool": "shell", "arguments": {"command": command}},
        {"kind": "tool_result", "id": command, "tool": "shell", "output": output, "exit_code": code},
    ]


def shown(text: str, number: int) -> int:
    """How many characters of result `number` (of lines `n-xxx`) are shown."""
    return len(max(re.findall(rf"{number}-x+", text), default=""))


def test_short_executions_are_told_whole() -> None:
    events = [event for turn in range(5) for event in call(f"step {turn}", f"{turn} done")]
    text = render_trajectory(Trajectory([{"kind": "message", "role": "system", "text": "SYSTEM"}, *events], turns=5))
    assert all(f"thinking of step {turn}\n" in text and f"\nstep {turn}\n" in text for turn in range(5))
    assert "SYSTEM" not in text
    assert "Cut for length" not in text
    assert text.endswith("The execution ended: answered, after 5 turns.")


def test_commands_and_messages_stay_whole_beside_long_results() -> None:
    events = [event for turn in range(30) for event in call(f"step --number {turn}", f"{turn} " + "x" * 50_000)]
    text = render_trajectory(Trajectory(events, turns=30))
    assert all(f"thinking of step --number {turn}\n" in text for turn in range(30))
    assert all(f"\nstep --number {turn}\n" in text for turn in range(30))
    assert text.count("of 50,002 characters") + text.count("of 50,003 characters") == 30


@pytest.mark.parametrize("where", ["said", "command", "output"])
def test_thirty_turns_of_fifty_kilobytes_make_a_bounded_prompt_that_names_what_was_cut(where: str) -> None:
    def turn(number: int) -> list[dict[str, Any]]:
        texts = {"said": "s", "command": f"c{number}", "output": "o"}
        texts[where] = f"{number} " + "x" * 50_000
        return call(texts["command"], texts["output"], texts["said"])

    events = [event for number in range(30) for event in turn(number)]
    text = render_trajectory(Trajectory(events, turns=30))
    assert len(text) < BOUND + 90 * 120
    assert len(re.findall(r"\d+ \([\d,]+ of 50,00[23] characters\)", text.rpartition("Cut for length: ")[2])) == 30


def test_a_trajectory_of_any_number_of_events_is_bounded() -> None:
    events = [event for turn in range(2_000) for event in call(f"step {turn}", "done")]
    text = render_trajectory(Trajectory(events, turns=2_000))
    assert len(text) < BOUND + EVENTS * 120
    assert "step 1999" in text
    assert "thinking of step 0\n" in text
    assert f"21 to {6_000 - EVENTS + 20} (wholly)" in text
    assert "\n6000. Result" in text


def test_last_results_errors_and_what_the_grader_points_at_get_the_most() -> None:
    plain = [event for n in range(20) for event in call(f"c{n}", f"{n}-" + "x" * 8_000)]
    pointed = call("look", "20-" + "x" * 4_000 + " wrong in Q2!E7 " + "y" * 4_000)
    failed = call("run", "21-" + "x" * 8_000, code=1)
    raised = call("try", "22-" + "x" * 7_000 + "\nValueError: no such column")
    more = [event for n in range(23, 30) for event in call(f"c{n}", f"{n}-" + "x" * 8_000)]
    text = render_trajectory(Trajectory([*plain, *pointed, *failed, *raised, *more]), "Q2!E7: expected 3, got 4")
    usual = shown(text, 5)
    for number in (20, 21, 22, 28, 29):
        assert shown(text, number) > 2 * usual, number
    assert abs(shown(text, 24) - usual) <= 2
    unpointed = render_trajectory(Trajectory([*plain, *pointed, *failed, *raised, *more]), "wrong")
    assert abs(shown(unpointed, 20) - shown(unpointed, 5)) <= 2


def test_what_an_event_is_and_says_is_told_in_its_own_form() -> None:
    """One argument is told as it stands, several as JSON; people's and empty messages are left out."""
    events: list[dict[str, Any]] = [
        {"kind": "message", "role": "user", "text": "ASKED"},
        {"kind": "message", "role": "assistant", "text": " "},
        {"kind": "tool_call", "tool": "write", "arguments": {"path": "ä.txt", "text": "ö"}},
        {"kind": "tool_result", "tool": "write", "output": "", "exit_code": 0},
        {"kind": "tool_call", "tool": "shell", "arguments": '{"command": "cut'},
        {"kind": "tool_result", "tool": "shell", "output": "no", "exit_code": 2},
        {"kind": "message", "role": "assistant"},
        {"kind": "tool_result", "tool": "shell"},
    ]
    fenced = "\n```\n{}\n```\n\n".format
    assert render_trajectory(Trajectory(events, turns=3)) == (
        "3. Call of `write`:" + fenced('{"path": "ä.txt", "text": "ö"}')
        + "4. Result:" + fenced("")
        + "5. Call of `shell`:" + fenced('{"command": "cut')
        + "6. Result, exit code 2:" + fenced("no")
        + "8. Result:" + fenced("")
        + "The execution ended: answered, after 3 turns."
    )  # fmt: skip


@given(st.integers(0, 60), st.integers(0, 3))
def test_every_event_keeps_its_number_and_what_is_left_out_is_named_by_them(more: int, alike: int) -> None:
    start = [event for n in range(alike) for event in call(f"look {n}", "done")]
    number = EVENTS + more - 30
    now = Trajectory([*start, *({"kind": "message", "role": "assistant", "text": f"says {n}"} for n in range(number))])
    text = render_both(Trajectory([*start, *call("other", "-")]), now, "")[2]
    told = [int(said) for said in re.findall(r"says (\d+)\n", text)]
    numbers = [int(said) for said in re.findall(r"^(\d+)\. Agent", text, re.M)]
    assert numbers == [1 + 3 * alike + n for n in told]
    assert len(told) == min(number, EVENTS)
    wholly = re.findall(r"Cut for length: (\d+) to (\d+) \(wholly\)\.$", text, re.M)
    missing = sorted(set(range(number)) - set(told))
    assert wholly == ([(str(1 + 3 * alike + missing[0]), str(1 + 3 * alike + missing[-1]))] if missing else [])


def test_what_was_cut_is_counted() -> None:
    text = render_trajectory(Trajectory([*call("a", "é" * 3_000), *call("b", "ü" * 5_000)]), bound=1_000)
    assert text.count("; ") == 1
    for number, letter, whole in ((3, "é", 3_000), (6, "ü", 5_000)):
        assert f"{number} ({whole - text.count(letter):,} of {whole:,} characters)" in text


@given(st.integers(0, 40_000), st.integers(0, 40_000), st.integers(0, 40_000), st.integers(2_000, 30_000))
def test_two_executions_share_one_bound(start: int, before: int, now: int, bound: int) -> None:
    first = Trajectory([*call("s", "é" * start), *call("b", "ü" * before)])
    shown_of = render_both(first, Trajectory([*call("s", "é" * start), *call("n", "ü" * now)]), "", bound)
    assert sum(text.count("é") + text.count("ü") for text in shown_of) <= bound


@given(st.lists(st.tuples(st.integers(0, 4_000), st.integers(0, 2_000)), max_size=8), st.integers(100, 6_000))
def test_all_texts_share_one_bound_and_nothing_is_cut_that_fits(lengths: list[tuple[int, int]], bound: int) -> None:
    events = [event for n, (out, told) in enumerate(lengths) for event in call("ü" * told, "é" * out, said="-")]
    text = render_trajectory(Trajectory(events), bound=bound)
    assert text.count("é") + text.count("ü") <= bound
    outputs, commands = sum(out for out, _ in lengths), sum(told for _, told in lengths)
    if outputs + commands + len(lengths) <= bound and commands + len(lengths) <= bound * 0.7:
        assert "Cut for length" not in text
        assert text.count("é") + text.count("ü") == outputs + commands


def test_two_executions_tell_their_common_beginning_once_and_keep_room_where_they_differ() -> None:
    start = [event for n in range(4) for event in call(f"look {n}", f"{n} " + "a" * 3_000)]
    first = Trajectory([*start, *call("guess", "b" * 9_000)], turns=5)
    second = Trajectory([{**event, "id": "other"} for event in start] + call("count", "c" * 9_000), turns=5)
    alike, before, now = render_both(first, second, "wrong")
    assert "look 0" in alike
    assert "look" not in before + now
    assert "13. Agent" in before
    assert "guess" in before
    assert "count" in now
    assert (before.count("b"), now.count("c")) > (9_000, 9_000)
    assert len(alike) + len(before) + len(now) < BOUND + 3_000


def test_executions_that_part_at_once_have_no_common_beginning() -> None:
    alike, before, now = render_both(Trajectory(call("a", "1")), Trajectory(call("b", "1")), "")
    assert alike == ""
    assert ("1. Agent" in before, "1. Agent" in now) == (True, True)
    same, before, now = render_both(Trajectory(call("a", "1")), Trajectory(call("a", "1")), "")
    assert "thinking of a" in same
    assert before == now == "\n\nThe execution ended: answered, after 0 turns."

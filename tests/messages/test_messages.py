"""Every message of the program: listed with an example, in one line, with what to do, and without a traceback."""

import re
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from skillgrad_ci import __main__, errors
from tests.messages import Message, known, messages

MESSAGES = list(messages())
VERBS = """
    add address allow ask call check choose close commit copy correct delete drop end expected flatten free give install
    keep leave let look make mend merge move must name needed need needs put quote raise rename remove run save say set
    shorten simplify split start take try unarchive use wait write
"""
CHOICES = (
    r"(there|known|read) (are|is)|holds|is a folder with|says what|line by line|pair up|are said in them|would be"
    r"|did you mean"
)
REMEDY = re.compile(rf"\b({'|'.join(VERBS.split())}|{CHOICES}|nothing was (written|spent)|docs/)\b")
FORMATTED = re.compile(r"\{[^{}]*\}")
OF_PROPOSALS = ("session/growth/admission.py", "session/growth/making.py", "session/growth/written.py")


def test_each_message_is_listed_with_an_example() -> None:
    """A new message needs a test that provokes it; `make messages TESTS=<that test>` writes the example down."""
    examples = known()
    assert sorted({message.key for message in MESSAGES} - set(examples)) == []


def test_no_message_is_listed_that_the_program_has_no_more() -> None:
    assert sorted(set(known()) - {message.key for message in MESSAGES}) == []


def test_each_example_is_what_its_message_says() -> None:
    by_key = {message.key: message for message in MESSAGES}
    assert [text for key, text in known().items() if not by_key[key].fits(text)] == []


FOR_PEOPLE = ("UserError", "EnvironmentFailure", "BudgetExceeded", "SkillGradError")
ELSEWHERE = {  # what to do is said by whoever tells of it
    "EnvironmentFailure: docker {arguments[0]}: {said}": "who asks Docker says what for, and what to do without it",
    "EnvironmentFailure: LibreOffice starts and does not calculate ({_log(server.folder)})": "told as `not ready`",
    "EnvironmentFailure: task {task.id}: the initial skill's result, to compare with, could not be had: "
    "{evidence.feedback}": "it ends with the message of the outage",
}


def _words(message: Message) -> str:
    """What the message says itself, without what it formats."""
    said = message.template
    while FORMATTED.search(said):
        said = FORMATTED.sub("", said)
    return said


def _own(message: Message) -> bool:
    """Whether the message is for a person, and says itself what to do.

    The words of a provider, or of a part, come from elsewhere; why a proposed task, or an edit, is refused is told to a
    model; and who stopped the program needs no advice.
    """
    if message.file in OF_PROPOSALS or message.key in ELSEWHERE or message.error not in FOR_PEOPLE:
        return False
    return re.search(r"\w", _words(message)) is not None


@pytest.mark.parametrize("message", [*filter(_own, MESSAGES)], ids=lambda message: message.template[:60])
def test_a_message_for_a_person_says_what_to_do(message: Message) -> None:
    """In its own words, or in those of a constant, which its example shows: a verb in what it formats is none."""
    assert REMEDY.search(_words(message)) or REMEDY.search(known().get(message.key, "")), message.template


def test_no_message_is_left_to_others_that_the_program_has_no_more() -> None:
    assert set(ELSEWHERE) <= {message.key for message in MESSAGES}


def _examples() -> Iterator[tuple[type[Exception], str]]:
    for key, text in known().items():
        yield cast("type[Exception]", getattr(errors, key.split(":")[0])), text


def test_no_message_shows_a_traceback_or_more_than_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    answer: Callable[[Exception, bool], int] = __main__._failed
    for error, text in _examples():
        answer(error(text), False)
        said = capsys.readouterr().err
        assert said.startswith("skillgrad-ci: ")
        assert said.count("\n") == 1, said
        assert "Traceback" not in said
        answer(error(text), True)
        assert text.split("\n")[0][:20] in capsys.readouterr().err.replace("\\n", "\n")

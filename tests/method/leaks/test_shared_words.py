"""How many words in a row repeat a text, how many come near it, and what everybody may say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.method.leaks.grader_words import Words
from skillgrad_ci.method.leaks.shared_words import MIN_CHARACTERS, NEAR, REPEATS, PlacedWords, SharedRun, shared_run

NAMES = [f"{first}{second}word" for first in "bcdfgh" for second in "aeiou"]  # thirty words that say something
REST = [f"other{letter}" for letter in "abcdefgh"]


def said(text: str, kind: str = "statement") -> Words:
    return Words(kind, "a statement of a grader", text)  # type: ignore[arg-type]


def shared(text: Words, added: str, *free: str) -> SharedRun | None:
    starts = [0, *(at + 1 for at, letter in enumerate(added) if letter == "\n")]
    return shared_run(text, PlacedWords(added.replace("\n", " "), starts), [PlacedWords(one) for one in free])


@pytest.mark.parametrize("kind", ["statement", "program"])
@given(st.integers(12, 20), st.integers(1, 12), st.integers(0, 5))
def test_so_many_words_in_a_row_repeat_a_text_and_so_many_come_near_it(
    kind: str, length: int, taken: int, start: int
) -> None:
    start = min(start, length - taken)
    words = NAMES[:length]
    added = " ".join([*REST[:3], *words[start : start + taken], *REST[3:]])
    found = shared(said(" ".join(words), kind), added)
    if taken >= REPEATS[kind]:
        size = REPEATS[kind]
    elif taken >= NEAR[kind]:
        size = NEAR[kind]
    else:
        assert found is None
        return
    run = " ".join(words[start : start + size])
    assert found == SharedRun(run, added.index(run), near=taken < REPEATS[kind])


@given(st.integers(1, 5))
def test_a_short_statement_counts_as_a_whole(length: int) -> None:
    words = NAMES[:length]
    whole = shared(said(" ".join(words)), f"so {' '.join(words)} too")
    assert (whole is not None and not whole.near) == (length >= 2)
    part = shared(said(" ".join(words)), f"so {' '.join(words[:-1])} too")
    assert part is None or part.near


def test_few_characters_are_in_ordinary_guidance_by_chance() -> None:
    for text, counts in (("abcde fghij", True), ("abcd fghij", False)):
        assert (len(text.replace(" ", "")) >= MIN_CHARACTERS) == counts
        assert (shared(said(text), f"so {text} too") is not None) == counts


def test_what_the_instruction_or_the_skill_says_is_free() -> None:
    words = NAMES[:8]
    text, added = said(" ".join(words)), " ".join(words)
    assert shared(text, added, " ".join(words)) is None
    found = shared(text, added, " ".join(words[:7]))
    assert found
    assert (found.words, found.near) == (" ".join(words[2:8]), False), "the first run that is not free"


def test_four_words_of_which_nobody_is_a_name_come_near_nothing() -> None:
    text = said("it must be one of the values that are in bawords and bewords here")
    assert shared(text, "so it must be one, mostly") is None
    near = shared(text, "so are in bawords and all")
    assert near is None, "one word that says something"
    near = shared(text, "so in bawords and bewords, mostly")
    assert near
    assert (near.words, near.near) == ("in bawords and bewords", True)


def test_a_character_of_a_script_without_spaces_is_half_a_word() -> None:
    text = "東京都庁舎前駅南口出口案内図"
    repeated, near, nothing = (shared(said(text), f"x {text[:count]} y") for count in (12, 8, 7))
    assert repeated
    assert near
    assert (repeated.near, near.near, nothing) == (False, True, None)
    assert len(repeated.words.split()) == 12


@given(st.permutations(NAMES[:10]), st.integers(4, 10))
def test_one_line_with_most_of_a_statements_own_words_comes_near_it_in_any_order(order: list[str], taken: int) -> None:
    text = said(" the ".join(reversed(NAMES[:10])))
    line = " or so ".join(order[:taken])
    found = shared(text, f"first\n{line}\nlast")
    assert (found is not None) == (taken >= 7), "seven of ten"
    if found:
        assert found.near
        assert found.words == " … ".join(order[:taken])
        assert found.offset == len("first ")
    half = len(order) // 2
    apart = f"{' or so '.join(order[:half])}\n{' or so '.join(order[half:])}"
    assert shared(text, apart) is None, "over two lines it is not one"


def test_words_that_are_known_and_too_few_words_are_nobodys_own() -> None:
    words = NAMES[:10]
    text, line = said(" the ".join(words)), " or so ".join(words[:7])
    assert shared(text, line, " ".join(words[:7])) is None
    few = said("the ".join(f"{word} of an " for word in NAMES[:3]))
    assert shared(few, " or so ".join(NAMES[:3][::-1])) is None


def test_emphasis_and_case_hide_nothing_and_a_break_parts_a_run() -> None:
    words = NAMES[:6]
    text = said(" ".join(f"**{word.title()}**" for word in words))
    assert shared(text, " ".join(words)) is not None
    program = said(" ".join(NAMES[:12]), "program")
    assert shared(program, " ".join(NAMES[:12])) is not None
    assert shared(program, f"{' '.join(NAMES[:6])} \0 {' '.join(NAMES[6:12])}") is None

"""What a step may not do to the skill as a whole: bounds, and the block of the slow update with its marks."""

from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.method.patch import BLOCK_BEGIN, BLOCK_END, MAX_CONTENT, Rules, block_of, try_patch
from skillgrad_ci.skill.edit import Edit, Op, Target
from skillgrad_ci.skill.skill import MAIN, Skill
from tests.support.skills import skill_of

BLOCK = f"{BLOCK_BEGIN}\nSort first.\n{BLOCK_END}"
PLAIN = skill_of("# Demo\n\nLook at it.\n")
HELD = skill_of(f"# Demo\n\nLook at it.\n\n{BLOCK}\n")


def made(op: Op, target: Target, address: str = "", content: str = "") -> Edit:
    return Edit("E1", 1, "B", MAIN, op, target, address, content, patterns=("known",))


def status(skill: Skill, edit: Edit, *, in_block: bool = False, shorten: bool = False) -> str:
    _, [result] = try_patch(skill, [edit], Rules([], {"known"}, in_block=in_block, shorten=shorten))
    return result.status


@given(st.lists(st.sampled_from([BLOCK_BEGIN, BLOCK_END, "text"]), max_size=6))
def test_the_block_goes_from_the_first_beginning_to_the_last_end(parts: list[str]) -> None:
    body = "\n".join(["", *parts])
    begins, ends = ([at for at in range(len(body)) if body.startswith(mark, at)] for mark in (BLOCK_BEGIN, BLOCK_END))
    whole = bool(begins and ends and begins[0] < ends[-1])
    assert block_of(body) == (body[begins[0] : ends[-1] + len(BLOCK_END)] if whole else "")
    assert block_of(body.removeprefix("\n")) == block_of(body), "also where it is all that there is"


def test_a_mark_without_its_other_half_is_a_touch_of_the_block() -> None:
    """A lone beginning would make all that follows the slow update's own."""
    for mark in (BLOCK_BEGIN, BLOCK_END):
        assert status(PLAIN, made("append", "file", "", f"Do. {mark}")) == "refused"
        assert status(HELD, made("append", "file", "", f"Do. {mark}")) == "refused"
    assert status(PLAIN, made("append", "file", "", BLOCK)) == "refused"
    assert status(PLAIN, made("append", "file", "", BLOCK), in_block=True) == "accepted"
    assert status(HELD, made("replace", "text", "Sort first.", "Sort last.")) == "refused"
    assert status(HELD, made("replace", "text", "Sort first.", "Sort last."), in_block=True) == "accepted"
    assert status(HELD, made("replace", "text", "Look at it.", "Look twice.")) == "accepted"


def test_an_edit_of_the_same_length_does_not_shorten_and_the_longest_content_is_allowed() -> None:
    assert status(PLAIN, made("replace", "text", "Look at it.", "Look at us."), shorten=True) == "refused"
    assert status(PLAIN, made("replace", "text", "Look at it.", "Look at."), shorten=True) == "accepted"
    assert status(PLAIN, made("append", "file", "", "x" * MAX_CONTENT)) == "accepted"
    assert status(PLAIN, made("append", "file", "", "x" * (MAX_CONTENT + 1))) == "refused"

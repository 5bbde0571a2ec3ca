"""A part that several threads ask for."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from skillgrad_ci.errors import UserError
from skillgrad_ci.session.parts.made_once import MadeOnce, Making


class Kitchen:
    """Counts what it makes. Soup waits for the bread."""

    def __init__(self) -> None:
        self.making = Making()
        self.made: list[str] = []
        self.bread_is_there = threading.Event()

    @MadeOnce
    def soup(self) -> str:
        self.made.append("soup")
        assert self.bread_is_there.wait(60)
        return "soup"

    @MadeOnce
    def bread(self) -> str:
        self.made.append("bread")
        self.bread_is_there.set()
        return "bread"

    @MadeOnce
    def burnt(self) -> str:
        self.made.append("burnt")
        raise UserError("the oven is too hot")


def test_all_get_one_and_one_part_does_not_wait_for_another() -> None:
    kitchen = Kitchen()
    with ThreadPoolExecutor(5) as pool:
        soups = [pool.submit(lambda: kitchen.soup) for _ in range(4)]
        assert pool.submit(lambda: kitchen.bread).result(60) == "bread"
        assert {soup.result(60) for soup in soups} == {"soup"}
    assert sorted(kitchen.made) == ["bread", "soup"]


def test_what_cannot_be_made_is_tried_once() -> None:
    kitchen = Kitchen()
    for _ in range(2):
        with pytest.raises(UserError, match="too hot"):
            _ = kitchen.burnt
    assert kitchen.made == ["burnt"]

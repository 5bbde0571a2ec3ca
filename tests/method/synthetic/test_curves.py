"""The curves of docs/method.md: drawn by a script, told in words, and said to be about the algorithm alone."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.curves import FOOT, Chart, by_iteration, spread, svg
from tests.method.synthetic.nature import Nature, length, lives

DOCS = Path(__file__).parents[3] / "docs"
NAMESPACE = {"s": "http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("name", ["acceptance", "momentum", "budget"])
def test_a_curve_of_the_page_has_its_words_and_loads_nothing(name: str) -> None:
    text = (DOCS / f"curves/{name}.svg").read_text("utf-8")
    root = ElementTree.fromstring(text)
    title, words = (root.find(f"s:{tag}", NAMESPACE) for tag in ("title", "desc"))
    assert title is not None
    assert title.text
    assert words is not None
    assert FOOT in (words.text or "")
    assert root.get("aria-labelledby") == f"{title.get('id')} {words.get('id')}"
    assert "href" not in text
    page = (DOCS / "method.md").read_text("utf-8")
    (alternative,) = re.findall(rf"!\[([^\]]+)\]\(curves/{name}\.svg\)", page)
    assert len(alternative) > 80
    assert "about the algorithm, and says nothing of\nany model" in page


def test_a_curve_is_drawn_from_runs_and_its_lines_stand_where_the_values_are() -> None:
    chart = by_iteration("T", {"a<b": lives(Nature(), 2)}, length, ("lines", 20))
    drawn = svg(chart)
    assert drawn == svg(by_iteration("T", {"a<b": lives(Nature(), 2)}, length, ("lines", 20)))
    (points,) = re.findall(r'points="([^"]+)"', drawn)
    heights = [float(point.split(",")[1]) for point in points.split()]
    assert len(heights) == len(chart.places)
    assert chart.lines["a<b"][0] == 0 < chart.lines["a<b"][-1]
    assert heights[0] == max(heights)
    assert (heights[0] - heights[-1]) / (heights[0] - 40) == pytest.approx(chart.lines["a<b"][-1] / 20, abs=0.01)
    assert "a&lt;b: 0," in drawn


def test_labels_do_not_hide_each_other() -> None:
    placed = spread([100.0, 102.0, 50.0, 101.0])
    assert sorted(placed) == [50.0, 100.0, 116.0, 132.0]
    assert placed[1] > placed[3] > placed[0] > placed[2]


def test_a_description_tells_every_value() -> None:
    chart = Chart("T", "x", "y", [0, 1], {"one": [1, 2.4], "two": [3, 4]}, 5)
    assert chart.words.startswith("y at x 0, 1. one: 1, 2; two: 3, 4. ")

"""The curves in docs/method.md, as SVG, from runs of the real loop in the world without a model: about the algorithm.

    python benchmarks/curves.py [--seeds N] [--into docs/curves]

The same seeds give the same bytes. Each file has a title and a description in words, for who does not see it.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from statistics import fmean
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.method.synthetic.nature import Lived, Nature, length, lives

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 360, 64, 150, 40, 52
COLORS = ("#0b5cad", "#b3261e", "#1b7f3b")  # each also has a dash of its own
DASHES = ("", "7 4", "2 3")
HARM = (0.0, 0.2, 0.4, 0.6)
MODES = ("validate", "final", "always")
FOOT = "Means over seeds in a world without a model: this is about the algorithm, not about any model."


@dataclass(frozen=True)
class Chart:
    """Lines by name, over the same places on the horizontal axis; `most` is where the vertical axis ends."""

    title: str
    across: str
    up: str
    places: Sequence[float]
    lines: dict[str, Sequence[float]]
    most: float

    @property
    def words(self) -> str:
        """What the lines show, for who does not see them."""
        told = (f"{name}: " + ", ".join(f"{value:.0f}" for value in values) for name, values in self.lines.items())
        at = ", ".join(f"{place:g}" for place in self.places)
        return f"{self.up} at {self.across} {at}. {'; '.join(told)}. {FOOT}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the curves of the synthetic world.")
    parser.add_argument("--seeds", type=int, default=40, metavar="N", help="runs of each point (40)")
    parser.add_argument("--into", type=Path, default=Path("docs/curves"), metavar="DIR", help="folder (docs/curves)")
    chosen = parser.parse_args()
    chosen.into.mkdir(parents=True, exist_ok=True)
    for name, chart in charts(chosen.seeds).items():
        (chosen.into / f"{name}.svg").write_text(svg(chart), encoding="utf-8")
        print(f"{name}: {chart.words}", flush=True)


def charts(seeds: int) -> dict[str, Chart]:
    wordy, swinging = Nature(bloat=4, forget=40), Nature(swings=0.5)
    bounded: dict[str, Any] = {"batch_size": 12, "iterations": 6}
    rates = {"edit budget": "cosine", "no edit budget": "none"}
    return {
        "acceptance": Chart(
            title="Acceptance, where edits harm",
            across="edits that harm, %",
            up="true accuracy, %",
            places=[100 * harm for harm in HARM],
            lines={
                mode: [100 * fmean(one.after for one in lives(Nature(harm=harm), seeds, accept=mode)) for harm in HARM]
                for mode in MODES
            },
            most=100,
        ),
        "momentum": by_iteration(
            "Momentum, where hints are turned round",
            {
                name: lives(swinging, seeds, momentum=with_it)
                for name, with_it in (("momentum", True), ("without", False))
            },
            lambda skill: 100 * swinging.accuracy(skill),
            ("true accuracy, %", 100),
        ),
        "budget": by_iteration(
            "An edit budget, where edits are wordy",
            {
                name: lives(wordy, seeds, optimizer={"preset": "skillopt", "slow_tasks": 0, "rate": rate}, **bounded)
                for name, rate in rates.items()
            },
            length,
            ("lines added", 200),
        ),
    }


def by_iteration(title: str, runs: dict[str, Sequence[Lived]], of: Any, axis: tuple[str, float]) -> Chart:
    """What a function says of the skill in hand, from the initial one on; a run that ended keeps its last value."""
    longest = max(len(one.run.iterations) for several in runs.values() for one in several)
    lines = {}
    for name, several in runs.items():
        paths = []
        for one in several:
            skills = [one.run.initial, *(step.incumbent.skill for step in one.run.iterations)]
            values = [float(of(skill)) for skill in skills]
            paths.append(values + [values[-1]] * (longest + 1 - len(values)))
        lines[name] = [fmean(path[at] for path in paths) for at in range(longest + 1)]
    return Chart(title, "iteration", axis[0], list(range(longest + 1)), lines, axis[1])


def svg(chart: Chart) -> str:
    """The chart as one file that loads nothing: dark and light pages both show it, on a ground of its own."""
    first, last = chart.places[0], chart.places[-1]

    def x(place: float) -> float:
        return round(LEFT + (place - first) / (last - first) * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - value / chart.most * (HEIGHT - TOP - BOTTOM), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-labelledby="title words" font-family="sans-serif" font-size="13">',
        f'<title id="title">{escape(chart.title)}</title>',
        f'<desc id="words">{escape(chart.words)}</desc>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="22" font-size="15" font-weight="bold" fill="#111111">{escape(chart.title)}</text>',
    ]
    for part in range(6):
        value = chart.most * part / 5
        parts.append(f'<path d="M{LEFT} {y(value)}H{WIDTH - RIGHT}" stroke="#d0d0d0"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(value) + 4}" text-anchor="end" fill="#333333">{value:g}</text>')
    for place in chart.places:
        parts.append(f'<text x="{x(place)}" y="{HEIGHT - 32}" text-anchor="middle" fill="#333333">{place:g}</text>')
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 10}" fill="#333333">{escape(chart.across)}</text>')
    parts.append(f'<text x="14" y="{TOP - 6}" fill="#333333">{escape(chart.up)}</text>')
    ends = spread([y(values[-1]) for values in chart.lines.values()])
    for number, (name, values) in enumerate(chart.lines.items()):
        color, dash = COLORS[number], DASHES[number]
        points = " ".join(f"{x(place)},{y(value)}" for place, value in zip(chart.places, values, strict=True))
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2.5"{dashed}/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 10}" y="{ends[number] + 4}" fill="{color}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def spread(heights: Sequence[float], gap: float = 16) -> list[float]:
    """Heights of labels, moved apart where lines end close to each other."""
    placed: dict[int, float] = {}
    for at in sorted(range(len(heights)), key=lambda index: heights[index]):
        above = max(placed.values(), default=-gap)
        placed[at] = max(heights[at], above + gap)
    return [placed[at] for at in range(len(heights))]


if __name__ == "__main__":
    main()

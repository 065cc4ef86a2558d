"""Two kinds of charts as SVG text: bars side by side, and lines over logarithmic axes.

Readable in light and dark pages.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

__all__ = ["bars", "lines"]

WIDTH = 760
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
"""Told apart by colour-blind readers too (Okabe and Ito)."""

_STYLE = (
    ".paper{fill:#fff}text{font:13px"
    " system-ui,sans-serif;fill:#222}.title{font-weight:600;font-size:15px}.quiet{fill:#666;font-size:12px}"
    ".value{paint-order:stroke;stroke:#fff;stroke-width:5px}"
    ".grid{stroke:#8884;stroke-width:1}.goal{stroke:#c00;stroke-width:1.5;stroke-dasharray:5"
    " 4}.goal-text{fill:#c00;font-size:12px}"
    "@media(prefers-color-scheme:dark){.paper{fill:#1c1c20}text{fill:#eee}.value{stroke:#1c1c20}.quiet{fill:#aaa}.goal{stroke:#f77}.goal-text{fill:#f77}}"
)


def bars(
    title: str, values: Mapping[str, float], *, unit: str, goal: float | None = None, goal_says: str = "goal"
) -> str:
    """A bar for each value, and a dashed line where the goal is."""
    left, row, top = 300, 30, 58 if goal is None else 80
    most = max([*values.values(), goal or 0.0]) or 1.0
    scale = (WIDTH - left - 90) / most
    height = top + row * len(values) + 16
    parts = [_text(12, 24, title, "title"), _text(12, 44, unit, "quiet")]
    if goal is not None:
        x = left + goal * scale
        parts += [
            f'<line class="goal" x1="{x:.1f}" y1="{top - 6}" x2="{x:.1f}" y2="{height - 12}"/>',
            _text(x, top - 12, f"{goal_says} {_figure(goal)}", "goal-text", anchor="middle"),
        ]
    for number, (name, value) in enumerate(values.items()):
        y = top + number * row
        length = max(1.0, value * scale)
        parts += [
            _text(left - 10, y + 16, name, anchor="end"),
            (
                f'<rect x="{left}" y="{y + 2}" width="{length:.1f}" height="20" rx="2"'
                f' fill="{COLOURS[number % len(COLOURS)]}"/>'
            ),
            _text(left + length + 8, y + 17, _figure(value), "value"),
        ]
    return _svg(height, title, parts)


def lines(title: str, series: Mapping[str, Mapping[float, float]], *, across: str, up: str) -> str:
    """A line for each series over two logarithmic axes, whose ticks are powers of ten."""
    left, right, top, tall = 70, 44, 66 + 20 * len(series), 260
    columns = _decades([x for points in series.values() for x in points])
    rows = _decades([y for points in series.values() for y in points.values()])

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            left + (math.log10(x) - columns[0]) / (columns[-1] - columns[0]) * (WIDTH - left - right),
            top + tall - (math.log10(y) - rows[0]) / (rows[-1] - rows[0]) * tall,
        )

    parts = [_text(12, 24, title, "title"), _text(12, 44, up, "quiet")]
    for power in rows:
        _, y = place(10.0 ** columns[0], 10.0**power)
        parts += [f'<line class="grid" x1="{left}" y1="{y:.1f}" x2="{WIDTH - right}" y2="{y:.1f}"/>']
        parts += [_text(left - 8, y + 4, _figure(10.0**power), "quiet", anchor="end")]
    for power in columns:
        x, _ = place(10.0**power, 10.0 ** rows[0])
        parts += [f'<line class="grid" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{top + tall}"/>']
        parts += [
            _text(
                x, top + tall + 18, f"{10**power:,}" if power >= 0 else _figure(10.0**power), "quiet", anchor="middle"
            )
        ]
    parts += [_text((left + WIDTH - right) / 2, top + tall + 38, across, "quiet", anchor="middle")]
    for number, (name, points) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        places = [place(x, y) for x, y in sorted(points.items())]
        parts += [
            f'<rect x="12" y="{54 + 20 * number}" width="12" height="12" rx="2" fill="{colour}"/>',
            _text(32, 65 + 20 * number, name),
            (
                f'<polyline fill="none" stroke="{colour}" stroke-width="2.5"'
                f' points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>'
            ),
            *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>' for x, y in places),
        ]
    return _svg(top + tall + 52, title, parts)


def _decades(values: Sequence[float]) -> range:
    """Powers of ten around the values: two at least."""
    lowest, highest = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return range(lowest, max(highest, lowest + 1) + 1)


def _figure(value: float) -> str:
    """Three digits that say something."""
    if value == 0 or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _text(x: float, y: float, text: str, kind: str = "", *, anchor: str = "start") -> str:
    css = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{css}>{escape(text)}</text>'


def _svg(height: float, title: str, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img"'
        f' aria-label="{escape(title)}">'
    )
    return "\n".join(
        [head, f"<style>{_STYLE}</style>", '<rect class="paper" width="100%" height="100%"/>', *parts, "</svg>", ""]
    )

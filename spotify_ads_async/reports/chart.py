"""Figures over time: drawn with block characters, or as an SVG file. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time
from typing import NamedTuple
from xml.sax.saxutils import escape

from spotify_ads_async.types import time_text

__all__ = ["Series", "svg", "text", "when"]

_BLOCKS = " ▁▂▃▄▅▆▇█"
_ROWS = 6
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BETWEEN = 980, 150, 80, 20, 34, 44
_TITLE_LETTER = 8


class Series(NamedTuple):
    """One figure over time; None where there is no value."""

    name: str
    values: Sequence[float | None]


def when(moment: datetime) -> str:
    """A period's beginning in UTC: the day alone where it begins with one.

    A day of another time zone begins on the day before or amid one.
    """
    return f"{moment:%Y-%m-%d}" if moment.time() == time() else time_text(moment)


def _largest(series: Series) -> float:
    return max([0.0, *(value for value in series.values if value is not None)]) or 1.0


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.3g}"


def _fitted(values: Sequence[float | None], width: int) -> list[float | None]:
    """At most ``width`` values: means of neighbours."""
    if len(values) <= width:
        return list(values)
    found: list[float | None] = []
    for column in range(width):
        part = [
            value
            for value in values[column * len(values) // width : (column + 1) * len(values) // width]
            if value is not None
        ]
        found.append(sum(part) / len(part) if part else None)
    return found


def text(times: Sequence[datetime], every: Sequence[Series], width: int) -> str:
    """Column charts, one below the other, ``width`` characters wide at most."""
    lines: list[str] = []
    for series in every:
        largest = _largest(series)
        label = _number(largest)
        columns = _fitted(series.values, max(1, width - len(label) - 2))
        lines.append(series.name)
        for row in range(_ROWS, 0, -1):
            # A row holds eight steps; what lies below it is full, what lies above it is empty.
            steps = [
                0 if value is None else min(8, max(0, round(value / largest * 8 * _ROWS) - 8 * (row - 1)))
                for value in columns
            ]
            lines.append(
                f"{label if row == _ROWS else '':>{len(label)}} ┤{''.join(_BLOCKS[step] for step in steps)}".rstrip()
            )
        # A gap in the figures is a gap in the axis, for a zero has no height either.
        axis = "".join(" " if value is None else "─" for value in columns)
        lines.append(f"{'0':>{len(label)}} └{axis}".rstrip())
        if times:
            first, last = when(times[0]), when(times[-1])
            room = max(1, len(columns) - len(first) - len(last))
            lines.append(
                f"{'':>{len(label)}}  {first}{' ' * room}{last}"
                if len(columns) > len(first) + len(last)
                else f"{first} to {last}"
            )
        lines.append("")
    return "\n".join(lines)


def svg(times: Sequence[datetime], every: Sequence[Series], title: str, width: int = _WIDTH) -> str:
    """The same as lines, in an SVG document that needs nothing else, ``width`` pixels wide."""
    right = width - _RIGHT
    squeezed = (
        f' textLength="{right - _LEFT}" lengthAdjust="spacingAndGlyphs"'
        if len(title) * _TITLE_LETTER > right - _LEFT
        else ""
    )
    height = _TOP + len(every) * (_HEIGHT + _BETWEEN)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
            ' font-family="sans-serif" font-size="12">'
        ),
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{_LEFT}" y="18" font-size="15"{squeezed}>{escape(title)}</text>',
    ]
    for number, series in enumerate(every):
        parts.extend(_panel(times, series, _TOP + number * (_HEIGHT + _BETWEEN), right))
    return "\n".join([*parts, "</svg>", ""])


def _panel(times: Sequence[datetime], series: Series, top: int, right: int) -> list[str]:
    largest, bottom = _largest(series), top + 16 + _HEIGHT - 16
    step = (right - _LEFT) / max(1, len(series.values) - 1)
    parts = [
        f'<text x="{_LEFT}" y="{top + 10}">{escape(series.name)}</text>',
        f'<path d="M{_LEFT} {top + 16}V{bottom}H{right}" fill="none" stroke="#888"/>',
        f'<text x="{_LEFT - 6}" y="{top + 24}" text-anchor="end">{_number(largest)}</text>',
        f'<text x="{_LEFT - 6}" y="{bottom}" text-anchor="end">0</text>',
    ]
    if times:
        parts.append(f'<text x="{_LEFT}" y="{bottom + 16}">{when(times[0])}</text>')
        parts.append(f'<text x="{right}" y="{bottom + 16}" text-anchor="end">{when(times[-1])}</text>')
    points: list[str] = []
    for place, value in enumerate([*series.values, None]):
        if value is not None:
            points.append(f"{_LEFT + place * step:.1f},{bottom - value / largest * (bottom - top - 16):.1f}")
        elif points:
            # A gap in the figures is a gap in the line.
            joined = " ".join(points if len(points) > 1 else points * 2)
            parts.append(
                f'<polyline points="{joined}" fill="none" stroke="#1a7f4b" stroke-width="2" stroke-linecap="round"/>'
            )
            points = []
    return parts

"""From the rows of a report to figures over time: what adds up is added, and what is hidden is counted. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from spotify_ads_async.models import ReportFieldType
from spotify_ads_async.reports import HIDDEN, AtLeast, Hidden, ReportRow, Value, total_of
from spotify_ads_async.reports.chart import Series
from spotify_ads_async.reports.rows import adds_up

__all__ = ["over_time", "title"]

_PART, _WHOLE = ReportFieldType.COMPLETES, ReportFieldType.IMPRESSIONS
"""What completion is made of."""

_COMPLETION = "completion, %"


def title(metric: str) -> str:
    """A metric as people read it."""
    return metric.lower().replace("_", " ")


def over_time(
    rows: Sequence[ReportRow],
    metrics: Sequence[ReportFieldType],
    span: tuple[datetime, datetime] | None,
    step: timedelta,
) -> tuple[list[datetime], list[Series]]:
    """Every period from the first of ``span`` to its last, and each metric over them."""
    times = _periods(rows, span, step)
    return times, list(_series(rows, metrics, times))


def _periods(rows: Sequence[ReportRow], span: tuple[datetime, datetime] | None, step: timedelta) -> list[datetime]:
    """Every period that was asked for, whether it has rows or not: a gap in the figures is one in the chart."""
    found = {row.start_time for row in rows if row.start_time is not None}
    if span is None or not found:
        return sorted(found)
    # Accounts keep the days of their own time zone: they begin somewhat before or after those that were asked for.
    first, last = span
    begins = first + (min(found) - first) % step
    told = {round((time - begins) / step) for time in found}
    start = min(0, *told)
    missing = set(range(start, start + (last - first) // step + 1)) - told
    return sorted(found | {begins + number * step for number in missing})


def _series(
    rows: Sequence[ReportRow], metrics: Sequence[ReportFieldType], times: Sequence[datetime]
) -> Iterator[Series]:
    """A series for each metric, over all entities; completion in place of the completes, where its parts are there."""
    by_time: dict[datetime, list[ReportRow]] = {}
    for row in rows:
        if row.start_time is not None:
            by_time.setdefault(row.start_time, []).append(row)
    values = {metric: [_together(by_time.get(time, ()), metric) for time in times] for metric in metrics}
    completes = values.keys() >= {_PART, _WHOLE}
    for metric, every in values.items():
        if metric != _PART or not completes:
            yield _named(title(metric), every, total_of(rows, metric) if adds_up(metric) else None)
    if completes:
        yield _named(_COMPLETION, [_completion(by_time.get(time, ())) for time in times])


def _together(rows: Sequence[ReportRow], metric: ReportFieldType) -> Value | None:
    """The value of one period: of its one row, or of all of them where there is a sum."""
    if len(rows) <= 1:
        return rows[0].get(metric) if rows else None
    return total_of(rows, metric)


def _named(name: str, every: Sequence[Value | None], total: Value | None = None) -> Series:
    """The series of some values; where any is hidden its name tells the total, or how many are."""
    if hidden := sum(isinstance(value, Hidden | AtLeast) for value in every):
        name = f"{name}: {f'{hidden} hidden' if total is None else total}"
    return Series(name, [_height(value) for value in every])


def _height(value: Value | None) -> float | None:
    """Of a sum with hidden parts what is known; nothing where nothing is."""
    match value:
        case None | Hidden():
            return None
        case AtLeast(known):
            return float(known) or None
        case _:
            return float(value)


def _completion(rows: Sequence[ReportRow]) -> Value | None:
    """Per cent, of the rows that tell both or hide one; hidden where one of them does."""
    both = [row for row in rows if row.get(_PART) is not None and row.get(_WHOLE) is not None]
    part, whole = total_of(both, _PART), total_of(both, _WHOLE)
    if isinstance(part, Hidden | AtLeast) or isinstance(whole, Hidden | AtLeast):
        return HIDDEN
    return Decimal(100 * part) / whole if part is not None and whole else None

"""From a wish to the fewest legal requests. Pure: no I/O, no clock.

The limits stand in the descriptions of getAggregateReport, getAggregatedTotals, getAudienceInsightReport and
createAsyncReport: at most 90 days by DAY (the end included), 50 entities, 50 rows a page; 365 days for a CSV report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeAlias

from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.models.reports import ReportFieldType
from spotify_ads_async.pagination.some import batched
from spotify_ads_async.reports.rows import adds_up
from spotify_ads_async.types import UnsetType, in_utc

__all__ = [
    "CSV_DAYS",
    "DAYS",
    "ENTITIES",
    "PAGE",
    "STEPS",
    "Query",
    "Window",
    "aggregate_batches",
    "insight_batches",
    "instant",
    "is_named",
    "lengths",
    "named",
    "totals_batches",
    "windows",
]

Query: TypeAlias = Mapping[str, Any]
Window: TypeAlias = tuple[datetime, datetime]
"""First and last period of a request, both included."""

DAYS = 90
CSV_DAYS = 365
ENTITIES = 50
PAGE = 50
STEPS = {"DAY": timedelta(days=1), "HOUR": timedelta(hours=1)}
_HOURS = 14 * 24


def instant(moment: date | datetime | UnsetType) -> datetime | UnsetType:
    """A date as its midnight in UTC, a time with an offset in UTC; a time without one is UTC already."""
    if isinstance(moment, datetime):
        try:
            return in_utc(moment)
        except OverflowError:
            raise InvalidRequest(
                f"{moment.isoformat()} is no time in UTC", path="query", rule="a time between the years 1 and 9999"
            ) from None
    return datetime.combine(moment, time(), UTC) if isinstance(moment, date) else moment


def lengths(periods: int, rows_per_period: int, *, longest: int, page: int) -> list[int]:
    """Divide periods into spans that are read with the fewest requests, and into few spans.

    A span of n periods takes ``ceil(n * rows_per_period / page)`` requests. Spans as long as allowed are the fewest;
    where their last pages stay partly empty, spans that fill whole pages need fewer requests in all: ``ceil(all rows /
    page)``.
    """
    fewest = _cut(periods, longest)
    if _requests(fewest, rows_per_period, page) == -(-periods * rows_per_period // page):
        return fewest
    full = next((span for span in range(longest, 0, -1) if span * rows_per_period % page == 0), longest)
    return _cut(periods, full)


def _cut(periods: int, span: int) -> list[int]:
    whole, rest = divmod(periods, span)
    return [span] * whole + [rest] * bool(rest)


def _requests(spans: Sequence[int], rows_per_period: int, page: int) -> int:
    return sum(-(-span * rows_per_period // page) for span in spans)


def windows(
    start: datetime, end: datetime, step: timedelta, rows_per_period: int, *, longest: int, page: int = PAGE
) -> list[Window]:
    """Divide the periods from ``start`` to ``end``, both included, see :func:`lengths`."""
    found: list[Window] = []
    periods = max(1, (end - start) // step + 1)
    passed = 0
    for span in lengths(periods, rows_per_period, longest=longest, page=page):
        # The last window ends where the wish does: an end amid a period is for the rules to refuse.
        found.append((start + passed * step, start + (passed + span - 1) * step))
        passed += span
    found[-1] = (found[-1][0], end)
    return found


def _ranges(query: Query, rows_per_period: int, page: int) -> list[Query]:
    """The query once per window; once as it is where its range cannot be divided."""
    granularity = query.get("granularity", "LIFETIME")
    start, end = query.get("report_start"), query.get("report_end")
    step = STEPS.get(granularity)
    if step is None or not isinstance(start, datetime) or not isinstance(end, datetime) or end < start:
        return [query]
    found = windows(start, end, step, rows_per_period, longest=DAYS if granularity == "DAY" else _HOURS, page=page)
    return [{**query, "report_start": first, "report_end": last} for first, last in found]


def _unique(ids: Sequence[str]) -> list[str]:
    """Each id once, as it was written first: ids that differ in case alone are one."""
    found: dict[str, str] = {}
    for identifier in ids:
        # What is no text is for the checks to refuse.
        found.setdefault(str(identifier).lower(), identifier)
    return list(found.values())


def is_named(query: Query) -> bool:
    """Whether the API wants the report's entities named: by day and by hour, unless it is about the account itself."""
    return query.get("granularity") in STEPS and query.get("entity_type") in {"CAMPAIGN", "AD_SET", "AD"}


def named(query: Query, ids: Sequence[str]) -> Query:
    """The query about these entities."""
    return {**query, "entity_ids": list(ids), "entity_ids_type": query["entity_type"]}


def aggregate_batches(query: Query) -> list[list[Query]]:
    """The requests of an aggregate report: a batch per 50 entities, a request per window. Each may have many pages."""
    # Sizes that are not allowed are for the rules to refuse: they divide nothing.
    page = max(1, query.get("limit", PAGE))
    ids = query.get("entity_ids")
    if not ids:
        # One row per period for the account; how many entities there are is not known otherwise.
        one = query.get("entity_type") == "AD_ACCOUNT"
        return [_ranges(query, 1 if one else page, page)]
    # With LIFETIME, ids may name parents, and how many rows each has is not known.
    return [_ranges({**query, "entity_ids": group}, len(group), page) for group in batched(_unique(ids), ENTITIES)]


def totals_batches(query: Query) -> list[list[Query]]:
    """The requests of totals: a batch per window, a request per 50 entities.

    Raises:
        InvalidRequest: more than 50 entities, and a metric that does not add up.
    """
    groups = list(batched(_unique(query.get("entity_ids") or ()), ENTITIES)) or [[]]
    wrong = [str(field) for field in query.get("fields") or () if not adds_up(ReportFieldType(str(field)))]
    if len(groups) > 1 and wrong:
        raise InvalidRequest(
            f"{' and '.join(wrong)} of more than {ENTITIES} entities cannot be told: listeners are counted once per"
            f" request, and neither they nor rates and averages add up; ask for at most {ENTITIES} entities, or for"
            " counts, SPEND and REVENUE alone",
            operation="getAggregatedTotals",
            path="query.fields",
            value=wrong,
            rule=f"metrics that add up, beside more than {ENTITIES} entities",
        )
    # A row per period, and no pages.
    return [[{**window, "entity_ids": list(group)} for group in groups] for window in _ranges(query, 1, DAYS)]


def insight_batches(query: Query) -> list[list[Query]]:
    """The requests of insights: one per entity, as the API takes one id at a time."""
    ids = _unique(query.get("entity_ids") or ())
    return [[{**query, "entity_ids": [identifier]}] for identifier in ids] or [[{**query}]]

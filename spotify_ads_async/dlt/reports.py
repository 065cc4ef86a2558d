"""Reports as rows of a warehouse: which days to ask for, and what a row of a table is. No dlt pipeline in sight."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import chain, groupby
from typing import Any, TypeAlias, cast

import dlt
import msgspec
from dlt.common.normalizers.naming.snake_case import NamingConvention

from spotify_ads_async import AdAccount, NotEnoughData, SpotifyAdsError
from spotify_ads_async.models import InsightDimension, ReportEntityType, ReportFieldType, ReportGranularity
from spotify_ads_async.pagination.some import batched
from spotify_ads_async.reports import HIDDEN, AggregateReportCall, ReportRow
from spotify_ads_async.reports.rows import MONEY_DECIMALS, InsightRow, Kind, Measured, adds_up, kind_of
from spotify_ads_async.types import Answer

__all__ = ["Batch", "InsightStream", "ReportStream", "Row", "row_of"]

Row: TypeAlias = dict[str, Any]
Batch: TypeAlias = list[Row] | tuple[str, SpotifyAdsError]
"""Rows, or the name of a metric that is missing in them and why."""

_HOURS_KEPT = timedelta(days=14)
"""The API tells hours of the last two weeks."""
_MOST_DAYS = 30
"""Days asked for at once: rows in memory stay few."""
_DECIMAL: Row = {"data_type": "decimal", "precision": 38, "scale": MONEY_DECIMALS}
_TYPES: Mapping[Kind, Row] = {Kind.COUNT: {"data_type": "bigint"}, Kind.MONEY: _DECIMAL, Kind.SHARE: _DECIMAL}
_normalized = NamingConvention().normalize_identifier
"""The column that dlt makes of a name, unless a pipeline is told otherwise."""
_SLICE_COLUMNS: Mapping[str, Row] = {
    "slice": {"data_type": "text", "nullable": False, "description": "What is replaced whole when it is read again."},
    "removed": {"data_type": "bool", "hard_delete": True, "description": "Always null: dlt deletes by it."},
    "ad_account_id": {"data_type": "text"},
    "currency": {"data_type": "text", "description": "ISO 4217, of every amount in the row."},
    **{f"entity_{what}": {"data_type": "text"} for what in ("id", "name", "status")},
}


def row_of(item: Answer) -> Row:
    """An answer as a row: all that the API said, also what is newer than this package, with times as such.

    An integer that no column holds is text in a column of its own, ``<name>_beyond_64_bits``, and inside of JSON. A
    field newer than this package whose column would be that of another is ``<name>_2``: dlt lets the later one win.
    """
    known = {*item.__struct_fields__, "ad_account_id"}
    taken = known | {"_dlt_id", "_dlt_load_id"}
    row: Row = {}
    for name, value in item.json.items():
        read = getattr(item, name) if name in item.__struct_fields__ else None
        fitting = read if isinstance(read, datetime) else _within_64_bits(value)
        column = f"{name}_beyond_64_bits" if isinstance(value, int) and isinstance(fitting, str) else name or "_"
        while column not in known and _normalized(column) in taken:
            column += "_2"
        taken.add(_normalized(column))
        row[column] = fitting
    return row


def _within_64_bits(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {name: _within_64_bits(inner) for name, inner in cast("Row", value).items()}
    if isinstance(value, list):
        return [_within_64_bits(inner) for inner in cast("list[Any]", value)]
    return str(value) if isinstance(value, int) and not -(2**63) <= value < 2**63 else value


def spans(days: Iterable[date], longest: int = 1_000_000) -> list[tuple[date, date]]:
    """Days as the fewest spans from a first to a last day, both included."""
    runs = groupby(enumerate(sorted(set(days))), key=lambda numbered: numbered[1].toordinal() - numbered[0])
    parts = (part for _, run in runs for part in batched([day for _, day in run], longest))
    return [(part[0], part[-1]) for part in parts]


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _metric_columns(metrics: Iterable[ReportFieldType]) -> dict[str, Row]:
    """The columns of each metric, so that they are there also while nothing was measured."""
    columns: dict[str, Row] = {}
    for metric in metrics:
        text = "Adds up over rows." if adds_up(metric) else "Does not add up over rows."
        columns[metric.lower()] = {**_TYPES[kind_of(metric)], "description": text}
        columns[f"{metric.lower()}_hidden"] = {"data_type": "bool", "description": "Hidden by the API for privacy."}
    return columns


def _metric_values(row: Measured, metrics: Iterable[ReportFieldType]) -> Row:
    """A row's metrics: null where the API told none, and null with a flag where it hides one."""
    values = row.values()
    cells: Row = {}
    for metric in metrics:
        value = values.get(metric)
        cells[metric.lower()] = None if value is HIDDEN else value
        cells[f"{metric.lower()}_hidden"] = value is HIDDEN
    return cells


class ReportStream(msgspec.Struct, frozen=True):
    """One table of reports: metrics of one kind of entity, by day or by hour."""

    entity_type: ReportEntityType
    granularity: ReportGranularity
    metrics: Sequence[ReportFieldType]
    first: date
    last: date | None
    lookback: timedelta

    @property
    def name(self) -> str:
        """The table's name, such as ``ad_set_report_daily``."""
        return f"{self.entity_type.lower()}_report_{'daily' if self.granularity == ReportGranularity.DAY else 'hourly'}"

    def columns(self) -> Any:  # noqa: ANN401 - dlt's own
        """The columns' hints."""
        times: dict[str, Row] = {name: {"data_type": "timestamp"} for name in ("start_time", "end_time")}
        return {**_SLICE_COLUMNS, **times, **_metric_columns(self.metrics)}

    def days(self, settled: Iterable[Sequence[str]], now: datetime) -> list[date]:
        """The days to ask for: those of the range that no span of ``settled`` holds."""
        last = now.date() if self.last is None else min(self.last, now.date())
        kept = (now - _HOURS_KEPT).date() + timedelta(days=1)
        first = max(self.first, kept) if self.granularity == ReportGranularity.HOUR else self.first
        return [day for day in _days(first, last) if not any(one <= str(day) <= other for one, other in settled)]

    async def rows(self, account: AdAccount) -> AsyncIterator[Batch]:
        """The rows of one account, each day behind a mark that removes what was there of it before.

        A day that was read after its lookback had passed is settled: it changes no more, and is not asked for again.
        dlt keeps the settled days together with the rows.
        """
        settled: dict[str, list[tuple[str, str]]] = dlt.current.resource_state(self.name)
        now = datetime.now(UTC)
        days = self.days(settled.get(account.id, ()), now)
        currency = (await account.get()).currency_code if days else None
        for first, last in spans(days, longest=_MOST_DAYS):
            call = self._asked(account, first, last, now)
            # Whole before its first row is given: where the API refuses in its midst, these days stay.
            found = [row async for row in call]
            marks = [_mark(f"{account.id}/{day}", account.id) for day in _days(first, last)]
            yield [*marks, *(self._row(row, account.id, currency) for row in found)]
            for metric, error in call.failed_metrics.items():
                yield metric, error
            if not call.failed_metrics:
                done = [day for day in _days(first, last) if day + self.lookback < now.date()]
                before = [_days(*map(date.fromisoformat, span)) for span in settled.get(account.id, ())]
                settled[account.id] = [(str(one), str(other)) for one, other in spans(chain(done, *before))]

    def _asked(self, account: AdAccount, first: date, last: date, now: datetime) -> AggregateReportCall:
        last_hour = min(datetime.combine(last, time(23), UTC), now.replace(minute=0, second=0, microsecond=0))
        return account.reports.aggregate(
            entity_type=self.entity_type,
            fields=self.metrics,
            report_start=first,
            report_end=last if self.granularity == ReportGranularity.DAY else last_hour,
            granularity=self.granularity,
            on_failed_metric="drop",
        )

    def _row(self, row: ReportRow, account_id: str, currency: str | None) -> Row:
        day = "" if row.start_time is None else row.start_time.date()
        about = _about(f"{account_id}/{day}", account_id, currency, row.entity_id, row.entity_name, row.entity_status)
        return {**about, "start_time": row.start_time, "end_time": row.end_time, **_metric_values(row, self.metrics)}


class InsightStream(msgspec.Struct, frozen=True):
    """The table of each campaign's lifetime, broken down by audience."""

    dimensions: Sequence[InsightDimension]
    metrics: Sequence[ReportFieldType]
    name: str = "audience_insights"

    def columns(self) -> Any:  # noqa: ANN401 - dlt's own
        """The columns' hints."""
        own: dict[str, Row] = {"dimension": {"data_type": "text"}, "insight_value": {"data_type": "text"}}
        return {**_SLICE_COLUMNS, **own, **_metric_columns(self.metrics)}

    async def rows(self, account: AdAccount) -> AsyncIterator[Batch]:
        """The rows of one account. A campaign without enough data has none."""
        currency = (await account.get()).currency_code
        ids = [campaign.id async for campaign in account.campaigns.list() if campaign.id]
        for dimension in self.dimensions if ids else ():
            found: list[InsightRow] = []
            with contextlib.suppress(NotEnoughData):  # the only campaign has not enough yet
                found = await account.reports.insights(
                    entity_ids=ids,
                    entity_ids_type=ReportEntityType.CAMPAIGN,
                    insight_dimension=dimension,
                    fields=self.metrics,
                ).collect()
            marks = [_mark(f"{campaign_id}/{dimension}", account.id) for campaign_id in ids]
            yield [*marks, *(self._row(row, account.id, currency, dimension) for row in found)]

    def _row(self, row: InsightRow, account_id: str, currency: str | None, dimension: InsightDimension) -> Row:
        about = _about(f"{row.id}/{dimension}", account_id, currency, row.id, row.name, row.status)
        told = {"dimension": dimension.value, "insight_value": row.insight_value}
        return {**about, **told, **_metric_values(row, self.metrics)}


def _mark(slice_: str, account_id: str) -> Row:
    """What makes dlt delete a slice, also where nothing of it comes again."""
    return {"slice": slice_, "ad_account_id": account_id, "removed": True}


def _about(  # noqa: PLR0917 - in the order of the columns
    slice_: str, account_id: str, currency: str | None, id_: str | None, name: str | None, status: StrEnum | None
) -> Row:
    """What both kinds of rows begin with."""
    about = {"slice": slice_, "ad_account_id": account_id, "currency": currency}
    return {**about, "entity_id": id_, "entity_name": name, "entity_status": status and status.value}

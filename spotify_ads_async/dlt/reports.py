"""Reports as rows of a warehouse: which days to ask for, and what a row of a table is. No dlt pipeline in sight."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

import dlt
import msgspec

from spotify_ads_async import AdAccount, NotEnoughData
from spotify_ads_async.models import InsightDimension, ReportEntityType, ReportFieldType, ReportGranularity
from spotify_ads_async.reports import HIDDEN, ReportRow
from spotify_ads_async.reports.rows import InsightRow, Kind, Measured, adds_up, kind_of

__all__ = ["InsightStream", "ReportStream", "row_of"]

Row: TypeAlias = dict[str, Any]

_HOURS_KEPT = timedelta(days=14)
"""The API tells hours of the last two weeks."""
_MOST_DAYS = 30
"""Days asked for at once: rows in memory stay few."""
_TYPES: Mapping[Kind, Row] = {
    Kind.COUNT: {"data_type": "bigint"},
    Kind.MONEY: {"data_type": "decimal", "precision": 38, "scale": 9},
    Kind.SHARE: {"data_type": "decimal", "precision": 38, "scale": 12},
}
_SLICE_COLUMNS: Mapping[str, Row] = {
    "slice": {
        "data_type": "text",
        "nullable": False,
        "description": "What is replaced as a whole when it is read again.",
    },
    "removed": {
        "data_type": "bool",
        "hard_delete": True,
        "description": "Always null: dlt uses it to delete what is gone upstream.",
    },
    "ad_account_id": {"data_type": "text"},
    "currency": {"data_type": "text", "description": "ISO 4217, of every amount in the row."},
    "entity_id": {"data_type": "text"},
    "entity_name": {"data_type": "text"},
    "entity_status": {"data_type": "text"},
}


def row_of(item: msgspec.Struct) -> Row:
    """An answer as a row: names as they are, times and decimals as such, the rest as JSON has it."""
    return msgspec.to_builtins(item, builtin_types=(datetime, Decimal))


def metric_columns(metrics: Iterable[ReportFieldType]) -> dict[str, Row]:
    """The columns of each metric, so that they are there also while nothing was measured."""
    columns: dict[str, Row] = {}
    for metric in metrics:
        text = "Adds up over rows." if adds_up(metric) else "Does not add up over rows."
        columns[metric.lower()] = {**_TYPES[kind_of(metric)], "description": text}
        columns[f"{metric.lower()}_hidden"] = {
            "data_type": "bool",
            "description": "Whether the API hides the figure for privacy.",
        }
    return columns


def metric_values(row: Measured, metrics: Iterable[ReportFieldType]) -> Row:
    """A row's metrics: null where the API told none, and null with a flag where it hides one."""
    values = row.values()
    return {
        name: cell
        for metric in metrics
        for name, cell in (
            (metric.lower(), None if values.get(metric) is HIDDEN else values.get(metric)),
            (f"{metric.lower()}_hidden", values.get(metric) is HIDDEN),
        )
    }


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
        times: dict[str, Row] = {"start_time": {"data_type": "timestamp"}, "end_time": {"data_type": "timestamp"}}
        return {**_SLICE_COLUMNS, **times, **metric_columns(self.metrics)}

    def days(self, loaded: date | None, now: datetime) -> list[date]:
        """The days to ask for, where all up to ``loaded`` are there already."""
        last = now.date() if self.last is None else min(self.last, now.date())
        first = self.first if loaded is None else max(self.first, min(loaded, last) - self.lookback)
        if loaded is not None and self.last is not None and loaded >= self.last:
            return []
        if self.granularity == ReportGranularity.HOUR:
            first = max(first, (now - _HOURS_KEPT).date() + timedelta(days=1))
        return [first + timedelta(days=number) for number in range((last - first).days + 1)]

    async def rows(self, account: AdAccount) -> AsyncIterator[Row]:
        """The rows of one account, each day behind a mark that removes what was there of it before.

        The last day read is remembered once all were: dlt keeps it together with the rows.
        """
        loaded_days: dict[str, str] = dlt.current.resource_state(self.name)
        loaded = loaded_days.get(account.id)
        days = self.days(None if loaded is None else date.fromisoformat(loaded), datetime.now(UTC))
        if not days:
            return
        currency = (await account.get()).currency_code
        for number in range(0, len(days), _MOST_DAYS):
            part = days[number : number + _MOST_DAYS]
            # Whole before its first row is given: where the API refuses in its midst, what was there of these days
            # stays.
            found = [row async for row in self._asked(account, part[0], part[-1])]
            for day in part:
                yield {"slice": f"{account.id}/{day}", "ad_account_id": account.id, "removed": True}
            for row in found:
                yield self._row(row, account.id, currency)
        loaded_days[account.id] = max(days[-1].isoformat(), loaded or "")

    def _asked(self, account: AdAccount, first: date, last: date) -> AsyncIterator[ReportRow]:
        by_day = self.granularity == ReportGranularity.DAY
        this_hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        end = last if by_day else min(datetime.combine(last, time(23), UTC), this_hour)
        return aiter(
            account.reports.aggregate(
                entity_type=self.entity_type,
                fields=self.metrics,
                report_start=first,
                report_end=end,
                granularity=self.granularity,
            )
        )

    def _row(self, row: ReportRow, account_id: str, currency: str | None) -> Row:
        day = "" if row.start_time is None else row.start_time.date().isoformat()
        return {
            "slice": f"{account_id}/{day}",
            "ad_account_id": account_id,
            "currency": currency,
            "entity_id": row.entity_id,
            "entity_name": row.entity_name,
            "entity_status": None if row.entity_status is None else row.entity_status.value,
            "start_time": row.start_time,
            "end_time": row.end_time,
            **metric_values(row, self.metrics),
        }


class InsightStream(msgspec.Struct, frozen=True):
    """The table of each campaign's lifetime, broken down by audience."""

    dimensions: Sequence[InsightDimension]
    metrics: Sequence[ReportFieldType]
    name: str = "audience_insights"

    def columns(self) -> Any:  # noqa: ANN401 - dlt's own
        """The columns' hints."""
        own: dict[str, Row] = {"dimension": {"data_type": "text"}, "insight_value": {"data_type": "text"}}
        return {**_SLICE_COLUMNS, **own, **metric_columns(self.metrics)}

    async def rows(self, account: AdAccount) -> AsyncIterator[Row]:
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
            for campaign_id in ids:
                yield {"slice": f"{campaign_id}/{dimension}", "ad_account_id": account.id, "removed": True}
            for row in found:
                yield {
                    "slice": f"{row.id}/{dimension}",
                    "ad_account_id": account.id,
                    "currency": currency,
                    "entity_id": row.id,
                    "entity_name": row.name,
                    "entity_status": None if row.status is None else row.status.value,
                    "dimension": dimension.value,
                    "insight_value": row.insight_value,
                    **metric_values(row, self.metrics),
                }

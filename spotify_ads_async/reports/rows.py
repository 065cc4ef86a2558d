"""Rows of reports: what was measured, of which entity, in which period.

Three things look alike and are kept apart: zero, a count that is hidden because it lies between 1 and 4 (the API writes
-5), and a metric without a value, which is absent. SPEND is in currency units, not in millionths.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final, TypeAlias

from spotify_ads_async.models.reports import (
    AggregatedTotals,
    AggregatedTotalsRow,
    AggregateReport,
    AggregateReportRow,
    AudienceInsightReport,
    AudienceInsightReportRow,
    ReportField,
    ReportFieldType,
)

__all__ = ["HIDDEN", "HIDDEN_AS_SENT", "Hidden", "InsightRow", "Kind", "ReportRow", "TotalsRow", "Value", "kind_of", "summed"]

HIDDEN_AS_SENT: Final = Decimal(-5)


class Hidden(enum.Enum):
    """The type of :data:`HIDDEN`."""

    HIDDEN = "1 to 4"

    def __repr__(self) -> str:
        return "HIDDEN"

    __str__ = __repr__


HIDDEN: Final = Hidden.HIDDEN
"""A count of 1 to 4, which the API does not tell for privacy."""

Value: TypeAlias = int | Decimal | Hidden
"""A count is an int, money and shares are Decimals, and any of them but spend and revenue may be hidden."""


class Kind(enum.Enum):
    """What a metric is made of."""

    COUNT = "count"
    MONEY = "money"
    SHARE = "share"


_MONEY = frozenset({"SPEND", "REVENUE", "E_CPCL", "AVERAGE_ORDER_VALUE", "CUSTOMER_ACQUISITION_COST", "COST_PER_LEAD"})
_SHARES = frozenset(
    {
        "COMPLETION_RATE",
        "CONVERSION_RATE",
        "CTR",
        "FREQUENCY",
        "INTENT_RATE",
        "NEW_LISTENER_CONVERSION_RATE",
        "PAID_LISTENS_FREQUENCY",
        "RETURN_ON_AD_SPEND",
        "STREAMS_PER_NEW_LISTENER",
        "STREAMS_PER_USER",
        "VIDEO_EXPAND_RATE",
    }
)
_NEVER_HIDDEN = frozenset({"SPEND", "REVENUE"})


def kind_of(metric: ReportFieldType) -> Kind:
    """What a metric is made of; one that is newer than this package counts as a share, which keeps every digit."""
    if metric in _MONEY:
        return Kind.MONEY
    return Kind.SHARE if metric in _SHARES or not metric.known else Kind.COUNT


def _value(field: ReportField) -> Value | None:
    metric, value = field.field_type, field.field_value
    if metric is None or value is None:
        return None
    if value == HIDDEN_AS_SENT and metric not in _NEVER_HIDDEN:
        return HIDDEN
    if kind_of(metric) is Kind.COUNT and value == value.to_integral_value():
        return int(value)
    return value


class Measured:
    """What rows of all reports have: their metrics by name."""

    __slots__ = ()

    stats: list[ReportField] | None

    def get(self, metric: ReportFieldType | str) -> Value | None:
        """The metric's value, None where it is absent (which is not zero)."""
        return next((_value(field) for field in self.stats or () if field.field_type == metric), None)

    def values(self) -> dict[ReportFieldType, Value]:
        """Every metric that has a value, in the order of the answer."""
        found = ((field.field_type, _value(field)) for field in self.stats or ())
        return {metric: value for metric, value in found if metric is not None and value is not None}

    @property
    def spend(self) -> Decimal | None:
        """SPEND, in units of the account's currency: 12.5 is 12.50."""
        value = self.get(ReportFieldType.SPEND)
        return value if isinstance(value, Decimal) else None

    @property
    def impressions(self) -> Value | None:
        """IMPRESSIONS."""
        return self.get(ReportFieldType.IMPRESSIONS)

    @property
    def clicks(self) -> Value | None:
        """CLICKS."""
        return self.get(ReportFieldType.CLICKS)

    @property
    def reach(self) -> Value | None:
        """REACH: listeners, each counted once. It does not add up over rows."""
        return self.get(ReportFieldType.REACH)


class ReportRow(Measured, AggregateReportRow, frozen=True, kw_only=True):
    """The metrics of one entity in one period, from ``start_time`` up to ``end_time``."""


class TotalsRow(Measured, AggregatedTotalsRow, frozen=True, kw_only=True):
    """The metrics of several entities together in one period."""


class InsightRow(Measured, AudienceInsightReportRow, frozen=True, kw_only=True):
    """The metrics of one part of an entity's audience."""


class Report(AggregateReport, frozen=True, kw_only=True):
    """An aggregate report's answer, its rows typed."""

    rows: list[ReportRow] | None = None  # type: ignore[assignment]  # a frozen attribute may be narrower


class Totals(AggregatedTotals, frozen=True, kw_only=True):
    """The answer of totals, its rows typed."""

    rows: list[TotalsRow] | None = None  # type: ignore[assignment]  # the same


class Insights(AudienceInsightReport, frozen=True, kw_only=True):
    """An insight report's answer, its rows typed."""

    rows: list[InsightRow] | None = None  # type: ignore[assignment]  # the same


def summed(rows: Iterable[TotalsRow]) -> TotalsRow:
    """One row for rows of the same period and different entities.

    A metric that one of them lacks counts as nothing there; the sum with a hidden count is hidden, as nobody knows it.
    """
    parts = list(rows)
    found: dict[ReportFieldType, Decimal] = {}
    for part in parts:
        for field in part.stats or ():
            if field.field_type is None or field.field_value is None:
                continue
            before = found.get(field.field_type, Decimal(0))
            hidden = HIDDEN_AS_SENT in (before, field.field_value)
            found[field.field_type] = HIDDEN_AS_SENT if hidden else before + field.field_value
    stats = [ReportField(field_type=metric, field_value=value) for metric, value in found.items()]
    return TotalsRow(start_time=parts[0].start_time, end_time=parts[-1].end_time, stats=stats)


def as_sent(values: Mapping[ReportFieldType, Value], metric: ReportFieldType, hidden: int | None) -> int | Decimal | None:
    """A value for a table: ``hidden`` stands for a hidden count."""
    value = values.get(metric)
    return hidden if value is HIDDEN else value

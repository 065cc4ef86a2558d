"""Rows of reports: what was measured, of which entity, in which period.

Three things look alike and are kept apart: zero, a value that is hidden for privacy (the API writes -5), and a metric
without a value, which is absent. SPEND is in currency units, not in millionths.

A value that no table could hold is refused where the answer is read, so that rows, tables, files and charts tell the
same.
"""

from __future__ import annotations

import decimal
import enum
import functools
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Final, TypeAlias, cast

import msgspec

from spotify_ads_async.errors import InvalidRequest
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
from spotify_ads_async.types import in_utc

__all__ = [
    "EXACTLY",
    "HIDDEN",
    "HIDDEN_AS_SENT",
    "MONEY_DECIMALS",
    "AtLeast",
    "Hidden",
    "InsightRow",
    "Kind",
    "Measured",
    "ReportRow",
    "TotalsRow",
    "Value",
    "adds_up",
    "kind_of",
    "summed",
    "total_of",
]

HIDDEN_AS_SENT: Final = Decimal(-5)


class Hidden(enum.Enum):
    """The type of :data:`HIDDEN`."""

    HIDDEN = "hidden"

    def __repr__(self) -> str:
        return "HIDDEN"

    __str__ = __repr__


HIDDEN: Final = Hidden.HIDDEN
"""A value that the API does not tell for privacy.

A count of 1 to 4, or an amount or rate that belongs to such a count.
"""


class AtLeast(msgspec.Struct, frozen=True):
    """A sum of which the API hides parts.

    Attributes:
        known: the sum of the parts that are told.
        hidden: how many parts are hidden.
    """

    known: int | Decimal
    hidden: int

    def __str__(self) -> str:
        return f"at least {self.known:,}, {self.hidden} hidden"


Value: TypeAlias = int | Decimal | Hidden | AtLeast
"""A count is an int, money and shares are Decimals; any but spend may be hidden, and sums may have hidden parts."""


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
_UNIQUES = frozenset({"LISTENERS", "NEW_LISTENERS", "PAID_LISTENS_REACH", "REACH"})
"""People, each counted once."""
_NEVER_HIDDEN = "SPEND"

_MOST_COUNTED = 2**63
_MOST_MONEY = Decimal(10) ** 20
MONEY_DECIMALS = 18
"""Decimals that an amount may have: with 20 digits before them they fill a decimal of 128 bits."""
_LARGEST_SHARE = Decimal(2) ** 53
EXACTLY = decimal.Context(prec=100, traps=[decimal.InvalidOperation, decimal.Overflow])
"""Adds without rounding what :func:`_fault` lets through."""


@functools.lru_cache(maxsize=1024)
def kind_of(metric: ReportFieldType) -> Kind:
    """What a metric is made of; one that is newer than this package counts as a share, which keeps every digit."""
    if metric in _MONEY:
        return Kind.MONEY
    return Kind.SHARE if metric in _SHARES or not metric.known else Kind.COUNT


def adds_up(metric: ReportFieldType) -> bool:
    """Whether values of different rows may be added.

    Counts, SPEND and REVENUE may, but neither people nor rates nor averages.
    """
    return metric in {"SPEND", "REVENUE"} or (kind_of(metric) is Kind.COUNT and metric not in _UNIQUES)


def _fault(metric: ReportFieldType, value: Decimal) -> str | None:
    """Why a value can be no value of the metric; None where it can."""
    if not value.is_finite():
        return "no number"
    # Before anything counts the digits of a value such as 1E+999999999.
    exponent = value.adjusted()
    match kind_of(metric):
        case Kind.COUNT:
            if exponent > 18 or abs(value) >= _MOST_COUNTED:
                return "more than 64 bits hold"
            if value != value.to_integral_value():
                return "no whole number, as a count is"
            return "negative, as no count is" if value < 0 and value != HIDDEN_AS_SENT else None
        case Kind.MONEY:
            if exponent > 20 or abs(value) >= _MOST_MONEY:
                return "more than any amount of money"
            return (
                None
                if exponent >= -MONEY_DECIMALS - 1 and decimals(value) <= MONEY_DECIMALS
                else "finer than any amount of money"
            )
        case Kind.SHARE:
            return "more than any rate" if exponent > 16 or abs(value) >= _LARGEST_SHARE else None


def decimals(value: Decimal) -> int:
    """How many digits of a finite value stand after the point, without zeros at the end."""
    exponent = value.normalize(EXACTLY).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) and value else 0


class _SumField(ReportField, frozen=True, kw_only=True):
    """A metric that was summed here: its value is the sum of the parts that are told."""

    hidden_parts: int = 0


def _value(field: ReportField) -> Value | None:
    metric, value = field.field_type, field.field_value
    if metric is None or value is None:
        return None
    told = int(value) if kind_of(metric) is Kind.COUNT else value
    if isinstance(field, _SumField):
        return AtLeast(told, field.hidden_parts) if field.hidden_parts else told
    return HIDDEN if value == HIDDEN_AS_SENT and metric != _NEVER_HIDDEN else told


class Measured:
    """What rows of all reports have: their metrics by name."""

    __slots__ = ()

    stats: list[ReportField] | None

    def __post_init__(self) -> None:
        """Refuse values that are none, where an answer is decoded: the decoder makes an InvalidAnswer of it."""
        known: dict[ReportFieldType, Decimal] = {}
        for field in self.stats or ():
            metric, value = field.field_type, field.field_value
            if metric is None or value is None:
                continue
            fault = _fault(metric, value)
            if fault is not None:
                raise ValueError(
                    f"{metric} is {_shown(value)}, which is {fault}: leave the metric out to have the others"
                )
            if known.setdefault(metric, value) != value:
                raise ValueError(f"{metric} is both {_shown(known[metric])} and {_shown(value)} in one row")
        for name in ("start_time", "end_time"):
            moment: datetime | None = getattr(self, name, None)
            if moment is not None:
                msgspec.structs.force_setattr(cast("msgspec.Struct", self), name, _utc(moment))

    def get(self, metric: ReportFieldType | str) -> Value | None:
        """The metric's value, None where it is absent (which is not zero)."""
        found = (_value(field) for field in self.stats or () if field.field_type == metric)
        return next((value for value in found if value is not None), None)

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
    def hidden(self) -> tuple[str, ...]:
        """The metrics that are hidden here, or have hidden parts."""
        return tuple(str(metric) for metric, value in self.values().items() if isinstance(value, Hidden | AtLeast))

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


def _shown(value: Decimal) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _utc(moment: datetime) -> datetime:
    """A time in UTC; one without an offset is that already."""
    try:
        return in_utc(moment)
    except OverflowError:
        raise ValueError(f"{moment.isoformat()} is no time in UTC") from None


def _sum(metric: ReportFieldType, values: Iterable[Value | None]) -> Value | None:
    """The sum of values of one metric, None where none is there."""
    total, hidden, there = Decimal(0), 0, False
    for value in values:
        match value:
            case None:
                continue
            case Hidden():
                hidden += 1
            case AtLeast():
                total, hidden = EXACTLY.add(total, Decimal(value.known)), hidden + value.hidden
            case _:
                total = EXACTLY.add(total, Decimal(value))
        there = True
    if not there:
        return None
    told = int(total) if kind_of(metric) is Kind.COUNT else total
    return AtLeast(told, hidden) if hidden else told


def total_of(rows: Iterable[Measured], metric: ReportFieldType | str) -> Value | None:
    """The metric of all rows together; None where no row has a value.

    Where the API hides some of the values, the sum is :class:`AtLeast` what the others are, and tells how many are
    hidden.

    Raises:
        InvalidRequest: the metric does not add up: people would be counted several times, and rates have no sum.
    """
    metric = ReportFieldType(metric)
    if not adds_up(metric):
        raise InvalidRequest(
            f"{metric} does not add up over rows: ask for totals of at most 50 entities, or for the account's own row",
            path="metric",
            value=str(metric),
            rule="a count, SPEND or REVENUE",
        )
    return _sum(metric, (row.get(metric) for row in rows))


def summed(rows: Iterable[TotalsRow]) -> TotalsRow:
    """One row for rows of the same period and different entities.

    A metric that one of them lacks counts as nothing there.
    """
    parts = list(rows)
    metrics = dict.fromkeys(metric for part in parts for metric in part.values())
    stats: list[ReportField] = []
    for metric in metrics:
        match total_of(parts, metric):
            case None | Hidden():
                continue
            case AtLeast(known, hidden):
                stats.append(_SumField(field_type=metric, field_value=Decimal(known), hidden_parts=hidden))
            case total:
                stats.append(_SumField(field_type=metric, field_value=Decimal(total)))
    return TotalsRow(start_time=parts[0].start_time, end_time=parts[-1].end_time, stats=stats)

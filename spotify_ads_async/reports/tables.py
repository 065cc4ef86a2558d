# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# pyarrow has no type stubs.
"""Rows as tables, for the extra ``tables``: pyarrow and polars are imported when a table is made, and never before."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.models.reports import ReportFieldType
from spotify_ads_async.reports.rows import (
    MONEY_DECIMALS,
    AtLeast,
    Hidden,
    InsightRow,
    Kind,
    Measured,
    ReportRow,
    Value,
    decimals,
    kind_of,
)

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ArrowTable", "arrow_table", "money_decimals", "polars_frame", "require"]

RowT = TypeVar("RowT", bound=Measured)

ArrowTable: TypeAlias = Any
"""A ``pyarrow.Table``, which has no type stubs."""

_DIGITS, _DECIMALS = 38, 10
_TEXT, _TIME = "text", "time"
_Columns = Mapping[str, tuple[str, Callable[[Any], object]]]

_PERIOD: _Columns = {"start_time": (_TIME, lambda row: row.start_time), "end_time": (_TIME, lambda row: row.end_time)}
_ENTITY: _Columns = {
    "entity_type": (_TEXT, lambda row: row.entity_type),
    "entity_id": (_TEXT, lambda row: row.entity_id),
    "entity_name": (_TEXT, lambda row: row.entity_name),
    "entity_status": (_TEXT, lambda row: row.entity_status),
    "parent_id": (_TEXT, lambda row: row.parent_entity and row.parent_entity.id),
    "parent_name": (_TEXT, lambda row: row.parent_entity and row.parent_entity.name),
    "parent_status": (_TEXT, lambda row: row.parent_entity and row.parent_entity.status),
    **_PERIOD,
}
_INSIGHT: _Columns = {
    "entity_id": (_TEXT, lambda row: row.id),
    "entity_name": (_TEXT, lambda row: row.name),
    "entity_status": (_TEXT, lambda row: row.status),
    "insight_value": (_TEXT, lambda row: row.insight_value),
}


def require(*modules: str) -> None:
    """See that the extra is there, before anything is asked.

    Raises:
        ConfigurationError: one of the modules is not installed.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise ConfigurationError(f"tables need {module}: pip install 'spotify-ads-async[tables]'")


def _columns(rows: Sequence[Measured]) -> _Columns:
    first = rows[0] if rows else ReportRow()
    if isinstance(first, InsightRow):
        return _INSIGHT
    return _ENTITY if isinstance(first, ReportRow) else _PERIOD


def _number(value: Value | None, kind: Kind, hidden: int | None) -> object:
    match value:
        case Hidden() | AtLeast():
            value = hidden
        case _:
            pass
    if value is None:
        return None
    return Decimal(value) if kind is Kind.MONEY else float(value) if kind is Kind.SHARE else value


def money_decimals(amounts: Iterable[Decimal | None]) -> int:
    """The decimals of a column that holds these amounts exactly: 10 if they fit, else as many as an amount may have."""
    return _DECIMALS if all(amount is None or decimals(amount) <= _DECIMALS for amount in amounts) else MONEY_DECIMALS


def arrow_table(rows: Sequence[Measured], metrics: Sequence[str], hidden: int | None) -> ArrowTable:
    """The rows as an Arrow table; a column per metric that was asked for, in lower case, whether any row has it or not.

    The last column, ``hidden``, lists the metrics of the row that the API hides.
    """
    import pyarrow as pa  # noqa: PLC0415 - an extra

    types = {
        _TEXT: pa.string(),
        _TIME: pa.timestamp("s", tz="UTC"),
        Kind.COUNT: pa.int64(),
        Kind.SHARE: pa.float64(),
    }
    arrays: dict[str, Any] = {}
    for name, (kind, read) in _columns(rows).items():
        cells = [read(row) for row in rows]
        arrays[name] = pa.array(
            [None if cell is None else str(cell) for cell in cells] if kind == _TEXT else cells, types[kind]
        )
    values = [row.values() for row in rows]
    for metric in map(ReportFieldType, metrics):
        kind_of_metric = kind_of(metric)
        numbers: list[Any] = [_number(one.get(metric), kind_of_metric, hidden) for one in values]
        money = kind_of_metric is Kind.MONEY
        arrays[metric.value.lower()] = pa.array(
            numbers, pa.decimal128(_DIGITS, money_decimals(numbers)) if money else types[kind_of_metric]
        )
    asked = {metric.lower() for metric in metrics}
    names = [[metric.lower() for metric in row.hidden if metric.lower() in asked] for row in rows]
    arrays["hidden"] = pa.array(names, pa.list_(pa.string()))
    return pa.table(arrays)


def polars_frame(table: ArrowTable) -> pl.DataFrame:
    """The table as a data frame of polars, which shares its memory where it can."""
    import polars as pl  # noqa: PLC0415 - an extra

    frame = pl.from_arrow(table)
    if not isinstance(frame, pl.DataFrame):
        raise TypeError(f"a table became a {type(frame).__name__}")
    return frame

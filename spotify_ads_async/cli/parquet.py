# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# pyarrow has no type stubs.
"""Rows as a Parquet file, for the extra ``tables``: written group by group, so that its length does not matter."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, BinaryIO, cast

import msgspec

from spotify_ads_async.errors import InvalidAnswer

__all__ = ["NO_KINDS", "ColumnKind", "ParquetRows"]

_ROWS_PER_GROUP = 5_000
_DIGITS = 38


class ColumnKind(enum.Enum):
    """What a column holds."""

    TEXT = "text"
    WHOLE = "whole numbers"
    NUMBER = "numbers"
    MONEY = "money, in currency units"
    FLAG = "yes or no"
    MOMENT = "moments, in UTC"


NO_KINDS: Mapping[str, ColumnKind] = MappingProxyType({})


class ParquetRows:
    """Writes rows of one form to a binary stream.

    Args:
        stream: where to write.
        columns: the names, in order.
        kinds: what the columns hold; one that is not named holds what its first rows do.
    """

    def __init__(self, stream: BinaryIO, columns: Sequence[str], kinds: Mapping[str, ColumnKind]) -> None:
        self._stream = stream
        self._columns = columns
        self._kinds = kinds
        self._group: list[Sequence[object]] = []
        self._writer: Any = None

    def write(self, cells: Sequence[object]) -> None:
        """Write one row: a JSON value for each column."""
        self._group.append(cells)
        if len(self._group) == _ROWS_PER_GROUP:
            self._put()

    def end(self) -> None:
        """Write what is left, and the file's index."""
        self._put()
        self._writer.close()

    def _put(self) -> None:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        import pyarrow.parquet as pq  # noqa: PLC0415 - the same

        from spotify_ads_async.reports.tables import money_decimals  # noqa: PLC0415 - lists shall not wait for reports

        groups = list(zip(*self._group, strict=True)) if self._group else [()] * len(self._columns)
        self._group = []
        if self._writer is None:
            self._kinds = {
                name: self._kinds.get(name) or _seen(group) for name, group in zip(self._columns, groups, strict=True)
            }
            types = {
                ColumnKind.TEXT: pa.string(),
                ColumnKind.WHOLE: pa.int64(),
                ColumnKind.NUMBER: pa.float64(),
                ColumnKind.FLAG: pa.bool_(),
                ColumnKind.MOMENT: pa.timestamp("us", tz="UTC"),
            }
            schema = pa.schema(
                [
                    (name, types.get(self._kinds[name]) or pa.decimal128(_DIGITS, money_decimals(map(_amount, group))))
                    for name, group in zip(self._columns, groups, strict=True)
                ]
            )
            self._writer = pq.ParquetWriter(self._stream, schema, compression="zstd")
        schema = self._writer.schema
        arrays: list[Any] = []
        for name, group in zip(self._columns, groups, strict=True):
            kind, kept = self._kinds[name], schema.field(name).type
            if kind is ColumnKind.MONEY and money_decimals(map(_amount, group)) > kept.scale:
                raise InvalidAnswer(
                    f"{name} has more than {kept.scale} decimals here and had not in the first {_ROWS_PER_GROUP:,}"
                    " rows, after which a Parquet file cannot change: write CSV (--output csv)"
                )
            arrays.append(pa.array([_cell(value, kind) for value in group], kept))
        self._writer.write_table(pa.table(arrays, schema=schema))


def _seen(values: Sequence[object]) -> ColumnKind:
    there = {type(value) for value in values if value is not None}
    if there == {bool}:
        return ColumnKind.FLAG
    if there == {int}:
        return ColumnKind.WHOLE
    return ColumnKind.NUMBER if there and there <= {int, float} else ColumnKind.TEXT


def _amount(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _cell(value: object, kind: ColumnKind) -> object:
    if value is None:
        return None
    match kind:
        case ColumnKind.TEXT:
            return value if isinstance(value, str) else msgspec.json.encode(value).decode()
        case ColumnKind.MOMENT:
            return datetime.fromisoformat(str(value))
        case ColumnKind.MONEY:
            return _amount(value)
        case ColumnKind.NUMBER:
            return float(cast("float | str", value))
        case _:
            return value

"""Results on stdout: a table for people, JSON, JSON Lines, CSV or Parquet for programs.

Each row is written as it comes.
"""

from __future__ import annotations

import contextlib
import enum
import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType, TracebackType
from typing import Any, Self, TextIO, cast

import msgspec

from spotify_ads_async.bulk.plan.cells import amount_cell
from spotify_ads_async.bulk.plan.csv_rows import CsvRows, to_cells
from spotify_ads_async.cli.parquet import NO_KINDS, ColumnKind, ParquetRows
from spotify_ads_async.cli.run import say, usage_error
from spotify_ads_async.cli.terminal import console, fitted, progress_line, put, table_line, write_head
from spotify_ads_async.cli.text import printable, printable_json
from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.money import format_micros
from spotify_ads_async.types import Answer, Secret, source_of

__all__ = ["Output", "Rows", "flat", "plain", "show", "show_done", "shown"]

_SAMPLE = 50
_MICROS = 1_000_000
_HEADS: Mapping[str, str] = {
    "bid_micro_amount": "bid",
    "budget.micro_amount": "budget",
    "asset_type": "kind",
    "budget.type": "per",
    "country_code": "country",
    "created_at": "created",
    "currency_code": "currency",
    "end_time": "ends",
    "entity_name": "name",
    "start_time": "starts",
    "updated_at": "updated",
}
"""Columns as people say them, in tables."""
_UNPARTED = frozenset({"line", "width", "height"})
"""Columns of numbers that are copied or measured, and not counted: without thousands separators."""
_WIDEST = 48
_NUMBERS = frozenset({int, float, Decimal})


class Output(enum.StrEnum):
    """The form of results."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


class Rows:
    """Writes rows of one form; a context manager, for the end of a table or an array.

    Args:
        output: the form.
        columns: the columns of a table, a CSV or a Parquet file, in order; names of nested values are dotted.
        stream: where to write, by default stdout.
        kinds: what the columns of a Parquet file hold, and which of a table are rates.
        amounts: columns with money in currency units → the field that holds it in micros.
        wide: a table keeps every column whole, whatever the terminal's width.

    Raises:
        ConfigurationError: a Parquet file is wanted, and the extra ``tables`` is missing.
        typer.BadParameter: a Parquet file would go to a terminal, or the extra ``tables`` is missing.
    """

    def __init__(
        self,
        output: Output,
        columns: Sequence[str],
        *,
        stream: TextIO | None = None,
        kinds: Mapping[str, ColumnKind] = NO_KINDS,
        amounts: Mapping[str, str] = MappingProxyType({}),
        wide: bool = False,
    ) -> None:
        self._stream = stream or sys.stdout
        self._amounts = amounts
        if output is Output.PARQUET:
            self._writer = _Parquet(self._stream, columns, kinds)
            return
        if output is Output.TABLE:
            self._writer = _Table(self._stream, columns, kinds, wide=wide)
            return
        writers: Mapping[Output, type[_Json | _JsonLines | _Csv]] = {
            Output.JSON: _Json,
            Output.JSONL: _JsonLines,
            Output.CSV: _Csv,
        }
        self._writer = writers[output](self._stream, columns)

    @property
    def is_json(self) -> bool:
        """Whether rows are written with all that they hold, and not in columns."""
        return isinstance(self._writer, _JsonLines)

    @property
    def is_table(self) -> bool:
        """Whether people read the rows."""
        return isinstance(self._writer, _Table)

    def write(self, row: Mapping[str, Any]) -> None:
        """Write one row, of JSON values."""
        self.write_all((row,))

    def write_all(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows that are all there, at once."""
        self._writer.write_all(map(self._with_amounts, rows) if self._amounts else rows)

    def write_values(self, rows: Iterable[Sequence[Any]]) -> None:
        """Write rows of values that stand in the order of the columns."""
        self._writer.write_values(rows)

    def _with_amounts(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        values, currency = flat(row), _currency(row) or ""
        return {**row, **{name: amount_cell(values.get(field), currency) for name, field in self._amounts.items()}}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, BrokenPipeError):
            return
        self._writer.end(failed=kind is not None)
        self._stream.flush()


def flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of nested objects under dotted names; lists stay whole."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        if type(value) is not str and isinstance(value, Mapping):
            found.update(flat(cast("Mapping[str, Any]", value), f"{prefix}{name}."))
        else:
            found[prefix + name] = value
    return found


def _values(row: Mapping[str, Any], columns: Sequence[str]) -> list[Any]:
    """The values of columns, which may name nested ones."""
    try:
        return [row[column] for column in columns]
    except KeyError:  # in what is nested, or nowhere
        values = flat(row)
        return [values[column] if column in values else row.get(column) for column in columns]


def _currency(row: Mapping[str, Any]) -> str | None:
    """What a row says that its amounts are in."""
    budget = row.get("budget")
    nested = cast("Mapping[str, Any]", budget).get("currency") if isinstance(budget, Mapping) else None
    return nested or row.get("budget.currency") or row.get("currency_code") or row.get("currency")


def plain(answer: object) -> Any:  # noqa: ANN401 - any JSON
    """What was answered as JSON values: the server's own where they were kept, with what this version does not know."""
    source = source_of(answer) if isinstance(answer, Answer) else None
    if source is not None:
        with contextlib.suppress(msgspec.DecodeError):  # of a number in what is unknown that no float holds
            return msgspec.json.decode(source)
    return msgspec.to_builtins(answer, enc_hook=_revealed)


def _revealed(value: object) -> str:
    """A secret that was asked for: an API token is answered once and never again."""
    return value.reveal() if isinstance(value, Secret) else str(value)


def _json(value: object) -> str:
    return printable_json(msgspec.json.encode(value).decode())


def show(value: object) -> None:
    """Write one value to stdout as JSON that people can read, in colours on a terminal."""
    text = printable_json(msgspec.json.format(msgspec.json.encode(value)).decode())
    if sys.stdout.isatty():
        progress_line.clear()
        console().print_json(text)
    else:
        put(sys.stdout, text + "\n")


def show_done(done: str, noun: str, answer: object, fields: Sequence[str] = ()) -> None:
    """Write an answer to stdout as JSON, and what was done to stderr: ``changed: ad set Autumn (ID): name``."""
    found: dict[str, Any] = plain(answer)
    show(found)
    name = f" {found['name']}" if found.get("name") else ""
    what = f": {', '.join(fields)}" if fields else ""
    say(f"{done}: {noun}{name} ({found.get('id', 'its ID was not answered')}){what}")


class _JsonLines:
    def __init__(self, stream: TextIO, columns: Sequence[str]) -> None:
        self._columns = columns
        self._stream = stream

    def write_all(self, rows: Iterable[Mapping[str, Any]]) -> None:
        put(self._stream, "".join(_json(row) + "\n" for row in rows))

    def write_values(self, rows: Iterable[Sequence[Any]]) -> None:
        self.write_all(dict(zip(self._columns, row, strict=True)) for row in rows)

    def end(self, *, failed: bool) -> None:
        pass


class _Json(_JsonLines):
    def __init__(self, stream: TextIO, columns: Sequence[str]) -> None:
        super().__init__(stream, columns)
        self._opening = "["

    def write_all(self, rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            put(self._stream, f"{self._opening}\n  {_json(row)}")
            self._opening = ","

    def end(self, *, failed: bool) -> None:
        if self._opening == "," or not failed:
            put(self._stream, "\n]\n" if self._opening == "," else "[]\n")


class _Csv:
    def __init__(self, stream: TextIO, columns: Sequence[str]) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._columns = columns
        self._line = io.StringIO(newline="")
        self._writer = CsvRows(self._line)
        self._begun = False

    def write_all(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self.write_values(_values(row, self._columns) for row in rows)

    def write_values(self, rows: Iterable[Sequence[Any]]) -> None:
        self._begin()
        cells = map(to_cells, zip(*rows, strict=True))
        self._writer.write_all(list(zip(*cells, strict=True)))
        self._put()

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._writer.write(self._columns)

    def _put(self) -> None:
        text = self._line.getvalue()
        self._line.seek(0)
        self._line.truncate()
        # A file keeps every character; a terminal must not obey them.
        put(self._stream, printable(text) if self._is_terminal else text)

    def end(self, *, failed: bool) -> None:
        if not failed:  # a head without rows says that there is nothing, which nobody knows after a failure
            self._begin()
            self._put()


class _Parquet:
    def __init__(self, stream: TextIO, columns: Sequence[str], kinds: Mapping[str, ColumnKind]) -> None:
        from spotify_ads_async.reports.tables import require  # noqa: PLC0415 - what few commands need shall delay none

        try:
            require("pyarrow")
        except ConfigurationError as error:
            usage_error(str(error))
        if stream.isatty():
            usage_error(
                "a Parquet file is no text for a terminal: send it to a file, as in `… --output parquet > rows.parquet`"
            )
        self._columns = columns
        self._rows = ParquetRows(stream.buffer, columns, kinds)

    def write_all(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self.write_values(_values(row, self._columns) for row in rows)

    def write_values(self, rows: Iterable[Sequence[Any]]) -> None:
        for row in rows:
            self._rows.write(row)

    def end(self, *, failed: bool) -> None:
        if not failed:  # without its index nobody takes the file for a whole one
            self._rows.end()


class _Table:
    """A table as wide as the terminal, or as wide as it needs to be in a pipe.

    The first rows decide the columns' widths.
    """

    def __init__(self, stream: TextIO, columns: Sequence[str], kinds: Mapping[str, ColumnKind], *, wide: bool) -> None:
        self._stream = stream
        # A rate has no currency.
        self._rates = {name for name, kind in kinds.items() if kind is ColumnKind.NUMBER}
        self._fits = stream.isatty() and not wide
        self._columns = columns
        self._sample: list[list[str]] = []
        self._widths: list[int] = []
        self._right: set[int] = set()

    def write_all(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._write((_values(row, self._columns), _currency(row)) for row in rows)

    def write_values(self, rows: Iterable[Sequence[Any]]) -> None:
        self._write((row, None) for row in rows)

    def _write(self, rows: Iterable[tuple[Sequence[Any], str | None]]) -> None:
        lines: list[str] = []
        for found, currency in rows:
            cells = [
                shown(column, value, None if column in self._rates else currency)
                for column, value in zip(self._columns, found, strict=True)
            ]
            if self._widths:
                lines.append(self._line(cells))
                continue
            self._right |= {index for index, value in enumerate(found) if type(value) in _NUMBERS}
            self._sample.append(cells)
            if len(self._sample) == _SAMPLE:
                self._begin()
        if lines:
            put(self._stream, "".join(lines))

    def end(self, *, failed: bool) -> None:
        del failed
        if self._sample:  # commands say in words that there is nothing
            self._begin()

    def _begin(self) -> None:
        heads = [_HEADS.get(column, column.replace("_", " ")) for column in self._columns]
        self._widths = fitted(
            self._stream, heads, self._sample, widest=_WIDEST if self._fits else None, figures=self._right
        )
        head = self._line([head.upper() for head in heads]).removesuffix("\n")
        write_head(self._stream, head, more=self._fits and 0 in self._widths)
        put(self._stream, "".join(map(self._line, self._sample)))
        self._sample.clear()

    def _line(self, cells: Sequence[str]) -> str:
        return table_line(cells, self._widths, right=self._right, cut=self._fits) + "\n"


def shown(column: str, value: object, currency: str | None) -> str:
    """A cell for people: money in units of its currency, lists in short."""
    if type(value) is str and value.isascii() and value.isprintable():
        return value
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int() if column.endswith("micro_amount"):
            return format_micros(value, currency)
        case Decimal():
            amount = int(value * _MICROS)
            finer = f"{value:,f} {currency or ''}".rstrip()
            return format_micros(amount, currency) if amount == value * _MICROS else finer
        case list() if all(isinstance(one, str) for one in cast("list[object]", value)):
            return printable(", ".join(cast("list[str]", value)))
        case int() if column not in _UNPARTED:
            return f"{value:,}"
        case str() | int() | float():
            return printable(str(value)).replace("\n", "\\n").replace("\t", "\\t")
        case _:
            return _json(value)

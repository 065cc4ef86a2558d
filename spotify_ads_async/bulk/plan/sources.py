"""Files of changes, read row by row: CSV and JSON Lines. A bad row becomes a problem with its place, not an exception.

CSV: the first line names the columns; one of them is the id (``ad_set_id``, ``campaign_id`` or ``ad_id``) and says what
the file changes. JSON Lines: one object a line with the same names, dotted or nested. :class:`RowReader` turns the cells of one
row into a change, wherever they come from; :class:`ChangesReader` reads the two formats.
"""

from __future__ import annotations

import csv
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TextIO, cast

import msgspec

from spotify_ads_async.bulk.entities import ENTITIES, Entity
from spotify_ads_async.bulk.plan.cells import CLEAR, CellError, parse_cell, parse_value
from spotify_ads_async.bulk.plan.columns import Cell, Column, Kind, suggestion
from spotify_ads_async.bulk.plan.opening import LONGEST_LINE, SilentPipe

__all__ = ["CURRENCY", "BadChanges", "Change", "ChangesReader", "Doubt", "Problem", "RowReader", "unusable"]

CURRENCY = "currency"
"""The column that says in what currency a row's amounts are; it changes nothing."""

_SEPARATORS = ",;\t"
_SHOWN = 20


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a row, or with ``fatal`` the whole file, is refused."""

    file: str
    line: int
    reason: str
    column: str = ""
    entity_id: str = ""
    fatal: bool = False
    name: str = ""
    """The name of what the row is about, where it is known."""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        parts = (where, self.name, self.column, self.reason)
        return ": ".join(part for part in parts if part)


class BadChanges(ValueError):
    """Changes were refused; no request has left for any of them.

    Attributes:
        problems: the first problems, in the order of the file.
        total: how many there are.
    """

    def __init__(self, problems: Sequence[Problem], total: int | None = None) -> None:
        self.problems = tuple(problems[:_SHOWN])
        self.total = len(problems) if total is None else total
        rest = self.total - len(self.problems)
        super().__init__("\n".join([*map(str, self.problems), *(f"and {rest} more" for _ in range(rest > 0))]))


class Doubt(msgspec.Struct, frozen=True):
    """A cell that is no value of its column as far as this package knows, and no reason to refuse the row where it is what is live."""

    cell: str | int | float | bool | list[object] | dict[str, object] | None
    reason: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One row that can be read: what shall become of one entity's fields, by column name."""

    line: int
    entity_id: str
    values: dict[str, Cell]
    doubts: dict[str, Doubt] = {}


class RowReader:
    """Turns the cells of rows into changes.

    Args:
        entity: what the rows are about.
        name: the file's name, for problems.
        clear: the cell that empties a field.
        currency: the account's currency, or nothing where it is not known.
    """

    def __init__(self, entity: Entity, *, name: str, clear: str = CLEAR, currency: str = "") -> None:
        self.entity = entity
        self.name = name
        self.clear = clear
        self.currency = currency

    def read(self, line: int, cells: Iterable[tuple[str, object]], *, typed: bool = False) -> Change | Problem:
        """One row.

        Args:
            line: its place in the file.
            cells: the columns' names and what stands under them; the id is among them.
            typed: the cells are JSON values and not text; text that is blank keeps its field.
        """
        entity_id = ""
        values: dict[str, Cell] = {}
        doubts: dict[str, Doubt] = {}
        id_column, columns = self.entity.id_column, self.entity.columns
        for name, cell in cells:
            if name == id_column:
                entity_id = str(cell).strip()
                continue
            if not typed and not str(cell).strip():
                continue
            try:
                if name == CURRENCY and self.entity.has_money:
                    self._check_currency(str(cell))
                elif typed:
                    values[name] = parse_value(columns[name], cell, currency=self.currency)
                else:
                    values[name] = parse_cell(columns[name], str(cell), clear=self.clear, currency=self.currency)
            except CellError as problem:
                if not problem.may_be_live:
                    return Problem(file=self.name, line=line, column=name, reason=str(problem), entity_id=entity_id)
                doubts[name] = Doubt(cast("str", _plain(cell)), str(problem))
        return self._change(line, entity_id, values, doubts)

    def _check_currency(self, cell: str) -> None:
        if self.currency and cell.strip().upper() != self.currency:
            raise CellError(f"is {cell.strip()}, and the account's currency is {self.currency}")

    def _change(self, line: int, entity_id: str, values: dict[str, Cell], doubts: dict[str, Doubt]) -> Change | Problem:
        id_column = self.entity.id_column
        try:
            entity_id = str(uuid.UUID(entity_id))
        except ValueError:
            reason = f"{entity_id[:80]!r} is no id" if entity_id else "is blank"
            return Problem(file=self.name, line=line, column=id_column, reason=reason, entity_id=entity_id[:80])
        if len(values) > 1 and (found := self._contradiction(values)):
            name, other = found
            return Problem(file=self.name, line=line, column=name, reason=f"contradicts {other}, which sets it too", entity_id=entity_id)
        return Change(line=line, entity_id=entity_id, values=values, doubts=doubts)

    def _contradiction(self, values: Mapping[str, Cell]) -> tuple[str, str] | None:
        """A column that writes what another one writes too, and that other one."""
        written: dict[str, str] = {}
        for name in values:
            field = self.entity.columns[name].writes
            if field in written:
                return name, written[field]
            written[field] = name
        for field, name in written.items():
            if "." in field:
                parts = field.split(".")
                for length in range(1, len(parts)):
                    if (whole := ".".join(parts[:length])) in written:
                        return name, written[whole]
        return None


class ChangesReader:
    """Reads changes from text: iterating gives a :class:`Change` or a :class:`Problem` for every row.

    Args:
        text: CSV or JSON Lines; told apart by the first character.
        name: the file's name, for problems.
        entity: what the changes are for; by default the id column says it.
        clear: the CSV token that empties a field.

    Attributes:
        entity: what the changes are for.
        names: the columns that a CSV file has, without the id: a blank in one of them means not set.
        needs_currency: whether amounts in currency units may stand in the file, or the currency itself.

    Raises:
        BadChanges: the header cannot be used, so that no row can be read.
    """

    def __init__(self, text: TextIO, *, name: str, entity: Entity | None = None, clear: str = CLEAR) -> None:
        self.name = name
        self._lines = _Lines(text, name)
        first = self._lines.peek()
        self._is_json = first.lstrip().startswith("{")
        self.names: tuple[str, ...] = ()
        if self._is_json:
            named = _keys(first, name)
            self.entity = entity or _entity_of(named, name)
        else:
            csv.field_size_limit(LONGEST_LINE)
            self._rows = csv.reader(self._lines, delimiter=_separator(first), strict=True)
            self._header = named = self._read_header()
            self.entity = entity or _entity_of(named, name)
            self._check_header()
            self.names = tuple(one for one in named if one not in {self.entity.id_column, CURRENCY})
        columns = self.entity.columns
        self.needs_currency = self.entity.has_money and any(one == CURRENCY or _is_amount(columns.get(one)) for one in named)
        self._reader = RowReader(self.entity, name=name, clear=clear)

    def use_currency(self, currency: str) -> None:
        """Say what the account's currency is, before rows are read."""
        self._reader.currency = currency

    def __iter__(self) -> Iterator[Change | Problem]:
        try:
            yield from self._json_lines() if self._is_json else self._csv_rows()
        except UnicodeDecodeError as problem:
            yield Problem(file=self.name, line=self._lines.number + 1, reason=f"is not UTF-8: {problem.reason}", fatal=True)
        except (_TooLong, SilentPipe) as problem:
            yield Problem(file=self.name, line=self._lines.number + 1, reason=str(problem), fatal=True)

    def _read_header(self) -> list[str]:
        try:
            return [cell.strip() for cell in next(self._rows, list[str]())]
        except csv.Error as problem:
            raise BadChanges([Problem(file=self.name, line=1, reason=str(problem), fatal=True)]) from None

    def _check_header(self) -> None:
        header = self._header
        problems = [
            Problem(file=self.name, line=1, column=name, reason=reason, fatal=True)
            for position, name in enumerate(header)
            if (reason := "is there twice" if name in header[:position] else unusable(self.entity, name))
        ]
        if self.entity.id_column not in header:
            problems.append(Problem(file=self.name, line=1, column=self.entity.id_column, reason="is missing", fatal=True))
        if problems:
            raise BadChanges(problems)

    def _csv_rows(self) -> Iterator[Change | Problem]:
        while True:
            line = self._lines.number + 1
            try:
                cells = next(self._rows, None)
            except csv.Error as problem:
                yield Problem(file=self.name, line=line, reason=f"cannot be read as CSV: {problem}", fatal=True)
                return
            if cells is None:
                return
            if any(cell.strip() for cell in cells):
                yield self._csv_row(line, cells)

    def _csv_row(self, line: int, cells: Sequence[str]) -> Change | Problem:
        header = self._header
        if len(cells) != len(header):
            return Problem(file=self.name, line=line, reason=f"has {len(cells)} cells where the header has {len(header)}")
        return self._reader.read(line, zip(header, cells, strict=True))

    def _json_lines(self) -> Iterator[Change | Problem]:
        for text in self._lines:
            if text.strip():
                yield self._json_row(self._lines.number, text)

    def _json_row(self, line: int, text: str) -> Change | Problem:
        try:
            row = _json_object(text)
        except ValueError as problem:
            return Problem(file=self.name, line=line, reason=str(problem))
        for name in row:
            reason = unusable(self.entity, name)
            if reason:
                entity_id = str(row.get(self.entity.id_column, ""))
                return Problem(file=self.name, line=line, column=name, reason=reason, entity_id=entity_id)
        return self._reader.read(line, row.items(), typed=True)


class _TooLong(Exception):
    pass


class _Lines:
    """The lines of a text with a look at the first; ``number`` counts those handed out."""

    def __init__(self, text: TextIO, name: str) -> None:
        self._text = text
        self.number = 0
        try:
            self._first: str | None = self._read().removeprefix("\ufeff")
        except UnicodeDecodeError as problem:
            raise BadChanges([Problem(file=name, line=1, reason=f"is not UTF-8: {problem.reason}", fatal=True)]) from None
        except (_TooLong, SilentPipe) as problem:
            raise BadChanges([Problem(file=name, line=1, reason=str(problem), fatal=True)]) from None
        if not self._first:
            raise BadChanges([Problem(file=name, line=1, reason="is empty", fatal=True)])

    def peek(self) -> str:
        return self._first or ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line, self._first = (self._first, None) if self._first is not None else (self._read(), None)
        if not line:
            raise StopIteration
        self.number += 1
        return line

    def _read(self) -> str:
        line = self._text.readline(LONGEST_LINE + 1)
        if len(line) > LONGEST_LINE:
            raise _TooLong(f"is longer than {LONGEST_LINE // 2**20} million characters, or the file has no line ends")
        return line


def _separator(header: str) -> str:
    """The separator that the header has most of: spreadsheets write semicolons in many countries."""
    return max(_SEPARATORS, key=header.count)


def _is_amount(column: Column | None) -> bool:
    return column is not None and column.kind is Kind.AMOUNT


def _keys(line: str, file: str) -> Sequence[str]:
    """The names in the first line of a JSON file, which say what it is about."""
    try:
        return list(_json_object(line))
    except ValueError as problem:
        raise BadChanges([Problem(file=file, line=1, reason=str(problem), fatal=True)]) from None


def _json_object(text: str) -> dict[str, object]:
    """One line, with exact decimals, and without the silent loss of a repeated key."""
    try:
        row: object = json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_distinct, parse_int=_whole)
    except json.JSONDecodeError as problem:
        raise ValueError(f"is not JSON: {problem.msg} at character {problem.pos + 1}") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if not isinstance(row, dict):
        raise ValueError("is no JSON object")  # noqa: TRY004 - a problem of the file, not of the program
    return cast("dict[str, object]", row)


def _whole(digits: str) -> int:
    if len(digits) > 40:
        raise ValueError(f"holds a number of {len(digits)} digits")
    return int(digits)


def _plain(value: object) -> object:
    """A value of a JSON line without exact decimals, which a plan keeps as they are shown."""
    match value:
        case Decimal():
            return float(value)
        case dict():
            return {name: _plain(one) for name, one in cast("dict[str, object]", value).items()}
        case list():
            return [_plain(one) for one in cast("list[object]", value)]
        case _:
            return value


def _distinct(pairs: list[tuple[str, object]]) -> Mapping[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"has the key {next(name for name in names if names.count(name) > 1)!r} twice")
    return found


def _refuse_constant(text: str) -> object:
    raise ValueError(f"{text} is no JSON number")


def _entity_of(names: Sequence[str], file: str) -> Entity:
    found = [entity for entity in ENTITIES.values() if entity.id_column in names]
    if len(found) == 1:
        return found[0]
    columns = ", ".join(entity.id_column for entity in ENTITIES.values())
    reason = f"has more than one id column of {columns}" if found else f"has no id column: one of {columns} says what is changed"
    raise BadChanges([Problem(file=file, line=1, reason=reason, fatal=True)])


def unusable(entity: Entity, name: str) -> str:
    """Why a column cannot be in a file of changes, or nothing."""
    if name == entity.id_column or name in entity.columns or (name == CURRENCY and entity.has_money):
        return ""
    if not name:
        return "a column has no name"
    if name in entity.read_only:
        return "is read-only: the API takes no change of it"
    return f"is no column of {entity.plural}{suggestion(name, entity.columns)}"

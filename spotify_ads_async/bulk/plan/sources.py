"""Changes, row by row: a bad row becomes a problem with its place, not an exception.

:class:`RowReader` turns the cells of one row into a change, wherever they come from. :class:`JsonLinesReader` reads
JSON Lines, one object a line with the names of columns, dotted or nested; tables are read by
:mod:`~spotify_ads_async.bulk.plan.tables`.
"""

from __future__ import annotations

import functools
import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import cast

import msgspec

from spotify_ads_async.bulk.entities import ENTITIES, Entity
from spotify_ads_async.bulk.plan.cells import CLEAR, CellError, parse_cell, parse_value
from spotify_ads_async.bulk.plan.columns import Cell, Column, suggestion
from spotify_ads_async.bulk.plan.problems import BadChanges, Problem
from spotify_ads_async.spreadsheets import Spreadsheet, SpreadsheetError
from spotify_ads_async.validation.formats import UUID_PATTERN

__all__ = [
    "CURRENCY",
    "Change",
    "Doubt",
    "JsonLinesReader",
    "RowReader",
    "contradiction",
    "plain_id",
    "unusable",
]

CURRENCY = "currency"
"""The column that says in what currency a row's amounts are; it changes nothing."""

_ID = re.compile(UUID_PATTERN)


class Doubt(msgspec.Struct, frozen=True):
    """A cell that is no value of its column as far as this package knows.

    No reason to refuse the row where it is what is live.
    """

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
                    self.check_currency(str(cell))
                elif typed:
                    values[name] = parse_value(columns[name], cell, currency=self.currency)
                else:
                    values[name] = self.value_of(columns[name], str(cell))
            except CellError as problem:
                if not problem.may_be_live:
                    return Problem(file=self.name, line=line, column=name, reason=str(problem), entity_id=entity_id)
                doubts[name] = Doubt(cast("str", _plain(cell)), str(problem))
        return self._change(line, entity_id, values, doubts)

    def value_of(self, column: Column, text: str) -> Cell:
        """The value of a cell; see :func:`~spotify_ads_async.bulk.plan.cells.parse_cell`."""
        return parse_cell(column, text, clear=self.clear, currency=self.currency)

    def check_currency(self, cell: str) -> None:
        """Refuse a row in another currency than the account's.

        Raises:
            CellError: it is.
        """
        if self.currency and cell.strip().upper() != self.currency:
            raise CellError(f"is {cell.strip()}, and the account's currency is {self.currency}")

    def _change(self, line: int, entity_id: str, values: dict[str, Cell], doubts: dict[str, Doubt]) -> Change | Problem:
        try:
            entity_id = plain_id(entity_id)
        except CellError as problem:
            return Problem(
                file=self.name, line=line, column=self.entity.id_column, reason=str(problem), entity_id=entity_id[:80]
            )
        if len(values) > 1 and (found := contradiction(self.entity, tuple(values))):
            name, other = found
            return Problem(
                file=self.name,
                line=line,
                column=name,
                reason=f"contradicts {other}, which sets it too",
                entity_id=entity_id,
            )
        return Change(line=line, entity_id=entity_id, values=values, doubts=doubts)


def plain_id(text: str) -> str:
    """An id in its usual form.

    Raises:
        CellError: it is none.
    """
    try:
        return text.lower() if _ID.fullmatch(text) else str(uuid.UUID(text))
    except ValueError:
        raise CellError(f"{text[:80]!r} is no id" if text else "is blank") from None


@functools.lru_cache(maxsize=256)
def contradiction(entity: Entity, names: tuple[str, ...]) -> tuple[str, str] | None:
    """A column that writes what another one writes too, and that other one."""
    written: dict[tuple[str, ...], str] = {}
    for name in names:
        path = entity.columns[name].path
        if path in written:
            return name, written[path]
        written[path] = name
    for path, name in written.items():
        for length in range(1, len(path)):
            if path[:length] in written:
                return name, written[path[:length]]
    return None


class JsonLinesReader:
    """Reads changes from JSON Lines.

    Iterating gives a :class:`Change` or a :class:`Problem` for every line that is not blank.

    Args:
        opened: the file.
        name: the file's name, for problems.
        entity: what the changes are for; by default the id in the first line says it.
        clear: the text that empties a field, in files of text.
        currency: the account's currency, or nothing where it is not known.

    Raises:
        BadChanges: the first line cannot be read.
    """

    def __init__(
        self, opened: Spreadsheet, *, name: str, entity: Entity | None = None, clear: str = CLEAR, currency: str = ""
    ) -> None:
        self.name = name
        self.names: tuple[str, ...] = ()
        self.remarks: list[str] = []
        self._opened = opened
        try:
            first = next((text for _, text in opened.lines() if text.strip()), "")
        except SpreadsheetError as problem:
            raise BadChanges([Problem(file=name, line=problem.row, reason=problem.reason, fatal=True)]) from None
        self.entity = entity or _entity_of(_keys(first, name), name)
        self._reader = RowReader(self.entity, name=name, clear=clear, currency=currency)

    def __iter__(self) -> Iterator[Change | Problem]:
        try:
            for number, text in self._opened.lines():
                if text.strip():
                    yield self._json_row(number, text)
        except SpreadsheetError as problem:
            yield Problem(file=self.name, line=problem.row, reason=problem.reason, fatal=True)

    def place(self, line: int, column: str = "") -> str:
        """Nothing: the number of a line says where it is."""
        del line, column
        return ""

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


def _keys(line: str, file: str) -> Sequence[str]:
    """The names in the first line of a JSON file, which say what it is about."""
    try:
        return list(_json_object(line))
    except ValueError as problem:
        raise BadChanges([Problem(file=file, line=1, reason=str(problem), fatal=True)]) from None


def _json_object(text: str) -> dict[str, object]:
    """One line, with exact decimals, and without the silent loss of a repeated key."""
    try:
        row: object = json.loads(
            text, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_distinct, parse_int=_whole
        )
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
    reason = (
        f"has more than one id column of {columns}"
        if found
        else f"has no id column: one of {columns} says what is changed"
    )
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

"""Files of changes, read row by row: CSV and JSON Lines. A bad row becomes a problem with its place, not an exception.

CSV: the first line names the columns; one of them is the id (``ad_set_id``, ``campaign_id`` or ``ad_id``) and says what
the file changes. JSON Lines: one object a line with the same names, dotted or nested.
"""

from __future__ import annotations

import csv
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TextIO, cast

import msgspec

from spotify_ads_async.bulk.entities import ENTITIES, Entity
from spotify_ads_async.bulk.plan.columns import CLEAR, Cell, CellError, Column, parse_cell, parse_value, suggestion
from spotify_ads_async.errors import Portable

__all__ = ["BadChanges", "Change", "ChangesReader", "Problem"]

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

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.column}: {self.reason}" if self.column else f"{where}: {self.reason}"


class BadChanges(Portable, ValueError):
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


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One row that can be read: what shall become of one entity's fields, by column name."""

    line: int
    entity_id: str
    values: dict[str, Cell]


class ChangesReader:
    """Reads changes from text: iterating gives a :class:`Change` or a :class:`Problem` for every row.

    Args:
        text: CSV or JSON Lines; told apart by the first character.
        name: the file's name, for problems.
        entity: what the changes are for; by default the id column says it.
        clear: the CSV token that empties a field.

    Raises:
        BadChanges: the header cannot be used, so that no row can be read.
    """

    def __init__(self, text: TextIO, *, name: str, entity: Entity | None = None, clear: str = CLEAR) -> None:
        self.name = name
        self._clear = clear
        self._lines = _Lines(text, name)
        first = self._lines.peek()
        self._is_json = first.lstrip().startswith("{")
        self.names: tuple[str, ...] = ()
        """The columns that a CSV file has, without the id: a blank in one of them means not set."""
        if self._is_json:
            self.entity = entity or _entity_of(_keys(first), name)
        else:
            self._rows = csv.reader(self._lines, delimiter=_separator(first), strict=True)
            header = self._header()
            self.entity = entity or _entity_of(header, name)
            self._columns = self._usable(header)
            self.names = tuple(column.name for column in self._columns if column is not None)

    def __iter__(self) -> Iterator[Change | Problem]:
        try:
            yield from self._json_lines() if self._is_json else self._csv_rows()
        except UnicodeDecodeError as problem:
            yield Problem(file=self.name, line=self._lines.number + 1, reason=f"is not UTF-8: {problem.reason}", fatal=True)

    def _header(self) -> list[str]:
        try:
            return [cell.strip() for cell in next(self._rows, list[str]())]
        except csv.Error as problem:
            raise BadChanges([Problem(file=self.name, line=1, reason=str(problem), fatal=True)]) from None

    def _usable(self, header: Sequence[str]) -> list[Column | None]:
        """The columns in the file's order, None standing for the id."""
        problems = [
            Problem(file=self.name, line=1, column=name, reason=reason, fatal=True)
            for position, name in enumerate(header)
            if (reason := "is there twice" if name in header[:position] else _unusable(self.entity, name))
        ]
        if self.entity.id_column not in header:
            problems.append(Problem(file=self.name, line=1, column=self.entity.id_column, reason="is missing", fatal=True))
        if problems:
            raise BadChanges(problems)
        return [self.entity.columns.get(name) for name in header]

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
        if len(cells) != len(self._columns):
            return Problem(file=self.name, line=line, reason=f"has {len(cells)} cells where the header has {len(self._columns)}")
        entity_id = ""
        values: dict[str, Cell] = {}
        for column, cell in zip(self._columns, cells, strict=True):
            if column is None:
                entity_id = cell.strip()
                continue
            if not cell.strip():
                continue
            try:
                values[column.name] = parse_cell(column, cell, clear=self._clear)
            except CellError as problem:
                return Problem(file=self.name, line=line, column=column.name, reason=str(problem), entity_id=entity_id)
        return self._change(line, entity_id, values)

    def _json_lines(self) -> Iterator[Change | Problem]:
        for text in self._lines:
            if text.strip():
                yield self._json_row(self._lines.number, text)

    def _json_row(self, line: int, text: str) -> Change | Problem:
        try:
            row = _json_object(text)
        except ValueError as problem:
            return Problem(file=self.name, line=line, reason=str(problem))
        entity_id = row.pop(self.entity.id_column, "")
        values: dict[str, Cell] = {}
        for name, value in row.items():
            reason = _unusable(self.entity, name)
            if reason:
                return Problem(file=self.name, line=line, column=name, reason=reason, entity_id=str(entity_id))
            try:
                values[name] = parse_value(self.entity.columns[name], value)
            except CellError as problem:
                return Problem(file=self.name, line=line, column=name, reason=str(problem), entity_id=str(entity_id))
        return self._change(line, str(entity_id), values)

    def _change(self, line: int, entity_id: str, values: dict[str, Cell]) -> Change | Problem:
        id_column = self.entity.id_column
        try:
            entity_id = str(uuid.UUID(entity_id))
        except ValueError:
            reason = f"{entity_id!r} is no id" if entity_id else "is blank"
            return Problem(file=self.name, line=line, column=id_column, reason=reason, entity_id=entity_id)
        for name in values:
            whole = name.rpartition(".")[0]
            if whole in values:
                return Problem(
                    file=self.name, line=line, column=name, reason=f"contradicts {whole}, which sets it too", entity_id=entity_id
                )
        return Change(line=line, entity_id=entity_id, values=values)


class _Lines:
    """The lines of a text with a look at the first; ``number`` counts those handed out."""

    def __init__(self, text: TextIO, name: str) -> None:
        self._text = text
        self.number = 0
        try:
            self._first: str | None = text.readline().removeprefix("\ufeff")
        except UnicodeDecodeError as problem:
            raise BadChanges([Problem(file=name, line=1, reason=f"is not UTF-8: {problem.reason}", fatal=True)]) from None
        if not self._first:
            raise BadChanges([Problem(file=name, line=1, reason="is empty", fatal=True)])

    def peek(self) -> str:
        return self._first or ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line, self._first = (self._first, None) if self._first is not None else (self._text.readline(), None)
        if not line:
            raise StopIteration
        self.number += 1
        return line


def _separator(header: str) -> str:
    """The separator that the header has most of: spreadsheets write semicolons in many countries."""
    return max(_SEPARATORS, key=header.count)


def _keys(line: str) -> Sequence[str]:
    try:
        return list(_json_object(line))
    except ValueError:
        return []


def _json_object(text: str) -> dict[str, object]:
    """One line, with exact decimals, and without the silent loss of a repeated key."""
    try:
        row: object = json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_distinct)
    except json.JSONDecodeError as problem:
        raise ValueError(f"is not JSON: {problem.msg} at character {problem.pos + 1}") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if not isinstance(row, dict):
        raise ValueError("is no JSON object")  # noqa: TRY004 - a problem of the file, not of the program
    return cast("dict[str, object]", row)


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


def _unusable(entity: Entity, name: str) -> str:
    """Why a column cannot be in a file of changes, or nothing."""
    if name == entity.id_column or name in entity.columns:
        return ""
    if not name:
        return "a column has no name"
    if name in entity.read_only:
        return "is read-only: the API takes no change of it"
    return f"is no column of {entity.plural}{suggestion(name, entity.columns)}"

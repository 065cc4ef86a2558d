"""Tables of changes, of any format: which rows there are, and what their headers and cells mean.

Conversions of one row are RowReader's.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from zoneinfo import ZoneInfo

import msgspec

from spotify_ads_async.bulk.entities import ENTITIES, Entity
from spotify_ads_async.bulk.plan.cells import CLEAR, CellError
from spotify_ads_async.bulk.plan.columns import Cell, Column, Kind
from spotify_ads_async.bulk.plan.headers import Header, HeaderProblem, entity_of, header_text, plain, read_header
from spotify_ads_async.bulk.plan.problems import BadChanges, Problem
from spotify_ads_async.bulk.plan.sources import CURRENCY, Change, RowReader, contradiction, plain_id
from spotify_ads_async.bulk.plan.typed import cell_text, id_text
from spotify_ads_async.spreadsheets import (
    CellValue,
    FormattedNumber,
    Row,
    SpreadsheetError,
    Table,
    UnreadableCell,
    is_blank,
    trimmed,
)

__all__ = ["HiddenRows", "NewRow", "NewRowsFound", "Reading", "TableReader"]

_LOOKED_FOR_HEADER = 20
_LONGEST_SHOWN = 60
_REMEMBERED = 4096


class HiddenRows(enum.StrEnum):
    """What to do with rows that a spreadsheet hides, by hand or by a filter."""

    INCLUDE = "include"
    SKIP = "skip"


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How a file of changes is read.

    Attributes:
        clear: the cell that empties a field; a blank keeps it.
        encoding: the encoding of a text, where it should not be found out.
        sheets: the sheets of a workbook to read; every visible one with an id column if left out.
        ignore: headers of columns to leave out.
        hidden: whether rows that the spreadsheet hides are taken, or left out; where there are such, it must be said.
        zone: the zone of times that name none.
        leave_out: rows to leave out, by number, place (``ads, row 4``), id or name.
    """

    clear: str = CLEAR
    encoding: str | None = None
    sheets: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    hidden: HiddenRows | None = None
    zone: ZoneInfo | None = None
    leave_out: tuple[str, ...] = ()


class NewRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row without an id: the cells that it has, by their headers' meaning, as text for its columns."""

    line: int
    cells: dict[str, str]
    problems: tuple[Problem, ...] = ()


class NewRowsFound(Exception):
    """A file of changes has rows without an id, too: more than a plan of changes can hold."""


class TableReader:
    """Reads changes from one table.

    Iterating gives a :class:`Change`, a :class:`NewRow` or a :class:`Problem` for every row.

    Args:
        table: the table.
        name: the file's name, for problems.
        reading: how it is read.
        currency: the account's currency, or nothing where it is not known.
        entity: what the changes are for; by default the id column says it.
        new: the columns that rows without an id may have beside those of changes, by kind of thing; without it such
            rows are refused.

    Attributes:
        entity: what the changes are for.
        names: the columns that the table has, without the id: a blank in one of them means not set.
        remarks: what was taken for granted, in words.
        hidden: the numbers of the hidden rows that hold something, as far as the table was read.

    Raises:
        BadChanges: the header cannot be used, so that no row can be read.
    """

    def __init__(
        self,
        table: Table,
        *,
        name: str,
        reading: Reading,
        currency: str = "",
        entity: Entity | None = None,
        new: Mapping[str, Mapping[str, Column]] | None = None,
    ) -> None:
        self.name = name
        self.table = table
        self._reading = reading
        self._currency = currency
        self._columns: list[Header | None] = []
        self.hidden: list[int] = []
        try:
            first = table.first
        except SpreadsheetError as problem:
            raise BadChanges([self._problem(problem.row or 1, problem.reason, fatal=True)]) from None
        if first is None:
            raise BadChanges([self._problem(0, "is empty", fatal=True)])
        self._header_row = first.number
        if broken := [
            (number, cell) for number, cell in enumerate(first.cells, start=1) if isinstance(cell, UnreadableCell)
        ]:
            raise BadChanges(
                [self._problem(first.number, cell.reason, at=number, fatal=True) for number, cell in broken]
            )
        texts = [header_text(cell) for cell in first.cells]
        try:
            self.entity = entity or _entity_of(table, texts)
        except HeaderProblem as problem:
            raise BadChanges([self._problem(first.number, str(problem), fatal=True)]) from None
        self._new = (new or {}).get(self.entity.plural)
        self._reader = RowReader(self.entity, name=name, clear=reading.clear, currency=currency)
        self._columns = self._usable(texts, first.number)
        self._plain_readers = [self._plain_reader(one) for one in self._columns]
        named = [one for one in self._columns if one is not None]
        self.names = tuple(
            one.column.name for one in named if one.column is not None and one.column.name in self.entity.columns
        )
        self._may_contradict = contradiction(self.entity, self.names) is not None
        read = [
            f"“{one.text}” is {one.column.name}{f', in the zone {one.zone.key}' if one.zone else ''}"
            for one in named
            if one.column is not None and one.column.name != one.text
        ]
        self.remarks = [f"headers: {', '.join(read)}"] if read else []
        hidden = [
            one.text
            for number, one in enumerate(self._columns, start=1)
            if one is not None and not one.ignored and table.is_hidden_column(number)
        ]
        if hidden:
            self.remarks.append(f"hidden columns are taken as if they were not: {', '.join(hidden)}")
        if reading.zone is not None and any(
            one.column is not None and one.column.kind is Kind.TIME and one.zone is None for one in named
        ):
            self.remarks.append(f"times without a zone are those of {reading.zone.key}")

    def __iter__(self) -> Iterator[Change | NewRow | Problem]:
        self.hidden.clear()
        try:
            for row in self._filled_rows():
                if row.hidden:
                    self.hidden.append(row.number)
                    if self._reading.hidden is not HiddenRows.INCLUDE:
                        continue
                yield self._read(row)
        except SpreadsheetError as problem:
            yield self._problem(problem.row, problem.reason, fatal=True)

    def _filled_rows(self) -> Iterator[Row]:
        """The rows below the header that hold something."""
        return (row for row in self.table.rows() if row.number > self._header_row and not row.is_blank)

    def place(self, line: int, column: str = "") -> str:
        """Where a row, or its cell in a column, is in a workbook: ``Changes!C4``.

        Nothing for a text, whose lines say it.
        """
        if not self.table.name:
            return ""
        for number, one in enumerate(self._columns, start=1):
            if one is not None and column and column in _meanings(one, self.entity):
                return self.table.address(line, number)
        return self.table.address(line)

    def _problem(
        self, line: int, reason: str, column: str = "", *, entity_id: str = "", at: int = 0, fatal: bool = False
    ) -> Problem:
        """A problem with its place; ``at`` is the number of its column, where that has no name."""
        place = (
            self.table.address(line, at)
            if self.table.name and at
            else self.place(line, column)
            if line
            else self.table.name
        )
        return Problem(
            file=self.name, line=line, place=place, reason=reason, column=column, entity_id=entity_id, fatal=fatal
        )

    def _usable(self, texts: Sequence[str], line: int) -> list[Header | None]:
        """The columns in the file's order, None standing for those without a name."""
        found: list[Header | None] = []
        problems: list[Problem] = []
        seen: dict[str, str] = {}
        for number, text in enumerate(texts, start=1):
            header = None
            try:
                header = self._header(text) if text else None
            except HeaderProblem as problem:
                problems.append(self._problem(line, str(problem), text, at=number, fatal=True))
            meaning = "" if header is None or header.ignored else header.column.writes if header.column else plain(text)
            if meaning and meaning in seen:
                twice = "is there twice" if seen[meaning] == text else f"means the same as {seen[meaning]}"
                problems.append(self._problem(line, twice, text, at=number, fatal=True))
            seen.setdefault(meaning, text)
            found.append(header)
        if not any(one is not None and one.is_id for one in found):
            problems.append(self._problem(line, "is missing", self.entity.id_column, fatal=True))
        if problems:
            raise BadChanges(problems)
        return found

    def _header(self, text: str) -> Header:
        return read_header(
            self.entity, text, currency=self._currency, ignored=self._reading.ignore, more=self._new or {}
        )

    def _plain_reader(self, header: Header | None) -> tuple[str, Callable[[CellValue], Cell]]:
        """The name of a column, and what reads its cells, or raises where that takes a closer look.

        Columns without such a name say nothing.
        """
        column = None if header is None else header.column
        if header is None or (column is not None and column.name not in self.entity.columns):
            return "?", _unclear
        if header.is_id:
            return self.entity.id_column, _of_text(plain_id)
        if header.is_currency:
            return CURRENCY, _of_text(self._reader.check_currency)
        if column is None:
            return "", _unclear
        zone, is_text = header.zone or self._reading.zone, column.is_text

        def read(cell: CellValue) -> Cell:
            text = trimmed(cell) if isinstance(cell, str) else cell
            if text == "":
                raise CellError("is blank")
            known = text if is_text and isinstance(text, str) else cell_text(column, text, zone=zone)
            return self._reader.value_of(column, known)

        # Files say the same again and again, but for names; what is read of JSON may be changed.
        repeats = not is_text and not column.is_json
        return column.name, functools.lru_cache(_REMEMBERED, typed=True)(read) if repeats else read

    def _plain_row(self, row: Row) -> Change | None:
        """A row of plain cells; None where it takes a closer look to tell what it says, or what is wrong with it."""
        values: dict[str, Cell] = {}
        try:
            for (name, read), cell in zip(self._plain_readers, row.cells, strict=False):
                if cell != "" and name:
                    values[name] = read(cell)
        except CellError:
            return None
        entity_id, _ = values.pop(self.entity.id_column, None), values.pop(CURRENCY, None)
        if entity_id is None or len(row.cells) > len(self._plain_readers):
            return None
        if self._may_contradict and contradiction(self.entity, tuple(values)):
            return None
        return Change(line=row.number, entity_id=str(entity_id), values=values)

    def _read(self, row: Row) -> Change | NewRow | Problem:
        if (found := self._plain_row(row)) is not None:
            return found
        cells, problems = self._cells(row)
        if self._new is not None and self.entity.id_column not in cells:
            return NewRow(line=row.number, cells=cells, problems=tuple(problems))
        if problems:
            return problems[0]
        fixed = [
            name for name in cells if name not in self.entity.columns and name not in {self.entity.id_column, CURRENCY}
        ]
        if fixed:
            reason = f"can be given to what is new alone: leave it blank for {self.entity.plural} that are there"
            return self._problem(row.number, reason, fixed[0], entity_id=cells[self.entity.id_column])
        read = self._reader.read(row.number, cells.items())
        return (
            read
            if isinstance(read, Change)
            else msgspec.structs.replace(read, place=self.place(row.number, read.column))
        )

    def _cells(self, row: Row) -> tuple[dict[str, str], list[Problem]]:
        """The cells of a row as text, by the columns that they stand in, and what cannot be read."""
        cells: dict[str, str] = {}
        problems: list[Problem] = []
        for number, cell in enumerate(row.cells, start=1):
            if is_blank(cell):
                continue
            header = self._columns[number - 1] if number <= len(self._columns) else None
            if header is not None and header.ignored:
                continue
            try:
                if header is None:
                    reason = f"{_shown(cell)} stands in a column without a name: give it a header, or delete it"
                    raise CellError(reason)  # noqa: TRY301 - its place is added below
                self._take(cells, header, cell)
            except CellError as problem:
                named = "" if header is None else header.column.name if header.column else header.text
                entity_id = cells.get(self.entity.id_column, "")
                problems.append(self._problem(row.number, str(problem), named, entity_id=entity_id, at=number))
        return cells, problems

    def _take(self, cells: dict[str, str], header: Header, cell: CellValue) -> None:
        if header.is_id:
            cells[self.entity.id_column] = ""  # what cannot be read is no blank
            cells[self.entity.id_column] = id_text(cell)
        elif header.is_currency:
            cells[CURRENCY] = header_text(cell)
        elif header.column is not None:
            cells[header.column.name] = cell_text(header.column, cell, zone=header.zone or self._reading.zone)


def _entity_of(table: Table, texts: Sequence[str]) -> Entity:
    """What a table is about, by its id column.

    Raises:
        HeaderProblem: its headers do not say it.
    """
    found = entity_of(texts)
    lists = {"id", "name"} <= {plain(text) for text in texts}
    if len(found) == 1 and not lists:
        return found[0]
    columns = ", ".join(entity.id_column for entity in ENTITIES.values())
    own = [entity for entity in found if entity.plural.replace(" ", "") == plain(table.name)]
    if len(own) == 1 and not lists:
        return own[0]
    if lists:
        raise HeaderProblem(
            f"is what a list writes, and no file of changes: its id column must say what is changed ({columns}); "
            "`spotify-ads export ad-sets --to changes.csv` writes a file of changes"
        )
    if found:
        raise HeaderProblem(f"has more than one id column of {columns}")
    number = _header_below(table)
    looks = f"; row {number} looks like the header: delete the rows above it" if number else ""
    raise HeaderProblem(f"has no id column: one of {columns} says what is changed{looks}")


def _header_below(table: Table) -> int:
    """The row in which the header seems to be, when it is not the first one; 0 where none looks like it."""
    below = islice((row for row in table.rows() if not row.is_blank), 1, _LOOKED_FOR_HEADER + 1)
    return next((row.number for row in below if entity_of([header_text(cell) for cell in row.cells])), 0)


def _unclear(_: CellValue) -> Cell:
    raise CellError("takes a closer look")


def _of_text(read: Callable[[str], Cell]) -> Callable[[CellValue], Cell]:
    """Read texts alone: a number is no id, which the closer look says."""
    return lambda cell: read(cell) if isinstance(cell, str) else _unclear(cell)


def _meanings(header: Header, entity: Entity) -> set[str]:
    found = {header.text}
    if header.is_id:
        found.add(entity.id_column)
    if header.column is not None:
        found |= {header.column.name, header.column.writes}
    return found


def _shown(cell: CellValue) -> str:
    text = (
        cell.reason
        if isinstance(cell, UnreadableCell)
        else str(cell.value if isinstance(cell, FormattedNumber) else cell)
    )
    return repr(text[:_LONGEST_SHOWN])

"""Opening files of changes of any format, so that reading them ends: no pipe is waited on for ever."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import anyio.to_thread

from spotify_ads_async.bulk.entities import ENTITIES
from spotify_ads_async.bulk.plan.columns import Column
from spotify_ads_async.bulk.plan.headers import entity_of, header_text, may_need_currency
from spotify_ads_async.bulk.plan.problems import BadChanges, HiddenRowsFound, Problem
from spotify_ads_async.bulk.plan.sources import JsonLinesReader
from spotify_ads_async.bulk.plan.tables import HiddenRows, Reading, TableReader
from spotify_ads_async.spreadsheets import (
    Format,
    Spreadsheet,
    SpreadsheetError,
    Table,
    open_spreadsheet,
)

__all__ = ["ChangesFile", "ChangesReader", "open_changes", "remarks_on_hidden"]

_SHOWN_HIDDEN = 5
# Sheets that exports and templates have beside their tables.
_OUR_OWN = frozenset({"How to", "Lists"})


ChangesReader: TypeAlias = TableReader | JsonLinesReader
"""Gives a change or a problem for every row."""


class ChangesFile:
    """An open file of changes: what it holds, and what was taken for granted in reading it.

    Attributes:
        name: what to call it in problems.
        remarks: what was taken for granted, in words.
        encoding_is_guessed: whether a text's encoding is among that.
        needs_currency: whether the account's currency must be known to read it.

    Raises:
        BadChanges: no table of it holds changes.
    """

    def __init__(self, opened: Spreadsheet, *, name: str, reading: Reading) -> None:
        self._opened = opened
        self._reading = reading
        self.name = name
        self.remarks = list(opened.remarks)
        self.encoding_is_guessed = opened.encoding_is_guessed
        self.is_table = opened.format is not Format.JSON_LINES
        self._tables: list[Table] = []
        if self.is_table:
            self._tables, left_out = _tables_of_changes(opened, name=name, reading=reading)
            self.remarks += left_out
        self.needs_currency = not self.is_table or any(
            may_need_currency(text) for table in self._tables for text in _first_texts(table)
        )

    def readers(self, *, currency: str, new: Mapping[str, Mapping[str, Column]] | None = None) -> list[ChangesReader]:
        """Readers of all changes in it, from the first row on; see :class:`TableReader` for the arguments.

        Raises:
            BadChanges: a header cannot be used.
        """
        if not self.is_table:
            return [JsonLinesReader(self._opened, name=self.name, clear=self._reading.clear, currency=currency)]
        return [
            TableReader(table, name=self.name, reading=self._reading, currency=currency, new=new)
            for table in self._tables
        ]


def remarks_on_hidden(readers: Sequence[ChangesReader], *, name: str, hidden: HiddenRows | None) -> list[str]:
    """What there is to say of hidden rows, once all rows were read.

    Raises:
        HiddenRowsFound: there are some, and nobody said what to do with them.
    """
    tables = [reader for reader in readers if isinstance(reader, TableReader)]
    found = [reader.table.address(row) for reader in tables for row in reader.hidden]
    if found and hidden is None:
        raise HiddenRowsFound(name, found[:_SHOWN_HIDDEN], len(found))
    what = "taken as if they were not" if hidden is HiddenRows.INCLUDE else "left out"
    return [f"{len(found)} hidden rows are {what} ({found[0]} is the first)"] if found else []


def _tables_of_changes(opened: Spreadsheet, *, name: str, reading: Reading) -> tuple[list[Table], list[str]]:
    """The tables that hold changes, and what was left out, in words.

    Every visible sheet with an id column, or those that were asked for.

    Raises:
        BadChanges: there is none.
    """
    sheets = ", ".join(table.name for table in opened.tables)
    if missing := set(reading.sheets) - {table.name for table in opened.tables}:
        reason = (
            f"has no sheet {', '.join(sorted(missing))}: it has {sheets}"
            if sheets
            else "is no workbook, and has no sheets"
        )
        raise BadChanges([Problem(file=name, line=0, reason=reason, fatal=True)])
    if reading.sheets or len(opened.tables) == 1:
        return [table for table in opened.tables if not reading.sheets or table.name in reading.sheets], []
    with_ids = [table for table in opened.tables if _has_id_column(table)]
    usable = [table for table in with_ids if not table.hidden]
    if not usable:
        columns = ", ".join(entity.id_column for entity in ENTITIES.values())
        reason = f"has no sheet with an id column: one of {columns} says what is changed (sheets: {sheets})"
        raise BadChanges([Problem(file=name, line=0, reason=reason, fatal=True)])
    left_out = [
        f"sheet {table.name} {'is hidden' if table.hidden else 'has no id column'} and is left out"
        for table in opened.tables
        if table not in usable and table.name not in _OUR_OWN and (table in with_ids or not table.hidden)
    ]
    return usable, left_out


def _first_texts(table: Table) -> list[str]:
    """The headers of a table, as they stand there; none where it cannot be read, which reading it will say."""
    try:
        first = table.first
    except SpreadsheetError:
        return []
    return [] if first is None else [header_text(cell) for cell in first.cells]


def _has_id_column(table: Table) -> bool:
    return bool(entity_of(_first_texts(table)))


@contextlib.asynccontextmanager
async def open_changes(path: Path, *, name: str, reading: Reading) -> AsyncGenerator[ChangesFile]:
    """Open a file of changes.

    Args:
        path: the file, or ``-`` for standard input.
        name: what to call it in problems.
        reading: how it is read.

    Raises:
        OSError: it cannot be opened.
        BadChanges: it is no table and no JSON Lines, or cannot be read; the reason says what to do.
        ConfigurationError: it is a workbook, and the extra ``spreadsheets`` is missing.
    """
    if path.parts[:1] in {("https:",), ("http:",)}:
        reason = "is an address on the web: download the sheet as .xlsx or CSV, and name that file"
        raise BadChanges([Problem(file=name, line=0, reason=reason, fatal=True)])
    given_up = threading.Event()

    def check(waited: float) -> None:
        if given_up.is_set():
            raise SpreadsheetError(f"gave nothing for {waited:.0f} seconds, and nobody waits for it any more")

    manager = open_spreadsheet(path, encoding=reading.encoding, check=check)

    def begin() -> ChangesFile:
        return ChangesFile(manager.__enter__(), name=name, reading=reading)

    with contextlib.ExitStack() as stack:
        stack.callback(given_up.set)
        try:
            found = await anyio.to_thread.run_sync(begin, abandon_on_cancel=True)
        except SpreadsheetError as problem:
            place = problem.sheet
            raise BadChanges(
                [Problem(file=name, line=problem.row, place=place, reason=problem.reason, fatal=True)]
            ) from None
        stack.push(manager)
        yield found

"""Opening files of changes of any format, so that reading them ends: no pipe is waited on for ever."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import anyio.to_thread

from spotify_ads_async.bulk.plan.columns import Column
from spotify_ads_async.bulk.plan.headers import may_need_currency
from spotify_ads_async.bulk.plan.sources import BadChanges, HiddenRowsFound, JsonLinesReader, Problem
from spotify_ads_async.bulk.plan.tables import HiddenRows, Reading, TableReader, first_texts, tables_of_changes
from spotify_ads_async.spreadsheets import (
    Format,
    Spreadsheet,
    SpreadsheetError,
    Table,
    open_spreadsheet,
)

__all__ = ["ChangesFile", "ChangesReader", "open_changes", "remarks_on_hidden"]

_SHOWN_HIDDEN = 5


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
            self._tables, left_out = tables_of_changes(opened, name=name, reading=reading)
            self.remarks += left_out
        self.needs_currency = not self.is_table or any(
            may_need_currency(text) for table in self._tables for text in first_texts(table)
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

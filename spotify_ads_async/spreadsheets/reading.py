"""Files of any format as tables of rows of cells, each with its address."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from spotify_ads_async.spreadsheets import text
from spotify_ads_async.spreadsheets.archives import open_archive
from spotify_ads_async.spreadsheets.cells import Row, SpreadsheetError, cell_address
from spotify_ads_async.spreadsheets.detection import HEAD, Format, format_of
from spotify_ads_async.spreadsheets.facts import SheetFacts
from spotify_ads_async.spreadsheets.spooling import open_content
from spotify_ads_async.spreadsheets.text import TextFile
from spotify_ads_async.spreadsheets.workbook import Workbook

__all__ = ["Spreadsheet", "Table", "open_spreadsheet"]


class Table:
    """One table of a file: a sheet of a workbook, or a whole text.

    Attributes:
        name: the sheet's name; nothing for a text.
        hidden: whether the sheet is hidden.
    """

    def __init__(self, rows: Callable[[], Iterator[Row]], facts: SheetFacts | None = None) -> None:
        self._rows = rows
        self._in_workbook = facts is not None
        self.name = facts.name if facts else ""
        self.hidden = facts.hidden if facts else False
        self._facts = facts

    def rows(self) -> Iterator[Row]:
        """The rows, blank ones too, from the first on.

        Raises:
            SpreadsheetError: a row cannot be read, nor any after it.
        """
        return self._rows()

    @functools.cached_property
    def first(self) -> Row | None:
        """The first row that holds something, if any does.

        Raises:
            SpreadsheetError: a row up to there cannot be read.
        """
        return next((row for row in self._rows() if not row.is_blank), None)

    def is_hidden_column(self, column: int) -> bool:
        """Whether a column, counted from 1, is hidden."""
        return self._facts is not None and self._facts.hidden_columns.at(column) is not None

    def address(self, row: int, column: int = 0) -> str:
        """Where a row, or a cell of it, is: ``Changes!C4``, or ``line 4`` of a text."""
        if not self._in_workbook:
            return f"line {row}"
        return f"{self.name}!{cell_address(row, column)}" if column else f"{self.name}, row {row}"


class Spreadsheet:
    """An open file. ``tables`` is empty where it holds JSON Lines, which :meth:`lines` gives.

    Attributes:
        format: what it is, by its content.
        tables: its tables, in its order.
        remarks: what was taken for granted in reading it, in words.
        encoding_is_guessed: whether a text's encoding is among that.
    """

    def __init__(self, content: BinaryIO, kind: Format, encoding: str | None) -> None:
        self._content = content
        self.format = kind
        self._how = TextFile(encoding="utf-8-sig")
        self._book: Workbook | None = None
        if kind in {Format.XLSX, Format.XLS, Format.ODS}:
            if encoding is not None:
                raise SpreadsheetError("is a workbook, which says itself how its text is encoded", option="encoding")
            book = self._book = Workbook(content, kind)
            self.tables: Sequence[Table] = [_table(book, facts) for facts in book.sheets]
        else:
            how = self._how = text.inspect(content, encoding)
            self.tables = [] if kind is Format.JSON_LINES else [Table(lambda: text.rows_of(content, how))]
        self.remarks = text.described(self._how)
        self.encoding_is_guessed = self._how.guessed

    def lines(self) -> Iterator[tuple[int, str]]:
        """The lines of a text, each with its number from 1.

        Raises:
            SpreadsheetError: a line is longer than 16 MB.
        """
        return text.lines_of(self._content, self._how)

    def close(self) -> None:
        """Give the file back."""
        if self._book is not None:
            self._book.close()


def _table(book: Workbook, facts: SheetFacts) -> Table:
    return Table(lambda: book.rows(facts), facts)


@contextlib.contextmanager
def open_spreadsheet(
    source: Path | BinaryIO, *, encoding: str | None = None, check: Callable[[float], None] | None = None
) -> Generator[Spreadsheet]:
    """Open a file that holds tables: a workbook, a text with separators, or JSON Lines, told apart by content.

    Args:
        source: the file, ``-`` for standard input, or a content that can be read from any place of it.
        encoding: the encoding of a text, where it should not be found out.
        check: called every now and then while a pipe gives nothing; see
            :func:`~spotify_ads_async.spreadsheets.spooling.open_content`.

    Raises:
        OSError: it cannot be opened.
        SpreadsheetError: it holds no table, or cannot be read; the message says what it is and what to do.
        ConfigurationError: it is a workbook, and the extra ``spreadsheets`` is missing.
    """
    with contextlib.ExitStack() as stack:
        content = stack.enter_context(open_content(source, check)) if isinstance(source, Path) else source
        content.seek(0)
        head = content.read(HEAD)
        if not head:
            raise SpreadsheetError("is empty")
        opened = Spreadsheet(
            content, format_of(head, _members(content) if head.startswith(b"PK\x03\x04") else None), encoding
        )
        stack.callback(opened.close)
        yield opened


def _members(content: BinaryIO) -> Sequence[str]:
    with open_archive(content) as archive:
        return archive.namelist()

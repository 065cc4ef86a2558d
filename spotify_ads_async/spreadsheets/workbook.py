"""Workbooks: their values by python-calamine, after a look at what it would take for blank, or die of."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from typing import Any, BinaryIO

from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.spreadsheets import ods, xls, xlsx
from spotify_ads_async.spreadsheets.archives import open_archive
from spotify_ads_async.spreadsheets.cells import (
    CellValue,
    Row,
    SpreadsheetError,
    UnreadableCell,
    cell_address,
    number_of,
)
from spotify_ads_async.spreadsheets.detection import Format
from spotify_ads_async.spreadsheets.facts import SheetFacts

__all__ = ["Workbook"]


class Workbook:
    """A workbook that was looked at.

    Raises:
        SpreadsheetError: it is damaged, protected, or too large to read.
        ConfigurationError: the extra ``spreadsheets`` is missing.
    """

    def __init__(self, content: BinaryIO, kind: Format) -> None:
        try:
            import python_calamine  # noqa: PLC0415 - what few commands need shall delay none
        except ImportError:
            raise ConfigurationError(
                'workbooks need the extra "spreadsheets": pip install "spotify-ads-async[spreadsheets]"'
            ) from None
        content.seek(0)
        self.sheets: Sequence[SheetFacts] = self._look(content, kind)
        content.seek(0)
        with _reading():
            # A path-like class without its parameter in the library's own stubs.
            self._book: Any = python_calamine.load_workbook(content)  # pyright: ignore[reportUnknownMemberType]
        self._sheet: Any = None

    @staticmethod
    def _look(content: BinaryIO, kind: Format) -> Sequence[SheetFacts]:
        if kind is Format.XLS:
            return xls.look(content)
        with open_archive(content) as archive:
            return xlsx.look(archive) if kind is Format.XLSX else ods.look(archive)

    def rows(self, sheet: SheetFacts) -> Iterator[Row]:
        """The rows of one sheet, blank ones too, up to the last that holds something.

        Raises:
            SpreadsheetError: it cannot be read.
        """
        with _reading():
            # Whoever reads a sheet reads it again, and all of it is in memory: one is kept.
            if self._sheet is None or self._sheet.name != sheet.name:
                self._sheet = None
                self._sheet = self._book.get_sheet_by_name(sheet.name)
            read = self._sheet
            start = read.start
            before: list[CellValue] = [""] * (start[1] if start else 0)
            merges = _Merges(sheet.merged)
            number = 0
            for number, values in enumerate(read.iter_rows(), start=1):
                yield Row(number, _cells(sheet, number, before, values, merges), hidden=sheet.is_hidden(number))
            for number in range(number + 1, sheet.last_row + 1):  # noqa: B020 - it goes on where the values end
                yield Row(number, _cells(sheet, number, [], [], merges), hidden=sheet.is_hidden(number))

    def close(self) -> None:
        """Give the file back."""
        self._book.close()


class _Merges:
    """Which cells of a row are merged with others; rows are asked for in ascending order."""

    def __init__(self, ranges: Sequence[tuple[int, int, int, int]]) -> None:
        self._coming = sorted(ranges, reverse=True)
        self._present: list[tuple[int, int, int, int]] = []

    def at(self, row: int) -> Sequence[tuple[int, int, int, int]]:
        while self._coming and self._coming[-1][0] <= row:
            self._present.append(self._coming.pop())
        if self._present:
            self._present = [one for one in self._present if one[2] >= row]
        return self._present


def _cells(
    sheet: SheetFacts, row: int, before: Sequence[CellValue], values: Sequence[Any], merges: _Merges
) -> list[CellValue]:
    cells: list[CellValue] = [*before, *(number_of(one) if type(one) is float else one for one in values)]
    for column in sheet.formatted_columns:
        if column <= len(cells):
            cells[column - 1] = sheet.formatted(row, column, cells[column - 1])
    for column, broken in sheet.broken(row).items():
        _put(cells, column, broken)
    for top, left, bottom, right in merges.at(row):
        named = f"{cell_address(top, left)}:{cell_address(bottom, right)}"
        for column in range(left, min(right, max(len(cells), left)) + 1):
            _put(
                cells,
                column,
                UnreadableCell(
                    f"is one of the merged cells {named}: take the merge apart, and give each cell its value"
                ),
            )
    return cells


def _put(cells: list[CellValue], column: int, value: CellValue) -> None:
    cells.extend([""] * (column - len(cells)))
    cells[column - 1] = value


@contextlib.contextmanager
def _reading() -> Generator[None]:
    """Turn what the library raises into one error.

    Its own exceptions, and the panics of the Rust code that it is made of.
    """
    import python_calamine  # noqa: PLC0415 - what few commands need shall delay none

    try:
        yield
    except SpreadsheetError:
        raise
    except (python_calamine.CalamineError, OSError, ValueError) as problem:
        raise _damaged(problem) from None
    except BaseException as problem:
        if type(problem).__name__ == "PanicException":  # which has no importable name
            raise _damaged(problem) from None
        raise


def _damaged(problem: BaseException) -> SpreadsheetError:
    return SpreadsheetError(f"cannot be read: {problem}; open it in a spreadsheet and save it anew")

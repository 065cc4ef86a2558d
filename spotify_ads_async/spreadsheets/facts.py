"""What the XML or the records of a workbook say beside its values.

Where cells are, what is hidden, broken, merged, or formatted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal

from spotify_ads_async.spreadsheets.cells import (
    CellValue,
    FormattedNumber,
    Runs,
    SpreadsheetError,
    UnreadableCell,
    cell_address,
)

__all__ = ["LARGEST_AREA", "SheetFacts", "currency_of", "is_percent"]

LARGEST_AREA = 20_000_000
"""Cells of the area from A1 to the last one: what reads workbooks takes memory for all of it, filled or not."""
_MOST_BROKEN = 1000
_NOTHING: Mapping[int, UnreadableCell] = {}


class SheetFacts:
    """One sheet, apart from its values. Rows and columns are counted from 1, and rows come in ascending order.

    Attributes:
        name: the sheet's name.
        hidden: whether the sheet is hidden.
        last_row: the last row with a value.
        last_column: the last column with a value.
        merged: the merged ranges: top, left, bottom, right.
        hidden_columns: which columns are hidden.
    """

    def __init__(self, name: str, *, hidden: bool = False) -> None:
        self.name = name
        self.hidden = hidden
        self.last_row = 0
        self.last_column = 0
        self.merged: list[tuple[int, int, int, int]] = []
        self.hidden_columns = Runs()
        self._hidden_rows = Runs()
        self._formats: defaultdict[int, Runs] = defaultdict(Runs)
        self._broken: dict[int, dict[int, UnreadableCell]] = {}
        self._broken_count = 0

    def fill(self, row: int, column: int, *, rows: int = 1, columns: int = 1) -> None:
        """Note that cells have a value.

        Raises:
            SpreadsheetError: the sheet would take too much memory to read.
        """
        self.last_row = max(self.last_row, row + rows - 1)
        self.last_column = max(self.last_column, column + columns - 1)
        if self.last_row * self.last_column > LARGEST_AREA:
            raise SpreadsheetError(
                f"reaches to {cell_address(self.last_row, self.last_column)}, which is more than {LARGEST_AREA:,}"
                " cells: delete what stands far from the table, or copy the table to a new sheet",
                sheet=self.name,
            )

    def hide(self, row: int, rows: int = 1) -> None:
        """Note that rows are hidden."""
        self._hidden_rows.add(row, value=True, count=rows)

    def spoil(self, row: int, column: int, reason: str) -> None:
        """Note that a cell cannot be read.

        Raises:
            SpreadsheetError: there are too many of them to name.
        """
        self.fill(row, column)
        self._broken.setdefault(row, {})[column] = UnreadableCell(reason)
        self._broken_count += 1
        if self._broken_count > _MOST_BROKEN:
            raise SpreadsheetError(
                f"more than {_MOST_BROKEN} cells cannot be read; this one {reason}", sheet=self.name, row=row
            )

    def show_as(self, row: int, column: int, number_format: FormattedNumber, rows: int = 1) -> None:
        """Note how a cell shows its number; the value in ``number_format`` does not matter."""
        self._formats[column].add(row, number_format, rows)

    def is_hidden(self, row: int) -> bool:
        """Whether a row is hidden."""
        return self._hidden_rows.at(row) is not None

    def broken(self, row: int) -> Mapping[int, UnreadableCell]:
        """The cells of a row that cannot be read, by column."""
        return self._broken.get(row, _NOTHING)

    @property
    def formatted_columns(self) -> list[int]:
        """The columns of which some numbers are shown as percentages or with a currency."""
        return list(self._formats)

    def formatted(self, row: int, column: int, value: CellValue) -> CellValue:
        """A value, and what its cell shows beside it where it is a number."""
        if isinstance(value, (int, Decimal)) and isinstance(found := self._formats[column].at(row), FormattedNumber):
            return FormattedNumber(value, percent=found.percent, currency=found.currency)
        return value


def is_percent(number_format: str) -> bool:
    """Whether a number format shows percentages: ``0.00%``."""
    return "%" in _unquoted(number_format)


def currency_of(number_format: str) -> str:
    r"""The currency that a number format shows: ``€`` of ``#,##0.00 [$€-407]``, ``EUR`` of ``[$EUR] 0``; or nothing."""
    start = number_format.find("[$")
    if start >= 0:
        sign = number_format[start + 2 :].partition("]")[0].partition("-")[0].strip()
        if sign:
            return sign
    literal = number_format.replace("\\", "").replace('"', "")
    return next((sign for sign in "€£¥₹₩₺₽₫฿₴₪$" if sign in literal.replace("[$", "")), "")


def _unquoted(number_format: str) -> str:
    return "".join(number_format.split('"')[::2]).replace("\\%", "")

"""Cells: what one holds, and how people find it again. Pure."""

from __future__ import annotations

import functools
import re
from bisect import bisect_right
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TypeAlias

import msgspec

from spotify_ads_async.errors import Portable

__all__ = [
    "CellValue",
    "FormattedNumber",
    "Row",
    "Runs",
    "SpreadsheetError",
    "UnreadableCell",
    "cell_address",
    "column_letters",
    "column_number",
    "is_blank",
    "number_of",
    "trimmed",
]

LARGEST_EXACT = 10**15
"""From here on a spreadsheet's numbers, which have 15 digits, are no longer the digits that somebody typed."""

# White space of every kind, and what is there without being seen: byte order marks, zero-width spaces, direction marks.
_INVISIBLE = "\ufeff\u200b\u200c\u200d\u200e\u200f\u2060\u00ad\u202a\u202c\u2066\u2069"
_EDGE = rf"[\s{_INVISIBLE}]+"
_EDGES = re.compile(rf"\A{_EDGE}|{_EDGE}\Z")


class SpreadsheetError(Portable, ValueError):
    """A file, or a place in it, cannot be read. The message is for people, and says what to do.

    Attributes:
        reason: what is wrong, and what to do about it.
        sheet: the sheet, where it is about one.
        row: the row's number, or a text file's line, from 1; 0 where it is about the whole file.
        option: the name of an option that would settle it, such as ``encoding``.
    """

    def __init__(self, reason: str, *, sheet: str = "", row: int = 0, option: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.sheet = sheet
        self.row = row
        self.option = option


class FormattedNumber(msgspec.Struct, frozen=True):
    """A number whose cell shows it as a percentage or with a currency, which the number alone does not tell.

    Attributes:
        value: the number as it is stored: 0.15 for 15 %.
        percent: whether it is shown as a percentage.
        currency: the sign or the code that is shown, such as ``€`` or ``EUR``.
    """

    value: int | Decimal
    percent: bool = False
    currency: str = ""


class UnreadableCell(msgspec.Struct, frozen=True):
    """A cell of which nobody can say what it holds; ``reason`` says why, and what to do."""

    reason: str


CellValue: TypeAlias = (
    str | int | Decimal | bool | datetime | date | time | timedelta | FormattedNumber | UnreadableCell
)
"""What a cell holds; a blank one is an empty text. Times are those that the sheet shows, without a zone."""


class Row(msgspec.Struct, frozen=True):
    """One row of a table.

    Attributes:
        number: the number that the program shows beside it, or the line of a text file at which it begins; from 1.
        cells: what it holds, from the first column on; cells at the end may be missing.
        hidden: whether it is hidden, by hand or by a filter.
    """

    number: int
    cells: Sequence[CellValue]
    hidden: bool = False

    @property
    def is_blank(self) -> bool:
        """Whether it shows nothing."""
        return all(map(is_blank, self.cells))


class Runs:
    """What holds for rows, kept as runs of equal values. Rows are added in ascending order."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._values: list[object] = []

    def add(self, row: int, value: object, count: int = 1) -> None:
        """Say that ``value`` holds for ``count`` rows from ``row`` on."""
        if self._ends and self._ends[-1] == row and self._values[-1] == value:
            self._ends[-1] = row + count
            return
        self._starts.append(row)
        self._ends.append(row + count)
        self._values.append(value)

    def at(self, row: int) -> object:
        """What holds for a row, or None."""
        place = bisect_right(self._starts, row) - 1
        return self._values[place] if place >= 0 and row < self._ends[place] else None

    def __bool__(self) -> bool:
        return bool(self._starts)


@functools.cache
def column_letters(number: int) -> str:
    """The letters of a column, from its number: 1 is A, 27 is AA."""
    letters = ""
    while number > 0:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


@functools.cache
def column_number(letters: str) -> int:
    """The number of a column, from its letters: A is 1, AA is 27."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def cell_address(row: int, column: int) -> str:
    """A cell as spreadsheets name it, from numbers that begin with 1: row 4, column 3 is ``C4``."""
    return f"{column_letters(column)}{row}"


def is_blank(value: CellValue) -> bool:
    """Whether a cell shows nothing."""
    return isinstance(value, str) and not (value[:1].isalnum() or trimmed(value))


def trimmed(text: str) -> str:
    """A text without what nobody sees at its ends: white space of every kind, no-break spaces, byte order marks."""
    # Most cells have nothing to trim, and there may be millions of them.
    return text if text and text[0].isalnum() and text[-1].isalnum() else _EDGES.sub("", text)


@functools.lru_cache(maxsize=4096)
def number_of(value: float) -> int | Decimal | UnreadableCell:
    """The number that somebody typed, from the binary one that a spreadsheet keeps.

    At most 15 digits of it mean something. Sheets say the same numbers again and again.
    """
    if not abs(value) < LARGEST_EXACT:  # nor is what is no number
        return UnreadableCell(
            f"holds {value:.15g}, a number of more than 15 digits, and spreadsheets keep 15: format the cell as text"
            " and type it again, or take it from a new export"
        )
    if value == int(value):
        return int(value)
    return Decimal(format(value, ".15g"))

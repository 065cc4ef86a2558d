"""Workbooks for people: a frozen header, widths, formats, drop-downs, shaded columns, notes, and a sheet that explains.

By XlsxWriter.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.spreadsheets.cells import SpreadsheetError, cell_address, column_letters

__all__ = ["Emphasis", "SheetColumn", "SheetWriter", "WorkbookWriter"]

# Excel's own limits: a file beyond them is repaired when it is opened, which loses what is beyond.
_LONGEST_CELL = 32_767
_LONGEST_TITLE, _LONGEST_MESSAGE = 32, 255
_LONGEST_SHEET_NAME = 31
_MOST_ROWS = 1_048_576
_LISTS = "Lists"
_LAST_CHECKED_ROW = 100_000
_LARGEST_EXACT = 10**15


class SheetColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column of a sheet.

    Attributes:
        name: its header.
        width: in characters.
        number_format: as Excel writes it: ``@`` for text, ``#,##0.00`` for amounts.
        choices: the values to choose from.
        strict: whether the program that opens the file shall refuse other values.
        note: what people see when they point at the header.
        shaded: whether it is there to be read, not to be changed.
        required: whether a new row must have it; its header stands out.
    """

    name: str
    width: float = 16
    number_format: str = "@"
    choices: Sequence[str] = ()
    strict: bool = True
    note: str = ""
    shaded: bool = False
    required: bool = False


class Emphasis(msgspec.Struct, frozen=True, kw_only=True):
    """How a row stands out.

    ``colour`` behind it, such as ``#FFE5E5``, and a note at some of its cells, by column name.
    """

    colour: str = ""
    notes: Mapping[str, str] = {}


class WorkbookWriter:
    """Writes an ``.xlsx`` file, sheet after sheet and row after row, in bounded memory. A context manager.

    Args:
        path: the file; there must be none.

    Raises:
        FileExistsError: there is a file.
        ConfigurationError: the extra ``spreadsheets`` is missing.
    """

    def __init__(self, path: Path) -> None:
        try:
            import xlsxwriter  # noqa: PLC0415 # pyright: ignore[reportMissingTypeStubs] - what few commands need shall delay none
        except ImportError:
            raise ConfigurationError(
                'workbooks need the extra "spreadsheets": pip install "spotify-ads-async[spreadsheets]"'
            ) from None
        self.path = path
        self._stream = path.open("xb")
        options = {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        }
        self._book: Any = xlsxwriter.Workbook(self._stream, options)  # pyright: ignore[reportUnknownMemberType, reportArgumentType] - no types
        self._formats: dict[tuple[tuple[str, Any], ...], Any] = {}
        self._lists: list[Sequence[str]] = []
        self._names: set[str] = {_LISTS.lower()}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._write_lists()
                self._book.close()
            else:
                with contextlib.suppress(Exception):  # it closes its own files, and what it wrote goes away below
                    self._book.close()
        except BaseException:
            kind = BaseException
            raise
        finally:
            self._stream.close()
            if kind is not None:
                self.path.unlink(missing_ok=True)

    def sheet(self, name: str, columns: Sequence[SheetColumn]) -> SheetWriter:
        """Begin a sheet; the one before it is finished.

        Raises:
            SpreadsheetError: a workbook cannot have a sheet of that name, or one more.
        """
        return SheetWriter(self, self._add(name), columns)

    def text(self, name: str, lines: Sequence[str]) -> None:
        """Add a sheet of plain text. A line that begins with ``# `` is a heading; a tab begins the next column."""
        sheet = self._add(name)
        sheet.hide_gridlines(2)
        sheet.set_column(0, 0, 34)
        sheet.set_column(1, 4, 60)
        heading, plain = self.format(bold=True, font_size=13), self.format(text_wrap=True, valign="top")
        for row, line in enumerate(lines):
            if line.startswith("# "):
                sheet.write_string(row, 0, line[2:], heading)
                continue
            for column, part in enumerate(line.split("\t")):
                sheet.write_string(row, column, part, plain if "\t" in line else None)

    def _add(self, name: str) -> Any:  # noqa: ANN401 - the library has no types
        if not name or len(name) > _LONGEST_SHEET_NAME or set(name) & set("[]:*?/\\") or name.strip("'") != name:
            raise SpreadsheetError(f"a sheet cannot be called {name!r}")
        if name.lower() in self._names:
            raise SpreadsheetError(f"there is a sheet called {name!r} already")
        self._names.add(name.lower())
        return self._book.add_worksheet(name)

    def format(self, **properties: Any) -> Any:  # noqa: ANN401 - the library has no types
        """A cell format; equal ones are one."""
        key = tuple(sorted(properties.items()))
        if key not in self._formats:
            self._formats[key] = self._book.add_format(properties)
        return self._formats[key]

    def range_of(self, choices: Sequence[str]) -> str:
        """Where the choices of a drop-down stand.

        A list in the drop-down itself has 255 characters at most, and splits at commas.
        """
        if choices not in self._lists:
            self._lists.append(choices)
        letters = column_letters(self._lists.index(choices) + 1)
        return f"={_LISTS}!${letters}$1:${letters}${len(choices)}"

    def _write_lists(self) -> None:
        if not self._lists:
            return
        sheet = self._book.add_worksheet(_LISTS)
        sheet.hide()
        for row in range(max(map(len, self._lists))):
            for column, choices in enumerate(self._lists):
                if row < len(choices):
                    sheet.write_string(row, column, choices[row])


class SheetWriter:
    """Writes the rows of one sheet of a workbook."""

    def __init__(self, book: WorkbookWriter, sheet: Any, columns: Sequence[SheetColumn]) -> None:  # noqa: ANN401 - no types
        self._book = book
        self._sheet = sheet
        self._columns = columns
        self._row = 0
        sheet.freeze_panes(1, 1)
        for place, column in enumerate(columns):
            shade = {"bg_color": "#EEEEEE", "font_color": "#666666"} if column.shaded else {}
            sheet.set_column(place, place, column.width, book.format(num_format=column.number_format, **shade))
            head = {"bold": True, "bottom": 1, "num_format": "@", "bg_color": "#DDDDDD" if column.shaded else "#D5F5DC"}
            sheet.write_string(
                0, place, column.name, book.format(**head, **({"font_color": "#A00000"} if column.required else {}))
            )
            if column.note:
                sheet.write_comment(0, place, column.note, {"x_scale": 2.2, "y_scale": 1.4})
            if column.choices:
                self._offer(place, column)

    def _offer(self, place: int, column: SheetColumn) -> None:
        done = self._sheet.data_validation(
            1,
            place,
            _LAST_CHECKED_ROW,
            place,
            {
                "validate": "list",
                "source": self._book.range_of(column.choices),
                "show_error": column.strict,
                "error_title": _cut(column.name, _LONGEST_TITLE),
                "error_message": _cut(f"one of: {', '.join(column.choices)}", _LONGEST_MESSAGE),
            },
        )
        if done:
            raise AssertionError(f"the drop-down of {column.name} was not written")

    def write(self, values: Sequence[object], emphasis: Emphasis | None = None) -> int:
        """Write a row; None and an empty text are blank. Answers the row's number.

        Raises:
            SpreadsheetError: a value does not fit into a cell of a workbook, or there are too many rows.
        """
        self._row += 1
        if self._row >= _MOST_ROWS:
            raise SpreadsheetError(f"a sheet has {_MOST_ROWS:,} rows at most: write .csv or .jsonl instead")
        for place, (column, value) in enumerate(zip(self._columns, values, strict=True)):
            if value is None or value == "":
                continue
            self._put(place, column, value, emphasis.colour if emphasis else "")
            if emphasis is not None and column.name in emphasis.notes:
                self._sheet.write_comment(self._row, place, emphasis.notes[column.name], {"x_scale": 2.2})
        return self._row + 1

    def _put(self, place: int, column: SheetColumn, value: object, colour: str) -> None:
        shade = (
            {"bg_color": colour}
            if colour
            else {"bg_color": "#EEEEEE", "font_color": "#666666"}
            if column.shaded
            else {}
        )
        shown = self._book.format(num_format=column.number_format, **shade)
        match value:
            case bool():
                done = self._sheet.write_string(self._row, place, "true" if value else "false", shown)
            case int() | float() | Decimal() if abs(value) < _LARGEST_EXACT:
                done = self._sheet.write_number(self._row, place, float(value), shown)
            case datetime() | date():
                done = self._sheet.write_datetime(self._row, place, value, shown)
            case _:
                done = self._sheet.write_string(self._row, place, str(value), shown)
        if done:
            raise SpreadsheetError(
                f"{column.name} in {cell_address(self._row + 1, place + 1)} has more than {_LONGEST_CELL:,} characters,"
                " which no cell of a workbook holds: write .csv or .jsonl instead"
            )


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"

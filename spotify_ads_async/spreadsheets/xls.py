"""A look at the records of an ``.xls`` file before its values are read: BIFF8, in an OLE container."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from spotify_ads_async.spreadsheets.cells import FormattedNumber, SpreadsheetError
from spotify_ads_async.spreadsheets.facts import SheetFacts, currency_of, is_percent

__all__ = ["look"]

# Numbers of records: [MS-XLS] 2.3.
_BOF, _EOF, _FILE_PASS = 0x0809, 0x000A, 0x002F
_BOUND_SHEET, _FORMAT, _XF = 0x0085, 0x041E, 0x00E0
_ROW, _COLUMN_INFO, _MERGED = 0x0208, 0x007D, 0x00E5
_FORMULA, _BOOLEAN_OR_ERROR, _MANY_NUMBERS = 0x0006, 0x0205, 0x00BD
_ONE_CELL = frozenset({0x0203, 0x027E, 0x00FD, 0x0204, _BOOLEAN_OR_ERROR, _FORMULA})
_BIFF8 = 0x0600
# What the result of a formula may be beside a number, and a flag beside it: [MS-XLS] 2.4.127.
_ERROR, _NOTHING, _CALCULATE_ON_LOAD = 2, 3, 2
_WORKSHEET = 0
_BUILT_IN: Mapping[int, str] = {9: "0%", 10: "0.00%", 5: "$0", 6: "$0", 7: "$0", 8: "$0", 42: "$0", 44: "$0"}
_ERRORS: Mapping[int, str] = {
    0: "#NULL!",
    7: "#DIV/0!",
    15: "#VALUE!",
    23: "#REF!",
    29: "#NAME?",
    36: "#NUM!",
    42: "#N/A",
}
_LARGEST_STREAM = 256 * 1024 * 1024


def look(content: BinaryIO) -> list[SheetFacts]:
    """What there is to know of every sheet with cells, in the workbook's order.

    Raises:
        SpreadsheetError: it is damaged, protected, older than Excel 97, or something else that an OLE container holds.
    """
    stream = _workbook_stream(content)
    try:
        return _Workbook(stream).sheets
    except (struct.error, IndexError, UnicodeDecodeError):
        raise SpreadsheetError(
            "is damaged: its records cannot be read; open it in a spreadsheet and save it as .xlsx"
        ) from None


def _workbook_stream(content: BinaryIO) -> bytes:
    import olefile  # noqa: PLC0415 - what few files need shall delay none

    content.seek(0)
    try:
        container: Any = olefile.OleFileIO(content)  # pyright: ignore[reportUnknownVariableType] - the library has no types
        with container:
            if container.exists("EncryptedPackage"):
                raise SpreadsheetError("is protected by a password: save it without one")
            name = next((one for one in ("Workbook", "Book") if container.exists(one)), None)
            if name is None:
                raise SpreadsheetError("is no workbook: save the table as .xlsx or CSV")
            if container.get_size(name) > _LARGEST_STREAM:
                raise SpreadsheetError("is too large for .xls: save it as .xlsx")
            found: Any = container.openstream(name).read()
    except (OSError, ValueError, IndexError, struct.error) as problem:
        if isinstance(problem, SpreadsheetError):
            raise
        raise SpreadsheetError(f"is damaged: {problem}; open it in a spreadsheet and save it as .xlsx") from None
    return bytes(found)


def _records(stream: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    """The records of one part of the stream, up to its end."""
    position, depth = start, 0
    while position + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, position)
        body = stream[position + 4 : position + 4 + length]
        position += 4 + length
        depth += (kind == _BOF) - (kind == _EOF)
        if depth == 0:
            return
        if depth == 1:  # what lies deeper is a chart
            yield kind, body


class _Workbook:
    def __init__(self, stream: bytes) -> None:
        self._formats: dict[int, str] = dict(_BUILT_IN)
        self._styles: list[int] = []
        places: list[tuple[int, SheetFacts]] = []
        for kind, body in _records(stream, 0):
            if kind == _BOF and struct.unpack_from("<H", body)[0] != _BIFF8:
                raise SpreadsheetError("was written by a program older than Excel 97: save it as .xlsx")
            if kind == _FILE_PASS:
                raise SpreadsheetError("is protected by a password: save it without one")
            if kind == _FORMAT:
                self._formats[struct.unpack_from("<H", body)[0]] = _text(body, 2, wide_length=True)
            elif kind == _XF:
                self._styles.append(struct.unpack_from("<H", body, 2)[0])
            elif kind == _BOUND_SHEET:
                offset, state, sheet_type = struct.unpack_from("<IBB", body)
                if sheet_type == _WORKSHEET:
                    places.append((offset, SheetFacts(_text(body, 6), hidden=bool(state & 3))))
        shown = [self._shown_by(code) for code in self._styles]
        for offset, facts in places:
            _Sheet(facts, shown).read(stream, offset)
        self.sheets = [facts for _, facts in places]

    def _shown_by(self, code: int) -> FormattedNumber | None:
        number_format = self._formats.get(code, "")
        percent, currency = is_percent(number_format), currency_of(number_format)
        return FormattedNumber(0, percent=percent, currency=currency) if percent or currency else None


class _Sheet:
    """Reads the records of one sheet.

    Rows come in blocks, and the records of rows and of cells need not be in order.
    """

    def __init__(self, facts: SheetFacts, formats: Sequence[FormattedNumber | None]) -> None:
        self._facts = facts
        self._formats = formats
        self._hidden: set[int] = set()
        self._shown: list[tuple[int, int, FormattedNumber]] = []

    def read(self, stream: bytes, offset: int) -> None:
        """Take every record of the sheet."""
        for kind, body in _records(stream, offset):
            if kind in _ONE_CELL:
                row, column, style = struct.unpack_from("<HHH", body)
                self._cell(self._facts, kind, body, row + 1, column + 1)
                self._show(row + 1, column + 1, style)
            elif kind == _MANY_NUMBERS:
                self._numbers(body)
            else:
                self._layout(kind, body)
        for row in sorted(self._hidden):
            self._facts.hide(row)
        for row, column, number_format in sorted(self._shown, key=lambda one: one[:2]):
            self._facts.show_as(row, column, number_format)

    def _numbers(self, body: bytes) -> None:
        row, column = struct.unpack_from("<HH", body)
        for place in range((len(body) - 6) // 6):
            self._facts.fill(row + 1, column + 1 + place)
            self._show(row + 1, column + 1 + place, struct.unpack_from("<H", body, 4 + 6 * place)[0])

    def _layout(self, kind: int, body: bytes) -> None:
        if kind == _ROW:
            if struct.unpack_from("<H", body, 12)[0] & 0x20:
                self._hidden.add(struct.unpack_from("<H", body)[0] + 1)
        elif kind == _COLUMN_INFO:
            first, last, _, _, options = struct.unpack_from("<HHHHH", body)
            if options & 1:
                self._facts.hidden_columns.add(first + 1, value=True, count=last - first + 1)
        elif kind == _MERGED:
            for place in range(struct.unpack_from("<H", body)[0]):
                top, bottom, left, right = struct.unpack_from("<HHHH", body, 2 + 8 * place)
                self._facts.merged.append((top + 1, left + 1, bottom + 1, right + 1))

    def _show(self, row: int, column: int, style: int) -> None:
        number_format = self._formats[style] if style < len(self._formats) else None
        if number_format is not None:
            self._shown.append((row, column, number_format))

    def _cell(self, facts: SheetFacts, kind: int, body: bytes, row: int, column: int) -> None:
        facts.fill(row, column)
        if kind == _BOOLEAN_OR_ERROR and body[7]:
            facts.spoil(row, column, _error(body[6]))
        elif kind == _FORMULA:
            if body[12:14] == b"\xff\xff" and body[6] == _ERROR:
                facts.spoil(row, column, _error(body[8]))
            elif (body[12:14] == b"\xff\xff" and body[6] == _NOTHING) or struct.unpack_from("<H", body, 14)[
                0
            ] & _CALCULATE_ON_LOAD:
                facts.spoil(
                    row,
                    column,
                    "holds a formula that gives nothing, or was never calculated: put the value in its place, or save"
                    " the file as .xlsx",
                )


def _error(code: int) -> str:
    return f"holds the error {_ERRORS.get(code, '#N/A')}: mend its formula, or type the value"


def _text(body: bytes, at: int, *, wide_length: bool = False) -> str:
    """A text with its length before it."""
    length = struct.unpack_from("<H" if wide_length else "<B", body, at)[0]
    at += 2 if wide_length else 1
    wide = body[at] & 1
    return body[at + 1 : at + 1 + length * (2 if wide else 1)].decode("utf-16-le" if wide else "latin-1")

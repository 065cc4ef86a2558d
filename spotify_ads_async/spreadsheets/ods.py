"""A look at the XML of an ``.ods`` file before its values are read.

Repeated cells, hidden rows, errors, formulas without a value.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from xml.parsers import expat

from spotify_ads_async.spreadsheets.archives import document, members, parse
from spotify_ads_async.spreadsheets.cells import FormattedNumber, SpreadsheetError
from spotify_ads_async.spreadsheets.facts import SheetFacts

__all__ = ["look"]

_MOST_ROWS, _MOST_COLUMNS = 1_048_576, 16_384
_PERCENT = FormattedNumber(0, percent=True)


def look(archive: zipfile.ZipFile) -> list[SheetFacts]:
    """What there is to know of every sheet, in the workbook's order.

    Raises:
        SpreadsheetError: the file is damaged, encrypted, or too large to read.
    """
    names = members(archive)
    if "content.xml" not in names:
        raise SpreadsheetError("is damaged: content.xml is missing from it")
    if "meta-inf/manifest.xml" in names:
        manifest = document(archive, names["meta-inf/manifest.xml"])
        if any(str(one.tag).endswith("}encryption-data") for one in manifest.iter()):
            raise SpreadsheetError("is protected by a password: save it without one")
    content = _Content()
    parse(archive, names["content.xml"], content.attach)
    return content.sheets


class _Content:
    """Reads the sheets' XML as it passes by. LibreOffice, Google and Excel all write the usual prefixes."""

    def __init__(self) -> None:
        self.sheets: list[SheetFacts] = []
        self._hidden_styles: set[str] = set()
        self._style = ""
        self._sheet = SheetFacts("")
        self._depth = 0
        self._row = self._rows = 0
        self._column = 0
        self._wide_column = 0

    def attach(self, parser: expat.XMLParserType) -> None:
        """Take what the parser finds."""
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        match tag:
            case "table:table-cell" | "table:covered-table-cell":
                self._cell(tag, attributes)
            case "table:table-row":
                self._begin_row(attributes)
            case "table:table-column":
                count = _count(attributes.get("table:number-columns-repeated"), _MOST_COLUMNS)
                if attributes.get("table:visibility", "visible") != "visible":
                    self._sheet.hidden_columns.add(self._wide_column + 1, value=True, count=count)
                self._wide_column += count
            case "table:table":
                self._begin_sheet(attributes)
            case "style:style":
                self._style = attributes.get("style:name", "")
            case "style:table-properties" if attributes.get("table:display") == "false":
                self._hidden_styles.add(self._style)
            case _:
                pass

    def _end(self, tag: str) -> None:
        if tag == "table:table-row":
            self._row += self._rows - 1
        elif tag == "table:table":
            self._depth -= 1

    def _begin_sheet(self, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > 1:
            raise SpreadsheetError("holds a table inside of a cell", sheet=self._sheet.name)
        self._sheet = SheetFacts(
            attributes.get("table:name", ""), hidden=attributes.get("table:style-name", "") in self._hidden_styles
        )
        self.sheets.append(self._sheet)
        self._row = self._wide_column = 0

    def _begin_row(self, attributes: dict[str, str]) -> None:
        self._row += 1
        self._rows = _count(attributes.get("table:number-rows-repeated"), _MOST_ROWS)
        self._column = 0
        if attributes.get("table:visibility", "visible") != "visible":
            self._sheet.hide(self._row, self._rows)

    def _cell(self, tag: str, attributes: Mapping[str, str]) -> None:
        first = self._column + 1
        columns = _count(attributes.get("table:number-columns-repeated"), _MOST_COLUMNS)
        self._column += columns
        kind = attributes.get("office:value-type")
        if kind is not None and tag == "table:table-cell":
            self._sheet.fill(self._row, first, rows=self._rows, columns=columns)
        self._merge(first, attributes)
        if attributes.get("calcext:value-type") == "error":
            self._spoil(first, columns, "holds an error: mend its formula, or type the value")
        elif "table:formula" in attributes and kind is None:
            self._spoil(
                first,
                columns,
                "holds a formula that was never calculated: open the file in a spreadsheet and save it, or put the"
                " value in its place",
            )
        elif kind in {"percentage", "currency"}:
            shown = (
                _PERCENT if kind == "percentage" else FormattedNumber(0, currency=attributes.get("office:currency", ""))
            )
            for column in range(first, first + min(columns, self._sheet.last_column)):
                self._sheet.show_as(self._row, column, shown, self._rows)

    def _merge(self, column: int, attributes: Mapping[str, str]) -> None:
        wide = _count(attributes.get("table:number-columns-spanned"), _MOST_COLUMNS)
        high = _count(attributes.get("table:number-rows-spanned"), _MOST_ROWS)
        if wide * high > 1:
            self._sheet.merged.append((self._row, column, self._row + high - 1, column + wide - 1))

    def _spoil(self, first: int, columns: int, reason: str) -> None:
        for row in range(self._row, self._row + self._rows):
            for column in range(first, first + columns):
                self._sheet.spoil(row, column, reason)


def _count(text: str | None, most: int) -> int:
    count = 1 if text is None else int(text)
    if not 1 <= count <= most:
        raise SpreadsheetError(f"is damaged: it repeats something {count} times")
    return count

"""A look at the XML of an ``.xlsx`` file before its values are read.

What readers of values take for blank, or die of.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Mapping
from typing import Any
from xml.parsers import expat

from spotify_ads_async.spreadsheets.archives import document, members, parse
from spotify_ads_async.spreadsheets.cells import FormattedNumber, SpreadsheetError, column_letters, column_number
from spotify_ads_async.spreadsheets.facts import SheetFacts, currency_of, is_percent

__all__ = ["look"]

_MOST_ROWS, _MOST_COLUMNS = 1_048_576, 16_384
# Formats that every workbook has without defining them: ECMA-376, part 1, 18.8.30.
_BUILT_IN: Mapping[int, str] = {9: "0%", 10: "0.00%", 5: "$0", 6: "$0", 7: "$0", 8: "$0", 42: "$0", 44: "$0"}
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_STRICT_RELATION = "{http://purl.oclc.org/ooxml/officeDocument/relationships}id"


def look(archive: zipfile.ZipFile) -> list[SheetFacts]:
    """What there is to know of every sheet with cells, in the workbook's order.

    Raises:
        SpreadsheetError: the file is damaged, or too large to read.
    """
    names = members(archive)
    book = document(archive, _member(names, "xl/workbook.xml"))
    formats = _formats(archive, names)
    recalculates = any(_is_true(one.get("fullCalcOnLoad")) for one in book.iter() if _local(one.tag) == "calcPr")
    targets = _targets(archive, names)
    found: list[SheetFacts] = []
    for sheet in (one for one in book.iter() if _local(one.tag) == "sheet"):
        facts = SheetFacts(sheet.get("name", ""), hidden=sheet.get("state", "visible") != "visible")
        target = targets.get(sheet.get(_RELATION) or sheet.get(_STRICT_RELATION) or "")
        if target is None:
            continue  # a chart, which has no cells
        parse(archive, target, _Sheet(facts, formats, recalculates=recalculates).attach)
        found.append(facts)
    return found


def _targets(archive: zipfile.ZipFile, names: Mapping[str, str]) -> dict[str, str]:
    """Where the worksheets are, by the id of their relation."""
    relations = document(archive, _member(names, "xl/_rels/workbook.xml.rels"))
    found: dict[str, str] = {}
    for one in relations:
        if one.get("Type", "").endswith("/worksheet"):
            target = one.get("Target", "")
            path = target.lstrip("/") if target.startswith("/") else posixpath.normpath(f"xl/{target}")
            found[one.get("Id", "")] = _member(names, path)
    return found


def _formats(archive: zipfile.ZipFile, names: Mapping[str, str]) -> list[FormattedNumber | None]:
    """How each cell style shows numbers; None where it is neither as a percentage nor with a currency."""
    if "xl/styles.xml" not in names:
        return []
    styles = document(archive, names["xl/styles.xml"])
    codes = dict(_BUILT_IN)
    codes.update(
        {
            int(one.get("numFmtId", "0")): one.get("formatCode", "")
            for one in styles.iter()
            if _local(one.tag) == "numFmt"
        }
    )
    cells = next((one for one in styles.iter() if _local(one.tag) == "cellXfs"), ())
    return [_shown(codes.get(int(one.get("numFmtId", "0")), "")) for one in cells]


def _shown(code: str) -> FormattedNumber | None:
    percent, currency = is_percent(code), currency_of(code)
    return FormattedNumber(0, percent=percent, currency=currency) if percent or currency else None


def _member(names: Mapping[str, str], path: str) -> str:
    found = names.get(path.lower())
    if found is None:
        raise SpreadsheetError(f"is damaged: {path} is missing from it")
    return found


def _local(tag: Any) -> str:  # noqa: ANN401 - comments have a function for a tag
    return str(tag).rpartition("}")[2]


def _is_true(text: str | None) -> bool:
    return text in {"1", "true"}


class _Names(dict[str, str]):
    """Tags without their prefixes, which writers choose as they like."""

    def __missing__(self, tag: str) -> str:
        self[tag] = local = tag.rpartition(":")[2]
        return local


class _Sheet:
    """Reads one sheet's XML as it passes by.

    It is called for every cell of sheets that may have millions: what only few cells need is set up when one of them
    comes.
    """

    def __init__(self, facts: SheetFacts, formats: list[FormattedNumber | None], *, recalculates: bool) -> None:
        self._facts = facts
        self._formats = {str(number): one for number, one in enumerate(formats) if one is not None}
        self._recalculates = recalculates
        self._names = _Names()
        self._row = 0
        self._row_text = "0"
        self._column = self._unplaced = 0
        self._cell: dict[str, str] = {}
        self._formula = False
        self._has_value = False
        self._value: list[str] = []
        self._columns: dict[str, int] = {}

    def attach(self, parser: expat.XMLParserType) -> None:
        """Take what the parser finds."""
        self._parser = parser
        parser.StartElementHandler = self._start

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = self._names[tag]
        if name == "c":
            self._cell = attributes
            self._formula = self._has_value = False
            if "r" not in attributes:  # some writers leave it out, and mean the next cell
                self._unplaced = max(self._column, self._unplaced) + 1
                attributes["r"] = f"{column_letters(self._unplaced)}{self._row}"
        elif name == "v" or name == "is":  # noqa: PLR1714 - a set is slower, and this runs for every cell
            if not self._formula:
                self._move()
            self._has_value = True
            if self._formula or self._cell.get("t") == "e":
                self._value = []
                self._parser.CharacterDataHandler = self._value.append
                self._parser.EndElementHandler = self._end
        elif name == "row":
            self._begin_row(attributes)
        elif name == "f":
            self._begin_formula()
        elif name == "mergeCell":
            first, _, last = attributes.get("ref", "").partition(":")
            self._facts.merged.append((*_place(first), *_place(last or first)))
        elif name == "col" and _is_true(attributes.get("hidden")):
            first_column, last_column = int(attributes.get("min", "0")), int(attributes.get("max", "0"))
            self._facts.hidden_columns.add(first_column, value=True, count=last_column - first_column + 1)

    def _begin_row(self, attributes: dict[str, str]) -> None:
        row = int(attributes["r"]) if "r" in attributes else self._row + 1
        if not self._row < row <= _MOST_ROWS:
            raise SpreadsheetError(f"is damaged: row {row} comes after row {self._row}", sheet=self._facts.name)
        self._row, self._row_text, self._column, self._unplaced = row, str(row), 0, 0
        if _is_true(attributes.get("hidden")):
            self._facts.hide(row)

    def _begin_formula(self) -> None:
        self._move()
        self._formula = True
        self._value = []
        self._parser.EndElementHandler = self._end

    def _move(self) -> None:
        """Go to the cell, which holds something."""
        cell = self._cell
        reference = cell["r"]
        row_text = self._row_text
        letters = reference[: -len(row_text)]
        column = self._columns.get(letters)
        if column is None or not reference.endswith(row_text):
            column = self._column_of(reference, letters)
        if not self._column < column <= _MOST_COLUMNS:
            raise SpreadsheetError(
                f"is damaged: cell {reference} is out of order", sheet=self._facts.name, row=self._row
            )
        self._column = column
        facts = self._facts
        if column > facts.last_column or self._row > facts.last_row:
            facts.fill(self._row, column)
        if self._formats and cell.get("t", "n") == "n" and (shown := self._formats.get(cell.get("s", ""))) is not None:
            facts.show_as(self._row, column, shown)

    def _column_of(self, reference: str, letters: str) -> int:
        """The column of a cell, where it has not been seen before or is none."""
        if not reference.endswith(self._row_text):
            raise SpreadsheetError(
                f"is damaged: cell {reference} is in row {self._row}", sheet=self._facts.name, row=self._row
            )
        if not (letters.isascii() and letters.isalpha() and len(letters) <= 3):
            raise SpreadsheetError(f"is damaged: there is no cell {reference}", sheet=self._facts.name, row=self._row)
        found = self._columns[letters] = column_number(letters)
        return found

    def _end(self, tag: str) -> None:
        name = self._names[tag]
        if name == "v" or name == "is":  # noqa: PLR1714 - as above
            self._parser.CharacterDataHandler = None
        elif name == "c":
            self._parser.EndElementHandler = None
            self._end_cell("".join(self._value).strip())

    def _end_cell(self, value: str) -> None:
        kind = self._cell.get("t", "")
        if kind == "e":
            self._facts.spoil(
                self._row, self._column, f"holds the error {value or '#N/A'}: mend its formula, or type the value"
            )
        elif not (value or (self._has_value and kind == "str")) or (self._recalculates and value in {"", "0"}):
            self._facts.spoil(
                self._row,
                self._column,
                "holds a formula that was never calculated: open the file in a spreadsheet and save it, or put the"
                " value in its place",
            )


def _place(reference: str) -> tuple[int, int]:
    letters = reference.rstrip("0123456789")
    return int(reference[len(letters) :] or "0"), column_number(letters)

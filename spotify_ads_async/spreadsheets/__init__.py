"""Spreadsheets: files of any program as rows of cells with their addresses, and workbooks for people.

Nothing here knows of ads.
"""

from __future__ import annotations

from spotify_ads_async.spreadsheets.cells import (
    CellValue,
    FormattedNumber,
    Row,
    SpreadsheetError,
    UnreadableCell,
    cell_address,
    column_letters,
    is_blank,
    trimmed,
)
from spotify_ads_async.spreadsheets.detection import Format
from spotify_ads_async.spreadsheets.reading import Spreadsheet, Table, open_spreadsheet
from spotify_ads_async.spreadsheets.spooling import STANDARD_INPUT

__all__ = [
    "STANDARD_INPUT",
    "CellValue",
    "Format",
    "FormattedNumber",
    "Row",
    "Spreadsheet",
    "SpreadsheetError",
    "Table",
    "UnreadableCell",
    "cell_address",
    "column_letters",
    "is_blank",
    "open_spreadsheet",
    "trimmed",
]

"""CSV that spreadsheets and this package read back alike: cells of whole columns, and rows of cells as lines."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from typing import TextIO

from spotify_ads_async.bulk.plan.cells import to_cell

__all__ = ["CsvRows", "to_cells"]

_MAY_NEED_A_GUARD = re.compile(r"\n(?:['=+\-@\t<#]|Err:)")


def to_cells(values: Sequence[object]) -> Sequence[str]:
    """A column of values, each as :func:`~spotify_ads_async.bulk.plan.cells.to_cell` writes it.

    Most columns hold nothing that a spreadsheet would run, which one look at all of it tells.
    """
    if set(map(type, values)) == {int}:
        return list(map(str, values))
    texts = [value if type(value) is str else to_cell(value) for value in values]
    column = "\n".join(["", *texts])
    if "\r" in column or column.count("\n") != len(texts) or _MAY_NEED_A_GUARD.search(column):
        return [to_cell(value) for value in values]
    return texts


class CsvRows:
    """Writes rows of cells as they are.

    Args:
        stream: text, opened with ``newline=""``.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._plain = csv.writer(stream, lineterminator="\n")
        self._quoted = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)

    def write(self, cells: Iterable[str]) -> None:
        """Write one row."""
        self.write_all([tuple(cells)])

    def write_all(self, rows: Sequence[Sequence[str]]) -> None:
        """Write rows; those that need no quotation marks, as most do, are joined as they are."""
        lines = [",".join(row) for row in rows]
        text = "".join([f"{line}\n" for line in lines])
        marks = '"' in text or "\r" in text or text.count("\n") > len(rows)
        if all(lines) and not marks and text.count(",") == sum(map(len, rows)) - len(rows):
            self._stream.write(text)
        elif len(rows) > 1:
            for row in rows:
                self.write_all([row])
        else:
            # Python's minimal quoting leaves a lone carriage return bare, and every reader takes it for a row's end.
            (self._quoted if "\r" in text else self._plain).writerow(rows[0])

"""The terminal: widths, consoles and progress, with rich. Colours end where ``NO_COLOR`` is set or no terminal listens."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from typing import TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

__all__ = ["console", "errors", "fitted", "write_line"]

_GAP = "  "
_NARROWEST = 10


@functools.lru_cache(maxsize=4)
def _console(stream: TextIO) -> Console:
    return Console(file=stream, highlight=False, markup=False, emoji=False)


def console() -> Console:
    """What is written to stdout."""
    return _console(sys.stdout)


def errors() -> Console:
    """What is written to stderr: progress and diagnostics."""
    return _console(sys.stderr)


def fitted(stream: TextIO, columns: Sequence[str], rows: Sequence[Sequence[str]], *, widest: int) -> list[int]:
    """The columns' widths: what the rows need, and on a terminal no more than it has. Zero stands for a column without room."""
    needed = [max([cell_len(column), *(cell_len(row[index]) for row in rows)]) for index, column in enumerate(columns)]
    if not stream.isatty():
        return needed
    widths = [min(width, widest) for width in needed]
    room = _console(stream).width
    while _total(widths) > room and sum(width > 0 for width in widths) > 1:
        # The first column is an id, which is of use only as a whole.
        largest = max(range(1, len(widths)), key=widths.__getitem__)
        if widths[largest] > _NARROWEST:
            widths[largest] -= 1
        else:
            # Not even short cells fit: the last columns go.
            widths[max(index for index, width in enumerate(widths) if width)] = 0
    return widths


def _total(widths: Sequence[int]) -> int:
    shown = [width for width in widths if width]
    return sum(shown) + len(_GAP) * (len(shown) - 1)


def write_line(stream: TextIO, cells: Sequence[str], widths: Sequence[int], *, bold: bool = False) -> None:
    """One line of a table. In a pipe nothing is cut off; on a terminal a cell that is too long ends in an ellipsis."""
    cut = stream.isatty()
    parts = [_sized(cell, width, cut=cut) for cell, width in zip(cells, widths, strict=True) if width]
    line = _GAP.join(parts).rstrip()
    if bold and cut:
        _console(stream).print(Text(line, style="bold"), soft_wrap=True)
    else:
        stream.write(line + "\n")


def _sized(cell: str, width: int, *, cut: bool) -> str:
    if cell_len(cell) <= width:
        return set_cell_size(cell, width)
    return set_cell_size(cell, width - 1) + "…" if cut else cell

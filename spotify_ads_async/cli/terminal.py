"""The terminal: widths, consoles and progress, with rich.

Colours end where ``NO_COLOR`` is set or no terminal listens.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, TextIO

from rich.cells import cell_len, set_cell_size

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["SHORT_ID", "console", "errors", "fitted", "is_id", "somebody_watches", "write_line"]

_GAP = "  "
_MORE = "  …"
_NARROWEST = 8
SHORT_ID = 8
"""Characters of an ID on a terminal without room for all."""


@functools.lru_cache(maxsize=4)
def _console(stream: TextIO) -> Console:
    from rich.console import Console  # noqa: PLC0415 - a pipe needs none, and it takes its time

    return Console(file=stream, highlight=False, markup=False, emoji=False)


def console() -> Console:
    """What is written to stdout."""
    return _console(sys.stdout)


def errors() -> Console:
    """What is written to stderr: progress and diagnostics."""
    return _console(sys.stderr)


def somebody_watches() -> bool:
    """Whether a terminal shows what is written to stderr."""
    return sys.stderr.isatty()


def fitted(stream: TextIO, columns: Sequence[str], rows: Sequence[Sequence[str]], *, widest: int) -> list[int]:
    """The columns' widths: what the rows need, and on a terminal no more than it has.

    Zero stands for a column without room.
    IDs are shortened first, to what commands still take for them; then other things' IDs go, and then the last columns.
    Of the others the widest give way, but never times, which are of use only as a whole.
    """
    needed = [max([cell_len(column), *(cell_len(row[index]) for row in rows)]) for index, column in enumerate(columns)]
    if not stream.isatty():
        return needed
    room = _console(stream).width
    times = [_is_time(column) for column in columns]
    widths = [width if kept else min(width, widest) for width, kept in zip(needed, times, strict=True)]
    for index, column in enumerate(columns):
        if is_id(column) and _total(widths) > room:
            widths[index] = min(widths[index], SHORT_ID + 1)
    least = [width if kept else min(width, _NARROWEST) for width, kept in zip(widths, times, strict=True)]
    for index, column in enumerate(columns):
        if is_id(column):
            least[index] = widths[index]
    leaving = sorted(
        range(1, len(columns)), key=lambda index: (is_id(columns[index]) - 2 * (columns[index] == "id"), index)
    )
    if _total(least) > room:
        room -= len(_MORE)  # the head says that there is more
    while leaving and _total(least) > room:
        gone = leaving.pop()
        least[gone] = widths[gone] = 0
    while _total(widths) > room:
        largest = max(range(len(columns)), key=lambda index: widths[index] - least[index])
        if widths[largest] == least[largest]:
            return [room, *widths[1:]]  # one column is left, and even that is too wide
        widths[largest] -= 1
    return widths


def is_id(column: str) -> bool:
    """Whether a column holds IDs."""
    name = column.rpartition(".")[2].lower()
    return name == "id" or name.endswith(("_id", " id"))


def _is_time(column: str) -> bool:
    return column.lower().endswith(("_at", "_time")) or column.lower() in {"starts", "ends", "created", "updated"}


def _total(widths: Sequence[int]) -> int:
    shown = [width for width in widths if width]
    return sum(shown) + len(_GAP) * (len(shown) - 1)


def write_line(
    stream: TextIO, cells: Sequence[str], widths: Sequence[int], *, right: Collection[int] = (), bold: bool = False
) -> None:
    """One line of a table, the cells of ``right`` aligned to the right.

    In a pipe nothing is cut off; on a terminal a cell that is too long ends in an ellipsis.
    """
    cut = stream.isatty()
    parts = [
        _sized(f"{' ' * max(0, width - cell_len(cell))}{cell}" if index in right else cell, width, cut=cut)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        if width
    ]
    line = _GAP.join(parts).rstrip()
    if bold and cut and 0 in widths:
        line += _MORE
    if bold and cut:
        _console(stream).print(line, style="bold", soft_wrap=True)
    else:
        stream.write(line + "\n")


def _sized(cell: str, width: int, *, cut: bool) -> str:
    if cell_len(cell) <= width:
        return set_cell_size(cell, width)
    return set_cell_size(cell, width - 1) + "…" if cut else cell

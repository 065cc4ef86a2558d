"""The terminal: widths, consoles and the line of progress, with rich.

Colours end where ``NO_COLOR`` is set or no terminal listens.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
import time
from collections.abc import Collection, Generator, Sequence
from typing import TYPE_CHECKING, TextIO

from rich.cells import cell_len, set_cell_size

from spotify_ads_async.cli.text import printable

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "SHORT_ID",
    "as_it_was",
    "console",
    "errors",
    "fitted",
    "is_id",
    "progress_line",
    "put",
    "somebody_watches",
    "table_line",
    "write_head",
]

_GAP = "  "
_MORE = "  …"
_NARROWEST = 8
_NARROWEST_NAME = 24
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


@contextlib.contextmanager
def as_it_was() -> Generator[None]:
    """Leave the terminal of standard input with the settings that it has, whatever the block did not come to."""
    if sys.platform == "win32":
        yield
        return
    import termios  # noqa: PLC0415 - not everywhere

    number = sys.stdin.fileno()
    found = termios.tcgetattr(number)
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):  # it is gone
            termios.tcsetattr(number, termios.TCSADRAIN, found)


_ROOM_FOR_CONTROL_C = 4
"""Cells left at the end of the line of progress: a terminal writes ``^C`` there, which must not go to the next line."""


class _Line:
    """The last line on a terminal while a command works: drawn over itself, and gone before anything else is written.

    It needs no more of a terminal than that a carriage return goes back. Threads may write, too.
    """

    def __init__(self) -> None:
        self._width = 0
        """That of the widest text since the line was last away, for behind it a terminal may have written ``^C``."""
        self._written_at = time.monotonic()
        self._lock = threading.Lock()
        self._held = False

    def quiet_seconds(self) -> float:
        """How long nothing else has been written to a terminal."""
        return time.monotonic() - self._written_at

    def show(self, text: str) -> None:
        """Show a text in place of the last one, cut off where the terminal ends."""
        room = errors().width - _ROOM_FOR_CONTROL_C
        text = printable(text)
        if cell_len(text) > room:
            text = set_cell_size(text, room - 1) + "…"
        with self._lock:
            if self._held:
                return
            width = cell_len(text)
            sys.stderr.write(f"\r{text}{' ' * (self._width - width)}")
            sys.stderr.flush()
            self._width = max(self._width, width)

    def clear(self) -> None:
        """Take it away, for something else is written."""
        with self._lock:
            self._written_at = time.monotonic()
            if self._width:
                sys.stderr.write(f"\r{' ' * (self._width + _ROOM_FOR_CONTROL_C)}\r")
                sys.stderr.flush()
                self._width = 0

    @contextlib.contextmanager
    def held(self) -> Generator[None]:
        """Keep it away while somebody is asked."""
        self._held = True
        self.clear()
        try:
            yield
        finally:
            self._held = False
            self.clear()


progress_line = _Line()
"""Of this process: it has one terminal."""


def put(stream: TextIO, text: str) -> None:
    """Write a text, at once."""
    if stream.isatty():
        progress_line.clear()
    stream.write(text)
    stream.flush()


def fitted(
    stream: TextIO,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    widest: int | None,
    figures: Collection[int] = (),
) -> list[int]:
    """The columns' widths: what the rows need, and with a ``widest`` no more than the terminal has.

    Zero stands for a column without room.

    IDs are shortened first, to what commands still take for them; then other things' IDs go, and then the last columns.
    Of the others the widest give way, but never times, names of windows and ``figures``, of use only as a whole.
    """
    needed = [max([cell_len(column), *(cell_len(row[index]) for row in rows)]) for index, column in enumerate(columns)]
    if widest is None:
        return needed
    room = _console(stream).width
    whole = [index in figures or _is_whole(column) for index, column in enumerate(columns)]
    widths = [width if kept else min(width, widest) for width, kept in zip(needed, whole, strict=True)]
    for index, column in enumerate(columns):
        if is_id(column) and _total(widths) > room:
            widths[index] = min(widths[index], SHORT_ID + 1)
    least = [
        width if kept else min(width, max(_NARROWEST, cell_len(column)))
        for width, kept, column in zip(widths, whole, columns, strict=True)
    ]
    least[0] = min(widths[0], _NARROWEST_NAME)  # by which people know a row
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


def _is_whole(column: str) -> bool:
    name = column.lower()
    return name.endswith(("_at", "_time")) or name in {
        "starts",
        "ends",
        "created",
        "updated",
        "limit",
        "identity",
        "origin",
    }


def _total(widths: Sequence[int]) -> int:
    shown = [width for width in widths if width]
    return sum(shown) + len(_GAP) * (len(shown) - 1)


def table_line(cells: Sequence[str], widths: Sequence[int], *, right: Collection[int] = (), cut: bool = False) -> str:
    """One line of a table, the cells of ``right`` aligned to the right. With ``cut``, long ones end in an ellipsis."""
    parts = [
        _sized(cell, width, right=index in right, cut=cut)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        if width
    ]
    return _GAP.join(parts).rstrip()


def write_head(stream: TextIO, text: str, *, more: bool) -> None:
    """The head of a table; ``more`` says that it has columns for which there is no room."""
    text += _MORE if more else ""
    if stream.isatty():
        progress_line.clear()
        _console(stream).print(text, style="bold", soft_wrap=True)
    else:
        put(stream, text + "\n")


def _sized(cell: str, width: int, *, right: bool, cut: bool) -> str:
    # Most cells are ASCII, of which every character is one wide.
    length = len(cell) if cell.isascii() else cell_len(cell)
    if length <= width:
        room = " " * (width - length)
        return room + cell if right else cell + room
    return set_cell_size(cell, width - 1) + "…" if cut else cell

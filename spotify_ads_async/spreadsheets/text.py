"""Tables and JSON Lines in text files, read line by line and never without bound."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import BinaryIO

import msgspec

from spotify_ads_async.spreadsheets.cells import Row, SpreadsheetError, trimmed
from spotify_ads_async.spreadsheets.detection import (
    HEAD,
    guessed_encoding,
    known_encoding,
    marked_encoding,
    separator_of,
    stated_separator,
)

__all__ = ["LARGEST_LINE", "TextFile", "rows_of"]

LARGEST_LINE = 16 * 1024 * 1024
"""Characters of a line, and of a cell."""
_SAMPLED_LINES = 30
_CHUNK = 1024 * 1024
# How spreadsheets are kept from changing an id: the cell is a formula that gives a text.
_TEXT_FORMULA = re.compile(r'="(?P<text>(?:[^"]|"")*)"')

csv.field_size_limit(max(LARGEST_LINE, csv.field_size_limit()))


class TextFile(msgspec.Struct, frozen=True, kw_only=True):
    """How a text is read.

    Attributes:
        encoding: as Python calls it.
        separator: what stands between cells.
        guessed: whether the encoding was taken for granted: the file does not tell.
        sample: the first line with a character that would be another one in another encoding, where it was taken for
            granted.
        stated: whether the first line states the separator, and is no row.
    """

    encoding: str
    separator: str = ","
    guessed: bool = False
    sample: str = ""
    stated: bool = False


def inspect(content: BinaryIO, encoding: str | None) -> TextFile:
    """Find out how a text is to be read; all of it is looked at, since one byte can tell.

    Raises:
        SpreadsheetError: it is no text, or not in the encoding that was named.
    """
    content.seek(0)
    head = content.read(HEAD)
    marked = marked_encoding(head)
    named = known_encoding(encoding) if encoding else ""
    if marked and named and not marked.startswith(named.split("-")[0]) and not named.startswith("utf-16"):
        raise SpreadsheetError(
            f"begins with the mark of {marked.removesuffix('-sig')}, and is said to be {encoding}", option="encoding"
        )
    chosen = marked or named or "utf-8-sig"
    failed_at = _first_undecodable(content, chosen)
    guessed = failed_at is not None and not marked and not named
    if guessed:
        chosen = _guess(content, failed_at or 0)
        failed_at = _first_undecodable(content, chosen)
    if failed_at is not None:
        line = _line_at(content, failed_at)
        raise SpreadsheetError(
            f"is not {chosen.removesuffix('-sig')}: a byte cannot be read; state the program's encoding",
            row=line,
            option="encoding",
        )
    content.seek(0)
    lines = list(islice(_lines(content, chosen), _SAMPLED_LINES))
    stated = stated_separator(lines[0]) if lines else ""
    sample = _sample(content, chosen) if guessed else ""
    return TextFile(
        encoding=chosen, separator=stated or separator_of(lines), guessed=guessed, sample=sample, stated=bool(stated)
    )


def _first_undecodable(content: BinaryIO, encoding: str) -> int | None:
    """The first byte that the encoding does not have, or None. It reads the whole file, and refuses what is no text."""
    decoder = codecs.getincrementaldecoder(encoding)()
    content.seek(0)
    position = 0
    single_bytes = not encoding.startswith(("utf-16", "utf-32"))
    while chunk := content.read(_CHUNK):
        if single_bytes and b"\0" in chunk:
            raise SpreadsheetError("is no text: it holds NUL bytes")
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError as problem:
            return position + problem.start
        position += len(chunk)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return position
    return None


def _guess(content: BinaryIO, failed_at: int) -> str:
    content.seek(max(0, failed_at - 1024))
    around = content.read(4096)
    content.seek(0)
    head = content.read(HEAD)
    return guessed_encoding(around, carriage_returns=b"\r" in head and b"\n" not in head)


def _line_at(content: BinaryIO, position: int) -> int:
    """The number of the line that a byte is on."""
    content.seek(0)
    lines, left = 1, position
    while left > 0 and (chunk := content.read(min(left, _CHUNK))):
        lines += chunk.count(b"\n") or (chunk.count(b"\r") if b"\n" not in chunk else 0)
        left -= len(chunk)
    return lines


def _sample(content: BinaryIO, encoding: str) -> str:
    content.seek(0)
    return next((trimmed(line)[:80] for line in _lines(content, encoding) if not line.isascii()), "")


def _lines(content: BinaryIO, encoding: str) -> Iterator[str]:
    """The lines of a text, each with its end: a line feed, a carriage return, or both.

    Raises:
        SpreadsheetError: a line has no end in sight.
    """
    text = io.TextIOWrapper(content, encoding=encoding, newline="")
    try:
        number = 0
        while line := text.readline(LARGEST_LINE + 1):
            number += 1
            if len(line) > LARGEST_LINE:
                raise SpreadsheetError(f"has a line of more than {LARGEST_LINE:,} characters", row=number)
            yield line
    finally:
        if not content.closed:  # whoever stopped in the middle may have closed it by now
            text.detach()


def lines_of(content: BinaryIO, how: TextFile) -> Iterator[tuple[int, str]]:
    """The lines of a text, each with its number from 1.

    Raises:
        SpreadsheetError: a line is too long.
    """
    content.seek(0)
    for number, line in enumerate(_lines(content, how.encoding), start=1):
        yield number, line.removeprefix("\ufeff") if number == 1 else line


def rows_of(content: BinaryIO, how: TextFile) -> Iterator[Row]:
    """The rows of a text with separators. A row has the number of the line at which it begins.

    Raises:
        SpreadsheetError: quotation marks do not pair, or a line is too long.
    """
    source = _Counted(lines_of(content, how))
    if how.stated:
        next(source, None)
    reader = csv.reader(source, delimiter=how.separator, strict=True, skipinitialspace=how.separator != "\t")
    while True:
        number = source.number + 1
        try:
            cells = next(reader, None)
        except csv.Error as problem:
            raise SpreadsheetError(
                f"cannot be read as CSV: {problem}; a cell with a quotation mark stands between quotation marks, and"
                " doubles it",
                row=number,
            ) from None
        if cells is None:
            return
        yield Row(number, [_plain(cell) if cell[:2] == '="' else cell for cell in cells])


class _Counted:
    """Lines for the parser; ``number`` is that of the last one that it took."""

    def __init__(self, lines: Iterator[tuple[int, str]]) -> None:
        self._lines = lines
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.number, line = next(self._lines)
        if line == "\x1a":  # what old programs write at the end of a file
            raise StopIteration
        return line


def _plain(cell: str) -> str:
    """A cell without the formula that kept a spreadsheet from changing it."""
    found = _TEXT_FORMULA.fullmatch(cell.rstrip())
    return found["text"].replace('""', '"') if found else cell


def described(how: TextFile) -> Sequence[str]:
    """What was taken for granted in reading a text, in words."""
    if not how.guessed:
        return ()
    name = {"cp1252": "Windows-1252", "mac_roman": "Mac Roman"}[how.encoding]
    return (
        (
            f"read as {name}, which the file does not tell (“{how.sample}”): --encoding says what it is where that"
            " looks wrong"
        ),
    )

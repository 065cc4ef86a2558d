"""Customer lists as they are uploaded: one identifier a line, normalised and hashed. Contents show up in no message.

The API document names no format. What stands here is what integrators publish of theirs: e-mail addresses and mobile
advertising ids (IDFA, AAID), in lower case without spaces, as SHA-256 in hexadecimal, and one identifier a line.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

import msgspec

from spotify_ads_async.errors import Portable

__all__ = ["Counts", "NotCsvError", "distinct", "hashed", "identifiers", "normalised"]

_EMAIL = re.compile(r"[^@\s,;\"<>]+@[^@\s,;\"<>.]+(?:\.[^@\s,;\"<>.]+)+")
_DEVICE = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_HASH = re.compile(r"[0-9a-f]{64}")
_NO_DEVICE = "00000000-0000-0000-0000-000000000000"
"""What a phone answers whose owner forbids tracking."""
_HEADER = re.compile(
    r"(hashed|sha256|customer|user|mobile|device)?[ _-]*(e-?mail|e-?mail[ _-]*address|idfa|aaid|gaid|maid|"
    r"(mobile[ _-]*|device[ _-]*)?(advertising[ _-]*)?ids?|identifiers?)[ _-]*(hashed|sha256|hash)?",
    re.IGNORECASE,
)
_SHOWN = 10
_PARTS = 64
"""Files to sort a list into: a million hashes are 16,000 a file."""


class Counts(msgspec.Struct):
    """What became of a list's lines."""

    identifiers: int = 0
    repeated: int = 0
    refused: int = 0
    refused_lines: list[int] = []
    """The first lines, from 1, that hold no identifier."""


class NotCsvError(Portable, ValueError):
    """Quotation marks do not pair in the record that begins at ``line``."""

    def __init__(self, line: int) -> None:
        super().__init__(f"quotation marks do not pair from line {line} on")
        self.line = line


def distinct(hashes: Iterable[str], folder: Path, counts: Counts) -> Iterator[str]:
    """Each hash once, in another order; ``counts`` tells how many there are, and how many came again.

    They are sorted into files of ``folder`` first, so that only a part of them stands in memory at a time.
    """
    total = 0
    with ExitStack() as stack:
        parts = [stack.enter_context((folder / f"part-{number}").open("w+", encoding="ascii")) for number in range(_PARTS)]
        for one in hashes:
            total += 1
            parts[int(one[:2], 16) % _PARTS].write(f"{one}\n")
        for part in parts:
            part.seek(0)
            found = dict.fromkeys(part)
            counts.identifiers += len(found)
            yield from (line.rstrip() for line in found)
    counts.repeated = total - counts.identifiers


def normalised(text: str) -> str | None:
    """An identifier without spaces around it and in lower case, None where it is none. A hash stays a hash."""
    text = text.strip().strip("\ufeff").strip().lower()
    if text == _NO_DEVICE:
        return None
    return text if any(kind.fullmatch(text) for kind in (_HASH, _EMAIL, _DEVICE)) else None


def hashed(text: str) -> str | None:
    """An identifier as it is uploaded: its SHA-256, or itself where it is one; None where it is no identifier."""
    plain = normalised(text)
    if plain is None or _HASH.fullmatch(plain):
        return plain
    return hashlib.sha256(plain.encode()).hexdigest()


def identifiers(lines: Iterable[str], columns: Sequence[str] | None, counts: Counts) -> Iterator[str]:
    """The hashed identifiers of a list, with repeats: of a text with one a line, or of a CSV file.

    A first line that names columns is a header. Without ``columns`` those that hold identifiers are used, by their names,
    and all of them where there is no header. ``counts`` tells which lines were refused.

    Raises:
        KeyError: a column of ``columns`` is not in the header.
        NotCsvError: quotation marks in a file with a header do not pair.
    """
    rest = iter(lines)
    first = next(rest, "")
    cells = _line(first)
    if columns is not None or _is_header(cells):
        chosen = _chosen(cells, columns)
        records = ((number, [record[at] for at in chosen if at < len(record)]) for number, record in _below_header(rest))
    else:
        records = ((number, _line(line)) for number, line in enumerate(chain([first], rest), start=1))
    for number, record in records:
        cells = [cell for cell in record if cell.strip()]
        found = [one for one in map(hashed, cells) if one is not None]
        if cells and not found:
            counts.refused += 1
            if len(counts.refused_lines) < _SHOWN:
                counts.refused_lines.append(number)
        yield from found


def _line(line: str) -> list[str]:
    """The cells of one line. A quotation mark that nothing closes harms this line alone, not those below."""
    nothing: list[str] = []
    try:
        return next(csv.reader([line], skipinitialspace=True), nothing)
    except csv.Error:
        return [line]


def _below_header(lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    """Records of a CSV file, each with the number of its first line; cells may hold lines of their own."""
    # Not strict, a mark that nothing closes would take all lines below for one cell.
    reader = csv.reader(lines, skipinitialspace=True, strict=True)
    number = 2
    while True:
        try:
            record = next(reader, None)
        except csv.Error:
            raise NotCsvError(number) from None
        if record is None:
            return
        yield number, record
        number = reader.line_num + 2


def _is_header(record: Sequence[str]) -> bool:
    return any(_named(cell) for cell in record) and not any(map(hashed, record))


def _named(cell: str) -> bool:
    return _HEADER.fullmatch(cell.strip().strip("\ufeff").strip()) is not None


def _chosen(header: Sequence[str], columns: Sequence[str] | None) -> list[int]:
    names = [cell.strip().strip("\ufeff").strip() for cell in header]
    if columns is None:
        return [at for at, name in enumerate(names) if _named(name)]
    places = {name.lower(): at for at, name in enumerate(names)}
    return [places[column.lower()] for column in columns]

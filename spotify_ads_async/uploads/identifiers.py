"""Customer lists as they are uploaded: one identifier a line, normalised and hashed. Pure; contents show up in no message.

The API document names no format. What stands here is what integrators publish of theirs: e-mail addresses and mobile
advertising ids (IDFA, AAID), in lower case without spaces, as SHA-256 in hexadecimal, and one identifier a line.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

__all__ = ["Counts", "hashed", "identifiers", "normalised"]

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


class Counts(msgspec.Struct):
    """What became of a list's lines."""

    identifiers: int = 0
    repeated: int = 0
    refused: int = 0
    refused_lines: list[int] = []
    """The first lines, from 1, that hold no identifier."""


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
    """The hashed identifiers of a list: of a text with one a line, or of a CSV file.

    A first line that names columns is a header. Without ``columns`` those that hold identifiers are used, by their names,
    and all of them where there is no header. ``counts`` tells what became of the lines.

    Raises:
        KeyError: a column of ``columns`` is not in the header.
    """
    seen: set[bytes] = set()
    chosen: list[int] | None = None
    for number, record in enumerate(csv.reader(lines, skipinitialspace=True), start=1):
        if number == 1 and (columns is not None or _is_header(record)):
            chosen = _chosen(record, columns)
            continue
        cells = [cell for cell in (record if chosen is None else [record[at] for at in chosen if at < len(record)]) if cell.strip()]
        found = [one for one in map(hashed, cells) if one is not None]
        if cells and not found:
            counts.refused += 1
            if len(counts.refused_lines) < _SHOWN:
                counts.refused_lines.append(number)
        for one in found:
            # Half of a hash tells millions apart, in half of the memory.
            key = bytes.fromhex(one[:32])
            if key in seen:
                counts.repeated += 1
            else:
                seen.add(key)
                counts.identifiers += 1
                yield one


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

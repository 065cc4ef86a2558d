"""Customer lists as they are uploaded: one identifier a line, normalised and hashed. Contents show up in no message.

The API document names no format. What stands here is what integrators publish of theirs: e-mail addresses and mobile
advertising ids (IDFA, AAID), in lower case without spaces, as SHA-256 in hexadecimal, and one identifier a line.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import msgspec

from spotify_ads_async.errors import Portable
from spotify_ads_async.spreadsheets import SpreadsheetError, Table, UnreadableCell
from spotify_ads_async.spreadsheets.detection import HEAD, format_of, known_encoding, marked_encoding, stated_separator

__all__ = [
    "Counts",
    "NotCsvError",
    "distinct",
    "encoding_of",
    "hashed",
    "holds_identifiers",
    "identifiers",
    "lines_of_workbook",
    "missing_from",
    "normalised",
]

_LABEL = r"[^@\s!-,./:-@\[-`{-~]+"
"""A part of a domain: letters of any script, digits and hyphens.

``a@b.example|Bob`` is an address and more, not an address.
"""
_EMAIL = re.compile(rf"[^@\s,;:|\"<>()\[\]{{}}\\]+@{_LABEL}(?:\.{_LABEL})+")
"""Without the signs that separate and enclose, although a domain's owner might allow some.

What else they would stand for is likelier.
"""
_DEVICE = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_HASH = re.compile(r"[0-9a-f]{64}")
_NO_DEVICE = "00000000-0000-0000-0000-000000000000"
"""What a phone answers whose owner forbids tracking."""
_NOBODY = frozenset({_NO_DEVICE, *(hashlib.sha256(one.encode()).hexdigest() for one in ("", _NO_DEVICE))})
"""What programs that hash lists write for people of whom they know nothing."""
_HEADER = re.compile(
    r"(hashed|sha256|customer|user|mobile|device)?[ _-]*(e-?mail|e-?mail[ _-]*address|idfa|aaid|gaid|maid|"
    r"(mobile[ _-]*|device[ _-]*)?(advertising[ _-]*)?ids?|identifiers?)[ _-]*(hashed|sha256|hash)?[ _-]*\d*",
    re.IGNORECASE,
)
_ANY_ID = re.compile(
    r"(hashed|sha256|customer|user)?[ _-]*(ids?|identifiers?)[ _-]*(hashed|sha256|hash)?[ _-]*\d*", re.IGNORECASE
)
"""Names of columns that may as well hold the list's own numbering: beside a column of addresses or devices they do."""
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffd]")
"""Characters that no list of identifiers holds unless something went wrong.

Controls, and what stands for an unreadable byte.
"""
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
"""Letters and signs as Japanese keyboards write them, by those that they stand for."""
_AROUND = " \t\"'<>`\u2018\u2019\u201c\u201d\u00ab\u00bb"
"""What people and programs put around an address."""
_BETWEEN = re.compile(r"[;,\t\r\n]")
"""What stands between several identifiers of one cell. None of them holds any of these."""
_SEPARATORS = (",", ";", "\t")
_CHUNK = 1024 * 1024
_SHOWN = 10
_SAMPLED = 256
_PARTS = 64
"""Files to sort a list into: a million hashes are 16,000 a file."""


class Counts(msgspec.Struct):
    """What became of a list's lines."""

    identifiers: int = 0
    repeated: int = 0
    refused: int = 0
    empty: int = 0
    """How many rows below a header have nothing in the columns of identifiers, and something in others."""
    refused_lines: list[int] = []
    """The first lines, from 1, that hold no identifier, or something that may be one and cannot be read."""
    sample: list[str] = []
    """Some of the identifiers, normalised, to be hashed again."""
    cleaned: int = 0
    """How many identifiers had something around or in them that does not belong to them.

    Letters in upper case do not count.
    """


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
        parts = [
            stack.enter_context((folder / f"part-{number}").open("w+", encoding="ascii")) for number in range(_PARTS)
        ]
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
    """An identifier as it is hashed, None where it is none: in lower case, without what does not belong to it.

    That are spaces, quotation marks and brackets around it, a dot behind it, invisible characters, ``mailto:``, and
    full-width letters. A hash stays a hash.
    """
    if _CONTROL.search(text):
        return None
    text = "".join(
        one for one in unicodedata.normalize("NFC", text.translate(_FULL_WIDTH)) if unicodedata.category(one) != "Cf"
    )
    text = text.strip().lower().removeprefix("mailto:").strip(_AROUND).rstrip(".")
    if text in _NOBODY:
        return None
    return text if any(kind.fullmatch(text) for kind in (_HASH, _EMAIL, _DEVICE)) else None


def hashed(text: str) -> str | None:
    """An identifier as it is uploaded: its SHA-256, or itself where it is one; None where it is no identifier."""
    plain = normalised(text)
    return None if plain is None else _hash(plain)


def encoding_of(content: BinaryIO, stated: str | None) -> tuple[str, bool]:
    """The encoding of a list, and whether it was taken for granted. All of it is looked at, since one byte can tell.

    Raises:
        SpreadsheetError: it is no text, not in the encoding that was stated, or in none that can be told.
    """
    content.seek(0)
    head = content.read(HEAD)
    format_of(head)  # which refuses pictures, documents and archives by what they are
    marked = marked_encoding(head)
    encoding = known_encoding(stated) if stated else marked or "utf-8-sig"
    if _decodes(content, encoding):
        return encoding, False
    if stated or marked:
        raise SpreadsheetError(
            f"is not {encoding.removesuffix('-sig')} throughout: state its encoding (encoding=…), or save it as UTF-8"
        )
    if _decodes(content, "cp1252"):
        return "cp1252", True
    raise SpreadsheetError(
        "is neither UTF-8, UTF-16 nor Windows-1252: state its encoding (encoding=…), or save it as UTF-8"
    )


def lines_of_workbook(table: Table) -> Iterator[str]:
    """The rows of a sheet as lines of CSV, a blank one for each blank row.

    So the numbers of lines are those of rows.

    Raises:
        SpreadsheetError: a row cannot be read, or a cell of it.
    """
    line = io.StringIO(newline="")
    writer = csv.writer(line, lineterminator="\n")
    for row in table.rows():
        broken = next((cell for cell in row.cells if isinstance(cell, UnreadableCell)), None)
        if broken is not None:
            raise SpreadsheetError(
                f"has a cell in {table.address(row.number)} that {broken.reason}", sheet=table.name, row=row.number
            )
        if row.hidden and not row.is_blank:
            raise SpreadsheetError(
                f"has hidden rows ({table.address(row.number)} is the first): show them, or delete them", row=row.number
            )
        writer.writerow([" ".join(str(cell).split()) for cell in row.cells])
        yield line.getvalue()
        line.seek(0)
        line.truncate()


def holds_identifiers(table: Table) -> bool:
    """Whether any cell of a sheet holds an identifier, whatever else is wrong with it."""
    return any(normalised(piece) for row in table.rows() for cell in row.cells for piece in _BETWEEN.split(str(cell)))


def _decodes(content: BinaryIO, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    content.seek(0)
    try:
        while chunk := content.read(_CHUNK):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def identifiers(
    lines: Iterable[str], columns: Sequence[str] | None, counts: Counts, *, ascii_only: bool = False
) -> Iterator[str]:
    """The hashed identifiers of a list, with repeats: of a text with one a line, or of a CSV file.

    A first line that names columns is a header. Without ``columns`` those that hold identifiers are used, by their
    names, and all of them where there is no header. ``counts`` tells which lines were refused. With ``ascii_only``, an
    identifier with other letters is none: in which encoding it was written is not known, and it would have another
    hash.

    Raises:
        KeyError: a column of ``columns`` is not in the header.
        NotCsvError: quotation marks in a file with a header do not pair.
        SpreadsheetError: it has addresses in other columns than one that may be its own numbering.
    """
    for number, cells, others, astray in _records(iter(lines), columns):
        pieces = [piece for cell in cells for piece in _BETWEEN.split(cell) if piece.strip()]
        plain = [normalised(piece) for piece in pieces]
        found = [one for one in plain if one is not None and (one.isascii() or not ascii_only)]
        counts.cleaned += sum(
            one in found and one != piece.strip().lower() for piece, one in zip(pieces, plain, strict=True)
        )
        unsafe = any(map(_CONTROL.search, (*cells, *others)))
        # Words beside an identifier are a name; what looks like one must be one, and stand where identifiers do.
        broken = any(one not in found and _holds_one(piece) for piece, one in zip(pieces, plain, strict=True))
        misplaced = any(normalised(piece) for cell in astray for piece in _BETWEEN.split(cell)) or (
            not found and any("@" in cell or normalised(cell) for cell in others)
        )
        if unsafe or broken or misplaced or (pieces and not found):
            counts.refused += 1
            if len(counts.refused_lines) < _SHOWN:
                counts.refused_lines.append(number)
        elif not found and any(cell.strip() for cell in others):
            counts.empty += 1
        if not unsafe:
            counts.sample.extend(found[: max(0, _SAMPLED - len(counts.sample))])
            yield from map(_hash, found)


def _holds_one(text: str) -> bool:
    """Whether a text of one or several words holds an identifier, or what may be a broken address."""
    words = text.split()
    return (len(words) == 1 and "@" in text) or any("@" in word[1:-1] or normalised(word) for word in words)


def _records(
    lines: Iterator[str], columns: Sequence[str] | None
) -> Iterator[tuple[int, list[str], list[str], list[str]]]:
    """Each line, or each record below a header: its number, the cells that hold identifiers, and the others.

    Last those of the others that may be of another row or column: of several lines, which a quotation mark may have
    taken with it, and those of a row that is wider than the header.
    """
    first, begun = next(lines, ""), 1
    stated = stated_separator(first)
    if stated:
        first, begun = next(lines, ""), 2
    separators = [stated] if stated else _SEPARATORS
    for separator in separators:
        header = _line(first, separator)
        if _missing(header, columns) == 0 if columns is not None else _is_header(header):
            chosen = _chosen(header, columns)
            width = max((at for at, cell in enumerate(header, start=1) if _trimmed(cell)), default=0)
            numbering = columns is None and all(_ANY_ID.fullmatch(_trimmed(header[at])) for at in chosen)
            for number, record in _below_header(lines, separator, begun):
                if width == 1:  # what looks like a separator stands between identifiers of one cell
                    yield number, record, [], []
                    continue
                cells = [record[at] for at in chosen if at < len(record)]
                others = [cell for at, cell in enumerate(record) if at not in chosen]
                shifted = any(cell.strip() for cell in record[width:])
                astray = [cell for cell in others if shifted or len(cell.splitlines()) > 1]
                if numbering and any("@" in (normalised(cell) or "") for cell in others):
                    raise SpreadsheetError(
                        f"has an address in line {number} beside {_trimmed(header[chosen[0]])}, which may be its own"
                        " numbering: call the column that counts by what it holds, such as E-Mail or IDFA"
                    )
                yield number, cells, others, astray
            return
    if columns is not None:
        # None is without a column that is missing: the header in which most of them are says which.
        _chosen(min((_line(first, one) for one in separators), key=lambda header: _missing(header, columns)), columns)
    for number, line in enumerate(chain([first], lines), start=begun):
        yield number, _line(line, stated or ","), [], []


def missing_from(lines: Iterable[str], counts: Counts) -> str:
    """What is wrong with a list that was written, compared with what was read; nothing where it is whole."""
    sampled = {_hash(plain) for plain in counts.sample}
    written = 0
    for line in lines:
        if not _HASH.fullmatch(line.rstrip("\n")):
            return f"line {written + 1} is no hash"
        written += 1
        sampled.discard(line.rstrip("\n"))
    if written != counts.identifiers:
        return f"{written} of {counts.identifiers} hashes are there"
    return f"{len(sampled)} of {len(counts.sample)} identifiers that were hashed again are not there" if sampled else ""


def _hash(plain: str) -> str:
    return plain if _HASH.fullmatch(plain) else hashlib.sha256(plain.encode()).hexdigest()


def _line(line: str, separator: str) -> list[str]:
    """The cells of one line. A quotation mark that nothing closes harms this line alone, not those below."""
    nothing: list[str] = []
    try:
        return next(csv.reader([line], delimiter=separator, skipinitialspace=True), nothing)
    except csv.Error:
        return [line]


def _below_header(lines: Iterator[str], separator: str, header: int) -> Iterator[tuple[int, list[str]]]:
    """Records of a CSV file, each with the number of its first line; cells may hold lines of their own."""
    # Not strict, a mark that nothing closes would take all lines below for one cell.
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=separator != "\t", strict=True)
    number = header + 1
    while True:
        try:
            record = next(reader, None)
        except csv.Error:
            raise NotCsvError(number) from None
        if record is None:
            return
        yield number, record
        number = reader.line_num + header + 1


def _is_header(record: Sequence[str]) -> bool:
    return any(_named(cell) for cell in record) and not any(map(hashed, record))


def _missing(header: Sequence[str], columns: Sequence[str]) -> int:
    return len({name.lower() for name in columns} - {_trimmed(cell).lower() for cell in header})


def _trimmed(cell: str) -> str:
    return cell.strip().strip("\ufeff").strip()


def _named(cell: str) -> bool:
    return _HEADER.fullmatch(_trimmed(cell)) is not None


def _chosen(header: Sequence[str], columns: Sequence[str] | None) -> list[int]:
    names = [_trimmed(cell) for cell in header]
    if columns is None:
        named = [at for at, name in enumerate(names) if _named(name)]
        return [at for at in named if not _ANY_ID.fullmatch(names[at])] or named
    wanted = {column.lower() for column in columns}
    for missing in wanted.difference(map(str.lower, names)):
        raise KeyError(missing)
    return [at for at, name in enumerate(names) if name.lower() in wanted]

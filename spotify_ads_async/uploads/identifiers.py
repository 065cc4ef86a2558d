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

_LABEL = r"(?:[^\W_]|-)+"
_EMAIL = re.compile(rf"\w[\w.!#$%&'*+/=?^`~-]*@(?:{_LABEL}\.)+(?:xn--[a-z0-9-]+|[^\W\d_]+)")
"""Letters and digits of any script, and few signs, although a domain's owner might allow more.

What other signs would stand for is likelier: ``a@b.example|Bob`` is an address and more, not an address.
"""
_DEVICE = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_HASH = re.compile(r"[0-9a-f]{64}")
_NO_DEVICE = "00000000-0000-0000-0000-000000000000"
"""What a phone answers whose owner forbids tracking."""
_NOBODY = frozenset({_NO_DEVICE, *(hashlib.sha256(one.encode()).hexdigest() for one in ("", _NO_DEVICE))})
"""What programs that hash lists write for people of whom they know nothing."""
_HEADER = re.compile(
    r"(hashed|sha256|customer|user)?[ _-]*(e-?mail|e-?mail[ _-]*address|idfa|aaid|gaid|mad?id|"
    r"((mobile|device|advertising)[ _-]*)+ids?)[ _-]*(hashed|sha256|hash)?[ _-]*\d*",
    re.IGNORECASE,
)
"""Names of columns that say what they hold: a column ``id`` may as well hold the list's own numbering."""
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffd]")
"""Characters that no list of identifiers holds unless something went wrong.

Controls, and what stands for an unreadable byte.
"""
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
    """The first lines, from 1, that are not plainly what they should be; nothing of them is uploaded."""
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
    other forms of letters, such as full-width ones and ligatures. A hash stays a hash.
    """
    if _CONTROL.search(text):
        return None
    text = "".join(one for one in unicodedata.normalize("NFKC", text) if unicodedata.category(one) != "Cf")
    text = text.strip().lower().removeprefix("mailto:").strip(_AROUND).rstrip(".")
    if text in _NOBODY:
        return None
    # Vowel signs of Hindi and Arabic are no letters, but parts of such. The accents before them are those of no letter.
    letters = "".join(one for one in text if one <= "\u036f" or unicodedata.category(one)[0] != "M")
    return text if _EMAIL.fullmatch(letters) or _HASH.fullmatch(text) or _DEVICE.fullmatch(text) else None


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
        header = enumerate(row.cells if row.number == 1 else (), start=1)
        unseen = next((cell for at, cell in header if table.is_hidden_column(at) and _named(str(cell))), None)
        if unseen is not None:
            raise SpreadsheetError(
                f"has a hidden column of identifiers ({_trimmed(str(unseen))}): show it, or delete it", row=row.number
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
    names; without a header, a line holds one identifier and nothing else. A line is taken whole or refused whole, and
    ``counts`` tells which were. With ``ascii_only``, an identifier with other letters is none: in which encoding it was
    written is not known, and it would have another hash.

    Raises:
        KeyError: a column of ``columns`` is not in the header.
        NotCsvError: quotation marks in a file with a header do not pair.
    """
    for number, pieces, others, unclear in _records(iter(lines), columns):
        given = [piece for piece in pieces if piece.strip()]
        plain = [normalised(piece) for piece in given]
        if ascii_only:
            plain = [
                one if one and one.isascii() and one in piece.lower() else None
                for piece, one in zip(given, plain, strict=True)
            ]
        found = [one for one in plain if one]
        # Words beside an identifier are a name; what looks like one must be one, and stand where identifiers do.
        if (
            unclear
            or any(map(_CONTROL.search, (*pieces, *others)))
            or any(one is None and _holds_one(piece) for piece, one in zip(given, plain, strict=True))
            or (not found and (given or any("@" in cell or normalised(cell) for cell in others)))
        ):
            counts.refused += 1
            if len(counts.refused_lines) < _SHOWN:
                counts.refused_lines.append(number)
        elif found:
            counts.cleaned += sum(
                bool(one) and one != piece.strip().lower() for piece, one in zip(given, plain, strict=True)
            )
            counts.sample.extend(found[: max(0, _SAMPLED - len(counts.sample))])
            yield from map(_hash, found)
        elif any(cell.strip() for cell in others):
            counts.empty += 1


def _holds_one(text: str) -> bool:
    """Whether a text of one or several words holds an identifier, or what may be a broken address."""
    words = text.split()
    return (len(words) == 1 and "@" in text) or any("@" in word[1:-1] or normalised(word) for word in words)


def _records(lines: Iterator[str], columns: Sequence[str] | None) -> Iterator[tuple[int, list[str], list[str], bool]]:
    """Each line, or each record below a header: its number, what should be identifiers, and its other cells.

    Last whether it is not clear whose they are: the record is wider than the header, or narrower with an identifier in
    other cells, or one stands in a cell of several lines, where a quotation mark may have taken it from another record,
    or a device's in a column of addresses.
    """
    first, begun = next(lines, ""), 1
    stated = stated_separator(first)
    if stated:
        first, begun = next(lines, ""), 2
    separators = [stated] if stated else _SEPARATORS
    for separator in separators:
        header = _header(first, separator)
        if _missing(header, columns) == 0 if columns is not None else _is_header(header):
            chosen = _chosen(header, columns)
            for number, record in _below_header(lines, separator, begun):
                pieces = [piece for at in chosen if at < len(record) for piece in _BETWEEN.split(record[at])]
                others = [cell for at, cell in enumerate(record) if at not in chosen]
                yield number, pieces, others, _is_unclear(header, record, others)
            return
    if columns is not None:
        # None is without a column that is missing: the header in which most of them are says which.
        _chosen(min((_header(first, one) for one in separators), key=lambda header: _missing(header, columns)), columns)
    for number, line in enumerate(chain([first], lines), start=begun):
        pieces = _BETWEEN.split(line.strip("\r\n "))
        yield number, pieces, [], len(pieces) > 1


def _is_unclear(header: Sequence[str], record: Sequence[str], others: Sequence[str]) -> bool:
    unnamed = record[max((at for at, cell in enumerate(header, start=1) if cell), default=0) :]
    astray = [*(cell for cell in record if len(cell.splitlines()) > 1), *(others if len(record) < len(header) else ())]
    addresses = [cell for name, cell in zip(header, record, strict=False) if "mail" in name.lower()]
    return (
        any(cell.strip() for cell in (record if len(record) > len(header) else unnamed))
        or any(normalised(piece) for cell in astray for piece in _BETWEEN.split(cell))
        or any(_DEVICE.fullmatch(piece.strip().lower()) for cell in addresses for piece in _BETWEEN.split(cell))
    )


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


def _header(line: str, separator: str) -> list[str]:
    """The cells of a first line, without what stands around them."""
    try:
        return [_trimmed(cell) for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]
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
    return any(map(_named, record)) and not any(map(normalised, record))


def _missing(header: Sequence[str], columns: Sequence[str]) -> int:
    return len({name.lower() for name in columns}.difference(map(str.lower, header)))


def _trimmed(cell: str) -> str:
    return cell.strip().strip("\ufeff").strip()


def _named(cell: str) -> bool:
    return _HEADER.fullmatch(_trimmed(cell)) is not None


def _chosen(header: Sequence[str], columns: Sequence[str] | None) -> list[int]:
    if columns is None:
        return [at for at, name in enumerate(header) if _named(name)]
    wanted = {column.lower() for column in columns}
    for missing in wanted.difference(map(str.lower, header)):
        raise KeyError(missing)
    return [at for at, name in enumerate(header) if name.lower() in wanted]

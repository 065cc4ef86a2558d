"""What a file is, told by its content: names lie. Pure, on the first bytes of a file."""

from __future__ import annotations

import codecs
import enum
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import BinaryIO

from spotify_ads_async.spreadsheets.cells import SpreadsheetError

__all__ = [
    "HEAD",
    "Format",
    "format_of",
    "guessed_encoding",
    "is_workbook",
    "known_encoding",
    "marked_encoding",
    "separator_of",
    "stated_separator",
]

HEAD = 64 * 1024
"""How many bytes of a file tell what it is."""


class Format(enum.StrEnum):
    """The kinds of files that hold tables."""

    DELIMITED = "text with separators"
    JSON_LINES = "JSON Lines"
    XLSX = "xlsx"
    XLS = "xls"
    ODS = "ods"


_SEPARATORS = (";", "\t", ",", "|")
"""In the order in which they are taken where nothing else tells.

Decimal commas stand in files of semicolons, never the other way.
"""
_STATED = re.compile(r"\"?sep=(?P<separator>.)\"?[\r\n]*", re.IGNORECASE)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MARKS: Sequence[tuple[bytes, str]] = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_CANNOT: Mapping[bytes, str] = {
    b"%PDF": "is a PDF: save the table itself as .xlsx or CSV",
    b"\x1f\x8b": "is compressed (gzip): unpack it first",
    b"BZh": "is compressed (bzip2): unpack it first",
    b"\xfd7zXZ": "is compressed (xz): unpack it first",
    b"\x28\xb5\x2f\xfd": "is compressed (zstd): unpack it first",
    b"Rar!": "is an archive (RAR): unpack it first",
    b"7z\xbc\xaf": "is an archive (7z): unpack it first",
    b"PAR1": "is a Parquet file: save the table as .xlsx or CSV",
    b"SQLite format 3": "is a database: if it is a plan, spotify-ads bulk apply carries it out",
    b"\x89PNG": "is a picture: save the table itself as .xlsx or CSV",
    b"\xff\xd8\xff": "is a picture: save the table itself as .xlsx or CSV",
    b"GIF8": "is a picture: save the table itself as .xlsx or CSV",
    b"{\\rtf": "is a document (RTF): save the table as .xlsx or CSV",
}


def format_of(head: bytes, members: Iterable[str] | None = None) -> Format:
    """What a file is.

    Args:
        head: its first bytes, :data:`HEAD` of them or all.
        members: the names inside, where it is a ZIP archive that can be opened.

    Raises:
        SpreadsheetError: it holds no table that can be read; the message says what it is.
    """
    if head.startswith(b"PK\x03\x04"):
        return _archive(set(members or ()), head)
    if head.startswith(_OLE):
        return Format.XLS
    for beginning, reason in _CANNOT.items():
        if head.startswith(beginning):
            raise SpreadsheetError(reason)
    encoding = marked_encoding(head)
    text = head.decode(encoding, "replace") if encoding else head.decode("latin-1")
    _require_table(text.lstrip("\ufeff \t\r\n").lower())
    return Format.JSON_LINES if text.lstrip("\ufeff \t\r\n").startswith("{") else Format.DELIMITED


def is_workbook(content: BinaryIO) -> bool:
    """Whether a file begins as workbooks do."""
    content.seek(0)
    return content.read(8).startswith((b"PK\x03\x04", _OLE))


def _archive(members: set[str], head: bytes) -> Format:
    lowered = {name.lower() for name in members}
    if b"application/vnd.oasis.opendocument.spreadsheet" in head[:200] or (
        "content.xml" in lowered and "mimetype" in lowered
    ):
        return Format.ODS
    if "xl/workbook.xml" in lowered:
        return Format.XLSX
    if "xl/workbook.bin" in lowered:
        raise SpreadsheetError("is a binary workbook (.xlsb): save it as .xlsx")
    if "index/document.iwa" in lowered or any(name.endswith(".iwa") for name in lowered):
        raise SpreadsheetError("is a Numbers document: export it as Excel (.xlsx) or CSV")
    if "word/document.xml" in lowered:
        raise SpreadsheetError("is a Word document: save the table as .xlsx or CSV")
    raise SpreadsheetError("is a ZIP archive: unpack it, and name the file that is inside")


def _require_table(text: str) -> None:
    if text.startswith(("<!doctype html", "<html", "<table", "<meta", "<head")):
        raise SpreadsheetError(
            "is a web page, whatever its name says: open it in a spreadsheet and save it as .xlsx or CSV"
        )
    if text.startswith(("<?xml", "<workbook")):
        raise SpreadsheetError("is XML, whatever its name says: open it in a spreadsheet and save it as .xlsx or CSV")
    if text.startswith("[") and re.match(r"\[\s*(\{|\])", text):
        raise SpreadsheetError("is one JSON list: write one JSON object a line (JSON Lines), as in `jq -c '.[]'`")
    if text.startswith("{") and re.match(r'\{\s*"(url|doc_id)"\s*:\s*"https?://docs\.google\.com', text):
        raise SpreadsheetError("is a shortcut to a Google sheet: download the sheet as .xlsx or CSV")
    if text.startswith("id;p"):
        raise SpreadsheetError("is a SYLK file: save it as .xlsx or CSV")


def marked_encoding(head: bytes) -> str:
    """The encoding that a mark at the beginning names, or that the pattern of NUL bytes of UTF-16 shows; or nothing."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    sample = head[: len(head) // 2 * 2][:2048]
    if len(sample) >= 4:
        odd, even = sample[1::2].count(0), sample[0::2].count(0)
        half = len(sample) // 2
        if odd > half * 0.4 and even < half * 0.1:
            return "utf-16-le"
        if even > half * 0.4 and odd < half * 0.1:
            return "utf-16-be"
    return ""


def known_encoding(name: str) -> str:
    """An encoding as Python calls it.

    Raises:
        SpreadsheetError: there is none of that name.
    """
    try:
        found = codecs.lookup(name)
    except LookupError:
        raise SpreadsheetError(
            f"there is no encoding {name!r}: usual ones are utf-8, utf-16, windows-1252, windows-1251, shift_jis,"
            " gb18030 and mac-roman",
            option="encoding",
        ) from None
    if not found._is_text_encoding:  # noqa: SLF001 - the registry has no public name for it
        raise SpreadsheetError(f"{name!r} is no encoding of text", option="encoding")
    return "utf-8-sig" if found.name == "utf-8" else found.name


def guessed_encoding(sample: bytes, *, carriage_returns: bool) -> str:
    """The encoding to take for granted where a file is not UTF-8 and says nothing.

    What a western Excel writes, on a Mac or elsewhere.
    """
    if carriage_returns:
        return "mac_roman"
    try:
        sample.decode("cp1252")
    except UnicodeDecodeError:
        raise SpreadsheetError(
            "is neither UTF-8 nor Windows-1252: say what it is with --encoding (such as shift_jis, gb18030 or"
            " windows-1251), or save it as “CSV UTF-8”",
            option="encoding",
        ) from None
    return "cp1252"


def stated_separator(line: str) -> str:
    """The separator that Excel's own first line ``sep=;`` states, or nothing."""
    found = _STATED.fullmatch(line)
    return found["separator"] if found else ""


def separator_of(lines: Sequence[str]) -> str:
    """The separator of a file, from its first lines.

    It stands in the first line, outside of quotation marks, and in most of the others; of several such, it is the one
    that most lines have as often, and then the one that makes most cells of the first line.
    """
    filled = [line for line in lines if line.strip()]
    if not filled:
        return ","

    def score(separator: str) -> tuple[bool, int, int, int]:
        counts = [_outside_quotes(line, separator) for line in filled]
        return counts[0] > 0, sum(one > 0 for one in counts), counts.count(counts[0]), counts[0]

    best = max(_SEPARATORS, key=score)
    return best if score(best)[0] else ","


def _outside_quotes(line: str, separator: str) -> int:
    return sum(part.count(separator) for part in line.split('"')[::2])

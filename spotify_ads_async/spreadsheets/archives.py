"""ZIP archives of XML, opened with care: nothing in them is believed, and nothing is unpacked without bound."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from typing import BinaryIO
from xml.etree import ElementTree as ET
from xml.parsers import expat

from spotify_ads_async.spreadsheets.cells import SpreadsheetError

__all__ = ["document", "members", "open_archive", "parse"]

LARGEST_UNPACKED = 1024 * 1024 * 1024
"""Bytes of everything in an archive, unpacked."""
_LARGEST_DOCUMENT = 64 * 1024 * 1024
_MOST_MEMBERS = 10_000
_CHUNK = 256 * 1024
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    expat.ExpatError,
    ET.ParseError,
    ValueError,
    OSError,
)


def open_archive(content: BinaryIO) -> zipfile.ZipFile:
    """Open an archive.

    Raises:
        SpreadsheetError: it is damaged, or would unpack to too much.
    """
    try:
        archive = zipfile.ZipFile(content)
    except _DAMAGED as problem:
        raise _damaged(problem) from None
    infos = archive.infolist()
    if len(infos) > _MOST_MEMBERS or sum(one.file_size for one in infos) > LARGEST_UNPACKED:
        raise SpreadsheetError(
            f"unpacks to more than {LARGEST_UNPACKED // 1024**2:,} MB: copy the table into a new workbook, or save it"
            " as CSV"
        )
    if any(one.flag_bits & 1 for one in infos):
        raise SpreadsheetError("is protected by a password: save it without one")
    return archive


def members(archive: zipfile.ZipFile) -> dict[str, str]:
    """The names in an archive, by their lower case.

    Raises:
        SpreadsheetError: a name is there twice, so that programs would not agree which one counts.
    """
    found: dict[str, str] = {}
    for name in archive.namelist():
        if found.setdefault(name.lower().replace("\\", "/").lstrip("/"), name) is not name:
            raise SpreadsheetError(f"is damaged: it holds {name} twice")
    return found


def document(archive: zipfile.ZipFile, name: str) -> ET.Element:
    """A small XML document of an archive, whole.

    Raises:
        SpreadsheetError: it is damaged or too large.
    """
    if archive.getinfo(name).file_size > _LARGEST_DOCUMENT:
        raise SpreadsheetError(f"is damaged: {name} is too large")
    parser = ET.XMLParser(target=_Builder())  # noqa: S314 - what is dangerous in XML needs a document type, which is refused
    try:
        with archive.open(name) as source:
            parser.feed(source.read(_LARGEST_DOCUMENT))
        return parser.close()
    except SpreadsheetError:
        raise
    except _DAMAGED as problem:
        raise _damaged(problem) from None


class _Builder(ET.TreeBuilder):
    def doctype(self, *_: object) -> None:
        """Refuse what no workbook needs and attacks do."""
        raise _doctype()


def parse(archive: zipfile.ZipFile, name: str, attach: Callable[[expat.XMLParserType], None]) -> None:
    """Let the XML of a member pass by a parser's handlers.

    Raises:
        SpreadsheetError: it is damaged, or declares a document type, which no workbook needs and attacks do.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def refuse(*_: object) -> None:
        raise _doctype()

    attach(parser)
    parser.StartDoctypeDeclHandler = refuse
    try:
        with archive.open(name) as source:
            while chunk := source.read(_CHUNK):
                parser.Parse(chunk, False)  # noqa: FBT003 - its own signature
        parser.Parse(b"", True)  # noqa: FBT003 - its own signature
    except SpreadsheetError:
        raise
    except _DAMAGED as problem:
        raise _damaged(problem) from None


def _doctype() -> SpreadsheetError:
    return SpreadsheetError("is damaged: its XML declares a document type")


def _damaged(problem: BaseException) -> SpreadsheetError:
    return SpreadsheetError(f"is damaged: {problem}; open it in a spreadsheet and save it anew")

"""CSV files of reports, read strictly as their bytes come, and joined to one. Pure.

A file that is something else says so in the error; a row that nobody can vouch for is never handed on.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta

from spotify_ads_async import operations
from spotify_ads_async.errors import InvalidAnswer

__all__ = ["CsvFiles", "Records"]

_LONGEST_HEADER = 64 * 1024
_LONGEST_ROW = 1024 * 1024
"""Bytes and characters. A quotation mark that nothing closes makes one row of all that follows."""
_SHOWN = 80

_KINDS: Sequence[tuple[bytes, str]] = (
    (b"\x1f\x8b", "compressed with gzip"),
    (b"PK\x03\x04", "a ZIP archive or a workbook"),
    (b"%PDF", "a PDF"),
    (codecs.BOM_UTF32_LE, "text in UTF-32"),
    (codecs.BOM_UTF32_BE, "text in UTF-32"),
    (codecs.BOM_UTF16_LE, "text in UTF-16"),
    (codecs.BOM_UTF16_BE, "text in UTF-16"),
)
_VALUE = r'(?:"(?:[^"]|"")*+"|[^",\r\n]*+)'
_RECORD = re.compile(rf"{_VALUE}(?:,{_VALUE})*+\r?\n?")
"""Python's parser takes a quotation mark amid a plain value for a part of it, in strict mode too."""
_TEXT = re.compile(r"(?!\W*infinity\W*$)[\W\d_]*+(?:[^\W\d_][\W\d_]*+){5}", re.IGNORECASE)
"""More letters than in 1.5E+3, N/A, null or USD 3; and not Infinity, as Java writes what was divided by nought."""
_DATE = re.compile(r"(?:report)?(?:start|end)?(?:date|day)(?:utc)?")
"""Names of columns that tell of which day a row is; how the API calls them is not published."""
_DAY = timedelta(days=1)
_PAGE = re.compile(rb"<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)


class CsvFiles:
    """The files of a report, one after the other: the header of the first, and the rows of all.

    Args:
        columns: what was asked for; each must be in the header, however it is spelt there. Empty for any header.
        figures: those of them in which no text stands: a server that fails amid a report may write there that it does.
        spans: the first and last day of each file in turn, where its rows are by day.
    """

    def __init__(
        self,
        columns: Sequence[str] = (),
        figures: Sequence[str] = (),
        spans: Iterable[tuple[datetime, datetime]] = (),
    ) -> None:
        self._columns = columns
        self._figures = figures
        self._places: list[int] = []
        self.header: list[str] | None = None
        """The columns, once the first file's are known."""
        self._earlier: set[bytes] = set()
        self._spans = iter(spans)
        self._dates: list[int] = []
        self._days: set[tuple[int, date]] = set()
        self._begin()

    def _begin(self) -> None:
        self._head: bytes | None = b""
        self._ended = True
        self._digest: hashlib.blake2b | None = None
        self._records = Records(first_line=2)
        self._span = next(self._spans, None)
        self._earlier_days = frozenset(self._days)

    def feed(self, piece: bytes) -> tuple[bytes, list[list[str]]]:
        """What of the joined file is known with ``piece``: its bytes, and the rows that end in them.

        Raises:
            InvalidAnswer: what came is no such file.
        """
        kept = b""
        if self._head is not None:
            head, newline, rest = (self._head + piece).partition(b"\n")
            if not newline and len(head) <= _LONGEST_HEADER:
                self._head = head
                return b"", []
            self._head, piece = None, rest
            kept = self._take_header(head + newline)
        if piece:
            self._ended = piece.endswith(b"\n")
            self._digest = self._digest or hashlib.blake2b()
            self._digest.update(piece)
        return kept + piece, self._complete(self._records.feed(piece))

    def end_file(self) -> tuple[bytes, list[list[str]]]:
        """What follows the last piece of a file: the end of its last line, where it has none, and the last row.

        Raises:
            InvalidAnswer: the file is empty, ends amid a row, or came before: days of one are no days of another.
        """
        rest = self._take_header(self._head + b"\n") if self._head is not None else b"" if self._ended else b"\n"
        rows = self._complete(self._records.end())
        if self._digest is not None:
            if (digest := self._digest.digest()) in self._earlier:
                raise _invalid("two of the report's files are the same, so that rows would count twice: order it again")
            self._earlier.add(digest)
        self._begin()
        return rest, rows

    def _complete(self, rows: list[list[str]]) -> list[list[str]]:
        width = len(self.header or ())
        for row in rows:
            if len(row) != width:
                raise _invalid(
                    f"a row of the report has {len(row)} columns, and its header {width}: {_cut(','.join(row))}"
                )
            if row == self.header:
                raise _invalid("the report's header comes again amid its rows: files may be joined that are not one")
            for place in self._places:
                if _TEXT.match(row[place]):
                    raise _invalid(
                        f"the report has text where a figure belongs: {_cut(','.join(row))}; any_header=True takes it"
                        " as it is"
                    )
            for place in self._dates:
                self._take_day(place, row)
        return rows

    def _take_day(self, place: int, row: list[str]) -> None:
        """Hold a row to the days that were ordered, and to those of the earlier files, whose rows would count twice."""
        try:
            day = date.fromisoformat(row[place][:10])
        except ValueError:
            # A day may be absent, or written for people; a sum of all rows and an error are neither.
            if _TEXT.match(row[place]) and not re.search(r"\d", row[place]):
                raise _invalid(
                    f"the report has text where a day belongs: {_cut(','.join(row))}; any_header=True takes it as it is"
                ) from None
            return
        # Accounts keep the days of their own time zone, and the end of a day may be told as the next one.
        if self._span is not None and not self._span[0].date() - day <= _DAY >= day - self._span[1].date() - _DAY:
            what = "was not ordered"
        elif (place, day) in self._earlier_days:
            what = "an earlier file of it has too, so that it would count twice"
        else:
            self._days.add((place, day))
            return
        raise _invalid(
            f"the report has rows of a day that {what}: {_cut(','.join(row))}; any_header=True takes it as it is"
        )

    def _take_header(self, line: bytes) -> bytes:
        """Hold a file's first line to what was asked, and to the first file's.

        The bytes that the joined file keeps of it.
        """
        kind = _kind(line)
        if kind is not None:
            raise _invalid(f"what came instead of the report is {kind}; it begins with {_cut(line)}")
        if len(line) > _LONGEST_HEADER:
            raise _invalid(
                f"what came instead of the report has no line end in its first {_LONGEST_HEADER} bytes: {_cut(line)}"
            )
        (header,) = _header_of(line)
        if self.header is not None:
            if header != self.header:
                raise _invalid(
                    "the report's files differ in their columns, so they cannot be joined: order at most 365 days at a"
                    " time"
                )
            return b""
        # "Spend (USD)" is SPEND too.
        found = {_letters(text): at for at, name in enumerate(header) for text in (name, name.partition("(")[0])}
        missing = [name for name in self._columns if _letters(name) not in found]
        if missing:
            raise _invalid(
                f"what came has another header than the report that was ordered: it lacks {', '.join(missing)} and is"
                f" {_cut(line)}; any_header=True takes it as it is"
            )
        repeated = sorted({name for name in header if header.count(name) > 1})
        if repeated:
            raise _invalid(f"the report's header names {', '.join(repeated)} more than once: {_cut(line)}")
        self.header = header
        self._places = [found[_letters(name)] for name in self._figures]
        if self._columns and self._span is not None:
            own = {found[_letters(name)] for name in self._columns}
            self._dates = [at for at, name in enumerate(header) if _DATE.fullmatch(_letters(name)) and at not in own]
        return line


def _header_of(line: bytes) -> list[list[str]]:
    """The one record of a first line."""
    records = Records()
    return [*records.feed(line), *records.end()] or [[]]


class Records:
    """CSV records from bytes that come in pieces of any size, parsed by Python's own parser in strict mode.

    Args:
        first_line: the number of the first line, for errors.
    """

    def __init__(self, first_line: int = 1) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("strict")
        self._text = ""
        self._line = first_line

    def feed(self, piece: bytes) -> list[list[str]]:
        """The records that are complete with ``piece``.

        Raises:
            InvalidAnswer: they are no CSV in UTF-8.
        """
        self._text += self._decode(piece, final=False)
        whole = self._text.rfind("\n") + 1
        records, begun = self._parsed(self._text[:whole], last=False) if whole else ([], 0)
        self._text = self._text[begun:]
        if len(self._text) > _LONGEST_ROW:
            raise self._wrong("it has no end: a quotation mark is not closed, or it is no row of a report")
        return records

    def end(self) -> list[list[str]]:
        """The last record, where no line end follows it.

        Raises:
            InvalidAnswer: the file ends amid it.
        """
        self._text += self._decode(b"", final=True)
        records, _ = self._parsed(self._text, last=True)
        self._text = ""
        return records

    def _decode(self, piece: bytes, *, final: bool) -> str:
        try:
            text = self._decoder.decode(piece, final)
        except UnicodeDecodeError as problem:
            byte = problem.object[problem.start]
            raise self._wrong(f"it, or one after it, is not in UTF-8 (byte 0x{byte:02x})") from None
        if "\0" in text:
            raise self._wrong("it, or one after it, holds a NUL character")
        return text

    def _parsed(self, text: str, *, last: bool) -> tuple[list[list[str]], int]:
        """The records of some lines, and where one begins that goes on after them."""
        # Only a line feed ends a line: the parser itself refuses a carriage return in the midst of one.
        source = io.StringIO(text, newline="\n")
        ended = False

        def lines() -> Iterator[str]:
            nonlocal ended
            yield from source
            ended = True

        reader = csv.reader(lines(), strict=True)
        records: list[list[str]] = []
        certain, first_line = 0, self._line
        while True:
            try:
                record = next(reader)
            except StopIteration:
                return records, len(text)
            except csv.Error as problem:
                if ended and not last:
                    return records, certain
                raise self._wrong(str(problem)) from None
            raw = text[certain : source.tell()]
            if '"' in raw and not _RECORD.fullmatch(raw):
                raise self._wrong("a quotation mark stands amid a value that is in none")
            if record:
                records.append(record)
            certain, self._line = certain + len(raw), first_line + reader.line_num

    def _wrong(self, what: str) -> InvalidAnswer:
        return _invalid(f"the report cannot be read: the row that begins at line {self._line} is no CSV ({what})")


def _kind(head: bytes) -> str | None:
    """What a file that is no CSV seems to be, from its first bytes."""
    for beginning, kind in _KINDS:
        if head.startswith(beginning):
            return kind
    plain = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if not plain:
        return "an empty file" if head in {b"", b"\n"} else "a file that begins with an empty line"
    if b"\0" in head:
        return "text in UTF-16, or no text"
    if plain.startswith(b"<"):
        return "a web page" if _PAGE.match(plain) else "XML"
    return "JSON" if plain[:1] in b"{[" else None


def _letters(name: str) -> str:
    """A column's name without casing and separators: headers may be written for people."""
    return re.sub(r"[\W_]", "", name).lower()


def _cut(line: bytes | str) -> str:
    """The beginning of a line, as far as it can be shown."""
    text = line[:_SHOWN].decode("utf-8", "replace") if isinstance(line, bytes) else line[:_SHOWN]
    shown = "".join(one if one.isprintable() else "·" for one in text.rstrip("\r\n"))
    return repr(f"{shown}…" if len(line) > _SHOWN else shown)


def _invalid(what: str) -> InvalidAnswer:
    return InvalidAnswer(what, operation=operations.GET_ASYNC_REPORT.id)

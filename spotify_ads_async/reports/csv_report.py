"""Reports as CSV files: ordered, awaited, and fetched from storage, piece by piece and whatever the connection does."""

from __future__ import annotations

import codecs
import csv
import os
import random
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import msgspec

from spotify_ads_async import operations
from spotify_ads_async.core.session import Session
from spotify_ads_async.core.signed_urls import Storage
from spotify_ads_async.errors import ConnectionFailed, InvalidAnswer, SpotifyAdsError
from spotify_ads_async.models.reports import AsyncReport, AsyncReportCreate, AsyncReportStatus
from spotify_ads_async.reports.planning import CSV_DAYS, windows
from spotify_ads_async.types import Secret

__all__ = ["CsvReport", "Join", "Records", "ReportFailed"]

_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.25, 30.0, 1.6
_DAY = timedelta(days=1)


class ReportFailed(SpotifyAdsError):
    """An ordered report did not become ready.

    Attributes:
        report_id: the order.
        report_status: FAILED or EXPIRED.
    """

    def __init__(self, message: str, *, report_id: str, report_status: AsyncReportStatus) -> None:
        super().__init__(message, operation=operations.GET_ASYNC_REPORT.id)
        self.report_id = report_id
        self.report_status = report_status


class CsvReport:
    """A report that becomes a CSV file: :meth:`save` it, or iterate it for its rows. Each use orders it anew.

    A row is a dict from column to text, as the file has it: a value that is absent is the empty text.
    """

    def __init__(self, session: Session, ad_account_id: str, body: AsyncReportCreate, *, timeout: float) -> None:
        self._session = session
        self._path = {"ad_account_id": ad_account_id}
        self._timeout = timeout
        self.orders: list[AsyncReportCreate] = _orders(body)
        """What will be ordered: one report, or one per 365 days."""

    async def save(self, file: str | os.PathLike[str]) -> Path:
        """Write the whole report to ``file``, which appears, or is replaced, once it is complete.

        Raises:
            ReportFailed: the server could not make the report.
            ConnectionFailed: it was not ready in time, or the download broke for good.
            InvalidAnswer: the file changed while it was read, or the files of several orders differ in their columns.
            SpotifyAdsError: what a call raised.
        """
        target = Path(file)
        # Whoever saves to the same place meanwhile has a file of their own.
        partial = anyio.Path(target.with_name(f".{target.name}.{secrets.token_hex(4)}.part"))
        try:
            async with await partial.open("wb") as out, aclosing(self._joined()) as pieces:
                async for piece in pieces:
                    await out.write(piece)
            await partial.replace(target)
        finally:
            with anyio.CancelScope(shield=True):
                await partial.unlink(missing_ok=True)
        return target

    def __aiter__(self) -> AsyncIterator[dict[str, str]]:
        return self._rows()

    async def _rows(self) -> AsyncGenerator[dict[str, str]]:
        header: list[str] | None = None
        records = Records()
        async with aclosing(self._joined()) as pieces:
            async for piece in pieces:
                for record in records.feed(piece):
                    if header is None:
                        header = record
                    else:
                        yield _row(header, record)
        for record in records.end():
            if header is not None:
                yield _row(header, record)

    async def collect(self) -> list[dict[str, str]]:
        """Every row, in a list."""
        return [row async for row in self]

    async def _joined(self) -> AsyncGenerator[bytes]:
        """The files one after the other; the header of the first one only."""
        join = Join()
        async with Storage(self._session.transport_options, self._session.policy) as storage, aclosing(self._reports()) as ready:
            async for report_id, url in ready:
                async with aclosing(storage.download(_Address(self, report_id, url))) as pieces:
                    async for piece in pieces:
                        if content := join.feed(piece):
                            yield content
                if rest := join.end_file():
                    yield rest

    async def _reports(self) -> AsyncGenerator[tuple[str, Secret]]:
        """The orders' files in order. All are ordered first, so that the server makes them side by side."""
        ordered: list[str] = []
        for body in self.orders:
            created = await self._session.call(operations.CREATE_ASYNC_REPORT, path=self._path, body=body)
            if not created.id:
                raise InvalidAnswer("the order's answer names no report", operation=operations.CREATE_ASYNC_REPORT.id)
            ordered.append(created.id)
        for report_id in ordered:
            yield report_id, await self.ready(report_id)

    async def ready(self, report_id: str) -> Secret:
        """The signed URL of an ordered report, once it is ready; pauses grow from a quarter to 30 seconds.

        Raises:
            ReportFailed: the server could not make it, or has thrown it away.
            ConnectionFailed: it was not ready in time.
        """
        ends_at = time.monotonic() + self._timeout
        pause = _FIRST_PAUSE
        while True:
            report = await self._session.call(operations.GET_ASYNC_REPORT, path={**self._path, "report_id": report_id})
            if report.status == AsyncReportStatus.READY and report.report_url is not None:
                return report.report_url
            self._require_hope(report, report_id)
            # Many reports at once should not ask in step.
            delay = pause * (0.75 + random.random() / 2)  # noqa: S311 - no secret
            if time.monotonic() + delay > ends_at:
                raise ConnectionFailed(
                    f"report {report_id} is {report.status} after {self._timeout:g} s: wait longer (timeout=…)",
                    operation=operations.GET_ASYNC_REPORT.id,
                )
            await anyio.sleep(delay)
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)

    def _require_hope(self, report: AsyncReport, report_id: str) -> None:
        for status, why in ((AsyncReportStatus.FAILED, "could not be made"), (AsyncReportStatus.EXPIRED, "was thrown away")):
            if report.status == status:
                raise ReportFailed(f"report {report_id} {why}: order it again", report_id=report_id, report_status=status)


class _Address:
    """The URL in hand at first, and a fresh one when asked again."""

    def __init__(self, report: CsvReport, report_id: str, url: Secret) -> None:
        self._report = report
        self._report_id = report_id
        self._url: Secret | None = url

    async def __call__(self) -> Secret:
        url, self._url = self._url, None
        return url or await self._report.ready(self._report_id)


def _orders(body: AsyncReportCreate) -> list[AsyncReportCreate]:
    """The report by parts of 365 days, where rows by day allow it."""
    start, end = body.report_start, body.report_end
    if body.granularity != "DAY" or not isinstance(start, datetime) or not isinstance(end, datetime) or end < start:
        return [body]
    spans = windows(start, end, _DAY, 1, longest=CSV_DAYS, page=1)
    return [msgspec.structs.replace(body, report_start=first, report_end=last) for first, last in spans]


def _row(header: list[str], record: list[str]) -> dict[str, str]:
    if len(record) != len(header):
        raise InvalidAnswer(f"a row of the report has {len(record)} columns, and its header {len(header)}")
    return dict(zip(header, record, strict=True))


class Join:
    """CSV files that come in pieces of any size, joined to one: the header of the first, and the rows of all. Pure.

    Rows of other columns under the first file's header would be wrong without anybody noticing, so they are refused.
    """

    def __init__(self) -> None:
        self._columns: bytes | None = None
        self._begin()

    def _begin(self) -> None:
        self._head: bytes | None = b""
        self._ended = True

    def feed(self, piece: bytes) -> bytes:
        """What of the joined file is known with ``piece``.

        Raises:
            InvalidAnswer: the file's columns are not the first file's.
        """
        if self._head is not None:
            head, newline, rest = (self._head + piece).partition(b"\n")
            if not newline:
                self._head = head
                return b""
            self._head, piece = None, self._header(head + newline) + rest
        self._ended = piece.endswith(b"\n") if piece else self._ended
        return piece

    def end_file(self) -> bytes:
        """What follows the last piece of a file: the end of its last line, where it has none."""
        rest = self._header(self._head + b"\n") if self._head else b"" if self._ended else b"\n"
        self._begin()
        return rest

    def _header(self, line: bytes) -> bytes:
        columns = line.removeprefix(codecs.BOM_UTF8).rstrip()
        if self._columns is None:
            self._columns = columns
            return line
        if columns != self._columns:
            raise InvalidAnswer(
                "the report's files differ in their columns, so they cannot be joined: order at most 365 days at a time",
                operation=operations.GET_ASYNC_REPORT.id,
            )
        return b""


class Records:
    """CSV records from bytes that come in pieces of any size. Pure.

    A record ends with a line, unless the line ends within quotes.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._text = ""
        self._open = False
        self._record: list[str] = []

    def feed(self, piece: bytes) -> list[list[str]]:
        """The records that are complete with ``piece``."""
        self._text += self._decoder.decode(piece)
        *lines, self._text = self._text.split("\n")
        return [record for line in lines if (record := self._line(line)) is not None]

    def end(self) -> list[list[str]]:
        """The last record, where no line end follows it."""
        line, self._text = self._text + self._decoder.decode(b"", final=True), ""
        record = self._line(line) if line or self._record else None
        return [] if record is None else [record]

    def _line(self, line: str) -> list[str] | None:
        self._record.append(line)
        self._open ^= line.count('"') % 2 == 1
        if self._open:
            return None
        text = "\n".join(self._record)
        self._record.clear()
        return next(csv.reader([text.removesuffix("\r")]), None) if text.strip() else None

"""Reports as CSV files: ordered, awaited, and fetched from storage, piece by piece and whatever the connection does."""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import msgspec

from spotify_ads_async import operations
from spotify_ads_async.core.files import whole_file_off_loop
from spotify_ads_async.core.session import Session
from spotify_ads_async.core.signed_urls import Storage
from spotify_ads_async.errors import ConnectionFailed, InvalidAnswer, SpotifyAdsError
from spotify_ads_async.models.reports import AsyncReport, AsyncReportCreate, AsyncReportStatus
from spotify_ads_async.reports.csv_files import CsvFiles
from spotify_ads_async.reports.planning import CSV_DAYS, windows
from spotify_ads_async.types import Secret

__all__ = ["CsvReport", "ReportFailed"]

logger = logging.getLogger("spotify_ads_async")

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

    A row is a dict from column to text, as the file has it: a value that is absent is the empty text, and one that the
    API hides is -5. No dimension is an ID, and names need not be unique, so rows that look alike may be those of two
    entities: each is handed on.
    """

    def __init__(
        self, session: Session, ad_account_id: str, body: AsyncReportCreate, *, timeout: float, any_header: bool = False
    ) -> None:
        self._session = session
        self._path = {"ad_account_id": ad_account_id}
        self._timeout = timeout
        self._figures = [] if any_header else [str(metric) for metric in body.metrics]
        self._columns = [] if any_header else [*map(str, body.dimensions), *self._figures]
        self.orders: list[AsyncReportCreate] = _orders(body)
        """What will be ordered: one report, or one per 365 days."""

    async def save(self, file: str | os.PathLike[str]) -> Path:
        """Write the whole report to ``file``, which appears, or is replaced, once it is complete.

        Raises:
            ReportFailed: the server could not make the report.
            ConnectionFailed: it was not ready in time, or the download broke for good.
            InvalidAnswer: what came is no CSV file in UTF-8, has another header than was ordered, changed while it was
                read, or the files of several orders differ in their columns. Nothing is saved under the name.
            SpotifyAdsError: what a call raised.
        """
        target = Path(file)
        async with (
            whole_file_off_loop(target) as place,
            await anyio.open_file(place, "wb") as out,
            aclosing(self._joined(self._files())) as pieces,
        ):
            async for content, _ in pieces:
                await out.write(content)
        return target

    def _files(self) -> CsvFiles:
        """What reads the files of all orders."""
        spans = [
            (one.report_start, one.report_end)
            for one in self.orders
            if one.granularity == "DAY"
            and isinstance(one.report_start, datetime)
            and isinstance(one.report_end, datetime)
        ]
        return CsvFiles(self._columns, self._figures, spans)

    def __aiter__(self) -> AsyncIterator[dict[str, str]]:
        return self._rows()

    async def _rows(self) -> AsyncGenerator[dict[str, str]]:
        files = self._files()
        async with aclosing(self._joined(files)) as pieces:
            async for _, rows in pieces:
                for row in rows:
                    yield dict(zip(files.header or (), row, strict=True))

    async def collect(self) -> list[dict[str, str]]:
        """Every row, in a list."""
        return [row async for row in self]

    async def _joined(self, files: CsvFiles) -> AsyncGenerator[tuple[bytes, list[list[str]]]]:
        """The files one after the other, with the header of the first one only.

        Their bytes, and the rows that end in them.
        """
        async with (
            Storage(self._session.transport_options, self._session.policy) as storage,
            aclosing(self._reports()) as ready,
        ):
            async for report_id, url in ready:
                async with aclosing(storage.download(_Address(self, report_id, url))) as pieces:
                    async for piece in pieces:
                        yield files.feed(piece)
                rest, rows = files.end_file()
                if rest:
                    logger.warning(
                        "the last line of report %s has no end: whether it was cut cannot be told", report_id
                    )
                yield rest, rows

    async def _reports(self) -> AsyncGenerator[tuple[str, Secret]]:
        """The orders' files in order. All are ordered first, so that the server makes them side by side."""
        ordered: list[str] = []
        for body in self.orders:
            created = await self._session.call(operations.CREATE_ASYNC_REPORT, path=self._path, body=body)
            if not created.id or created.id.lower() in map(str.lower, ordered):
                what = "names the report of another order" if created.id else "names no report"
                raise InvalidAnswer(f"the order's answer {what}", operation=operations.CREATE_ASYNC_REPORT.id)
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
        for status, why in (
            (AsyncReportStatus.FAILED, "could not be made"),
            (AsyncReportStatus.EXPIRED, "was thrown away"),
        ):
            if report.status == status:
                raise ReportFailed(
                    f"report {report_id} {why}: order it again", report_id=report_id, report_status=status
                )


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

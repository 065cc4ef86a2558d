"""CSV reports: ordered, awaited, fetched without the token, and gone on with where the download broke."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calls import ACCOUNT, client
from support.raw_server import Connection, RawServer, answer

from spotify_ads_async import AdAccount, ConnectionFailed, InvalidAnswer, InvalidRequest, RequestRejected
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.models import AsyncReportDimension, AsyncReportGranularity, AsyncReportMetric
from spotify_ads_async.reports import CsvReport, ReportFailed
from spotify_ads_async.reports.csv_files import CsvFiles

DIMENSIONS = [AsyncReportDimension.CAMPAIGN_NAME]
METRICS = [AsyncReportMetric.SPEND, AsyncReportMetric.CLICKS]
CONTENT = b"CAMPAIGN_NAME,SPEND\r\n" + b"".join(b'"Autumn, %d",%d.25\r\n' % (number, number) for number in range(4000))
ONE_DAY = timedelta(days=1)


def listed(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def today() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture
async def server() -> AsyncIterator[Emulator]:
    async with Emulator(ad_sets=40, latency=0.0, limits=None, processing=0.0) as running:
        yield running


@pytest.fixture
async def account(server: Emulator) -> AsyncIterator[AdAccount]:
    async with client(server.base_url) as ads:
        yield ads.ad_account(server.ad_account_id)


async def test_a_report_longer_than_a_year_is_several_orders_and_one_file(
    server: Emulator, account: AdAccount, tmp_path: Path
) -> None:
    start, end = today() - 399 * ONE_DAY, today()
    report = account.reports.csv(dimensions=DIMENSIONS, metrics=METRICS, report_start=start.date(), report_end=end)
    assert [(order.report_start, order.report_end) for order in report.orders] == [
        (start, start + 364 * ONE_DAY),
        (start + 365 * ONE_DAY, end),
    ]
    file = await report.save(tmp_path / "report.csv")
    assert server.statistics().operations["createAsyncReport"] == 2
    rows = list(csv.DictReader((await anyio.Path(file).read_text()).splitlines()))
    campaigns = {row["CAMPAIGN_NAME"] for row in rows}
    assert len(rows) == 400 * len(campaigns)
    assert rows == await report.collect()
    assert listed(tmp_path) == [file]


async def test_a_lifetime_report_is_one_order(account: AdAccount) -> None:
    report = account.reports.csv(dimensions=DIMENSIONS, metrics=METRICS, granularity=AsyncReportGranularity.LIFETIME)
    assert len(report.orders) == 1
    assert {row["CAMPAIGN_NAME"] for row in await report.collect()}


async def test_the_range_of_a_lifetime_report_is_of_days_in_utc(account: AdAccount) -> None:
    elsewhere = timezone(timedelta(hours=1))
    start, end = (today().replace(tzinfo=elsewhere) - days * ONE_DAY for days in (20, 1))
    by = AsyncReportGranularity.LIFETIME  # of which the API cuts the time off: 23:00 would be the day before
    with pytest.raises(InvalidRequest, match="report_start must be a midnight in UTC with granularity LIFETIME"):
        await account.reports.csv(
            dimensions=DIMENSIONS, metrics=METRICS, granularity=by, report_start=start, report_end=end
        ).collect()


@pytest.mark.parametrize("name", ["campaign_ids", "statuses"])
async def test_a_filter_without_values_is_not_everything(account: AdAccount, name: str) -> None:
    for none in ([], (), set[str](), filter(None, [""])):  # what a program has left of its IDs
        wish: dict[str, Any] = {"dimensions": DIMENSIONS, "metrics": METRICS, name: none}
        with pytest.raises(InvalidRequest, match=f"{name}=\\[\\] would be no filter"):
            account.reports.csv(report_start=today(), report_end=today(), **wish)


async def test_an_order_is_awaited(server: Emulator, account: AdAccount) -> None:
    server.store.processing_seconds = 1.0
    rows = await account.reports.csv(
        dimensions=DIMENSIONS, metrics=METRICS, report_start=today(), report_end=today()
    ).collect()
    assert rows
    assert server.statistics().operations["getAsyncReport"] <= 6


async def test_an_order_that_takes_too_long_is_given_up(server: Emulator, account: AdAccount) -> None:
    server.store.processing_seconds = 60.0
    report = account.reports.csv(
        dimensions=DIMENSIONS, metrics=METRICS, report_start=today(), report_end=today(), timeout=0.0
    )
    with pytest.raises(ConnectionFailed, match="PROCESSING after 0 s"):
        await report.collect()


OTHER_REPORT = "00000000-0000-4000-8000-000000000001"


class Storage:
    """An API with one report, and the storage that holds its file, breaking as told."""

    def __init__(self, server: RawServer, breaks: list[int], *, ranges: bool = True, tag: str | None = '"a"') -> None:
        self.server = server
        self.breaks = breaks
        self.ranges = ranges
        self.tag = tag
        self.modified: str | None = None
        self.encoding: str | None = None
        self.content = CONTENT
        self.status = "READY"
        self.sent = 0
        self.refusals = 0
        self.ids = [ACCOUNT, OTHER_REPORT]
        server.otherwise = self.behave

    async def behave(self, connection: Connection) -> None:
        request = connection.request
        assert request is not None
        if request.target.startswith("/ads/v3/"):
            assert request.headers["authorization"] == "Bearer a-token"
            created = request.method == "POST"
            body = (
                {"id": self.ids.pop(0)}
                if created
                else {"status": self.status, "report_url": f"{self.server.origin}/file?signature=s%2Fecret"}
            )
            await answer(201 if created else 200, body)(connection)
        elif self.refusals:
            self.refusals -= 1
            await answer(403, b"<Error/>")(connection)
        else:
            await self.file(connection, request.headers)

    async def file(self, connection: Connection, headers: dict[str, str]) -> None:
        start = (
            int(headers["range"].removeprefix("bytes=").removesuffix("-")) if self.ranges and "range" in headers else 0
        )
        size = len(self.content)
        head = f"HTTP/1.1 {206 if start else 200} OK\r\nContent-Length: {size - start}\r\n"
        head += f"Content-Range: bytes {start}-{size - 1}/{size}\r\n" if start else ""
        head += f"ETag: {self.tag}\r\n" if self.tag else ""
        head += f"Content-Encoding: {self.encoding}\r\n" if self.encoding else ""
        head += f"Last-Modified: {self.modified}\r\n" if self.modified else ""
        end = start + self.breaks.pop(0) if self.breaks else size
        self.sent += min(end, size) - start
        await connection.send(head.encode() + b"\r\n" + self.content[start:end])
        if end < size:
            # An orderly end: a reset could throw away what was sent.
            connection.keep = False

    @property
    def fetches(self) -> list[dict[str, str]]:
        return [request.headers for request in self.server.received if request.target.startswith("/file")]


def ordered(base_url: str, tmp: list[object]) -> CsvReport:
    ads = client(base_url)
    tmp.append(ads)
    return ads.ad_account(ACCOUNT).reports.csv(
        dimensions=DIMENSIONS, metrics=METRICS[:1], granularity=AsyncReportGranularity.LIFETIME, timeout=60.0
    )


@pytest.fixture
async def opened() -> AsyncIterator[list[object]]:
    clients: list[object] = []
    yield clients
    for one in clients:
        await one.aclose()  # type: ignore[attr-defined]


async def test_a_download_that_breaks_goes_on_where_it_broke(opened: list[object], tmp_path: Path) -> None:
    async with RawServer() as server:
        storage = Storage(server, [20_000, 1, 0, 30_000])
        file = await ordered(server.base_url, opened).save(tmp_path / "report.csv")
    assert file.read_bytes() == CONTENT
    assert "range" not in storage.fetches[0]
    assert all(headers["if-range"] == '"a"' for headers in storage.fetches[1:] if "range" in headers)
    starts = [int(headers["range"][6:-1]) for headers in storage.fetches if "range" in headers]
    assert starts == [20_000, 20_001, 20_001, 50_001]
    assert storage.sent == len(CONTENT)
    assert not any({"authorization", "x-spotify-ads-sdk"} & headers.keys() for headers in storage.fetches)


async def test_a_file_of_the_same_size_and_another_date_is_not_gone_on_with(opened: list[object]) -> None:
    async with RawServer() as server:
        storage = Storage(server, [20_000], tag=None)
        storage.modified = "Mon, 23 Nov 2026 08:00:00 GMT"
        told = storage.file

        async def changing(connection: Connection, headers: dict[str, str]) -> None:
            if len(storage.fetches) == 2:
                assert "range" not in headers
                storage.modified = "Tue, 24 Nov 2026 08:00:00 GMT"
            await told(connection, headers)

        storage.file = changing  # type: ignore[method-assign]
        with pytest.raises(InvalidAnswer, match="changed"):
            await ordered(server.base_url, opened).collect()


async def test_storage_without_ranges_is_read_again_and_nothing_comes_twice(opened: list[object]) -> None:
    async with RawServer() as server:
        Storage(server, [20_000, 50_000], ranges=False, tag=None)
        rows = await ordered(server.base_url, opened).collect()
    assert rows == list(csv.DictReader(io.StringIO(CONTENT.decode(), newline="")))


async def test_a_file_that_changes_meanwhile_is_no_report(opened: list[object], tmp_path: Path) -> None:
    async with RawServer() as server:
        storage = Storage(server, [], ranges=False)
        told = storage.file

        async def changing(connection: Connection, headers: dict[str, str]) -> None:
            if len(storage.fetches) == 1:
                storage.breaks = [len(CONTENT) - 10]
            else:
                storage.tag = '"b"'
            await told(connection, headers)

        storage.file = changing  # type: ignore[method-assign]
        target = tmp_path / "report.csv"
        await anyio.Path(target).write_text("before")
        with pytest.raises((InvalidAnswer, ConnectionFailed)):
            await ordered(server.base_url, opened).save(target)
    assert target.read_text() == "before"
    assert listed(tmp_path) == [target]


@pytest.mark.parametrize(("ranges", "tag"), [(True, None), (False, None), (True, 'W/"a"')])
async def test_a_file_that_changes_unmarked_is_no_report(
    opened: list[object],
    ranges: bool,  # noqa: FBT001
    tag: str | None,
) -> None:
    async with RawServer() as server:
        storage = Storage(server, [20_000], ranges=ranges, tag=tag)
        told = storage.file

        async def changing(connection: Connection, headers: dict[str, str]) -> None:
            await told(connection, headers)
            storage.content = CONTENT.replace(b"100.25", b"900.25")

        storage.file = changing  # type: ignore[method-assign]
        with pytest.raises(InvalidAnswer, match="the file changed after 20000 bytes"):
            await ordered(server.base_url, opened).collect()


async def test_a_packed_file_that_is_replaced_by_a_shorter_one_is_no_report(opened: list[object]) -> None:
    """How long it is unpacked, no head tells; what is there ends with a line."""
    async with RawServer() as server:
        storage = Storage(server, [20_000], ranges=False, tag=None)
        storage.encoding, storage.content = "gzip", gzip.compress(CONTENT, 0)
        told = storage.file

        async def changing(connection: Connection, headers: dict[str, str]) -> None:
            await told(connection, headers)
            storage.content = gzip.compress(CONTENT[: CONTENT.index(b"\n", 9000) + 1], 0)

        storage.file = changing  # type: ignore[method-assign]
        with pytest.raises(InvalidAnswer, match="the file changed after 1"):
            await ordered(server.base_url, opened).collect()


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("206 Part\r\nContent-Length: 42\r\nContent-Range: bytes 58-99/100", "a part of the file, and not the one"),
        ("206 Part\r\nContent-Length: 42\r\nContent-Range: bytes 0-41/*", "a part of the file, and not the one"),
        ("206 Part\r\nContent-Length: 42", "a part of the file, and not the one"),
        ("200 OK\r\nConnection: close", "does not say where the file ends"),
    ],
)
async def test_a_part_of_a_file_is_no_report(opened: list[object], head: str, said: str) -> None:
    async def part(connection: Connection, _: dict[str, str]) -> None:
        await connection.send(
            f"HTTP/1.1 {head}\r\n\r\n".encode() + b"CAMPAIGN_NAME,SPEND\r\nA,1\r\nB,2\r\nC,3\r\nD,4\r\n\r\n"
        )
        connection.keep = False

    async with RawServer() as server:
        Storage(server, []).file = part  # type: ignore[method-assign]
        with pytest.raises(InvalidAnswer, match=said):
            await ordered(server.base_url, opened).collect()


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (ACCOUNT, "names the report of another order"),
        (OTHER_REPORT, "files are the same, so that rows would count twice"),
    ],
)
async def test_two_orders_are_two_reports(opened: list[object], second: str, said: str) -> None:
    async with RawServer() as server:
        Storage(server, []).ids = [ACCOUNT, second]
        opened.append(ads := client(server.base_url))
        report = ads.ad_account(ACCOUNT).reports.csv(
            dimensions=DIMENSIONS, metrics=METRICS[:1], report_start=today() - 365 * ONE_DAY, report_end=today()
        )
        with pytest.raises(InvalidAnswer, match=said):
            await report.collect()


async def test_an_expired_url_is_asked_for_anew(opened: list[object]) -> None:
    async with RawServer() as server:
        storage = Storage(server, [len(CONTENT) - 100])
        report = ordered(server.base_url, opened)
        rows = []
        async for row in report:
            if not rows:
                storage.refusals = 1
            rows.append(row)
    assert len(rows) == 4000


async def test_a_url_that_is_refused_at_once_is_an_error_without_the_secret(opened: list[object]) -> None:
    async with RawServer() as server:
        storage = Storage(server, [])
        storage.refusals = 99
        with pytest.raises(RequestRejected) as caught:
            await ordered(server.base_url, opened).collect()
    assert caught.value.status == 403
    assert "ecret" not in str(caught.value) + repr(caught.value)


async def test_a_connection_that_never_holds_ends_in_an_error(opened: list[object]) -> None:
    async with RawServer() as server:
        Storage(server, [0] * 1000)
        with pytest.raises(ConnectionFailed, match="try again later") as caught:
            await ordered(server.base_url, opened).collect()
    assert "ecret" not in str(caught.value)


@pytest.mark.parametrize("status", ["FAILED", "EXPIRED"])
async def test_a_report_that_fails_says_so(opened: list[object], status: str) -> None:
    async with RawServer() as server:
        Storage(server, []).status = status
        with pytest.raises(ReportFailed) as caught:
            await ordered(server.base_url, opened).collect()
    assert caught.value.report_status == status
    assert caught.value.report_id == ACCOUNT


async def test_files_of_other_columns_are_not_joined(opened: list[object], tmp_path: Path) -> None:
    async with RawServer() as server:
        storage = Storage(server, [], tag=None)
        told = storage.file

        async def differing(connection: Connection, headers: dict[str, str]) -> None:
            storage.content = (
                b"CAMPAIGN_NAME,SPEND\nA,1\n" if len(storage.fetches) == 1 else b"SPEND,CAMPAIGN_NAME\n2,A\n"
            )
            await told(connection, headers)

        storage.file = differing  # type: ignore[method-assign]
        ads = client(server.base_url)
        opened.append(ads)
        report = ads.ad_account(ACCOUNT).reports.csv(
            dimensions=DIMENSIONS, metrics=METRICS[:1], report_start=today() - 365 * ONE_DAY, report_end=today()
        )
        with pytest.raises(InvalidAnswer, match="differ in their columns"):
            await report.save(tmp_path / "report.csv")
    assert listed(tmp_path) == []


async def test_a_redirect_of_the_storage_is_not_followed(opened: list[object]) -> None:
    async with RawServer() as server, RawServer() as elsewhere:
        storage = Storage(server, [])

        async def redirecting(connection: Connection, headers: dict[str, str]) -> None:
            assert "authorization" not in headers
            await connection.send(
                f"HTTP/1.1 302 X\r\nLocation: {elsewhere.origin}/file\r\nContent-Length: 0\r\n\r\n".encode()
            )

        storage.file = redirecting  # type: ignore[method-assign]
        with pytest.raises(InvalidAnswer, match="redirects"):
            await ordered(server.base_url, opened).collect()
    assert not elsewhere.received


async def test_two_savers_to_one_place_do_not_meet(account: AdAccount, tmp_path: Path) -> None:
    report = account.reports.csv(dimensions=DIMENSIONS, metrics=METRICS, report_start=today(), report_end=today())
    target = tmp_path / "report.csv"
    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(report.save, target)
    assert listed(tmp_path) == [target]
    assert list(csv.DictReader((await anyio.Path(target).read_text()).splitlines())) == await report.collect()


def fed(files: CsvFiles, content: bytes, cuts: list[int]) -> tuple[bytes, list[list[str]]]:
    """One file, in pieces that end at the cuts."""
    ends = [0, *sorted(cut % (len(content) + 1) for cut in cuts), len(content)]
    parts = [files.feed(content[start:end]) for start, end in pairwise(ends)] + [files.end_file()]
    return b"".join(out for out, _ in parts), [row for _, rows in parts for row in rows]


cells = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=8)
some_rows = st.lists(st.lists(cells, min_size=2, max_size=2), max_size=8)


@given(
    st.lists(st.tuples(some_rows, st.booleans()), min_size=1, max_size=4),
    st.lists(st.integers(0, 500), max_size=6),
    st.booleans(),
)
def test_files_are_read_and_joined_the_same_however_the_bytes_come(
    parts: list[tuple[list[list[str]], bool]],
    cuts: list[int],
    mark: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    files, joined, found = CsvFiles(["A", "B"]), b"", []
    parts = [(rows and [[f"{number}", "of"], *rows], ends) for number, (rows, ends) in enumerate(parts)]
    for rows, ends in parts:
        out = io.StringIO(newline="")
        csv.writer(out).writerows([["A", "B"], *rows])
        content = (codecs.BOM_UTF8 if mark else b"") + out.getvalue().encode()
        more, records = fed(files, content if ends else content.removesuffix(b"\r\n"), cuts)
        joined += more
        found += records
    expected = [row for rows, _ in parts for row in rows]
    assert files.header == ["A", "B"]
    assert found == expected
    assert list(csv.reader(io.StringIO(joined.decode("utf-8-sig"), newline=""))) == [["A", "B"], *expected]


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("2026-01-31,2026-02-01\nA,3,2026-01-31,2026-02-01", "an earlier file of it has too"),
        ("2026-01-30T00:00:00Z,2026-01-31\nA,3,2026-02-01,2026-02-02", "was not ordered: 'A,2,2026-01-30T"),
        ("2026-02-05,2026-02-06", "was not ordered"),
        ("2026-02-02,2026-02-05", ""),
        ('"February 2, 2026",n/a', ""),
        ("2026-02-02,2026-02-02\nA,3,Grand total,", "text where a day belongs: 'A,3,Grand total,'"),
    ],
)
def test_days_that_were_not_ordered_or_came_before_are_no_report(second: str, said: str) -> None:
    first, last = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 31, tzinfo=UTC)
    spans = [(first, last), (last + ONE_DAY, last + 3 * ONE_DAY)]
    for columns in (["NAME", "SPEND"], []):
        files = CsvFiles(columns, columns[1:], spans)
        header = b"NAME,SPEND,START_DATE,End date\n"
        # The end of a day may be told as the beginning of the next one.
        files.feed(header + b"A,1,2026-01-31,2026-02-01\nA,1,2026-01-01,2026-01-02\nTotal,1,,\n")
        files.end_file()
        files.feed(header + b"Total,1,,\n")
        if said and columns:
            with pytest.raises(InvalidAnswer, match=said):
                files.feed(f"A,2,{second}\n".encode())
        else:
            assert len(files.feed(f"A,2,{second}\n".encode())[1]) == len(second.splitlines())


PAGE = b"<!DOCTYPE html>\n<html><body>Sign in to go on</body></html>"
NOT_A_REPORT = {
    "an unpaired quotation mark": (
        b'CAMPAIGN_NAME,SPEND\r\nA,1\r\n"B,2\r\n' + b"C,3\r\n" * 9,
        r"row that begins at line 3 is no CSV \(unexpected end",
    ),
    "a mark far from its pair": (
        b'CAMPAIGN_NAME,SPEND\n"A,1\nB,2\n"C",3\n',
        r"row that begins at line 2 is no CSV \(',' expected after",
    ),
    "a mark that nothing closes": (b'CAMPAIGN_NAME,SPEND\n"A,1\n' + b"B,2\n" * 300_000, "begins at line 2 is no CSV"),
    "a mark amid a number": (
        b'CAMPAIGN_NAME,SPEND\n"A, ""B""",1\nB,1"2\n',
        r"line 3 is no CSV \(a quotation mark stands amid",
    ),
    "text instead of a figure": (
        b"CAMPAIGN_NAME,SPEND\nA,\nB,N/A\nC,USD 1.5e3\nD,-Infinity\nQuery failed, try again\n",
        "has text where a figure belongs: 'Query failed, try again'",
    ),
    "a header amid the rows": (b"CAMPAIGN_NAME,SPEND\nA,1\nCAMPAIGN_NAME,SPEND\nA,1\n", "header comes again amid"),
    "another encoding": ("CAMPAIGN_NAME,SPEND\nMüller,1\n".encode("cp1252"), r"not in UTF-8 \(byte 0xfc\)"),
    "UTF-16 with a mark": ("CAMPAIGN_NAME,SPEND\nA,1\n".encode("utf-16"), "is text in UTF-16"),
    "UTF-16 without one": ("CAMPAIGN_NAME,SPEND\nA,1\n".encode("utf-16-le"), "is text in UTF-16, or no text"),
    "a web page": (PAGE, r"is a web page; it begins with '<!DOCTYPE html>'"),
    "XML": (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "is XML; it begins with"),
    "JSON": (b'{"error": "not found"}', "is JSON; it begins with"),
    "gzip that nobody declared": (gzip.compress(CONTENT), "is compressed with gzip"),
    "nothing": (b"", "is an empty file"),
    "blank lines": (b"\n\n", "is an empty file"),
    "another header": (b"CAMPAIGN_NAME,CLICKS\nA,1\n", "it lacks SPEND and is 'CAMPAIGN_NAME,CLICKS'"),
    "a header twice": (b"CAMPAIGN_NAME,SPEND,SPEND\nA,1,2\n", "names SPEND more than once"),
    "a row that is too short": (b"CAMPAIGN_NAME,SPEND\nA\n", "has 1 columns, and its header 2: 'A'"),
    "a row that is too long": (b"CAMPAIGN_NAME,SPEND\nA,1,2\n", "has 3 columns, and its header 2"),
    "a NUL": (b"CAMPAIGN_NAME,SPEND\nA\0,1\n", "holds a NUL character"),
    "lines of an old Macintosh": (b"CAMPAIGN_NAME,SPEND\rA,1\r", "new-line character seen in unquoted field"),
    "no line end at all": (b"CAMPAIGN_NAME,SPEND" * 9999, "has no line end in its first 65536 bytes"),
}


@pytest.mark.parametrize("name", NOT_A_REPORT)
async def test_what_is_no_report_is_said_and_never_saved(opened: list[object], tmp_path: Path, name: str) -> None:
    content, said = NOT_A_REPORT[name]
    target = tmp_path / "report.csv"
    async with RawServer() as server:
        Storage(server, []).content = content
        report = ordered(server.base_url, opened)
        with pytest.raises(InvalidAnswer, match=said) as caught:
            await report.save(target)
        with pytest.raises(InvalidAnswer, match=said):
            await report.collect()
    assert listed(tmp_path) == []
    assert len(str(caught.value)) < 400


PACKED = gzip.compress(CONTENT[:40]) + gzip.compress(CONTENT[40:])


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
async def test_a_compressed_file_is_read_to_its_end_or_not_at_all(
    opened: list[object], tmp_path: Path, encoding: str
) -> None:
    whole = zlib.compress(CONTENT) if encoding == "deflate" else PACKED
    async with RawServer() as server:
        storage = Storage(server, [], ranges=False)
        storage.encoding, storage.content = encoding, whole
        report = ordered(server.base_url, opened)
        if encoding == "br":
            with pytest.raises(InvalidAnswer, match="packs the file as 'br', which was not asked for"):
                await report.save(tmp_path / "report.csv")
            return
        file = await report.save(tmp_path / "report.csv")
        assert await anyio.Path(file).read_bytes() == CONTENT
        for end in (-1, -8, len(whole) * 2 // 3):
            storage.content, storage.ids = whole[:end], [ACCOUNT]
            with pytest.raises(ConnectionFailed, match="what came compressed was cut"):
                await ordered(server.base_url, opened).save(tmp_path / "cut.csv")
        assert listed(tmp_path) == [file]


@pytest.mark.parametrize(
    "header",
    [
        "CAMPAIGN_NAME,SPEND",
        "Campaign name,Start date,Spend (USD)",
        '"campaignName","spend"',
        "\ufeffSpend,Campaign Name",
    ],
)
async def test_a_header_may_be_written_for_people(opened: list[object], tmp_path: Path, header: str) -> None:
    content = f"{header}\r\n{','.join('1' for _ in header.split(','))}\r\n".encode()
    async with RawServer() as server:
        Storage(server, []).content = content
        file = await ordered(server.base_url, opened).save(tmp_path / "report.csv")
    assert file.read_bytes() == content


def test_rows_of_ads_of_one_name_are_no_repetition() -> None:
    files = CsvFiles(["AD_NAME", "SPEND"], ["SPEND"])
    content = b"AD_NAME,SPEND\nSpot,1.50\nSpot,1.50\nSpot,2\n"
    assert files.feed(content) == (content, [["Spot", "1.50"], ["Spot", "1.50"], ["Spot", "2"]])
    assert files.end_file() == (b"", [])


async def test_any_header_is_taken_on_demand(opened: list[object], caplog: pytest.LogCaptureFixture) -> None:
    async with RawServer() as server:
        (storage := Storage(server, [])).content = b"NAME,COST\nA,1\n"
        ads = client(server.base_url)
        opened.append(ads)
        report = ads.ad_account(ACCOUNT).reports.csv(
            dimensions=DIMENSIONS, metrics=METRICS, granularity=AsyncReportGranularity.LIFETIME, any_header=True
        )
        assert await report.collect() == [{"NAME": "A", "COST": "1"}]
        assert not caplog.text
        storage.content, storage.ids = b"NAME,COST\nA,1", [ACCOUNT]
        assert await report.collect() == [{"NAME": "A", "COST": "1"}]
        assert f"the last line of report {ACCOUNT} has no end: whether it was cut cannot be told" in caplog.text


def test_a_long_file_takes_no_more_memory_than_a_piece() -> None:
    piece = b'"Autumn, 1",17.25\r\n' * 1000

    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            files = CsvFiles()
            files.feed(b"A,B\r\n")
            assert sum(len(files.feed(piece)[1]) for _ in range(count)) == 1000 * count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(30) < 1.2 * peak(3)

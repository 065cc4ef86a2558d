"""Rows as tables keep what the rows keep apart."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pytest
from support.calls import ACCOUNT, client
from support.raw_server import RawServer, answer

from spotify_ads_async import ConfigurationError
from spotify_ads_async.models import ReportEntityType, ReportFieldType
from spotify_ads_async.reports import AggregateReportCall

FIELDS = [ReportFieldType(name) for name in ("IMPRESSIONS", "LEADS", "SPEND", "CTR", "CLICKS")]
ROWS = [
    {
        "entity_type": "AD_SET",
        "entity_id": ACCOUNT,
        "start_time": f"2026-03-0{day}T00:00:00Z",
        "stats": [{"field_type": name, "field_value": value} for name, value in stats.items()],
    }
    for day, stats in enumerate(
        [
            {"IMPRESSIONS": 1000, "LEADS": -5, "SPEND": 17.482913, "CTR": 0.25, "CLICKS": 250},
            {"IMPRESSIONS": 0, "LEADS": 0, "SPEND": 0.1, "CLICKS": None},
        ],
        start=1,
    )
]


@pytest.fixture
async def call() -> AsyncIterator[AggregateReportCall]:
    async with RawServer(answer(200, {"rows": ROWS})) as server, client(server.base_url) as ads:
        account = ads.ad_account(ACCOUNT)
        yield account.reports.aggregate(entity_type=ReportEntityType.AD_SET, fields=FIELDS)


async def test_a_table_has_a_typed_column_per_metric(call: AggregateReportCall) -> None:
    table = await call.to_arrow()
    assert table.schema.field("spend").type == pa.decimal128(38, 10)
    assert table.schema.field("impressions").type == pa.int64()
    assert table.schema.field("ctr").type == pa.float64()
    assert table.schema.field("start_time").type == pa.timestamp("s", tz="UTC")
    assert table["spend"].to_pylist() == [Decimal("17.482913"), Decimal("0.1")]
    assert table["ctr"].to_pylist() == [0.25, None]
    assert table["leads"].to_pylist() == [None, 0]
    assert table["clicks"].to_pylist() == [250, None]
    assert table["hidden"].to_pylist() == [["leads"], []]
    assert (await call.to_arrow(hidden=-5))["leads"].to_pylist() == [-5, 0]


async def test_a_frame_is_the_same(call: AggregateReportCall) -> None:
    frame = await call.to_polars()
    assert frame.schema["spend"] == pl.Decimal(38, 10)
    assert frame["entity_id"].to_list() == [ACCOUNT] * 2
    assert frame["start_time"].to_list() == [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 2)]
    assert frame["spend"].sum() == Decimal("17.582913")


async def test_an_empty_report_has_its_columns_too() -> None:
    async with RawServer(answer(200, {"rows": []})) as server, client(server.base_url) as ads:
        table = (
            await ads.ad_account(ACCOUNT)
            .reports.aggregate(entity_type=ReportEntityType.AD_SET, fields=FIELDS)
            .to_arrow()
        )
    assert table.num_rows == 0
    assert {"entity_id", "start_time", "spend", "leads"} <= set(table.column_names)


async def test_a_missing_extra_is_named_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    async with RawServer() as server, client(server.base_url) as ads:
        wish = ads.ad_account(ACCOUNT).reports.aggregate(entity_type=ReportEntityType.AD_SET, fields=FIELDS)
        with pytest.raises(ConfigurationError, match=r"pip install 'spotify-ads-async\[tables\]'"):
            await wish.to_polars()
    assert not server.received


def test_reports_import_no_extra() -> None:
    program = (
        "import spotify_ads_async.reports, sys; print([name for name in ('pyarrow', 'polars') if name in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
        == "[]"
    )

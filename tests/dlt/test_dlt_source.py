"""The dlt source: what is in the warehouse after a load, and after the next."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import dlt
import pytest
from aiohttp import web
from dlt.pipeline.exceptions import PipelineStepFailed
from support.free_ports import free_port

from spotify_ads_async import AdsClient, ConfigurationError, Governor, RetryPolicy
from spotify_ads_async.dlt import DEFAULT_METRICS, backfill, spotify_ads
from spotify_ads_async.dlt.reports import ReportStream
from spotify_ads_async.models import ReportEntityType, ReportGranularity
from tests.dlt.ads_server import AdsServer, ads_server, row
from tests.support.emulator_process import emulator_process

pytestmark = pytest.mark.filterwarnings("default")  # dlt's own

TODAY = datetime.now(UTC).date()
A, B, C = (f"{letter * 8}-0000-4000-8000-000000000000" for letter in "abc")
CAMPAIGN = "c1c1c1c1-c1c1-41c1-81c1-c1c1c1c1c1c1"
METRICS = ("IMPRESSIONS", "SPEND", "REACH")
REPORTS = ("campaign_report_daily",)


def day(back: int) -> str:
    return (TODAY - timedelta(days=back)).isoformat()


@pytest.fixture
def server() -> Iterator[AdsServer]:
    with ads_server({A: "USD", B: "JPY", C: "USD"}) as running:
        for account in (A, B, C):
            running.entities.setdefault("campaigns", {})[account] = [
                {"id": CAMPAIGN, "name": "Autumn", "status": "ACTIVE"}
            ]
        yield running


class Warehouse:
    """A pipeline into a database of the test's own."""

    def __init__(self, server: AdsServer, folder: Path, destination: object = None) -> None:
        self._server = server
        self.folder = folder
        self._destination = destination or dlt.destinations.duckdb(str(folder / "warehouse.duckdb"))
        self.governor = Governor([])
        self.pipeline = self.reopened()

    def reopened(self) -> dlt.Pipeline:
        return dlt.pipeline(
            "ads", destination=self._destination, dataset_name="ads", pipelines_dir=str(self.folder / "pipelines")
        )

    def client(self) -> AdsClient:
        policy = RetryPolicy(first_delay=0.001, longest_delay=0.002)
        return AdsClient("token", base_url=self._server.base_url, governor=self.governor, policy=policy)

    def load(self, *tables: str, **options: object) -> None:
        wanted: dict[str, Any] = {
            "accounts": [A],
            "start": day(20),
            "metrics": METRICS,
            "client": self.client,
            **options,
        }
        source = spotify_ads(**wanted)
        self.pipeline.run(source.with_resources(*(tables or REPORTS)))

    def read(self, columns: str, table: str = "campaign_report_daily") -> list[Any]:
        with self.pipeline.sql_client() as sql:
            return [tuple(one) for one in sql.execute_sql(f"SELECT {columns} FROM {table} ORDER BY 1, 2") or ()]  # noqa: S608 - the test's


@pytest.fixture
def warehouse(server: AdsServer, tmp_path: Path) -> Warehouse:
    return Warehouse(server, tmp_path)


def test_a_second_load_has_late_figures_and_no_ghosts(server: AdsServer, warehouse: Warehouse) -> None:
    second = "c2c2c2c2-c2c2-42c2-82c2-c2c2c2c2c2c2"
    server.entities["campaigns"][A].append({"id": second, "name": "Spring"})
    server.rows[A] = [
        row(day(20), impressions=1),
        row(day(5), impressions=50),
        row(day(4), impressions=40),
        row(day(4), second, impressions=4),
    ]
    warehouse.load(lookback_days=7)
    assert len(warehouse.read("entity_id, start_time")) == 4

    server.rows[A] = [row(day(20), impressions=99), row(day(5), impressions=55)]
    for _ in range(2):
        warehouse.load(lookback_days=7)
        found = [(str(start)[:10], impressions) for start, impressions in warehouse.read("start_time, impressions")]
        assert found == [(day(20), 1), (day(5), 55)], (
            "what is gone is gone, also where a day is empty now; older days stay"
        )
    assert server.reports_asked(A)[-1] == (day(7), day(0)), "days outside of the lookback are not asked for"


def test_hidden_figures_and_money(server: AdsServer, warehouse: Warehouse) -> None:
    server.rows[A] = [
        row(day(2), impressions=-5, spend=5),
        row(day(1), impressions=0, spend=3.7),
        row(day(0), spend=983.0841341234567),
    ]
    server.rows[B] = [row(day(1), spend=160)]
    warehouse.load(accounts=[A, B])
    assert warehouse.read("start_time, ad_account_id, impressions, impressions_hidden, spend, currency, reach") == [
        (*found[:2], *told)
        for found, told in zip(
            warehouse.read("start_time, ad_account_id"),
            [
                (None, True, Decimal(5), "USD", None),
                (0, False, Decimal("3.7"), "USD", None),
                (None, False, Decimal(160), "JPY", None),
                (None, False, Decimal("983.0841341234567"), "USD", None),
            ],
            strict=True,
        )
    ]
    columns = warehouse.pipeline.default_schema.get_table("campaign_report_daily")["columns"]
    assert (columns["spend"]["data_type"], columns["spend"]["precision"]) == ("decimal", 38)
    assert "Does not add up" in columns["reach"]["description"]
    assert not [name for name in columns if name.startswith("spend__v")]


def test_one_account_that_refuses_is_named_and_the_others_load(server: AdsServer, warehouse: Warehouse) -> None:
    for account in (A, B, C):
        server.rows[account] = [row(day(1), impressions=1)]
    server.refuses[B] = 403
    warehouse.load("campaign_report_daily", "campaigns", accounts=None)
    assert warehouse.read("ad_account_id, impressions") == [(A, 1), (C, 1)]
    assert [place for place, _ in warehouse.read("place, stream", "load_problems")] == [f"ad account {B}"] * 2

    server.refuses.clear()
    warehouse.load(accounts=None, lookback_days=0)
    assert warehouse.read("ad_account_id, impressions") == [(A, 1), (B, 1), (C, 1)], (
        "its days were not taken for loaded"
    )


def test_where_the_api_fails_nothing_is_remembered(server: AdsServer, warehouse: Warehouse) -> None:
    server.rows[A] = server.rows[B] = [row(day(9), impressions=1)]
    server.refuses[B] = 500
    with pytest.raises(PipelineStepFailed):
        warehouse.load(accounts=[A, B], lookback_days=0)
    server.refuses.clear()
    warehouse.load(accounts=[A, B], lookback_days=0)
    assert warehouse.read("ad_account_id, impressions") == [(A, 1), (B, 1)]


@pytest.mark.soak
def test_a_refused_metric_is_named_and_other_streams_load(server: AdsServer, warehouse: Warehouse) -> None:
    server.rows[A] = [row(day(1), impressions=1)]
    server.refuses["NEWEST"] = 400
    warehouse.load("campaign_report_daily", "campaigns", metrics=("IMPRESSIONS", "NEWEST"))
    assert len(warehouse.read("id, name", "campaigns")) == 1
    assert [stream for stream, _ in warehouse.read("stream, place", "load_problems")] == ["campaign_report_daily"]


def test_new_values_load_and_archived_entities_stay(server: AdsServer, warehouse: Warehouse) -> None:
    server.entities["campaigns"][A] = [
        {"id": "2", "name": "Two", "status": "SNOOZED", "updated_at": "2026-01-02T00:00:00Z"},
        {"id": "1", "name": "One", "status": "ACTIVE", "updated_at": "2026-01-01T00:00:00Z"},
    ]
    warehouse.load("campaigns")
    server.entities["campaigns"][A] = [
        {"id": "1", "name": "One", "status": "ARCHIVED", "updated_at": "2026-02-01T00:00:00Z"}
    ]
    warehouse.load("campaigns")
    assert warehouse.read("id, status", "campaigns") == [("1", "ARCHIVED"), ("2", "SNOOZED")]
    assert changed_since(server) == [None, "2026-01-01T23:50:00Z"], "the second load asks for what changed since"


def changed_since(server: AdsServer) -> list[str | None]:
    """Since when each walk over campaigns asked for changes."""
    lists = [one.query for one in server.asked if one.path.endswith("/campaigns") and one.query.get("offset") == "0"]
    return [query.get("updated_at_gte") for query in lists]


def test_a_change_in_front_of_a_long_walk_is_read_by_the_next(server: AdsServer, warehouse: Warehouse) -> None:
    campaigns: list[dict[str, Any]] = [{"id": str(one), "updated_at": "2026-01-01T00:00:00Z"} for one in range(60)]
    server.entities["campaigns"][A] = campaigns

    def change(request: web.Request) -> None:
        if request.query.get("offset", "0") != "0":
            campaigns[0]["updated_at"] = "2026-01-01T01:00:00Z"  # its page was read an hour before the last one
            campaigns[-1]["updated_at"] = "2026-01-01T02:00:00Z"

    server.before_answer = change
    warehouse.load("campaigns")
    warehouse.load("campaigns")
    assert changed_since(server) == [None, "2025-12-31T23:50:00Z"]


@pytest.mark.soak
def test_what_is_archived_keeps_its_row_and_its_spend(server: AdsServer, warehouse: Warehouse) -> None:
    ads = server.entities["ads"] = {A: [{"id": CAMPAIGN, "name": "One", "status": "ACTIVE"}]}
    server.rows[A] = [row(day(3), spend=2.5), row(day(2), spend=0.25)]
    warehouse.load("ads", "ad_report_daily", lookback_days=1)
    ads[A][0]["status"] = "ARCHIVED"
    server.rows[A] = []
    warehouse.load("ads", "ad_report_daily", lookback_days=1)
    assert warehouse.read("id, status", "ads") == [(CAMPAIGN, "ARCHIVED")]
    assert warehouse.read("sum(spend), count(*)", "ad_report_daily") == [(Decimal("2.75"), 2)]


def test_fields_newer_than_this_package_are_loaded(server: AdsServer, warehouse: Warehouse) -> None:
    budget = {"micro_amount": 5_000_000, "type": "DAILY", "pacing": "EVEN"}
    newer = {"id": "1", "start_time": "2026-01-01T00:00:00Z", "mood": "CALM", "budget": budget}
    server.entities["ad_sets"] = {A: [newer]}
    warehouse.load("ad_sets")
    ((mood, told, start),) = warehouse.read("mood, budget, start_time", "ad_sets")
    assert (mood, json.loads(told)["pacing"], start.astimezone(UTC)) == (
        "CALM",
        "EVEN",
        datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.mark.soak
def test_an_integer_that_no_column_holds_is_text_beside_it(server: AdsServer, warehouse: Warehouse) -> None:
    ads = server.entities["ads"] = {A: [{"id": "1", "mood": 5}]}
    warehouse.load("ads")
    ads[A] = [{"id": "2", "mood": 2**70, "deep": {"er": [-(2**70)]}}, {"id": "3", "mood": 2**63 - 1}]
    warehouse.load("ads")
    assert warehouse.read("id, mood, mood_beyond_64_bits, deep", "ads") == [
        ("1", 5, None, None),
        ("2", None, str(2**70), f'{{"er":["{-(2**70)}"]}}'),
        ("3", 2**63 - 1, None, None),
    ]


def test_a_row_without_an_id_is_named_and_the_others_load(server: AdsServer, warehouse: Warehouse) -> None:
    server.entities["ads"] = {
        A: [{"name": "None"}, {"id": CAMPAIGN, "name": "One; DROP TABLE ads", "select": 1, "A b": 2}]
    }
    warehouse.load("ads", accounts=[A, A.upper()])
    assert warehouse.read("id, name", "ads") == [(CAMPAIGN, "One; DROP TABLE ads")]
    assert warehouse.read("place, stream", "load_problems") == [(f"rows without id of ad account {A}", "ads")]


def test_no_field_overwrites_the_column_of_another(server: AdsServer, warehouse: Warehouse) -> None:
    hostile = {"Id": "2", "NAME": "Mine", "AD_ACCOUNT_ID": "x", "adSetId": 1, "_dlt_id": "d", "a b": 1, "a_b": 2, "": 3}
    server.entities["ads"] = {A: [{"id": "1", "name": "One", "ad_account_id": None, **hostile}]}
    warehouse.load("ads")
    assert warehouse.read("id, name, ad_account_id, a_b, id_2, name_2, ad_account_id_2, a_b_2", "ads") == [
        ("1", "One", A, 1, "2", "Mine", "x", 2)
    ]


@pytest.mark.soak
def test_a_metric_that_makes_a_report_fail_is_left_out_and_named(server: AdsServer, warehouse: Warehouse) -> None:
    server.refuses["REVENUE"] = 502
    server.rows[A] = [row(day(1), impressions=3)]
    for _ in range(2):
        warehouse.load("campaign_report_hourly", metrics=("IMPRESSIONS", "REVENUE"), lookback_days=0)
    assert warehouse.read("impressions, revenue", "campaign_report_hourly") == [(3, None)]
    assert {place for place, _ in warehouse.read("place, stream", "load_problems")} == {f"REVENUE of ad account {A}"}
    assert server.reports_asked(A)[-1][0] == day(13), "days that lack a metric are not taken for settled"


@pytest.mark.soak
def test_today_is_partial_and_read_again(server: AdsServer, warehouse: Warehouse) -> None:
    for impressions in (1, 2):
        server.rows[A] = [row(day(0), impressions=impressions)]
        warehouse.load(lookback_days=0, start=day(3), metrics=DEFAULT_METRICS)
    assert warehouse.read("impressions, impressions_hidden") == [(2, False)]
    assert server.reports_asked(A)[-1] == (day(0), day(0))
    columns = warehouse.pipeline.default_schema.get_table("campaign_report_daily")["columns"]
    asked = {f"{name.lower()}{end}" for name in DEFAULT_METRICS for end in ("", "_hidden")}
    assert asked <= columns.keys(), "what was asked for has columns also while nothing was measured"


@pytest.mark.soak
def test_a_state_that_was_deleted_comes_back_from_the_warehouse(server: AdsServer, warehouse: Warehouse) -> None:
    server.rows[A] = [row(day(back), impressions=back) for back in range(20)]
    for _ in range(2):
        warehouse.load(lookback_days=3)
        shutil.rmtree(warehouse.folder / "pipelines")
        warehouse.pipeline = warehouse.reopened()
    assert server.reports_asked(A) == [(day(20), day(0)), (day(3), day(0))]
    assert warehouse.read("count(*), count(DISTINCT start_time)") == [(20, 20)]


@pytest.mark.soak
def test_a_column_that_somebody_renamed_stops_the_load_and_loses_nothing(
    server: AdsServer, warehouse: Warehouse
) -> None:
    server.rows[A] = [row(day(back), spend=back) for back in range(5)]
    warehouse.load(lookback_days=0)
    with warehouse.pipeline.sql_client() as sql:
        sql.execute_sql("ALTER TABLE campaign_report_daily RENAME COLUMN spend TO cost")
    server.rows[A][0] = row(day(0), spend=50)
    with pytest.raises(PipelineStepFailed, match="spend"):
        warehouse.load(lookback_days=0)
    with warehouse.pipeline.sql_client() as sql:
        sql.execute_sql("ALTER TABLE campaign_report_daily RENAME COLUMN cost TO spend")
    warehouse.pipeline.run()
    assert warehouse.read("sum(spend), 0") == [(60, 0)]


@pytest.mark.soak
def test_a_start_that_is_moved_back_loads_what_is_missing(server: AdsServer, warehouse: Warehouse) -> None:
    server.rows[A] = [row(day(back), impressions=back) for back in range(40)]
    warehouse.load(start=day(9), lookback_days=2)
    options = {"accounts": [A], "metrics": METRICS, "client": warehouse.client, "tables": REPORTS}
    backfill(warehouse.pipeline, day(39), lookback_days=2, **options)
    assert [impressions for impressions, _ in warehouse.read("impressions, slice")] == list(range(40))


def test_all_tables_and_runs_share_one_governor(
    warm_programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = "client_id=30/1.5,ip=12/0.5,reporting=4/0.8"
    with emulator_process("--ad-sets", "5", "--limits", limits, "--latency", "0", warm=warm_programs) as emulator:
        for name, value in {**emulator.environment, "SPOTIFY_ADS_LIMITS": limits}.items():
            monkeypatch.setenv(name, value)
        warehouse = dlt.destinations.duckdb(str(tmp_path / "warehouse.duckdb"))
        pipeline = dlt.pipeline("ads", destination=warehouse, pipelines_dir=str(tmp_path / "pipelines"))
        for _ in range(2):
            source = spotify_ads(start=day(0))
            pipeline.run(source.with_resources("campaigns", "ads", "campaign_report_daily", "ad_set_report_hourly"))
        _, told = emulator.ask("GET", "/_emulator/statistics")
    assert told["refused"] == 0
    assert told["fullest"]["ip"] >= 8


@pytest.mark.soak
def test_killed_again_and_again_nothing_is_twice_or_missing(server: AdsServer, warehouse: Warehouse) -> None:
    server.rows[A] = [row(day(back), impressions=back) for back in range(200)]
    server.entities["ads"] = {A: [{"id": str(number), "name": "One"} for number in range(300)]}
    program = f"""
import dlt
from spotify_ads_async import AdsClient, Governor
from spotify_ads_async.dlt import backfill
governor = Governor([])
pipeline = dlt.pipeline("ads", destination=dlt.destinations.duckdb({str(warehouse.folder / "warehouse.duckdb")!r}),
    dataset_name="ads", pipelines_dir={str(warehouse.folder / "pipelines")!r})
backfill(pipeline, {day(199)!r}, accounts=[{A!r}], metrics=["IMPRESSIONS"], tables=["campaign_report_daily", "ads"],
    client=lambda: AdsClient("token", base_url={server.base_url!r}, governor=governor))
"""
    moments, random = iter((1, 3, 5, 9, 14, 20, 27)), Random(7)  # noqa: S311 - no secret
    killed = 0
    while True:
        kill_at = len(server.asked) + next(moments, 10_000)
        server.answers = kill_at + 2  # so that it is not over before it is killed
        with subprocess.Popen([sys.executable, "-c", program]) as running:
            while running.poll() is None and len(server.asked) < kill_at:
                time.sleep(0.001)
            time.sleep(random.random() / 2)  # in the midst of extracting, normalizing, or loading
            running.kill()
        if running.wait() == 0:
            break
        killed += 1
    assert killed >= 5
    assert warehouse.read("count(*), count(DISTINCT (entity_id, start_time))") == [(200, 200)]
    assert warehouse.read("count(*), count(DISTINCT id)", "ads") == [(300, 300)]


@pytest.mark.soak
def test_a_hundred_thousand_rows_of_one_moment_leave_a_small_state(server: AdsServer, warehouse: Warehouse) -> None:
    same = "2026-01-01T00:00:00Z"
    ids = (f"{number:08x}-0000-4000-8000-000000000000" for number in range(100_000))
    server.entities["campaigns"][A] = [{"id": one, "updated_at": same} for one in ids]
    warehouse.load("campaigns")
    assert warehouse.read("count(*), 0", "campaigns") == [(100_000, 0)]
    assert len(json.dumps(warehouse.pipeline.state, default=str)) < 10_000


@pytest.mark.soak
def test_the_state_stays_small(server: AdsServer, warehouse: Warehouse) -> None:
    names = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(40)]
    server.entities["campaigns"][A] = [{"id": name, "name": name} for name in names]
    server.rows[A] = [row(day(back), name, impressions=back) for name in names for back in range(20)]
    warehouse.load()
    assert len(warehouse.read("entity_id, impressions")) == 800
    assert len(json.dumps(warehouse.pipeline.state, default=str)) < 10_000


def test_a_backfill_goes_on_where_it_was_killed(server: AdsServer, warehouse: Warehouse) -> None:
    server.rows[A] = [row(day(back), impressions=back) for back in range(100)]
    options = {"accounts": [A], "metrics": METRICS, "client": warehouse.client, "slice_days": 30, "tables": REPORTS}
    server.refuses[day(99 - 60)] = 500
    with pytest.raises(PipelineStepFailed):
        backfill(warehouse.pipeline, day(99), **options)
    server.refuses.clear()
    before = len(server.reports_asked(A))
    again = warehouse.pipeline = warehouse.reopened()
    backfill(again, day(99), **options)
    assert len(warehouse.read("start_time, impressions")) == 100
    asked_twice = [asked for asked in server.reports_asked(A)[before:] if asked[1] < day(99 - 60)]
    assert not asked_twice, "what was loaded before is not asked for again"


@pytest.mark.parametrize(
    ("granularity", "settled", "expected"),
    [
        (ReportGranularity.DAY, [], ("2026-01-01", "2026-03-10", 69)),
        (ReportGranularity.DAY, [("2026-01-01", "2026-03-02")], ("2026-03-03", "2026-03-10", 8)),
        (ReportGranularity.DAY, [("2026-02-01", "2026-03-02")], ("2026-01-01", "2026-03-10", 39)),
        (ReportGranularity.HOUR, [], ("2026-02-25", "2026-03-10", 14)),
    ],
    ids=["first load", "with lookback", "a start that was moved back", "hours are kept two weeks"],
)
def test_days_asked_for(granularity: ReportGranularity, settled: list[Any], expected: tuple[str, str, int]) -> None:
    stream = ReportStream(ReportEntityType.AD, granularity, (), date(2026, 1, 1), None, timedelta(days=7))
    days = stream.days(settled, datetime(2026, 3, 10, 12, tzinfo=UTC))
    assert (str(days[0]), str(days[-1]), len(days)) == expected


@pytest.mark.parametrize(
    "options",
    [
        {"start": "31/01/2026"},
        {"start": None},
        {"start": "2026-02-01", "end": "2026-01-01"},
        {"end": datetime(2026, 2, 1, tzinfo=timezone(timedelta(hours=1)))},
        {"lookback_days": -1},
        {"lookback_days": "7"},
        {"metrics": ()},
        {"metrics": [3]},
        {"accounts": "a"},
        {"insights": [None]},
    ],
)
def test_wrong_options_are_refused_before_anything_is_asked(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        spotify_ads(**{"accounts": ["a"], **options})


def test_a_time_without_an_offset_is_utc_as_in_reports(
    server: AdsServer, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as east:
        east.setenv("TZ", "Europe/Berlin")
        time.tzset()
        warehouse.load(start=datetime(2026, 1, 1), end=datetime(2026, 1, 3))  # noqa: DTZ001 - the test's subject
    time.tzset()
    assert server.reports_asked(A) == [("2026-01-01", "2026-01-03")]


def test_a_backfill_in_slices_without_days_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="slice_days"):
        backfill(dlt.pipeline("refused"), day(0), slice_days=0)


@pytest.fixture
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL of the test's own."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("there is no PostgreSQL on this machine: apt-get install postgresql")
    port = free_port()
    folder = Path(f"/tmp/spotify-ads-test-postgres-{port}")  # noqa: S108 - its user must reach it
    folder.mkdir(mode=0o777)
    user = None
    if os.geteuid() == 0:  # which PostgreSQL refuses to run as
        user = "postgres"
        shutil.chown(folder, user)

    def call(*words: str) -> None:
        subprocess.run(words, check=True, capture_output=True, cwd="/", user=user)

    call(str(programs[-1] / "initdb"), "-D", str(folder / "data"), "-U", "ads", "--auth", "trust")
    call(
        str(programs[-1] / "pg_ctl"),
        "-D",
        str(folder / "data"),
        "-w",
        "-l",
        str(folder / "log"),
        "-o",
        f"-p {port} -k {folder}",
        "start",
    )
    try:
        yield f"postgresql://ads:trusted@127.0.0.1:{port}/postgres"
    finally:
        call(str(programs[-1] / "pg_ctl"), "-D", str(folder / "data"), "-m", "immediate", "stop")
        shutil.rmtree(folder)


def test_into_postgres(server: AdsServer, postgres: str, tmp_path: Path) -> None:
    warehouse = Warehouse(server, tmp_path, dlt.destinations.postgres(postgres))
    server.rows[A] = [row(day(2), spend=5), row(day(1), spend=3.7, impressions=-5)]
    warehouse.load("campaign_report_daily", "campaigns")
    server.rows[A] = [row(day(1), spend=3.8, impressions=7)]
    warehouse.load("campaign_report_daily", "campaigns")
    assert warehouse.read("spend, impressions, impressions_hidden") == [(Decimal("3.8"), 7, False)]
